//! `srek export`: what is merged gives the logits of base and adapter, here and in PyTorch.

use crate::command::{Room, golden};
use crate::logits::{distance, tensor};

/// The logits in f32 of a model in the room for a variant's first batch.
fn logits(room: &Room, model: &str, variant: &str) -> Vec<f32> {
    let ids = golden(variant).join("ids.json");
    let ids = ids.display();
    room.must(&format!(
        "logits --model {model} --ids {ids} --numerics f32 --out logits.safetensors"
    ));
    tensor(&room.path("logits.safetensors"), "logits").0
}

/// Those that PyTorch computed.
fn expected(variant: &str, key: &str) -> Vec<f32> {
    tensor(&golden(variant).join("golden.safetensors"), &format!("{key}.logits")).0
}

#[test]
fn a_merged_model_has_the_logits_that_pytorch_computes_with_the_adapter() {
    let room = Room::new();
    for variant in ["plain", "scaled_tied", "narrow"] {
        let golden = golden(variant);
        let (model, adapter) = (golden.join("model"), golden.join("adapter"));
        let (model, adapter) = (model.display(), adapter.display());
        let ran =
            room.must(&format!("export --model {model} --adapter {adapter} --out merged --json"));
        // In bf16 the sum of weights is rounded where the sum of products was.
        let json = ran.json();
        let number = |key: &str| json[key].as_f64().expect("a number");
        assert!(number("agreement") >= 0.95 && number("drift_most") < 0.05, "{json}");
        let far = distance(&logits(&room, "merged", variant), &expected(variant, "f32.adapter"));
        assert!(far <= 1e-4, "{variant}: {far}");
        room.must("verify merged");

        // Over 4 bits: what was served, rounded to bf16 once; or the original.
        room.must(&format!("quantize --model {model} --format nf4 --out base"));
        let exported = format!("export --model base --adapter {adapter} --out merged");
        room.must(&exported);
        let config = std::fs::read_to_string(room.path("merged/config.json")).expect("config");
        assert!(!config.contains("quantization_config"), "{config}");
        let far = distance(&logits(&room, "merged", variant), &expected(variant, "nf4.adapter"));
        assert!(far > 1e-6 && far <= 2e-2, "{variant}: {far}");
        let ran = room.must(&format!("{exported} --onto {model}"));
        assert!(ran.stderr.contains("the drift is what these bits were"), "{}", ran.stderr);
        let far = distance(&logits(&room, "merged", variant), &expected(variant, "f32.adapter"));
        assert!(far <= 1e-4, "{variant}: {far}");
    }
}

#[test]
fn mixed_ranks_and_scales_are_merged_as_they_are_served() {
    let room = Room::new();
    let golden = golden("plain_tied");
    let (model, adapter) = (golden.join("model"), golden.join("adapter_mixed"));
    room.must(&format!("quantize --model {} --format nf4 --out base", model.display()));
    room.must(&format!("export --model base --adapter {} --out merged", adapter.display()));
    let far =
        distance(&logits(&room, "merged", "plain_tied"), &expected("plain_tied", "nf4.mixed"));
    assert!(far <= 2e-2, "{far}");
}

#[test]
fn an_export_over_what_is_not_its_own_is_refused() {
    let room = Room::new();
    let golden = golden("plain");
    room.copy(&golden.join("model"), "model");
    room.copy(&golden.join("adapter"), "adapter");
    room.copy(&crate::command::golden("narrow").join("model"), "other");
    let export = "export --model model --adapter adapter";
    room.srek(&format!("{export} --out model/merged")).fails(
        2,
        "
error: model/merged: the output directory lies inside --model (model)
hint: choose another --out, apart from what is read
",
    );
    room.srek(&format!("{export} --onto other --out merged")).fails(
        2,
        "
error: other: it is another model than model
hint: --onto names what --model was quantized from
",
    );
    room.write("mine/notes.md", "mine");
    let ran = room.srek(&format!("{export} --out mine"));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    // A damaged adapter stops it, and nothing is left.
    let weights = room.path("adapter/adapter_model.safetensors");
    let mut bytes = std::fs::read(&weights).expect("an adapter");
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&weights, bytes).expect("a file");
    let ran = room.srek(&format!("{export} --out merged"));
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("expected a finite number"), "{}", ran.stderr);
    assert!(!room.path("merged").exists());
}

