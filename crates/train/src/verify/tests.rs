use super::*;
use crate::record::{Made, Maker};

fn write(directory: &Path, name: &str, content: &str) {
    std::fs::write(directory.join(name), content).unwrap();
}

/// A directory of two files and its record.
fn room() -> (tempfile::TempDir, Record) {
    let room = tempfile::tempdir().unwrap();
    write(room.path(), "a", "first");
    write(room.path(), "b", "second");
    let made = Made { by: Maker::Export, model: files::sha256(b"model"), adapter: None };
    Record::made(made, None).write(room.path()).unwrap();
    let record = Record::read(room.path()).unwrap().unwrap();
    (room, record)
}

fn verdicts(room: &Path, record: &Record) -> Vec<(String, &'static str)> {
    let parts = files(record, room, &mut |_, _| {}).unwrap();
    parts.into_iter().map(|part| (part.name, part.verdict.name())).collect()
}

#[test]
fn files_are_named_with_what_became_of_them() {
    let (room, record) = room();
    let room = room.path();
    let is = |expected: &[(&str, &'static str)]| {
        let expected: Vec<_> =
            expected.iter().map(|(name, it)| ((*name).to_owned(), *it)).collect();
        assert_eq!(verdicts(room, &record), expected);
    };
    is(&[("a", "as recorded"), ("b", "as recorded")]);
    write(room, "a", "First");
    write(room, "c\u{1b}", "");
    write(room, "README.md", "");
    is(&[
        ("a", "changed"),
        ("b", "as recorded"),
        ("README.md", "not recorded"),
        ("c\\u{1b}", "added"),
    ]);
    std::fs::remove_file(room.join("c\u{1b}")).unwrap();
    std::fs::rename(room.join("a"), room.join("model.safetensors.index.json")).unwrap();
    std::fs::remove_file(room.join("b")).unwrap();
    std::fs::create_dir(room.join("b")).unwrap();
    is(&[
        ("a", "missing"),
        ("b", "changed"),
        ("README.md", "not recorded"),
        ("model.safetensors.index.json", "added"),
    ]);
}

#[test]
fn bytes_are_told_as_they_are_read() {
    let (room, record) = room();
    let mut told = Vec::new();
    files(&record, room.path(), &mut |name, done| told.push((name.to_owned(), done))).unwrap();
    let expected = [("a", 0), ("a", 5), ("b", 0), ("b", 6)];
    assert_eq!(told, expected.map(|(name, done)| (name.to_owned(), done)));
}

#[test]
fn inputs_are_compared_with_all_that_is_given() {
    let one = Ok("1".repeat(64));
    let other = Ok("2".repeat(64));
    let recorded = "1".repeat(64);
    let of = |found: &[Found]| compared(Some(&recorded), found, "give it");
    assert_eq!(of(&[]), Verdict::NotCompared("give it"));
    assert_eq!(of(std::slice::from_ref(&one)), Verdict::AsRecorded);
    let words = "its hash is 222222222222, recorded is 111111111111".to_owned();
    assert_eq!(of(&[one, other.clone()]), Verdict::Changed(words));
    assert_eq!(of(&[Err("it is damaged".into())]), Verdict::Changed("it is damaged".into()));
    assert_eq!(compared(Some("none"), &[other], ""), Verdict::Nothing);
    assert_eq!(compared(None, &[], ""), Verdict::NotRecorded);
}
