//! What was silently passed over once, and is said now.

use crate::command::{Room, golden};

/// The golden model in the room, with another text in one of its files.
fn changed(room: &Room, file: &str, from: &str, to: &str) {
    let path = room.path(file);
    let text = std::fs::read_to_string(&path).expect(file);
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(path, text.replace(from, to)).expect(file);
}

#[test]
fn what_is_no_language_model_is_refused_by_name() {
    let room = Room::new();
    room.copy(&golden("plain").join("model"), "model");
    room.copy(&golden("plain").join("adapter"), "adapter");
    changed(&room, "adapter/adapter_config.json", "CAUSAL_LM", "SEQ_CLS");
    let ran = room.srek("export --model model --adapter adapter --out made");
    let said =
        "adapter/adapter_config.json: task_type is \"SEQ_CLS\", expected \"CAUSAL_LM\"\nhint: ";
    assert!(ran.code == Some(2) && ran.stderr.contains(said), "{}", ran.stderr);
    changed(&room, "model/config.json", "LlamaForCausalLM", "LlamaForSequenceClassification");
    let ran = room.srek("quantize --model model --out made");
    let said = "model/config.json: architectures has \"LlamaForSequenceClassification\", expected";
    assert!(ran.code == Some(2) && ran.stderr.contains(said), "{}", ran.stderr);
}

#[test]
fn an_adapter_of_torch_is_told_from_one_that_is_missing() {
    let room = Room::new();
    room.copy(&golden("plain").join("adapter"), "adapter");
    let weights = room.path("adapter/adapter_model.safetensors");
    std::fs::rename(weights, room.path("adapter/adapter_model.bin")).expect("renamed");
    let model = golden("plain").join("model");
    room.srek(&format!("export --model {} --adapter adapter --out made", model.display())).fails(
        2,
        "
error: adapter/adapter_model.safetensors: there is no such file
hint: adapter_model.bin is not read: save the adapter as safetensors
",
    );
}

#[test]
fn names_of_shapes_and_seeds_of_nothing_are_no_models() {
    let room = Room::new();
    room.srek("quantize --model llama3.1-8b --out made").fails(
        2,
        "
error: --model llama3.1-8b: there is no such directory; it is the name of a shape, not of weights
hint: --random llama3.1-8b stores random weights of this shape; the model itself is named ORG/NAME
",
    );
    let model = golden("plain").join("model");
    let ran = room.srek(&format!("quantize --model {} --seed 1 --out made", model.display()));
    assert!(ran.code == Some(2) && ran.stderr.contains("'--seed <N>'"), "{}", ran.stderr);
    assert!(!room.path("made").exists());
}

#[test]
fn a_cache_that_cannot_be_written_is_named_itself() {
    let room = Room::new();
    let model = golden("plain").join("model");
    room.must(&format!("export --model {} --format gguf-f16 --out made", model.display()));
    let ids = golden("plain").join("ids.json");
    let logits = format!("logits --model made/model.gguf --ids {} --out l", ids.display());
    room.must(&logits);
    let models = room.path(".cache/srek/models");
    let directory = std::fs::read_dir(&models).expect("a cache").next().expect("one").expect("one");
    let place = directory.path();
    // A file in its place cannot be replaced by a directory, not even by root.
    std::fs::remove_dir_all(&place).expect("removed");
    std::fs::write(&place, "in the way").expect("a file");
    let ran = room.srek(&logits);
    assert!(ran.code.is_some_and(|code| code != 0), "{}", ran.stderr);
    assert!(ran.stderr.contains("DIR/.cache/srek/models/model-"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("made/model.gguf"), "{}", ran.stderr);
}

#[test]
fn an_export_says_in_what_it_is_stored() {
    let room = Room::new();
    let model = golden("plain").join("model");
    let export = format!("export --model {} --format gguf-q4_k --out made", model.display());
    let ran = room.must(&export);
    assert!(ran.stdout.contains("23 in Q8_0, 7 in F32"), "{}", ran.stdout);
    assert!(ran.stdout.contains("none in Q4_K, whose blocks are rows of 256"), "{}", ran.stdout);
    let json = room.must(&format!("{export} --json")).json();
    assert_eq!(
        (&json["formats"][0]["format"], &json["formats"][0]["tensors"]),
        (&"Q8_0".into(), &23.into())
    );
    let bytes = std::fs::read(room.path("made/model.gguf")).expect("a file");
    let key = b"general.file_type";
    let at = bytes.windows(key.len()).position(|part| part == key).expect("the key") + key.len();
    assert_eq!(bytes[at..at + 8], [4, 0, 0, 0, 7, 0, 0, 0]);
}

#[test]
fn a_modelfile_says_what_ollama_will_not_do() {
    let room = Room::new();
    room.copy(&golden("plain").join("model"), "model");
    let export = "export --model model --format gguf-f16 --out made --json";
    let notes = || {
        let notes = room.must(export).json()["modelfile"].clone();
        let notes: Vec<String> = serde_json::from_value(notes).expect("a list of texts");
        let file = std::fs::read_to_string(room.path("made/Modelfile")).expect("a file");
        assert!(notes.iter().all(|it| file.contains(&format!("# {it}.\n"))), "{file}");
        assert!(!file.contains("stands"), "{file}");
        (notes, file)
    };
    let by_hand = "for chats, write a TEMPLATE by hand";
    let (none, _) = notes();
    assert_eq!(none, [format!("the model has no chat template and no tokenizer: {by_hand}")]);
}
