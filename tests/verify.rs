//! `srek verify` from outside: what was changed is named, each part by itself and all at once.

use crate::command::{Ran, Room, golden};
use crate::recipe::prepare;

const WITH: &str = "--model runs/base/model --data style";

/// A base, and an adapter over it in 4 bits whose best state is an earlier one than its last.
fn tuned(room: &Room) {
    prepare(room);
    room.must("pretrain base.toml");
    room.must(
        "train tune.toml --set schedule.steps=3 --set evaluation.every=1 --set \
         schedule.learning_rate=0.05 --set schedule.decay=\"constant\"",
    );
}

/// What stands in each line of the answer, by part.
fn parts(ran: &Ran) -> Vec<(String, String)> {
    let part = |line: &str| {
        let (name, verdict) = line.split_once("  ")?;
        Some((name.to_owned(), verdict.trim().to_owned()))
    };
    ran.stdout.lines().filter_map(part).collect()
}

/// All of it is as recorded, as far as it can be compared.
#[track_caller]
fn whole(room: &Room, arguments: &str) -> Vec<(String, String)> {
    let ran = room.must(&format!("verify {arguments}"));
    assert_eq!(ran.stderr, "");
    parts(&ran)
}

/// Exactly these parts differ, and the answer and the error name them.
#[track_caller]
fn differs(room: &Room, arguments: &str, names: &[(&str, &str)]) {
    let ran = room.srek(&format!("verify {arguments}"));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let states = ["changed", "missing", "added"];
    let is = |verdict: &str| states.into_iter().find(|state| verdict.starts_with(state));
    let found: Vec<(String, &str)> =
        parts(&ran).into_iter().filter_map(|(name, it)| Some((name, is(&it)?))).collect();
    let expected: Vec<_> = names.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect();
    assert_eq!(found, expected, "{ran:?}");
    let listed: Vec<String> = names.iter().map(|(name, it)| format!("{name} ({it})")).collect();
    let error = format!(": it differs from its record: {}\nhint: ", listed.join(", "));
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(&error), "{}", ran.stderr);
}

/// Flips one bit of a file; gives what it held.
fn flip(room: &Room, name: &str) -> Vec<u8> {
    let before = std::fs::read(room.path(name)).expect("a file");
    let mut bytes = before.clone();
    let place = bytes.len() - 1 - bytes.len() / 9;
    bytes[place] ^= 1;
    room.write(name, bytes);
    before
}

#[test]
fn what_a_run_leaves_is_as_recorded() {
    let room = Room::new();
    tuned(&room);
    assert!(room.path("runs/tune/adapter-last").exists(), "the test wants an earlier best");
    let as_recorded = |names: &[&str]| -> Vec<(String, String)> {
        let program = format!("srek {}", env!("CARGO_PKG_VERSION"));
        let first = ("written by".to_owned(), program);
        let rest = names.iter().map(|name| ((*name).to_owned(), "as recorded".to_owned()));
        std::iter::once(first).chain(rest).collect()
    };
    let adapter = ["adapter_config.json", "adapter_model.safetensors"];
    let inputs = ["base", "tokenizer", "template", "data set", "recipe"];
    let all = as_recorded(&[&adapter[..], &inputs].concat());
    for place in ["adapter", "adapter-last"] {
        let mut found = whole(&room, &format!("runs/tune/{place} {WITH}"));
        // Who built this program may have said from which commit.
        found[0].1.truncate(all[0].1.len());
        assert_eq!(found, all, "{place}");
    }
    let json = room.must("verify runs/tune/adapter --json").json();
    let states: Vec<_> = json["parts"].as_array().expect("parts").iter().collect();
    assert_eq!(states.len(), 7);
    assert_eq!((&states[2]["part"], &states[2]["state"]), (&"base".into(), &"not compared".into()));
    assert_eq!((&states[2]["detail"], &json["differs"]), (&"give --model".into(), &false.into()));

    let of_base = whole(&room, "runs/base/model --data prose");
    let is = |found: &[(String, String)], name: &str, state: &str| {
        assert!(found.contains(&(name.to_owned(), state.to_owned())), "{name} {state}: {found:?}");
    };
    for name in ["config.json", "model.safetensors", "tokenizer.json", "data set", "recipe"] {
        is(&of_base, name, "as recorded");
    }
    is(&of_base, "base", "none");
    let checkpoint = whole(&room, &format!("runs/tune/checkpoint-3 {WITH}"));
    is(&checkpoint, "moments.safetensors", "as recorded");
    is(&checkpoint, "state.json", "as recorded");
    is(&checkpoint, "recipe", "not compared: state.json holds it");
    let moments = flip(&room, "runs/tune/checkpoint-3/moments.safetensors");
    differs(&room, "runs/tune/checkpoint-3", &[("moments.safetensors", "changed")]);
    room.write("runs/tune/checkpoint-3/moments.safetensors", moments);
    // Where a run stands is under a seal, and so is the record beside it.
    let state = flip(&room, "runs/tune/checkpoint-3/state.json");
    differs(&room, "runs/tune/checkpoint-3", &[("state.json", "changed")]);
    room.write("runs/tune/checkpoint-3/state.json", state);
    let record =
        std::fs::read_to_string(room.path("runs/tune/checkpoint-3/srek.json")).expect("a record");
    let other = record.replacen("\"step\": 3", "\"step\": 1", 1);
    assert_ne!(record, other);
    room.write("runs/tune/checkpoint-3/srek.json", other);
    differs(&room, "runs/tune/checkpoint-3", &[("state.json", "changed")]);
    room.write("runs/tune/checkpoint-3/srek.json", record);
    whole(&room, "runs/tune/checkpoint-3");
    std::fs::remove_file(room.path("runs/tune/checkpoint-3/state.json")).expect("removed");
    differs(&room, "runs/tune/checkpoint-3", &[("state.json", "missing")]);
}

