//! Records that cannot become documents are an error, or are left out and named; long Markdown is cut
//! at its headings.

use crate::command::Room;

#[test]
fn refused_records_are_named_wherever_one_looks() {
    let room = Room::new();
    let lines =
        "{\"text\": \"the disk was full\"}\n{\"text\"}\n{\"text\": \"password: hunter22x\"}\n";
    room.write("a.jsonl", lines);
    let build = "data build --input a.jsonl --train-tokenizer 300 --context 512 --out set";
    let stopped = room.srek(build);
    assert_eq!(stopped.code, Some(2));
    // Secrets are told first, all of them; behind them, the first line that is no record.
    assert!(stopped.stderr.starts_with("error: 1 secrets in the documents"), "{stopped:?}");
    let stopped = room.srek(&format!("{build} --redact"));
    assert_eq!(stopped.code, Some(2));
    assert!(stopped.stderr.starts_with("error: a.jsonl:2: not a record: "), "{stopped:?}");
    let built = room.must(&format!("{build} --refused skip")).stdout;
    assert!(built.contains("refused    2 records, left out"), "{built}");
    let listed = "\nrefused, and why\n  a.jsonl:2: not a record: expected `:` (byte 8 of the line)\n  \
                  a.jsonl:3: a secret: line 1 of the text: password (hun…)\n";
    assert!(built.contains(listed), "{built}");
    let inspected = room.must("data inspect set");
    assert!(inspected.stdout.contains(listed), "{}", inspected.stdout);
    let json = room.must("data inspect set --json").json();
    assert_eq!(json["refused"]["records"], 2);
    assert_eq!(json["refused"]["first"][1]["source"], "a.jsonl:3");
}

#[test]
fn long_markdown_is_cut_at_its_headings() {
    let room = Room::new();
    let section =
        |name: &str| format!("## {name}\n\n{}\n\n", format!("{name} was slow. ").repeat(12));
    room.write(
        "a.md",
        format!("# Outage\n\n{}{}{}", section("api"), section("web"), section("db")),
    );
    let build = "data build --input a.md --train-tokenizer 261 --context 200 --out set";
    assert_eq!(room.srek(build).code, Some(2));
    let json = room.must(&format!("{build} --sections --json")).json();
    assert_eq!((&json["documents"], &json["split_records"]), (&3.into(), &1.into()));
    let shown = room.must("data inspect set --document 2 --tokenizer set.tokenizer.json").stdout;
    assert!(shown.contains("# Outage\n\n⟧## db\n\ndb was slow."), "{shown}");
}
