//! The simulated laboratory from outside: the same files whatever the number of threads, answers that
//! name what their prompts show, and errors before anything is written.

use crate::command::Room;
use serde_json::Value;

fn lines(room: &Room, path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(room.path(path)).expect("a file of the result");
    text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

#[test]
fn the_same_seed_gives_the_same_files_on_any_number_of_threads() {
    let room = Room::new();
    let json = room.srek("lab incidents --count 30 --seed 4 --out one --files 2 --json").json();
    assert_eq!(json["incidents"], 30);
    assert!(json["most_prompt_tokens"].as_u64().is_some_and(|most| most <= 500));
    room.must("lab incidents --count 30 --seed 4 --out deep/er/two --files 2 --threads 1");
    for file in ["records.jsonl", "truth.jsonl", "incidents/00001.json"] {
        let read = |directory: &str| std::fs::read(room.path(&format!("{directory}/{file}")));
        assert_eq!(read("one").expect("a file"), read("deep/er/two").expect("a file"), "{file}");
    }
    assert!(!room.path("one/incidents/00002.json").exists());
    let (records, truths) = (lines(&room, "one/records.jsonl"), lines(&room, "one/truth.jsonl"));
    assert_eq!((records.len(), truths.len()), (30, 30));
    for (record, truth) in records.iter().zip(&truths) {
        assert_eq!(record["id"], truth["id"]);
        let prompt = record["prompt"].as_str().expect("a prompt");
        let said: Value =
            serde_json::from_str(record["completion"].as_str().expect("an answer")).expect("JSON");
        for id in said["evidence"].as_array().expect("a list") {
            let begins = format!("\n{} s", id.as_str().expect("an id"));
            assert!(prompt.contains(&begins), "{id} in {prompt}");
        }
    }
}

#[test]
fn nothing_is_written_for_a_wrong_wish() {
    let room = Room::new();
    room.srek("lab incidents --count 0 --out none").fails(
        2,
        r"
error: --count 0: there is nothing to simulate
hint: --count 1000
",
    );
    room.srek("lab incidents --count 1000001 --out none").fails(
        2,
        r"
error: --count 1000001: at most 1000000 at once
hint: other seeds give other incidents
",
    );
    let ran = room.srek("lab incidents --count 1 --budget 5 --out none");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("the budget is 5"), "{ran:?}");
    assert!(!room.path("none").exists());
}

#[test]
fn a_corpus_is_read_by_data_build_and_is_the_same_on_any_number_of_threads() {
    let room = Room::new();
    let json = room.srek("lab corpus --documents 40 --seed 4 --out one.jsonl --json").json();
    assert_eq!(json["documents"], 40);
    room.must("lab corpus --documents 40 --seed 4 --out deep/two.jsonl --threads 1");
    let read = |file: &str| std::fs::read(room.path(file)).expect("a file");
    assert_eq!(read("one.jsonl"), read("deep/two.jsonl"));
    assert_eq!(lines(&room, "one.jsonl").len(), 40);
    let built = room
        .srek("data build --input one.jsonl --train-tokenizer 400 --context 2048 --out data --json")
        .json();
    assert_eq!(built["documents"], 40, "{built}");
}

#[test]
fn a_corpus_of_nothing_is_refused() {
    Room::new().srek("lab corpus --documents 0 --out c.jsonl").fails(
        2,
        r"
error: --documents 0: there is nothing to write
hint: --documents 10000
",
    );
}

#[test]
fn a_directory_with_anything_else_in_it_is_not_replaced() {
    let room = Room::new();
    std::fs::create_dir(room.path("work")).expect("a directory");
    std::fs::write(room.path("work/thesis.txt"), "years").expect("a file");
    room.srek("lab incidents --count 1 --out work").fails(
        2,
        r#"
error: work: it holds "thesis.txt", which is no part of simulated incidents, and would be replaced
hint: choose a directory of its own
"#,
    );
    assert!(room.path("work/thesis.txt").exists());
    // A result of before is.
    room.must("lab incidents --count 1 --out again");
    room.must("lab incidents --count 2 --out again");
}
