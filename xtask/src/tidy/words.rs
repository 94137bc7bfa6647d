//! Words that do not belong into the tree, and calls that go round the `files` crate.

use super::{Finding, TreeFile};
use crate::rust_source;

/// Notes to oneself: an issue is the place for them. Spelled in two halves, as this file is checked
/// as well.
const NOTES: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Places that exist on one machine only, spelled in two halves for the same reason.
const MACHINE_PATHS: [&str; 3] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Calls that write or map a file past `files`, which knows how not to lose one.
const PAST_FILES: [&str; 5] =
    ["fs::write(", "File::create(", "fs::rename(", "Mmap::map(", "memmap2"];

/// Where those calls may stand: the crate itself, and chores that only developers run.
const MAY_WRITE: [&str; 3] = ["crates/files/", "fuzz/", "xtask/"];

/// What a skipped test prints, and the one place that does.
const SKIPPED: &str = concat!("\"skipp", "ed: ");
const SKIPS: &str = "tests/skip.rs";

/// Every line with such a word or call.
pub(super) fn check(files: &[TreeFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let Some(text) = &file.text else { continue };
        for (index, line) in text.lines().enumerate() {
            if let Some(note) = NOTES.into_iter().find(|note| has_word(line, note)) {
                let message = format!("{note}: do it now, or file an issue and remove the note");
                findings.push(Finding::new(&file.path, index + 1, message));
            }
            if let Some(path) = MACHINE_PATHS.into_iter().find(|path| has_absolute(line, path)) {
                let message = format!("names `{path}`, a place of one machine: make it relative");
                findings.push(Finding::new(&file.path, index + 1, message));
            }
        }
        findings.extend(past_files(file));
        findings.extend(silent_skips(file));
    }
    findings
}

/// Tests that say that they are skipped where nobody counts it.
fn silent_skips(file: &TreeFile) -> Vec<Finding> {
    let Some(source) = file.rust().filter(|_| file.path != SKIPS) else { return Vec::new() };
    let lines = source.lines().enumerate().filter(|(_, line)| line.contains(SKIPPED));
    lines
        .map(|(index, _)| {
            let message = format!("a skip that nobody counts: call the function of {SKIPS}");
            Finding::new(&file.path, index + 1, message)
        })
        .collect()
}

fn past_files(file: &TreeFile) -> Vec<Finding> {
    let excepted = file.is_test() || MAY_WRITE.iter().any(|folder| file.path.starts_with(folder));
    let Some(source) = file.rust().filter(|_| !excepted) else { return Vec::new() };
    let code = rust_source::code_only(source);
    let call_in = |line: &str| PAST_FILES.into_iter().find(|call| line.contains(call));
    let lines = code.lines().enumerate();
    lines
        .filter_map(|(index, line)| call_in(line).map(|call| (index + 1, call)))
        .map(|(line, call)| {
            let message = format!("`{call}` goes round the files crate: use what it offers");
            Finding::new(&file.path, line, message)
        })
        .collect()
}

/// Whether `word` stands in `line` with no letter, digit or underscore at either side.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(joins) && !after.is_some_and(joins)
    })
}

/// Whether `path` stands in `line` as the start of a path, not in the middle of an address.
fn has_absolute(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "_-.~/}".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_and_machine_paths_are_found() {
        let [note, _] = NOTES;
        let [place, _, _] = MACHINE_PATHS;
        let table = [
            (format!("// {note}: later"), 1),
            (format!("{note}S are fine"), 0),
            (format!("open(\"{place}x\")"), 1),
            (format!("https://host{place}x"), 0),
            (format!("~{place}x and ${{HOME}}{place}x"), 0),
            ("a clean line".to_string(), 0),
        ];
        for (line, expected) in table {
            assert_eq!(check(&[TreeFile::new("a.md", &line)]).len(), expected, "{line}");
        }
    }

    #[test]
    fn writes_past_the_files_crate_are_found() {
        let source = "// fs::write(a)\nfn f() { std::fs::write(a, b) }\n";
        let found = |path: &str| check(&[TreeFile::new(path, source)]);
        assert_eq!(found("crates/train/src/lib.rs")[0].line, 2);
        for path in ["crates/files/src/a.rs", "crates/train/src/tests.rs", "xtask/src/a.rs", "a.md"]
        {
            assert!(found(path).is_empty(), "{path}");
        }
    }

    #[test]
    fn skips_that_nobody_counts_are_found() {
        let source = format!("fn f() {{\n    println!({SKIPPED}no data\");\n}}\n");
        let found = |path: &str| check(&[TreeFile::new(path, &source)]);
        assert_eq!(found("crates/text/src/tests.rs")[0].line, 2);
        assert!(found(SKIPS).is_empty() && found("a.md").is_empty());
    }
}
