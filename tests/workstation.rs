//! `docs/workstation.md` as a user follows it: its commands, in their order, over a small model that lies in the
//! hub's cache under the name of the large one.

use crate::command::{Ran, Room, SREK, root};
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../docs/workstation.md");
/// A commit of the model, as the hub names them.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// What its licence says.
const LICENCE: &str = "This stands for the licence that travels with the weights.";

/// A model that has learned so much that it is no guess: a second or ten.
const PRETRAIN: &str = r#"
seed = 1
[model]
tokenizer = "tokenizer.json"
[model.new]
hidden = 64
ffn = 128
layers = 2
heads = 2
kv_heads = 1
head_dim = 64
context = 2048
tied = true
[data]
directory = "corpus"
[batch]
tokens = 2048
[schedule]
steps = 40
learning_rate = 1e-2
warmup_steps = 4
"#;

/// The commands of the page.
fn commands() -> Vec<&'static str> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        match line {
            "```" => inside = !inside,
            _ if inside => commands.push(line.strip_prefix("srek ").expect("a command of srek")),
            _ => {}
        }
    }
    assert!(commands.len() > 12, "{commands:?}");
    commands
}

/// Copies the files of one directory.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
}

/// The model, where the hub's own client would have put it.
fn snapshot(room: &Room) -> PathBuf {
    let incidents = root().join("datasets/incidents");
    room.must(&format!(
        "data build --input {} --train-tokenizer 900 --tokenizer tokenizer.json --context 512 --long split --out corpus",
        incidents.display()
    ));
    room.write("pretrain.toml", PRETRAIN);
    room.must("pretrain pretrain.toml --out runs/pretrain");
    let repository = room.path("hf/hub/models--meta-llama--Llama-3.1-8B");
    let snapshot = repository.join("snapshots").join(COMMIT);
    copy(&room.path("runs/pretrain/model"), &snapshot);
    std::fs::remove_file(snapshot.join("srek.json")).expect("a record");
    std::fs::write(snapshot.join("LICENSE"), LICENCE).expect("a licence");
    std::fs::create_dir_all(repository.join("refs")).expect("a directory");
    std::fs::write(repository.join("refs/main"), COMMIT).expect("a branch");
    copy(&incidents, &room.path("postmortems"));
    copy(&root().join("configs/llama3-8b"), &room.path("configs/llama3-8b"));
    let (_, rest) =
        include_str!("../docs/incident.md").split_once("```json\n").expect("an example");
    room.write("incident.json", rest.split_once("```").expect("its end").0);
    snapshot
}

fn run(room: &Room, command: &str) -> Ran {
    let mut srek = room.command(SREK);
    srek.env("HF_HOME", room.path("hf")).args(command.split_whitespace());
    room.run(&mut srek)
}

#[test]
fn the_steps_of_the_workstation_lead_from_a_name_to_exports() {
    let room = Room::new();
    snapshot(&room);
    for command in commands() {
        let ran = run(&room, command);
        assert_eq!(ran.code, Some(0), "srek {command}\n{}{}", ran.stdout, ran.stderr);
        if command.starts_with("doctor --model") {
            assert!(ran.stdout.contains("as it should be"), "{}", ran.stdout);
        }
    }
    // The licence has come along.
    for place in ["llama-4bit", "export/peft", "export/merged", "export/ollama"] {
        let licence = std::fs::read_to_string(room.path(place).join("LICENSE")).expect(place);
        assert_eq!(licence, LICENCE, "{place}");
    }
    let modelfile = std::fs::read_to_string(room.path("export/ollama/Modelfile")).expect("a file");
    assert!(modelfile.contains("TEMPLATE") && modelfile.contains(LICENCE), "{modelfile}");
}

/// Weights that are damaged so that every number is still finite are found out.
#[test]
fn the_doctor_finds_weights_in_a_wrong_order() {
    let room = Room::new();
    let model = snapshot(&room);
    let doctor = format!("doctor --model {}", model.display());
    assert_eq!(run(&room, &doctor).code, Some(0));
    // The rows of the embedding shifted by a few tokens: everything fits, and nothing is right.
    let file = model.join("model.safetensors");
    let bytes = std::fs::read(&file).expect("weights");
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().expect("a header")) as usize;
    let names: serde_json::Value = serde_json::from_slice(&bytes[8..header]).expect("JSON");
    let range = &names["model.embed_tokens.weight"]["data_offsets"];
    let at = |index: usize| header + range[index].as_u64().expect("an offset") as usize;
    let mut shifted = bytes.clone();
    shifted[at(0)..at(1)].rotate_left(7 * 64 * 2);
    std::fs::write(&file, shifted).expect("weights");
    let ran = run(&room, &doctor);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("bits a byte, expected"), "{}", ran.stderr);
}
