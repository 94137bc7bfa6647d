//! Bad input: every case ends with the right code and an error that names the place, what was
//! expected and at most one hint, and leaves no partial output.

use crate::command::{Ran, Room, SREK, golden};
use crate::recipe::prepare;
use safetensors::SafeTensors;
use std::path::Path;

/// Computes logits with a copy of the golden model in which `change` changed the weights.
fn with_weights(room: &Room, change: impl FnOnce(&mut Vec<u8>)) -> Ran {
    let model = room.copy(&golden("plain").join("model"), "model");
    let path = model.join("model.safetensors");
    let mut bytes = std::fs::read(&path).expect("weights");
    change(&mut bytes);
    std::fs::write(&path, bytes).expect("weights");
    let ran = logits(room);
    assert!(!room.path("out.safetensors").exists());
    ran
}

fn logits(room: &Room) -> Ran {
    let ids = golden("plain").join("ids.json");
    room.srek(&format!(
        "logits --model model --ids {} --out out.safetensors --numerics f32",
        ids.display()
    ))
}

#[test]
fn truncated_weights() {
    let room = Room::new();
    let ran = with_weights(&room, |bytes| bytes.truncate(bytes.len() - 1000));
    ran.fails(
        2,
        r"
error: model/model.safetensors: not a whole safetensors file of 511768 bytes: incomplete metadata, file not fully covered
hint: copy or download it again
",
    );
}

#[test]
fn corrupt_weights() {
    let room = Room::new();
    let ran = with_weights(&room, |bytes| bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes()));
    ran.fails(
        2,
        r"
error: model/model.safetensors: not a whole safetensors file of 512768 bytes: header too large
hint: copy or download it again
",
    );
    let ran = with_weights(&room, |bytes| bytes[9] = b'!');
    ran.fails(
        2,
        r"
error: model/model.safetensors: not a whole safetensors file of 512768 bytes: invalid JSON in header: key must be a string at line 1 column 2
hint: copy or download it again
",
    );
}

#[test]
fn wrong_shape() {
    let room = Room::new();
    let model = room.copy(&golden("plain").join("model"), "model");
    let config = std::fs::read_to_string(model.join("config.json")).expect("config");
    let changed = config.replace("\"intermediate_size\": 128", "\"intermediate_size\": 192");
    assert_ne!(config, changed);
    room.write("model/config.json", changed);
    logits(&room).fails(
        2,
        r"
error: model/model.safetensors: tensor model.layers.0.mlp.gate_proj.weight: has shape [128, 64], expected [192, 64]
",
    );
}

