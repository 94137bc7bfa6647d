//! Hostile files: each is answered by one error that names the file and the place, within a second and
//! a bounded memory, and nothing is left behind. What they are and how they are made says
//! `tests/hostile/README.md`.

use crate::command::{Ran, Room, SREK, root};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most address space, in KiB as `ulimit` counts it. The binary with one thread takes less than half.
const ADDRESS_SPACE_KIB: u64 = 400_000;
/// Most seconds of processor time.
const CPU_SECONDS: u64 = 10;

/// What is done with a file: where it is put, and the command.
struct Use {
    place: &'static str,
    arguments: &'static str,
}

fn directory() -> PathBuf {
    root().join("tests/hostile")
}

/// The use of a file, by its reader and its ending.
fn used(file: &str) -> Use {
    let (reader, name) = file.split_once('/').expect("a reader's directory");
    let place = match (reader, name.rsplit_once('.').expect("an ending").1) {
        ("gguf", _) => "case.gguf",
        ("safetensors", "json") => "model/model.safetensors.index.json",
        ("safetensors" | "bnb", _) => "model/model.safetensors",
        ("config", _) => "model/config.json",
        ("adapter", "json") => "adapter/adapter_config.json",
        ("adapter", _) => "adapter/adapter_model.safetensors",
        ("tokenizer", "json") => "case.json",
        ("tokenizer", _) => "case.model",
        ("jsonl", _) => "case.jsonl",
        ("shards", "json") => "set/dataset.json",
        ("shards", _) => "set/data-00000.shard",
        other => panic!("no use for {other:?}"),
    };
    let arguments = match place {
        "case.gguf" => "logits --ids ids.json --out out.safetensors --model case.gguf",
        "case.json" => "data build --input a.md --tokenizer case.json --context 600 --out out",
        "case.model" => "data build --input a.md --tokenizer case.model --context 600 --out out",
        "case.jsonl" => {
            "data build --input case.jsonl --tokenizer tokenizer.json --context 600 --out out"
        }
        "set/dataset.json" | "set/data-00000.shard" => "data inspect set",
        _ if reader == "adapter" => {
            "logits --ids ids.json --out out.safetensors --model model --adapter adapter"
        }
        _ => "logits --ids ids.json --out out.safetensors --model model",
    };
    Use { place, arguments }
}

/// A room with everything whole.
fn room() -> Room {
    let room = Room::new();
    let whole = |name: &str, place: &str| {
        let bytes = std::fs::read(directory().join("whole").join(name)).expect("a whole file");
        room.write(place, bytes);
    };
    whole("config.json", "model/config.json");
    whole("model.safetensors", "model/model.safetensors");
    whole("adapter_config.json", "adapter/adapter_config.json");
    whole("adapter_model.safetensors", "adapter/adapter_model.safetensors");
    whole("dataset.json", "set/dataset.json");
    whole("data-00000.shard", "set/data-00000.shard");
    whole("tokenizer.json", "tokenizer.json");
    room.write("ids.json", "[[0, 1]]");
    room.write("a.md", format!("A text with a run: {}\n", "a".repeat(400)));
    room
}

/// Runs `srek` with one thread, and within the limits.
fn run(room: &Room, arguments: &str) -> Ran {
    let script = format!(
        "ulimit -v {ADDRESS_SPACE_KIB}; ulimit -t {CPU_SECONDS}; exec \"$0\" --threads 1 {arguments}"
    );
    room.run(room.command("sh").args(["-c", &script, SREK]))
}

/// Every file of a directory with its size, at any depth.
fn listing(directory: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(listing(&path)),
            false => drop(found.insert(path.clone(), path.metadata().map_or(0, |it| it.len()))),
        }
    }
    found
}

/// What is wrong with the answer to a file; none where it is as it should be.
fn complaint(file: &str, says: &str) -> Option<String> {
    let (room, used) = (room(), used(file));
    room.write(used.place, std::fs::read(directory().join(file)).expect("a hostile file"));
    let before = listing(&room.path(""));
    let ran = run(&room, used.arguments);
    let after: BTreeMap<_, _> = listing(&room.path(""))
        .into_iter()
        .filter(|(path, _)| !path.starts_with(room.path(".cache")))
        .collect();
    let text = ran.stderr.strip_suffix('\n').unwrap_or(&ran.stderr);
    let mut lines = text.split('\n');
    let error = lines.next().unwrap_or_default();
    let parent = used.place.split_once('/').map_or(used.place, |(parent, _)| parent);
    let problems = [
        (ran.code != Some(2), "the exit code is not 2"),
        (!error.starts_with("error: "), "the first line is no error"),
        (lines.any(|line| !line.starts_with("hint: ")), "there are lines beside error and hint"),
        (text.chars().any(|it| it.is_control() && it != '\n'), "there are control characters"),
        (!error.contains(says), "the place is not named"),
        (!error.contains(parent), "the file is not named"),
        (before != after, "something was left behind"),
        (error.len() > 1000, "the error is longer than a screen"),
    ];
    let found: Vec<&str> = problems.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect();
    (!found.is_empty())
        .then(|| format!("{file}: {}\n  expected: {says}\n  {ran:?}", found.join(", ")))
}

