//! `srek.json` from outside: an adapter is used as it was trained, over the base it was trained over.

use crate::command::{Ran, Room, golden};
use crate::recipe::prepare;

const ASK: &str = "generate --prompt Severity --max-tokens 12 --temperature 0";

/// A base, and an adapter in `runs/tune/adapter` over it in 4 bits.
fn tuned(room: &Room) {
    prepare(room);
    room.must("pretrain base.toml");
    room.must("train tune.toml --set schedule.steps=4 --set model.head=\"q8\"");
}

fn ask(room: &Room, more: &str) -> Ran {
    let adapter = "--model runs/base/model --adapter runs/tune/adapter";
    room.srek(&format!("{ASK} {adapter} {more}"))
}

/// The warnings of a command that has succeeded.
fn warnings(ran: &Ran) -> Vec<&str> {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stderr.lines().filter(|line| line.starts_with("warning: ")).collect()
}

#[test]
fn an_adapter_is_used_as_it_was_trained() {
    let room = Room::new();
    tuned(&room);
    let plain = ask(&room, "--json");
    assert!(warnings(&plain).is_empty());
    let answer = plain.json();
    for (key, value) in [("quant", "nf4-dq"), ("head", "q8"), ("numerics", "bf16")] {
        assert_eq!(answer[key], value, "{answer}");
    }
    let asked = ask(&room, "--quant nf4-dq --head q8 --numerics bf16 --json");
    assert!(warnings(&asked).is_empty());
    assert_eq!(asked.json()["completions"], answer["completions"]);
    let said = ask(&room, "--tier scalar").stderr;
    assert!(said.ends_with("\nnumerics bf16, base nf4-dq, head q8, tier scalar\n"), "{said}");

    let other = ask(&room, "--quant none --head as-stored --numerics f32 --tier scalar");
    let adapter = "warning: runs/tune/adapter: trained with";
    let expected = [
        format!("{adapter} numerics bf16, used with f32"),
        format!("{adapter} base nf4-dq, used with as-stored"),
        format!("{adapter} head q8, used with as-stored"),
    ];
    assert_eq!(warnings(&other), expected);
    let best = room.must("doctor --json").json()["tier"].as_str().expect("tier").to_owned();
    if best != "scalar" {
        let expected = format!("{adapter} tier {best}, used with scalar");
        assert_eq!(warnings(&ask(&room, "--tier scalar")), [expected]);
    }

    room.write("ids.json", "[[1,2,3]]");
    let logits = room.must(
        "logits --model runs/base/model --adapter runs/tune/adapter --ids ids.json --out l \
         --json",
    );
    assert_eq!((&logits.json()["quant"], &logits.json()["head"]), (&"nf4-dq".into(), &"q8".into()));
    // Without a record, as PEFT leaves an adapter, the usual is used.
    std::fs::remove_file(room.path("runs/tune/adapter/srek.json")).expect("a record");
    let usual = ask(&room, "--json");
    assert!(warnings(&usual).is_empty());
    let usual = usual.json();
    assert_eq!((&usual["quant"], &usual["head"]), (&"none".into(), &"as-stored".into()));
}

#[test]
fn an_adapter_for_another_base_is_refused() {
    let room = Room::new();
    tuned(&room);
    let refused = |ran: &Ran| {
        let start = "error: runs/tune/adapter: is an adapter for another base: that has the ";
        assert!(ran.stderr.lines().any(|line| line.starts_with(start)), "{}", ran.stderr);
        let hint = "\nhint: give the base that it was trained over\n";
        assert!(ran.stderr.ends_with(hint) && ran.code == Some(2), "{}", ran.stderr);
    };
    // Of the same shape.
    room.must("pretrain base.toml --set seed=9 --out runs/other");
    let over = |base: &str, more: &str| {
        room.srek(&format!("{ASK} --model {base} --adapter runs/tune/adapter {more}"))
    };
    refused(&over("runs/other/model", ""));
    refused(&room.srek(
        "train tune.toml --adapter-init runs/tune/adapter --out runs/next --set \
         model.directory=runs/other/model --set model.head=q8",
    ));
    assert!(!room.path("runs/next/adapter").exists());
    // One bit of one weight.
    let weights = room.path("runs/base/model/model.safetensors");
    let mut bytes = std::fs::read(&weights).expect("weights");
    let place = bytes.len() - 70_001;
    bytes[place] ^= 1;
    std::fs::write(&weights, bytes).expect("weights");
    refused(&ask(&room, ""));
}

