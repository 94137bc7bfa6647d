//! Secrets in documents: refused with their places, or masked.

use crate::command::Room;

#[test]
fn secrets_are_refused_or_masked() {
    let room = Room::new();
    let text = "# Disk full\n\nAsked jane@example.com, used password=hunter22x to log in.\n";
    std::fs::write(room.path("a.md"), text.repeat(3)).expect("a document");
    let build = "data build --input a.md --train-tokenizer 300 --context 512 --out set";
    room.srek(build).fails(
        2,
        r"
error: 3 secrets in the documents, nothing was written:
  a.md:3: password (hun…)
  a.md:6: password (hun…)
  a.md:9: password (hun…)
hint: remove and revoke them, or ask for secrets to be masked
",
    );
    assert!(!room.path("set").exists() && !room.path("set.tokenizer.json").exists());
    let json = room.srek(&format!("{build} --redact --json")).json();
    assert_eq!(json["redacted"], serde_json::json!({"email": 3, "password": 3}));
}
