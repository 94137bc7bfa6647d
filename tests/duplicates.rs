//! Records that say the same: left out and named, or kept on one side of a split.

use crate::command::Room;

const TEXT: &str = "At nine the disk of the primary filled with write ahead logs because the archive \
                    job had failed for two days without an alert, and checkout stopped until noon.";

#[test]
fn duplicates_are_named_with_both_places() {
    let room = Room::new();
    std::fs::create_dir(room.path("in")).expect("a directory");
    let near = TEXT.replace("noon", "one");
    for (name, text) in [("a.md", TEXT), ("b.md", &near), ("c.md", "Another incident altogether.")]
    {
        room.write(&format!("in/{name}"), text);
    }
    room.write("q.jsonl", format!("{{\"text\": \"{}\"}}\n", TEXT.to_uppercase()));
    let build = "data build --input in q.jsonl --train-tokenizer 300 --context 512 --out set";
    let text = room.must(build).stdout;
    assert!(text.contains("duplicates  2 records, left out"), "{text}");
    let listed = "\nduplicates, and what each repeats\n  in/b.md  in/a.md  (92 % alike)\n  \
                  q.jsonl:1  in/a.md  (the same words)\n";
    assert!(text.contains(listed), "{text}");
    let json = room.must(&format!("{build} --json")).json();
    assert_eq!((&json["records"], &json["documents"]), (&4.into(), &2.into()));
    assert_eq!(json["first_duplicates"][1]["place"], "q.jsonl:1");
    let json = room.must(&format!("{build} --duplicates keep --json")).json();
    assert_eq!((&json["documents"], &json["duplicates"]), (&4.into(), &2.into()));
}

/// They share the list of causes and the words of their dialects, and nothing else.
#[test]
fn no_simulated_incident_is_taken_for_another() {
    let room = Room::new();
    room.must("lab incidents --count 300 --out incidents");
    let build = "data build --input incidents/records.jsonl --train-tokenizer 300 --context 4096 \
                 --out set --json";
    let json = room.must(build).json();
    assert_eq!((&json["documents"], &json["duplicates"]), (&300.into(), &0.into()));
    assert_eq!(json["answered_otherwise"], 0);
}