#[test]
fn every_part_that_was_changed_is_named() {
    let room = Room::new();
    tuned(&room);
    let adapter = format!("runs/tune/adapter {WITH}");
    let changed = |names: &[&str]| {
        let names: Vec<(&str, &str)> = names.iter().map(|name| (*name, "changed")).collect();
        differs(&room, &adapter, &names);
    };
    for (file, names) in [
        ("runs/tune/adapter/adapter_config.json", &["adapter_config.json"][..]),
        ("runs/tune/adapter/adapter_model.safetensors", &["adapter_model.safetensors"]),
        ("runs/base/model/config.json", &["base"]),
        ("runs/base/model/model.safetensors", &["base"]),
        ("runs/base/model/tokenizer.json", &["tokenizer"]),
        ("style/dataset.json", &["data set"]),
        ("style/data-00000.shard", &["data set"]),
        ("runs/tune/resolved.toml", &["recipe"]),
    ] {
        let before = flip(&room, file);
        changed(names);
        room.write(file, before);
    }
    room.write("runs/base/model/chat_template.jinja", "{{ messages[0].content }}");
    changed(&["template"]);
    std::fs::remove_file(room.path("runs/base/model/chat_template.jinja")).expect("template");

    let inside = |name: &str| format!("runs/tune/adapter/{name}");
    let model = inside("adapter_model.safetensors");
    std::fs::rename(room.path(&model), room.path(&inside("adapter_model.bin"))).expect("renamed");
    let renamed = [("adapter_model.safetensors", "missing"), ("adapter_model.bin", "added")];
    differs(&room, &adapter, &renamed);
    std::fs::rename(room.path(&inside("adapter_model.bin")), room.path(&model)).expect("renamed");
    room.write(&inside("README.md"), "A card that was written later.");
    assert_eq!(room.must(&format!("verify {adapter}")).code, Some(0));
    // All at once, and for programs.
    flip(&room, &model);
    let over = "runs/tune/adapter --model runs/tune/small --data prose";
    room.must("quantize --model runs/base/model --out runs/tune/small");
    let all =
        [("adapter_model.safetensors", "changed"), ("base", "changed"), ("data set", "changed")];
    differs(&room, over, &all);
    let ran = room.srek(&format!("verify {over} --json"));
    assert_eq!((ran.code, &ran.json()["differs"]), (Some(1), &true.into()));
    // And it is not used.
    let ask =
        "generate --prompt a --max-tokens 2 --model runs/base/model --adapter runs/tune/adapter";
    let ran = room.srek(ask);
    let start = "error: runs/tune/adapter/adapter_model.safetensors: is not what was written: ";
    assert!(ran.stderr.starts_with(start) && ran.code == Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("\nhint: `srek verify` names all that differs"), "{}", ran.stderr);
}

