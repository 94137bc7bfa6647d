//! GGUF files as models: what travels with them, what they leave in the cache, and what is said of them.

use crate::command::{Ran, Room, golden};

/// A key's text whose entry takes a multiple of the alignment, so that all behind it keeps its place.
const LICENCE: &str = "llama3.1-community (of tests)";

/// A file with one key more: its entry must take a multiple of 32 bytes.
fn with_key(bytes: &[u8], key: &str, text: &str) -> Vec<u8> {
    const COUNT: usize = 16;
    let length = |text: &str| (text.len() as u64).to_le_bytes();
    let entry =
        [&length(key)[..], key.as_bytes(), &8_u32.to_le_bytes(), &length(text), text.as_bytes()];
    let entry = entry.concat();
    assert!(entry.len().is_multiple_of(32), "{} bytes", entry.len());
    let keys = u64::from_le_bytes(bytes[COUNT..COUNT + 8].try_into().expect("eight bytes"));
    let (head, rest) = bytes.split_at(COUNT);
    [head, &(keys + 1).to_le_bytes(), &entry, &rest[8..]].concat()
}

/// The golden model as a GGUF file that names its licence, with more of that beside it.
fn licensed(room: &Room) {
    let model = golden("plain").join("model");
    room.must(&format!("export --model {} --format gguf-f16 --out made", model.display()));
    let bytes = std::fs::read(room.path("made/model.gguf")).expect("a file");
    room.write("mine/x.gguf", with_key(&bytes, "general.license", LICENCE));
    room.write("mine/LICENSE.txt", "Do good.");
    room.write("mine/tokenizer.json", "of another model");
}