#[test]
fn a_start_from_an_adapter_warns_where_the_recipe_differs() {
    let room = Room::new();
    tuned(&room);
    let ran = room.srek(
        "train tune.toml --adapter-init runs/tune/adapter --out runs/next --set schedule.steps=2",
    );
    let expected = ["warning: runs/tune/adapter: trained with head q8, used with as-stored"];
    assert_eq!(warnings(&ran), expected);
    let said = "numerics bf16, base nf4-dq, head as-stored, tier ";
    assert!(ran.stderr.lines().any(|line| line.starts_with(said)), "{}", ran.stderr);
}

#[test]
fn a_record_that_cannot_be_read_is_refused() {
    let room = Room::new();
    let adapter = room.copy(&golden("plain").join("adapter"), "adapter");
    room.write("ids.json", "[[1,2,3]]");
    let logits = || {
        let model = golden("plain").join("model").display().to_string();
        room.srek(&format!("logits --model {model} --adapter adapter --ids ids.json --out l"))
    };
    assert_eq!(logits().code, Some(0));
    std::fs::write(adapter.join("srek.json"), r#"{"version": 7}"#).expect("record");
    logits().fails(
        2,
        r"
error: adapter/srek.json: not a record of srek: version 7, expected 1 or 2
hint: without the file, the settings are those of the command line
",
    );
}

#[test]
fn a_run_goes_on_only_on_its_tier_and_from_what_it_wrote() {
    let room = Room::new();
    prepare(&room);
    room.must("pretrain base.toml");
    room.must("train tune.toml --set schedule.steps=2 --out run");
    let best = room.must("doctor --json").json()["tier"].as_str().expect("tier").to_owned();
    let resume = |more: &str| {
        room.srek(&format!("train tune.toml --set schedule.steps=2 --out run --resume {more}"))
    };
    let refused = |ran: &Ran, error: &str| {
        assert!(
            ran.stderr.ends_with(error) && ran.code == Some(2),
            "{:?}\n{}",
            ran.code,
            ran.stderr
        );
    };
    if best != "scalar" {
        let error = format!(
            "error: run/checkpoint-2: was trained on the tier {best:?}, this run is on \"scalar\", \
             which rounds differently\nhint: resume with --tier {best}, or start a new run\n"
        );
        refused(&resume("--tier scalar"), &error);
    }
    let moments = room.path("run/checkpoint-2/moments.safetensors");
    let mut bytes = std::fs::read(&moments).expect("moments");
    let hash = |bytes: &[u8]| files::sha256(bytes);
    let before = hash(&bytes);
    let last = bytes.len() - 1;
    bytes[last] ^= 0x80;
    std::fs::write(&moments, &bytes).expect("moments");
    let hint = "hint: remove this checkpoint to go on from the one before it, or start a new run\n";
    let found = hash(&bytes);
    refused(
        &resume(""),
        &format!(
            "error: run/checkpoint-2/moments.safetensors: is not what was written: its SHA-256 is \
         {found}, expected {before}\n{hint}"
        ),
    );
    // With hash and seal made to agree, the number itself cannot be: a second moment below 0.
    let state = room.path("run/checkpoint-2/state.json");
    let text = std::fs::read_to_string(&state).expect("state");
    let text = text.replace(&before, &found);
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let (head, tail) = text.rsplit_once(value["seal"].as_str().expect("a seal")).expect("there");
    let seal = hash([head, &"0".repeat(64), tail].concat().as_bytes());
    std::fs::write(&state, [head, &seal, tail].concat()).expect("state");
    let ran = resume("");
    assert!(ran.stderr.contains(", expected 0 or more\n") && ran.code == Some(2), "{}", ran.stderr);
    std::fs::remove_dir_all(room.path("run/checkpoint-2")).expect("checkpoint");
    assert_eq!(resume("").code, Some(0));
}