#[test]
fn an_adapter_for_llama_cpp_is_one_file() {
    let room = Room::new();
    let golden = golden("plain");
    let export = format!(
        "export --model {} --adapter {} --format gguf-lora",
        golden.join("model").display(),
        golden.join("adapter_mixed").display()
    );
    room.must(&format!("{export} --out made/adapter.gguf"));
    let bytes = std::fs::read(room.path("made/adapter.gguf")).expect("a file");
    assert!(bytes.starts_with(b"GGUF\x03\0\0\0"));
    room.srek(&format!("{export} --out adapter")).fails(
        2,
        "
error: --out adapter: expected a file
hint: --out adapter.gguf
",
    );
    room.srek(&format!("{export} --onto other --out adapter.gguf")).fails(
        2,
        "
error: --onto: an adapter alone is merged onto nothing
hint: --format merged
",
    );
}

/// GGUF files hold the same model: rows in llama.cpp's order and divided frequencies are undone.
#[test]
fn a_gguf_has_the_logits_that_pytorch_computes_with_the_adapter() {
    let room = Room::new();
    for (variant, formats) in [
        ("plain", &[("gguf-f16", 2e-3), ("gguf-q8_0", 8e-2), ("gguf-q4_k", 8e-2)][..]),
        ("scaled_tied", &[("gguf-f16", 2e-3), ("gguf-q8_0", 8e-2)]),
        ("narrow", &[("gguf-f16", 2e-3), ("gguf-q8_0", 2e-3)]),
    ] {
        let golden = golden(variant);
        let (model, adapter) = (golden.join("model"), golden.join("adapter"));
        let (model, adapter) = (model.display(), adapter.display());
        for (format, most) in formats {
            let export = format!("export --model {model} --format {format} --out out");
            room.must(&format!("{export} --adapter {adapter}"));
            let far = distance(&logits(&room, "out", variant), &expected(variant, "f32.adapter"));
            assert!(far <= *most, "{variant} {format}: {far}");
            // Without an adapter it is the base, and other files are replaced.
            room.must(&export);
            let far = distance(&logits(&room, "out", variant), &expected(variant, "f32"));
            assert!(far <= *most, "{variant} {format}: {far}");
        }
    }
}

/// An adapter is trained over the blocks of a GGUF file, or over what these are in NF4.
#[test]
fn a_gguf_is_quantized_and_tuned() {
    let room = Room::new();
    let golden = golden("plain");
    let model = golden.join("model");
    room.must(&format!("export --model {} --format gguf-f16 --out out", model.display()));
    let ran = room.must("quantize --model out --format nf4 --out base --json");
    room.must("verify base --model out");
    let drift = ran.json()["drift_most"].as_f64().expect("a number");
    assert!(drift > 0.0 && drift < 0.5, "{drift}");
    let far = distance(&logits(&room, "base", "plain"), &expected("plain", "nf4"));
    // Weights that the rounding to f16 moved over the middle between two levels take the other one.
    assert!(far <= 1e-1, "{far}");

    // The first steps over the blocks themselves are those that PyTorch takes over the dense weights.
    let batches = golden.join("batches.jsonl");
    room.must(&format!(
        "data build --input {} --vocab-size 128 --context 64 --out set",
        batches.display()
    ));
    room.write("tune.toml", TUNE);
    let adapter = golden.join("adapter");
    room.must(&format!("train tune.toml --adapter-init {} --out run", adapter.display()));
    let expected = std::fs::read(golden.join("golden.json")).expect("golden");
    let expected: serde_json::Value = serde_json::from_slice(&expected).expect("JSON");
    let log = std::fs::read_to_string(room.path("run/log.jsonl")).expect("a log");
    for (step, line) in log.lines().enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let loss = line["loss"].as_f64().expect("a loss");
        let expected = expected["curve"]["f32"]["loss"][step].as_f64().expect("a loss");
        assert!((loss - expected).abs() <= 2e-3 * expected, "step {step}: {loss} of {expected}");
    }
    assert_eq!(log.lines().count(), 3);
    room.must("verify run/adapter --model out/model.gguf --data set");
    room.must("verify run/adapter --model out --data set");
}

const TUNE: &str = r#"
[model]
directory = "out/model.gguf"
numerics = "f32"
[data]
directory = "set"
order = "file"
[batch]
tokens = 128
documents = 2
[schedule]
steps = 3
learning_rate = 1e-3
decay = "constant"
[optimizer]
weight_decay = 0.01
max_grad_norm = 1.0
"#;