/// What is unpacked in the cache.
fn unpacked(room: &Room) -> Vec<String> {
    let entries = std::fs::read_dir(room.path(".cache/srek/models"));
    let names = entries.into_iter().flatten().flatten();
    let mut names: Vec<String> =
        names.map(|it| it.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn logits(room: &Room, model: &str) -> Ran {
    let ids = golden("plain").join("ids.json");
    room.srek(&format!("logits --model {model} --ids {} --out l.safetensors", ids.display()))
}

#[test]
fn the_licence_of_a_file_goes_with_what_is_made_of_it() {
    let room = Room::new();
    licensed(&room);
    let adapter = golden("plain").join("adapter");
    let with = format!("--model mine/x.gguf --adapter {}", adapter.display());
    let ran = room.must("quantize --model mine/x.gguf --out small --json");
    assert_eq!(ran.json()["left_out"], serde_json::json!([]));
    room.must(&format!("export {with} --out merged"));
    room.must(&format!("export {with} --format peft --out peft"));
    room.must(&format!("export {with} --format gguf-f16 --out gguf"));
    let read = |name: &str| std::fs::read(room.path(name)).expect(name);
    for place in ["small", "merged", "peft", "gguf"] {
        assert_eq!(read(&format!("{place}/LICENSE.txt")), b"Do good.", "{place}");
        let notice = String::from_utf8(read(&format!("{place}/NOTICE-gguf.txt"))).expect("text");
        assert!(notice.contains(&format!("\ngeneral.license: {LICENCE}\n")), "{notice}");
        assert!(!room.path(&format!("{place}/tokenizer.json")).exists(), "{place}");
        room.must(&format!("verify {place} --model mine/x.gguf"));
    }
    let modelfile = String::from_utf8(read("gguf/Modelfile")).expect("text");
    assert!(modelfile.contains("LICENSE \"\"\"Do good.\"\"\""), "{modelfile}");
    // The keys themselves go from file to file, and their text further on.
    let key = with_key(&[0; 24], "general.license", LICENCE)[24..].to_vec();
    let has = |bytes: Vec<u8>| bytes.windows(key.len()).any(|part| part == key);
    assert!(has(read("gguf/model.gguf")) && !has(read("made/model.gguf")));
    room.must("export --model small --format gguf-q8_0 --out again");
    assert_eq!(read("again/NOTICE-gguf.txt"), read("small/NOTICE-gguf.txt"));
}

#[test]
fn a_file_has_one_directory_in_the_cache() {
    let room = Room::new();
    licensed(&room);
    let must = |model: &str| assert_eq!(logits(&room, model).code, Some(0), "{model}");
    must("mine/x.gguf");
    let first = unpacked(&room);
    assert!(first.len() == 1 && first[0].starts_with("x-"), "{first:?}");
    must("mine/../mine/x.gguf");
    assert_eq!(unpacked(&room), first);
    // Another content of the same file takes its place.
    let bytes = std::fs::read(room.path("made/model.gguf")).expect("a file");
    room.write("mine/x.gguf", &bytes);
    must("mine/x.gguf");
    let second = unpacked(&room);
    assert!(second.len() == 1 && second != first, "{second:?}");
    // A file that is gone leaves its directory only until the next one is unpacked.
    room.write("mine/y.gguf", &bytes);
    std::fs::remove_file(room.path("mine/x.gguf")).expect("removed");
    must("mine/y.gguf");
    let third = unpacked(&room);
    assert!(third.len() == 1 && third[0].starts_with("y-"), "{third:?}");
    // Nothing is left of what could not be unpacked, and nothing else is touched.
    room.write(".cache/srek/models/other/model.gguf", "of somebody else");
    let damaged = with_key(&bytes, "tokenizer.ggml.model", "a kind that there is not");
    room.write("mine/z.gguf", damaged);
    let ran = logits(&room, "mine/z.gguf");
    assert!(ran.code == Some(2) && ran.stderr.contains("mine/z.gguf"), "{ran:?}");
    assert_eq!(unpacked(&room), ["other".to_owned(), third[0].clone()]);
}

#[test]
fn messages_name_the_file_and_not_its_directory() {
    let room = Room::new();
    licensed(&room);
    room.srek("generate --prompt a --model mine/x.gguf").fails(
        2,
        "error: mine/x.gguf: there is no tokenizer.json\nhint: name one with --tokenizer\n",
    );
    let ran = room.srek("doctor --model mine/x.gguf");
    assert!(ran.stderr.contains("error: mine/x.gguf: there is no tokenizer, so"), "{ran:?}");
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(".cache"), "{ran:?}");
}

#[test]
fn an_adapter_in_gguf_is_told_by_what_it_is() {
    let room = Room::new();
    let (model, adapter) = (golden("plain").join("model"), golden("plain").join("adapter"));
    let (model, adapter) = (model.display(), adapter.display());
    room.must(&format!(
        "export --model {model} --adapter {adapter} --format gguf-lora --out ad.gguf"
    ));
    logits(&room, "ad.gguf").fails(
        2,
        "error: ad.gguf: key general.type: is \"adapter\": a LoRA and no model\nhint: name the model that it \
         belongs to; an adapter is read as PEFT writes it, with --adapter DIR\n",
    );
    logits(&room, &format!("{model} --adapter ad.gguf")).fails(
        2,
        "error: ad.gguf: is a LoRA in GGUF, which llama.cpp and Ollama load, expected the directory of a PEFT \
         adapter\nhint: name the directory that it was made of, or the adapter as PEFT has it\n",
    );
    logits(&room, &format!("{model} --adapter {model}")).fails(
        2,
        "error: ROOT/tests/goldens/llama/plain/model: is a model, expected an adapter\nhint: name the directory \
         that `srek train` or PEFT wrote, such as runs/NAME/adapter\n",
    );
    logits(&room, &adapter.to_string()).fails(
        2,
        "error: ROOT/tests/goldens/llama/plain/adapter: is an adapter, no model\nhint: name the model that it \
         was trained over, and this as the adapter\n",
    );
}

#[test]
fn a_cache_that_cannot_be_is_told_with_another_place() {
    let room = Room::new();
    licensed(&room);
    let hint = "\nhint: models are unpacked there; set XDG_CACHE_HOME to a directory that can be written\n";
    let command = |words: &str| {
        let mut command = room.command(crate::command::SREK);
        command.args(words.split_whitespace());
        command
    };
    for words in ["generate --prompt a", "doctor --model mine/x.gguf"] {
        let ran = room.run(command(words).env("XDG_CACHE_HOME", "/proc/none"));
        assert!(ran.code == Some(1) && ran.stderr.ends_with(hint), "{ran:?}");
        assert!(ran.stderr.starts_with("error: cannot create the directory /proc/none"), "{ran:?}");
        let ran = room.run(command(words).env_remove("XDG_CACHE_HOME").env_remove("HOME"));
        ran.fails(
            2,
            "error: the model has no place to be unpacked: neither XDG_CACHE_HOME nor HOME is the path of a \
             directory\nhint: set XDG_CACHE_HOME to a directory that can be written\n",
        );
    }
}