/// Runs `each` on all items in a few threads and gathers what it gives.
fn gather<T: Sync, R: Send>(items: &[T], each: impl Fn(&T) -> Option<R> + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || -> Vec<R> {
        std::iter::from_fn(|| items.get(next.fetch_add(1, Ordering::Relaxed)))
            .filter_map(&each)
            .collect()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|it| it.join().expect("a thread")).collect()
    })
}

#[test]
fn every_hostile_file_is_answered_by_its_place() {
    let expected = std::fs::read_to_string(directory().join("expected.json")).expect("the list");
    let expected: BTreeMap<String, String> = serde_json::from_str(&expected).expect("texts");
    let files: Vec<(String, String)> = expected.into_iter().collect();
    let complaints = gather(&files, |(file, says)| complaint(file, says));
    assert!(
        complaints.is_empty(),
        "{} of {} files\n{}",
        complaints.len(),
        files.len(),
        complaints.join("\n")
    );
}

/// The error about a file that is too large to be kept beside the others.
fn refused(room: &Room, name: &str, bytes: impl AsRef<[u8]>, arguments: &str, says: &str) {
    room.write(name, bytes);
    let ran = run(room, arguments);
    let error = ran.stderr.lines().next().unwrap_or_default();
    assert!(ran.code == Some(2) && error.starts_with("error: "), "{name}: {ran:?}");
    assert!(error.contains(says) && error.len() < 1000, "{name}, expected {says}: {ran:?}");
    std::fs::remove_file(room.path(name)).expect("the file");
}

#[test]
fn what_is_large_and_hostile_is_refused_in_little_memory() {
    const MIB: usize = 1 << 20;
    let room = room();
    let build = "data build --input a.jsonl --tokenizer tokenizer.json --context 64 --out set2";
    let lines = |bytes: String, says: &str| refused(&room, "a.jsonl", bytes, build, says);
    lines(
        format!("{{\"{}\": 1}}\n", "k".repeat(MIB)),
        "a.jsonl:1: not a record: unknown field `kkk",
    );
    lines(format!("{{\"id\": {}", "[".repeat(10_000)), "a.jsonl:1: not a record: recursion limit");
    lines(format!("{{\"text\": \"{}", "a".repeat(17 * MIB)), "a.jsonl:1: the line has more than");
    lines(
        format!("{{\"messages\": [{}", "{\"role\":\"user\",\"content\":\"\"},".repeat(10_001)),
        "a.jsonl:1: not a record: EOF",
    );
    let build = "data build --input a.md --tokenizer t.json --context 64 --out set2";
    let tokenizer = |bytes: String, says: &str| refused(&room, "t.json", bytes, build, says);
    tokenizer("[".repeat(4 * MIB), "tokenizer t.json: not a byte-level BPE tokenizer: ");
    tokenizer(
        format!("{{\"model\": {{\"vocab\": {{\"{}\": 0}}, \"merges\": []}}}}", "a".repeat(MIB)),
        "tokenizer t.json: its decoder is \"none\"",
    );
    let load = "logits --ids ids.json --out l.safetensors --model";
    let header = |length: usize| {
        let name = "a".repeat(length);
        let header = format!(
            "{{\"{name}\": {{\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}}}"
        );
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat()
    };
    let model = "model/model.safetensors";
    let says = "its header has 17825792 bytes, expected at most 16777216";
    let long = [&(17 * MIB as u64).to_le_bytes()[..], &vec![b' '; 18 * MIB]].concat();
    refused(&room, model, long, &format!("{load} model"), says);
    refused(
        &room,
        model,
        header(MIB),
        &format!("{load} model"),
        "model.embed_tokens.weight: is missing",
    );
    // Half a million keys of nothing, where 4096 are taken.
    let mut gguf = b"GGUF\x03\0\0\0".to_vec();
    gguf.extend([0_u64, 500_000].iter().flat_map(|it| it.to_le_bytes()));
    gguf.resize(8 * MIB, 0);
    refused(&room, "a.gguf", gguf, &format!("{load} a.gguf"), "it announces 500000 keys");
    assert!(!room.path("set2").exists() && !room.path("l.safetensors").exists());
}

/// The library that cuts text into words gives up on such a pattern and leaves the rest of the text in one
/// piece: no byte is lost, and it costs no more than what it tries before it does.
#[test]
fn a_pattern_that_backtracks_without_end_ends() {
    let room = room();
    let text = std::fs::read_to_string(room.path("tokenizer.json")).expect("a tokenizer");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut bytes = json["pre_tokenizer"].clone();
    bytes["use_regex"] = false.into();
    let pattern = serde_json::json!({ "Regex": "(?:(?:a(?!b))+)+!" });
    let split = serde_json::json!({
        "type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": false
    });
    json["pre_tokenizer"] =
        serde_json::json!({ "type": "Sequence", "pretokenizers": [split, bytes] });
    room.write("bomb.json", json.to_string());
    room.write("a.md", "a".repeat(4000));
    let ran = run(&room, "data build --input a.md --tokenizer bomb.json --context 8000 --out out");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
