//! Secrets in columns of Markdown tables, named by the head of the column.

use super::Finding;
use super::assignments::is_given;
use super::placeholder::{is_drawn, is_wordy};
use regex::Regex;
use std::ops::Range;
use std::sync::LazyLock;

/// The line below the head of a table.
static RULE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*\|?[ :|-]*-{2,}[ :|-]*\|[ :|-]*$").expect("the pattern is fixed")
});
static PASSWORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^[*_` ]*(?:[a-z]+[ _-])?(?:password|passwd|passphrase|pass|pwd|pw)[*_` ]*$")
        .expect("the pattern is fixed")
});
static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^[*_` ]*(?:[a-z]+[ _-]){0,2}(?:token|secret|key|credentials?)[*_` ]*$")
        .expect("the pattern is fixed")
});

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Password,
    Secret,
    Other,
}

pub(super) fn find(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    // The last line, and the columns of the table that goes on.
    let (mut before, mut columns): (&str, Option<Vec<Column>>) = ("", None);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        let line = line.trim_end();
        if RULE.is_match(line) {
            let kinds: Vec<Column> = cells(before).map(|cell| column(&before[cell])).collect();
            columns = kinds.iter().any(|kind| *kind != Column::Other).then_some(kinds);
        } else if line.contains('|') {
            for (cell, kind) in cells(line).zip(columns.iter().flatten()) {
                let value = line[cell.clone()].trim_matches(|c| "`*\"' ".contains(c));
                let begin = at + cell.start + line[cell].find(value).unwrap_or(0);
                let range = begin..begin + value.len();
                let is_one = !value.contains(' ');
                match kind {
                    Column::Password if is_one && is_given(value) && has_digit(value) => {
                        found.push(Finding::new(range, "password"));
                    }
                    Column::Secret if is_drawn(value) || is_one && is_mixed(value) => {
                        found.push(Finding::new(range, "secret"));
                    }
                    _ => {}
                }
            }
        } else {
            columns = None;
        }
        before = line;
    }
    found
}

/// The cells of a row, without the marks at its ends.
fn cells(line: &str) -> impl Iterator<Item = Range<usize>> {
    let lead = line.len() - line.trim_start().trim_start_matches('|').len();
    let mut at = lead;
    line[lead..].trim_end_matches('|').split('|').map(move |cell| {
        let range = at..at + cell.len();
        at = range.end + 1;
        range
    })
}

fn column(head: &str) -> Column {
    let head = head.trim();
    match () {
        () if PASSWORDS.is_match(head) => Column::Password,
        () if SECRETS.is_match(head) => Column::Secret,
        () => Column::Other,
    }
}

fn has_digit(value: &str) -> bool {
    value.bytes().any(|it| it.is_ascii_digit())
}

/// Letters and digits that are no word with a number.
fn is_mixed(value: &str) -> bool {
    const SHORTEST: usize = 8;
    is_given(value) && value.len() >= SHORTEST && has_digit(value) && !is_wordy(value)
}
