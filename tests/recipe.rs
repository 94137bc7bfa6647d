//! A small base and a small tuning run, as recipes and data sets in a test's room.

use crate::command::{Room, root};

/// Builds the data sets `prose` and `style` with `tokenizer.json` from a few of the project's own
/// documents, and writes the recipes `base.toml` and `tune.toml`.
pub(crate) fn prepare(room: &Room) {
    take(room, "incidents", 10);
    take(room, "house-style", 6);
    room.must(
        "data build --input incidents --tokenizer tokenizer.json --train-tokenizer 320 \
         --context 256 --long split --out prose",
    );
    room.must(
        "data build --input house-style --tokenizer tokenizer.json --context 256 --long split \
         --out style",
    );
    room.write("base.toml", BASE);
    room.write("tune.toml", TUNE);
}

/// Copies the first documents of one of the project's folders.
fn take(room: &Room, folder: &str, documents: usize) {
    let from = root().join("datasets").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(from)
        .expect("the project's documents")
        .map(|entry| entry.expect("entry").path())
        .collect();
    paths.sort();
    for path in &paths[..documents] {
        let name = path.file_name().expect("name").to_string_lossy();
        room.write(&format!("{folder}/{name}"), std::fs::read(path).expect("document"));
    }
}

const BASE: &str = r#"
seed = 5
[model]
tokenizer = "tokenizer.json"
[model.new]
hidden = 64
ffn = 128
layers = 2
heads = 4
kv_heads = 2
context = 512
[data]
directory = "prose"
held_out = 0.2
[batch]
tokens = 512
[schedule]
steps = 6
learning_rate = 4e-3
warmup_steps = 2
[evaluation]
every = 3
"#;

const TUNE: &str = r#"
seed = 6
[model]
directory = "runs/base/model"
base = "nf4-dq"
[lora]
rank = 4
alpha = 8
[data]
directory = "style"
held_out = 0.2
[batch]
tokens = 512
micro_batches = 2
[schedule]
steps = 40
learning_rate = 2e-3
[evaluation]
every = 10
[checkpoint]
every = 1
keep = 100
"#;
