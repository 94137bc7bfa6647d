//! The value behind a name: where it ends, quoted or not.

use std::ops::Range;

/// A value, and how it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) range: Range<usize>,
    /// Whether it stands in quotes or in backticks.
    pub(super) is_quoted: bool,
}

/// Marks that may stand before a value: quotes, escaped ones, and those of Markdown.
const MARKS: [char; 5] = ['"', '\'', '`', '\\', '*'];

/// Bytes of a line that are looked at from a place on: more than any secret has, and few enough that
/// a line of megabytes takes no time.
const LONGEST_BYTES: usize = 1 << 14;

/// What follows in the line of `at`.
pub(super) fn line_after(text: &str, at: usize) -> &str {
    let rest = &text[at..text.floor_char_boundary(at.saturating_add(LONGEST_BYTES))];
    rest.split('\n').next().unwrap_or_default()
}

/// What precedes in the line of `at`.
pub(super) fn line_before(text: &str, at: usize) -> &str {
    let rest = &text[text.floor_char_boundary(at.saturating_sub(LONGEST_BYTES))..at];
    rest.rsplit('\n').next().unwrap_or_default()
}

/// The value that begins at `at`, on the same line; `None` where there is none.
pub(super) fn value_at(text: &str, at: usize) -> Option<Value> {
    let line = line_after(text, at);
    let start = line.len() - line.trim_start_matches(MARKS).len();
    let marks = &line[..start];
    let rest = &line[start..];
    let quote = marks.chars().rev().find(|mark| ['"', '\'', '`'].contains(mark));
    let quoted = quote.and_then(|quote| quoted_end(rest, quote, marks.contains('\\')));
    let end = quoted.unwrap_or_else(|| bare_end(rest));
    let range = at + start..at + start + end;
    (!range.is_empty()).then_some(Value { range, is_quoted: quoted.is_some() })
}

/// Where a value ends that stands in quotes, themselves escaped or not.
fn quoted_end(rest: &str, quote: char, is_escaped: bool) -> Option<usize> {
    let mut before = ' ';
    for (at, c) in rest.char_indices() {
        if c == quote && is_escaped == (before == '\\') {
            return Some(if is_escaped { at - 1 } else { at });
        }
        // A backslash that is escaped itself escapes nothing.
        before = if before == '\\' && c == '\\' { ' ' } else { c };
    }
    None
}

/// Where a value ends that stands free: before white space, or the next pair of a list of pairs.
fn bare_end(rest: &str) -> usize {
    let end = rest.find(|c: char| c.is_whitespace() || c == '`').unwrap_or(rest.len());
    let mut value = &rest[..end];
    if let Some(cut) = next_pair(value) {
        value = &value[..cut];
    }
    trimmed(value).len()
}

/// Where something else follows within a run of characters without a space.
fn next_pair(value: &str) -> Option<usize> {
    let follows = |&(at, mark): &(usize, char)| {
        let after = &value[at + mark.len_utf8()..];
        match mark {
            '&' | ';' => is_pair(after),
            ',' => after.is_empty() || is_pair(after) || after.starts_with(['"', '\'']),
            '"' | '\'' => !after.starts_with(|c: char| c.is_alphanumeric()),
            '\\' => after.starts_with(['n', 'r', 't', '"']),
            '<' => after.starts_with('/') || after.starts_with("br"),
            _ => false,
        }
    };
    value.char_indices().find(follows).map(|(at, _)| at)
}

/// Whether this begins with a name and an equals sign.
fn is_pair(text: &str) -> bool {
    let is_name = |it: u8| it.is_ascii_alphanumeric() || b"_.-".contains(&it);
    let end = text.bytes().take(64).position(|it| !is_name(it));
    end.is_some_and(|end| end > 0 && text.as_bytes()[end] == b'=')
}

/// Without the punctuation of the sentence or of the brackets around it.
fn trimmed(mut value: &str) -> &str {
    while let Some(last) = value.chars().next_back() {
        let opened = match last {
            ')' => value.contains('('),
            ']' => value.contains('['),
            '}' => value.contains('{'),
            '>' => value.contains('<'),
            '.' | ',' | ';' | ':' | '|' | '"' | '\'' | '*' | '\\' => false,
            _ => true,
        };
        if opened {
            break;
        }
        value = &value[..value.len() - last.len_utf8()];
    }
    value
}