#[test]
fn config_of_something_else() {
    let room = Room::new();
    room.copy(&golden("plain").join("model"), "model");
    room.write("model/config.json", r#"{"model_type": "gpt2"}"#);
    logits(&room).fails(
        2,
        r"
error: model/config.json: missing field `hidden_size` at line 1 column 22
",
    );
    room.write("model/config.json", "{");
    logits(&room).fails(
        2,
        r"
error: model/config.json: EOF while parsing an object at line 1 column 1
",
    );
}

/// A key that nobody knows may name a variant of Llama that computes something else.
#[test]
fn unknown_key_in_a_model() {
    let room = Room::new();
    let model = room.copy(&golden("plain").join("model"), "model");
    let config = std::fs::read_to_string(model.join("config.json")).expect("config");
    room.write("model/config.json", config.replacen('{', "{\n  \"sliding_window\": 4096,", 1));
    logits(&room).fails(
        2,
        r#"
error: model/config.json: unknown key "sliding_window"
hint: it may change what the model computes; remove it only if you know that it does not
"#,
    );
}

#[test]
fn missing_weights() {
    let room = Room::new();
    let model = room.copy(&golden("plain").join("model"), "model");
    std::fs::remove_file(model.join("model.safetensors")).expect("weights");
    logits(&room).fails(
        2,
        r"
error: model/model.safetensors: there is no such file
hint: copy or download it: model.safetensors, or its parts and their index
",
    );
}

/// The bytes of a tensor inside the file.
fn range(bytes: &[u8], tensor: &str) -> std::ops::Range<usize> {
    let (header, metadata) = SafeTensors::read_metadata(bytes).expect("header");
    let (start, end) = metadata.info(tensor).expect("tensor").data_offsets;
    8 + header + start..8 + header + end
}

#[test]
fn weights_that_are_not_numbers() {
    let room = Room::new();
    let name = "model.layers.1.mlp.up_proj.weight";
    let ran = with_weights(&room, |bytes| {
        let start = range(bytes, name).start + 4 * 77;
        bytes[start..start + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    ran.fails(
        2,
        r"
error: model/model.safetensors: tensor model.layers.1.mlp.up_proj.weight: element 77 is NaN, expected a finite number
hint: the file is damaged or the model diverged
",
    );
}

#[test]
fn adapter_of_another_model() {
    let room = Room::new();
    let run = |adapter: &Path| {
        room.srek(&format!(
            "logits --model {} --adapter {} --ids {} --out out.safetensors",
            golden("plain").join("model").display(),
            adapter.display(),
            golden("plain").join("ids.json").display()
        ))
    };
    run(&golden("narrow").join("adapter")).fails(
        2,
        r"
error: ROOT/tests/goldens/llama/narrow/adapter/adapter_model.safetensors: tensor base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight: has shape [4, 48], expected [4, 64]
",
    );
    run(&room.path("nowhere")).fails(
        2,
        r"
error: DIR/nowhere: there is no such directory
hint: name the directory that `srek train` or PEFT wrote, such as runs/NAME/adapter
",
    );
}

fn build(room: &Room, input: &str, more: &str) -> Ran {
    let ran = room.srek(&format!("data build --input {input} --out set {more}"));
    assert!(!room.path("set").exists(), "a partial data set");
    ran
}

#[test]
fn missing_tokenizer() {
    let room = Room::new();
    room.write("a.md", "# A title\n\nWords.\n");
    build(&room, "a.md", "--context 64 --tokenizer none/tokenizer.json").fails(
        2,
        r"
error: cannot read none/tokenizer.json: no such file or directory
",
    );
    build(&room, "a.md", "--context 64").fails(
        2,
        r"
error: no tokenizer was given
hint: --tokenizer FILE, --train-tokenizer VOCABULARY, or --vocab-size V for records of token ids
",
    );
    room.write("tokenizer.json", "{}");
    build(&room, "a.md", "--context 64 --tokenizer tokenizer.json").fails(
        2,
        r"
error: tokenizer tokenizer.json: not a byte-level BPE tokenizer: missing field `model` at line 1 column 2
",
    );
}

#[test]
fn invalid_line() {
    let room = Room::new();
    room.write("a.jsonl", "{\"text\": \"good\"}\n{\"text\": \"cut off\n");
    build(&room, "a.jsonl", "--context 64 --train-tokenizer 261").fails(
        2,
        r"
error: a.jsonl:2: not a record: EOF while parsing a string (byte 17 of the line)
",
    );
    room.write("a.jsonl", "{\"input_ids\": [1, 2], \"labels\": [1]}\n");
    build(&room, "a.jsonl", "--context 64 --vocab-size 300").fails(
        2,
        r"
error: a.jsonl:1: there are 2 input_ids and 1 labels, expected as many
",
    );
    room.write("a.jsonl", "{\"input_ids\": [1, 300], \"labels\": [1, 300]}\n");
    build(&room, "a.jsonl", "--context 64 --vocab-size 300").fails(
        2,
        r"
error: a.jsonl:1: input_ids[1] is 300, the vocabulary has 300 ids
",
    );
    room.write("a.jsonl", "{\"prompt\": \"what is this\"}\n");
    build(&room, "a.jsonl", "--context 64 --vocab-size 300").fails(
        2,
        r"
error: a.jsonl:1: expected one of text; input_ids and labels; messages; conversations; instruction and output; prompt and completion
",
    );
}

#[test]
fn empty_data_set() {
    let room = Room::new();
    std::fs::create_dir(room.path("empty")).expect("directory");
    build(&room, "empty", "--context 64 --vocab-size 300").fails(
        2,
        r"
error: empty: no document found
hint: directories are searched for .md and .txt; .jsonl files are named themselves, as DIR/*.jsonl
",
    );
    room.write("a.jsonl", "\n\n");
    build(&room, "a.jsonl", "--context 64 --vocab-size 300").fails(
        2,
        r"
error: a.jsonl: no document found
hint: directories are searched for .md and .txt; .jsonl files are named themselves, as DIR/*.jsonl
",
    );
    room.write("blank.md", "   \n");
    build(&room, "blank.md", "--context 64 --train-tokenizer 261").fails(
        2,
        r"
error: blank.md: the document is empty
hint: remove it
",
    );
}

#[test]
fn nothing_trained() {
    let room = Room::new();
    room.write("a.jsonl", "{\"input_ids\": [1, 2, 3], \"labels\": [-100, -100, -100]}\n");
    build(&room, "a.jsonl", "--context 64 --vocab-size 300").fails(
        2,
        r"
error: a.jsonl: none of the 3 tokens in 1 documents is trained
hint: a document's first token never trains, and a label of -100 masks its token
",
    );
}

#[test]
fn document_longer_than_the_context() {
    let room = Room::new();
    room.write("a.md", "words and words and words\n");
    build(&room, "a.md", "--context 8 --train-tokenizer 261").fails(
        2,
        r"
error: a.md: the document has 28 tokens, the context holds 8
hint: use a longer context, or ask for long documents to be split
",
    );
    room.must("data build --input a.md --out split --context 8 --train-tokenizer 261 --long split");
}

#[test]
fn damaged_data_set() {
    let room = Room::new();
    room.write("a.md", "words and words and words\n");
    room.must("data build --input a.md --out set --context 64 --train-tokenizer 261");
    let shard = room.path("set/data-00000.shard");
    let mut bytes = std::fs::read(&shard).expect("shard");
    bytes[200] ^= 1;
    std::fs::write(&shard, &bytes).expect("shard");
    let ran = room.srek("data inspect set");
    assert!(ran.stderr.starts_with("error: set/data-00000.shard: it is damaged"), "{}", ran.stderr);
    assert!(ran.stderr.ends_with("\nhint: build the data set anew\n"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(2));
    bytes.truncate(300);
    std::fs::write(&shard, &bytes).expect("shard");
    room.srek("data inspect set").fails(
        2,
        r"
error: set/data-00000.shard: it has 300 bytes, expected 516 (cut off or extended)
",
    );
}

#[test]
fn unknown_key_in_a_recipe() {
    let room = Room::new();
    prepare(&room);
    let recipe = std::fs::read_to_string(room.path("base.toml")).expect("recipe");
    room.write("typo.toml", recipe.replace("warmup_steps", "warm_up"));
    room.srek("pretrain typo.toml").fails(
        2,
        r"
error: typo.toml:20: unknown field `warm_up`, expected one of `steps`, `epochs`, `learning_rate`, `warmup_steps`, `decay`, `minimum_ratio`
",
    );
    room.srek("pretrain base.toml --set optimizer.betas=1").fails(
        2,
        r"
error: base.toml with --set: unknown field `betas`, expected one of `beta1`, `beta2`, `eps`, `weight_decay`, `max_grad_norm`, `coupled_embedding`
",
    );
    room.srek("pretrain base.toml --set schedule.steps=ten").fails(
        2,
        r#"
error: base.toml with --set: invalid type: string "ten", expected u64
"#,
    );
    room.srek("pretrain base.toml --set batch.tokens=0").fails(
        2,
        r"
error: base.toml with --set: batch.tokens is 0, expected 1 to 16777216
",
    );
    room.write("torn.toml", "seed = ");
    room.srek("pretrain torn.toml").fails(
        2,
        r"
error: torn.toml:1: string values must be quoted, expected literal string
",
    );
    room.srek("pretrain none.toml").fails(
        2,
        r"
error: cannot read none.toml: no such file or directory
",
    );
    room.srek("train base.toml").fails(
        2,
        r"
error: base.toml: it has no [lora] section and trains every weight
hint: `srek pretrain` takes this recipe
",
    );
    room.srek("pretrain tune.toml").fails(
        2,
        r"
error: tune.toml: it trains an adapter, not every weight
hint: `srek train` takes this recipe
",
    );
    room.srek("pretrain base.toml --set data.context=128").fails(
        2,
        r"
error: prose: document incidents/001-checkout-oom-after-cache-growth.md#1 has 256 tokens, the context holds 128
hint: build the data set for a context of 128, or raise data.context
",
    );
    room.srek("train tune.toml").fails(
        2,
        r"
error: runs/base/model: there is no such directory
hint: name a directory with config.json and model.safetensors, a .gguf file, or a model of the hub as ORG/NAME
",
    );
    assert!(!room.path("runs").exists());
}

#[test]
fn checkpoint_of_another_recipe() {
    let room = Room::new();
    prepare(&room);
    room.srek("pretrain base.toml --resume").fails(
        2,
        r"
error: runs/base: there is no checkpoint to resume from
hint: start without resuming
",
    );
    room.must("pretrain base.toml --set schedule.steps=2");
    room.srek("pretrain base.toml").fails(
        2,
        r"
error: runs/base: a run has left a checkpoint of step 2 here
hint: resume it, or take another directory
",
    );
    room.srek("pretrain base.toml --resume").fails(
        2,
        r"
error: runs/base/checkpoint-2: belongs to another recipe: schedule.steps was 2, is 6
hint: resume with the recipe it was trained with, or start a new run
",
    );
    let other = "--set schedule.steps=2 --set data.directory=style";
    room.srek(&format!("pretrain base.toml --resume {other}")).fails(
        2,
        r"
error: runs/base/checkpoint-2: belongs to another run, which has another data set
hint: resume with the inputs it was trained on, or start a new run
",
    );
    room.srek("pretrain base.toml --resume --set schedule.steps=2 --set model.new.layers=3").fails(
        2,
        r"
error: runs/base/checkpoint-2: belongs to another recipe: model.new.layers was 2, is 3
hint: resume with the recipe it was trained with, or start a new run
",
    );
}

#[test]
fn a_loss_that_is_no_number_stops_the_run() {
    let room = Room::new();
    prepare(&room);
    let ran = room.srek("pretrain base.toml --set schedule.learning_rate=999 --set schedule.warmup_steps=0 --set optimizer.max_grad_norm=0 --set schedule.steps=60");
    let last = ran.stderr.lines().rev().take(2).collect::<Vec<_>>();
    assert!(last[1].starts_with("error: step "), "{}", ran.stderr);
    assert_eq!(ran.code, Some(1));
}

#[test]
fn prompts_that_do_not_fit() {
    let room = Room::new();
    prepare(&room);
    room.must("pretrain base.toml --set schedule.steps=1");
    let ask = |more: &str| room.srek(&format!("generate --model runs/base/model {more}"));
    room.write("long.txt", "the pager went off. ".repeat(200));
    ask("--prompt-file long.txt").fails(
        2,
        r"
error: the prompt has 2003 tokens and needs room for 1 more, the context holds 512
hint: shorten the prompt or use a longer context
",
    );
    ask("--prompt a --temperature=-1").fails(
        2,
        r"
error: temperature is -1, expected a number from 0 up
",
    );
    ask("--prompt a --top-p 0").fails(
        2,
        r"
error: top_p is 0, expected above 0 and at most 1
",
    );
    ask("--prompt a --n 0").fails(
        2,
        r"
error: --n is 0, expected 1 to 64
",
    );
    ask("--prompt-file none.txt").fails(
        2,
        r"
error: cannot read none.txt: no such file or directory
",
    );
    std::fs::remove_file(room.path("runs/base/model/tokenizer.json")).expect("tokenizer");
    ask("--prompt a").fails(
        2,
        r"
error: runs/base/model: there is no tokenizer.json
hint: name one with --tokenizer
",
    );
}

/// Replaces a value of a JSON file.
fn set(room: &Room, file: &str, key: &str, value: serde_json::Value) {
    let text = std::fs::read_to_string(room.path(file)).expect("JSON");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json[key] = value;
    room.write(file, json.to_string());
}

#[test]
fn tokenizer_of_another_model() {
    let room = Room::new();
    prepare(&room);
    room.must("pretrain base.toml --set schedule.steps=1");
    room.must(
        "data build --input incidents --tokenizer large.json --train-tokenizer 333 --context 256 \
         --long split --out other",
    );
    let ask = |more: &str| {
        room.srek(&format!("generate --model runs/base/model --prompt a --max-tokens 1 {more}"))
    };
    ask("--tokenizer large.json").fails(
        2,
        r"
error: large.json: it has 333 ids, the model's vocabulary has 320
hint: take the tokenizer.json that the model was trained with
",
    );
    let config = "runs/base/model/config.json";
    // Another special token is what instruction-tuned models have.
    set(&room, config, "eos_token_id", serde_json::json!(0));
    let ran = ask("");
    let warning = "warning: runs/base/model/tokenizer.json: <|end_of_text|> is 1, the model's \
                   eos_token_id is 0, <|begin_of_text|>\n";
    assert!(ran.code == Some(0) && ran.stderr.starts_with(warning), "{ran:?}");
    set(&room, config, "eos_token_id", serde_json::json!([0, 1]));
    let ran = ask("");
    assert!(ran.code == Some(0) && !ran.stderr.contains("warning"), "{ran:?}");
    set(&room, config, "eos_token_id", serde_json::json!([1, 5]));
    ask("").fails(
        2,
        r#"
error: runs/base/model/tokenizer.json: the model's eos_token_id 5 is the text "!" here, expected a special token such as 1
hint: take the tokenizer.json that the model was trained with
"#,
    );
    set(&room, config, "eos_token_id", serde_json::json!(1));
    set(&room, config, "bos_token_id", serde_json::json!(320));
    ask("").fails(
        2,
        r"
error: runs/base/model/config.json: token id 320 is outside of the vocabulary of 320
",
    );
    set(&room, config, "bos_token_id", serde_json::json!(7));
    let ran = ask("");
    assert!(ran.code == Some(2) && ran.stderr.contains("bos_token_id 7 is the text"), "{ran:?}");
    set(&room, config, "bos_token_id", serde_json::json!(0));
    set(&room, config, "max_position_embeddings", serde_json::json!(1));
    ask("").fails(
        2,
        r"
error: the model's longest sequence is 1, expected at least 2, a token of the prompt and one that follows
",
    );
}

#[test]
fn wrong_usage() {
    let room = Room::new();
    room.srek("doctor --threads 0").fails(
        2,
        r"
error: --threads is 0, expected 1 to 1024
hint: without it every core has one
",
    );
    room.srek("doctor --tier neon").fails(
        2,
        r#"
error: --tier is "neon", expected one of scalar, avx2, avx512, amx
hint: without it the fastest of this machine is taken
"#,
    );
    assert_eq!(room.srek("no-such-command").code, Some(2));
    assert_eq!(room.srek("--version").code, Some(0));
}

/// Builds a data set inside a file system of 64 KiB that was mounted for it; `None` where the
/// system lets nobody mount.
fn on_small_disk(room: &Room, before: &str) -> Option<Ran> {
    std::fs::create_dir_all(room.path("disk")).expect("directory");
    let text = "The pager went off at night. ".repeat(2000);
    room.write("a.md", text);
    let script = format!(
        "mount -t tmpfs -o size=64k none disk || exit 77; {before}; \"$0\" data build --input a.md \
         --context 65536 --train-tokenizer 261 --tokenizer t.json --out disk/set; code=$?; \
         ls -A disk >&2; exit $code"
    );
    let ran = room.run(room.command("unshare").args(["-rm", "sh", "-c", &script, SREK]));
    if ran.code == Some(77) || ran.stderr.starts_with("unshare") {
        crate::skip::skip("nothing can be mounted here");
        return None;
    }
    Some(ran)
}

#[test]
fn full_disk() {
    let room = Room::new();
    if let Some(ran) = on_small_disk(&room, "true") {
        ran.fails(
            1,
            r"
error: cannot write disk/.set.new/data-00000.shard: the disk is full
hint: free some space or choose another output directory; what was there before is intact
",
        );
    }
}

#[test]
fn read_only_disk() {
    let room = Room::new();
    if let Some(ran) = on_small_disk(&room, "mount -o remount,ro disk") {
        ran.fails(
            1,
            r"
error: cannot write disk/set: the file system is read-only
hint: choose an output directory that can be written
",
        );
    }
}

#[test]
fn closed_pipe() {
    let room = Room::new();
    room.write("a.md", "words and words and words\n");
    room.must("data build --input a.md --out set --context 64 --train-tokenizer 261");
    let ran = room.run(room.command("sh").args([
        "-c",
        "{ \"$0\" data inspect set; echo $? >code; } | true",
        SREK,
    ]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(std::fs::read_to_string(room.path("code")).expect("code"), "0\n");
}
