//! `srek quantize`, and what can be done with what it writes.

use crate::command::{Room, golden};
use crate::logits::tensor;
use crate::recipe::prepare;
use safetensors::SafeTensors;

/// The logits of a model directory for the first batch of a golden variant, as bits.
fn logits(room: &Room, variant: &str, model: &str, more: &str) -> Vec<u32> {
    let ids = golden(variant).join("ids.json");
    room.must(&format!(
        "logits --model {model} --ids {} --out l.safetensors {more}",
        ids.display()
    ));
    let (values, _) = tensor(&room.path("l.safetensors"), "logits");
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_quantized_model_has_the_logits_of_quantizing_on_load() {
    let room = Room::new();
    for variant in ["plain", "narrow", "scaled_tied"] {
        let model = golden(variant).join("model").display().to_string();
        let adapter = golden(variant).join("adapter").display().to_string();
        for format in ["nf4", "nf4-dq"] {
            let written = room
                .must(&format!("quantize --model {model} --format {format} --out base --json"))
                .json();
            let size = std::fs::metadata(room.path("base/model.safetensors")).expect("weights");
            assert_eq!(written["bytes"].as_u64(), Some(size.len()), "{written}");
            for numerics in ["f32", "bf16"] {
                let more = format!("--numerics {numerics} --adapter {adapter}");
                let on_load = format!("{more} --quant {format}");
                let want = logits(&room, variant, &model, &on_load);
                assert!(logits(&room, variant, "base", &more) == want, "{variant} {format}");
                assert!(logits(&room, variant, "base", &on_load) == want, "{variant} {format}");
            }
        }
    }
}

/// The way of the embedded default model: small, tied, with 8 bits in the embedding.
#[test]
fn a_quantized_model_is_tuned_and_asked() {
    let room = Room::new();
    prepare(&room);
    room.must("pretrain base.toml --set model.new.tied=true --set schedule.steps=4");
    room.write("runs/base/model/README.md", "About.");
    room.write("runs/base/model/notes.txt", "Not copied.");
    let written =
        room.must("quantize --model runs/base/model --embedding q8 --out small --json").json();
    let copied = serde_json::json!(["README.md", "tokenizer.json"]);
    assert_eq!(written["copied"], copied);
    assert_eq!(written["left_out"], serde_json::json!(["notes.txt"]));
    let config = std::fs::read_to_string(room.path("small/config.json")).expect("config");
    assert!(config.contains("srek_quantization") && !config.contains("\"quantization_config"));

    let over = "--set model.directory=small --set model.base=as-stored";
    let plan = room.must(&format!("plan tune.toml {over} --json")).json();
    let run = room.must(&format!("train tune.toml {over} --json")).json();
    let bytes = |value: &serde_json::Value, key: &str| {
        value[key].as_u64().unwrap_or_else(|| panic!("{key} in {value}"))
    };
    assert!(bytes(&run, "measured_bytes") <= bytes(&plan, "total_bytes"), "{run}");
    // All is used in place but what says how to read the rest.
    let file = std::fs::read(room.path("small/model.safetensors")).expect("weights");
    let tensors = SafeTensors::deserialize(&file).expect("safetensors");
    let used = |name: &str| !name.ends_with(".quant_map") && !name.contains(".quant_state.");
    let used = tensors.iter().filter(|(name, _)| used(name)).map(|(_, it)| it.data().len());
    assert_eq!(bytes(&plan, "mapped_bytes"), used.sum::<usize>() as u64);

    let ask = |more: &str| {
        room.srek(&format!(
            "generate --model small --adapter runs/tune/adapter --prompt Severity --max-tokens 4 \
             --temperature 0 {more}"
        ))
    };
    let answer = ask("--json");
    let json = answer.json();
    assert_eq!((&json["quant"], &json["head"]), (&"nf4-dq".into(), &"q8".into()));
    assert!(!answer.stderr.contains("warning"), "{}", answer.stderr);
    assert_eq!(
        ask("--quant none --head as-stored --json").json()["completions"],
        json["completions"]
    );
    ask("--quant nf4").fails(
        2,
        r"
error: small/model.safetensors: tensor model.layers.0.self_attn.q_proj.weight: is stored as nf4-dq, nf4 was asked for
hint: take it as stored, or quantize the original as nf4 with srek quantize
",
    );
    let again = room.srek("quantize --model small --out again");
    again.fails(
        2,
        r"
error: small/config.json: srek_quantization is there, expected a model that is not quantized
hint: quantize the original
",
    );
    assert!(!room.path("again").exists());
}

/// What is written is in memory once, beside the encoding of one tensor.
#[test]
fn quantizing_takes_little_more_memory_than_its_result() {
    let room = Room::new();
    prepare(&room);
    let size = "--set model.new.hidden=512 --set model.new.ffn=2048 --set model.new.layers=6";
    let steps = "--set schedule.steps=1 --set schedule.warmup_steps=0 --set evaluation.every=1";
    room.must(&format!("pretrain base.toml {size} {steps} --set batch.tokens=256"));
    let written = room.must("quantize --model runs/base/model --out small --json").json();
    let bytes = |key: &str| written[key].as_u64().unwrap_or_else(|| panic!("{key} in {written}"));
    let largest = 4 * 2048 * 512;
    assert!(bytes("bytes") > 8 << 20, "{written}");
    assert!(bytes("measured_bytes") < bytes("bytes") + largest, "{written}");
}

#[test]
fn results_go_nowhere_where_they_would_destroy_something() {
    let room = Room::new();
    let model = room.copy(&golden("plain").join("model"), "model");
    room.srek("quantize --model model --out model/small").fails(
        2,
        r"
error: model/small: the output directory lies inside --model (model)
hint: choose another --out, apart from what is read
",
    );
    room.write("mine/thesis.txt", "years");
    let refused = room.srek("quantize --model model --out mine");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("thesis.txt"), "{}", refused.stderr);
    std::fs::remove_file(model.join("config.json")).expect("config");
    let refused = room.srek("quantize --model model --out small");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(!room.path("small").exists());
}