#[test]
fn what_was_made_of_it_has_a_record_of_its_own() {
    let room = Room::new();
    tuned(&room);
    let (model, adapter) = ("--model runs/base/model", "--adapter runs/tune/adapter");
    room.must(&format!("quantize {model} --embedding q8 --out small"));
    room.must(&format!("export {model} {adapter} --format peft --out peft"));
    room.must(&format!("export {model} {adapter} --out merged"));
    room.must(&format!("export {model} {adapter} --format gguf-f16 --out gguf"));
    let weights = [
        ("small", "model.safetensors", "prose"),
        ("peft", "adapter_model.safetensors", "style"),
        ("merged", "model.safetensors", "style"),
        ("gguf", "model.gguf", "style"),
    ];
    for (place, file, data) in weights {
        let found = whole(&room, &format!("{place} {model} --data {data}"));
        for part in [file, "base", "tokenizer", "template", "data set"] {
            let line = (part.to_owned(), "as recorded".to_owned());
            assert!(found.contains(&line), "{place} {part}: {found:?}");
        }
        let record = std::fs::read(room.path(&format!("{place}/srek.json"))).expect("record");
        let record: serde_json::Value = serde_json::from_slice(&record).expect("JSON");
        assert_eq!(record["made"]["adapter"].is_string(), place != "small", "{record}");
        differs(&room, &format!("{place} --model small"), &[("base", "changed")]);
        flip(&room, &format!("{place}/{file}"));
        differs(&room, place, &[(file, "changed")]);
    }
    // Another program's model and adapter: what they were trained on is not known.
    let (model, adapter) = (golden("plain").join("model"), golden("plain").join("adapter"));
    let (model, adapter) = (model.display(), adapter.display());
    room.must(&format!("quantize --model {model} --out foreign"));
    room.must(&format!("export --model {model} --adapter {adapter} --format peft --out taken"));
    for place in ["foreign", "taken"] {
        let found = whole(&room, &format!("{place} --model {model}"));
        let is = |name: &str, state: &str| found.contains(&(name.to_owned(), state.to_owned()));
        assert!(is("base", "as recorded") && is("data set", "not recorded"), "{found:?}");
    }
}

#[test]
fn what_cannot_be_compared_is_wrong_input() {
    let room = Room::new();
    room.copy(&golden("plain").join("adapter"), "adapter");
    room.srek("verify adapter").fails(
        2,
        r"
error: adapter: it has no srek.json, so nothing is known of how it was made
hint: other programs write none; `srek export --format peft` writes one beside an adapter
",
    );
    let hint = "hint: name the directory of an adapter, a model or an export that srek wrote, such as \
                runs/NAME/adapter\n";
    room.srek("verify none").fails(2, &format!("error: none: there is no such directory\n{hint}"));
    room.write("file", "");
    room.srek("verify file").fails(2, &format!("error: file: it is no directory\n{hint}"));
    let hash = "0".repeat(64);
    for name in ["../x", "/etc/passwd", "a/b", "srek.json"] {
        let record = format!(r#"{{"version":2,"srek":"0","files":{{"{name}":"{hash}"}}}}"#);
        room.write("adapter/srek.json", record);
        let ran = room.srek("verify adapter");
        let error = format!(
            "error: adapter/srek.json: not a record of srek: files has {name:?}, which is no name of \
             a file\n"
        );
        assert!(ran.stderr.starts_with(&error) && ran.code == Some(2), "{}", ran.stderr);
    }
    room.write("adapter/srek.json", "{");
    assert_eq!(room.srek("verify adapter").code, Some(2));
    // Records of before there were hashes of files.
    let inputs =
        format!(r#"{{"model":"{hash}","adapter":"new","tokenizer":"none","dataset":"{hash}"}}"#);
    let record = format!(
        r#"{{"version":1,"srek":"0.0.0","numerics":"bf16","base":"nf4","head":"q8","tier":"avx2","seed":1,"step":2,"inputs":{inputs}}}"#
    );
    room.write("adapter/srek.json", record);
    let ran = room.srek("verify adapter");
    let error = "error: adapter: its srek.json is of version 1 and lists no files, so whether they are what \
                 was written could not be checked\nhint: compare them ";
    assert!(ran.code == Some(2) && ran.stderr.starts_with(error), "{ran:?}");
    let found = parts(&ran);
    let states: Vec<(&str, &str)> =
        found[1..].iter().map(|(name, state)| (name.as_str(), state.as_str())).collect();
    let expected = [
        ("files", "not recorded"),
        ("base", "not compared: give --model"),
        ("tokenizer", "none"),
        ("template", "not recorded"),
        ("data set", "not compared: give --data"),
        ("recipe", "not recorded"),
    ];
    assert_eq!(states, expected);
    // What differs is told even so.
    room.copy(&golden("plain").join("model"), "model");
    differs(&room, "adapter --model model", &[("base", "changed")]);
    assert_eq!(room.srek("verify adapter --model nowhere").code, Some(2));
    assert_eq!(room.srek("verify adapter --data nowhere").code, Some(2));
}
