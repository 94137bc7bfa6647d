//! `srek data kubernetes` from outside: what it writes is what `data build` reads, the kinds that are
//! held out are on one side only, and a wrong wish writes nothing.

use crate::command::Room;

#[test]
fn questions_and_texts_of_the_schema_are_read_by_data_build() {
    let room = Room::new();
    let held = "--hold-out-kinds Deployment,CronJob --seed 3";
    let json =
        room.srek(&format!("data kubernetes {held} --records 120 --out train.jsonl --json")).json();
    assert_eq!(json["records"], 120);
    assert!(json["all"].as_u64().is_some_and(|all| all > 10_000), "{json}");
    room.must(&format!("data kubernetes {held} --held-out --records 50 --out kinds/test.jsonl"));
    room.must("data kubernetes --text --records 20 --out types.jsonl");
    let read = |file: &str| std::fs::read_to_string(room.path(file)).expect("a file");
    assert!(!read("train.jsonl").contains("Deployment"));
    let about = |line: &str| line.contains("apps/Deployment") || line.contains("batch/CronJob");
    assert!(read("kinds/test.jsonl").lines().all(about));
    let json = room
        .srek(
            "data build --input train.jsonl types.jsonl --train-tokenizer 600 --context 512 \
             --long split --out data --json",
        )
        .json();
    assert_eq!(json["records"], 140);
    assert_eq!(json["conversations"], 120);
}

#[test]
fn a_wish_that_cannot_be_granted_writes_nothing() {
    let room = Room::new();
    for (arguments, said) in [
        ("--hold-out-kinds Deploymint", "there is no kind \"Deploymint\" to hold out"),
        ("--hold-out-kinds 100%", "100 percent of the kinds cannot be held out"),
        ("--hold-out-kinds x%", "--hold-out-kinds is \"x%\", expected 10%, or Deployment,Pod"),
        ("--held-out", "--hold-out-kinds"),
        ("--schema none.json", "none.json"),
        ("--records 0", "--records 0: there is nothing to write"),
    ] {
        let ran = room.srek(&format!("data kubernetes {arguments} --out none.jsonl"));
        assert_eq!(ran.code, Some(2), "{arguments}: {ran:?}");
        assert!(ran.stderr.contains(said), "{arguments}: {ran:?}");
    }
    assert!(!room.path("none.jsonl").exists());
}
