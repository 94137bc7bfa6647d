//! Text from a cluster inside Markdown: as code spans, in which no link, mention, emphasis or HTML
//! has a meaning.

use crate::incident::plain;

/// What stands for a text of which nothing can be shown.
const EMPTY: &str = "(nothing that can be shown)";

/// Text from a cluster as a code span of at most `most` characters. Its fence is one backtick longer
/// than any run of backticks in the text, so the text cannot end it.
pub(crate) fn code(text: &str, most: usize) -> String {
    let text = plain(text, most);
    let text = text.trim();
    if text.is_empty() {
        return EMPTY.to_owned();
    }
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A backtick beside the fence would belong to it.
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A code span in the cell of a table. A table is cut into cells before code spans are looked for:
/// every `|` is escaped, and a backslash before one is kept away from it, as it would escape the
/// escape.
pub(crate) fn cell(text: &str, most: usize) -> String {
    code(text, most).replace("\\|", "\\ |").replace('|', "\\|")
}

/// A name as it may stand in a command: what Kubernetes accepts as a name (RFC 1123), and nothing
/// that a shell would read differently.
pub(crate) fn is_object_name(name: &str) -> bool {
    let inner = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let ends = |byte: Option<&u8>| byte.is_some_and(|it| it.is_ascii_alphanumeric());
    let bytes = name.as_bytes();
    bytes.len() <= 253 && bytes.iter().all(inner) && ends(bytes.first()) && ends(bytes.last())
}