#[test]
fn a_peft_export_is_the_adapter() {
    let room = Room::new();
    let golden = golden("plain");
    let (model, adapter) = (golden.join("model"), golden.join("adapter"));
    room.must(&format!(
        "export --model {} --adapter {} --format peft --out out",
        model.display(),
        adapter.display()
    ));
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        let read = |path: std::path::PathBuf| std::fs::read(path).expect("a file");
        assert_eq!(read(room.path("out").join(name)), read(adapter.join(name)), "{name}");
    }
    room.srek(&format!("export --model {} --format peft --out out", model.display())).fails(
        2,
        "
error: --adapter is missing: there is nothing to export
hint: --adapter runs/NAME/adapter
",
    );
}

/// Neither what is read nor what somebody else put there is written over.
#[test]
fn models_are_not_written_over() {
    let room = Room::new();
    let golden = golden("plain");
    let model = golden.join("model").display().to_string();
    room.must(&format!("export --model {model} --format gguf-f16 --out out"));
    let bytes = std::fs::read(room.path("out/model.gguf")).expect("a file");
    room.write("mine/model.gguf", &bytes);
    let ids = golden.join("ids.json").display().to_string();
    for command in [
        "export --model mine/model.gguf --format gguf-q8_0 --out mine".to_owned(),
        format!("export --model {model} --onto mine/model.gguf --format gguf-q8_0 --out mine"),
        format!("export --model {model} --format gguf-q8_0 --out mine"),
        format!(
            "export --model {model} --adapter {} --format gguf-lora --out mine/model.gguf",
            golden.join("adapter").display()
        ),
        "quantize --model mine/model.gguf --out mine".to_owned(),
        format!("logits --model mine/model.gguf --ids {ids} --out mine/model.gguf"),
    ] {
        let ran = room.srek(&command);
        assert_eq!(ran.code, Some(2), "{command}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(
            std::fs::read(room.path("mine/model.gguf")).expect("a file"),
            bytes,
            "{command}"
        );
    }
    // What an export made is replaced, and what somebody fetched is not.
    room.must(&format!("export --model {model} --format gguf-q8_0 --out out"));
    room.copy(&golden.join("model"), "fetched");
    let ran = room.srek("quantize --model out --out fetched");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("did not make"), "{}", ran.stderr);
}

#[test]
fn links_out_of_a_model_are_not_copied_into_what_is_given_away() {
    use std::os::unix::fs::symlink;
    let room = Room::new();
    room.copy(&golden("plain").join("model"), "model");
    room.write("secret.txt", "of somebody else");
    let adapter = golden("plain").join("adapter");
    let commands = [
        "quantize --model model --out made".to_owned(),
        format!("export --model model --adapter {} --out made", adapter.display()),
        format!("export --model model --adapter {} --format peft --out made", adapter.display()),
        "export --model model --format gguf-f16 --out made".to_owned(),
    ];
    let link = room.path("model/LICENSE-link");
    symlink("../secret.txt", &link).expect("a link");
    for command in &commands {
        room.srek(command).fails(
            2,
            "
error: model/LICENSE-link: is a link that leads out of its directory, to DIR/secret.txt
hint: where it belongs to the model, put a copy of it in place of the link; else remove the link
",
        );
        assert!(!room.path("made").exists(), "{command}");
    }
    // Links inside of it are as good as files, and so are those of the hub's cache into its own content.
    std::fs::remove_file(&link).expect("removed");
    room.write("model/text", "Take it.");
    symlink("text", &link).expect("a link");
    room.must(&commands[0]);
    let read = |name: &str| std::fs::read_to_string(room.path(name)).expect(name);
    assert_eq!(read("made/LICENSE-link"), "Take it.");
    room.copy(&golden("plain").join("model"), "hub/snapshots/c");
    room.write("hub/blobs/1", "Of the hub.");
    symlink("../../blobs/1", room.path("hub/snapshots/c/LICENSE")).expect("a link");
    room.must("quantize --model hub/snapshots/c --out small");
    assert_eq!(read("small/LICENSE"), "Of the hub.");
    symlink("/dev/../etc/hostname", room.path("hub/blobs/2")).expect("a link");
    symlink("../../blobs/2", room.path("hub/snapshots/c/NOTICE")).expect("a link");
    let ran = room.srek("quantize --model hub/snapshots/c --out small");
    assert!(ran.code == Some(2) && ran.stderr.contains("NOTICE: is a link"), "{}", ran.stderr);
}
