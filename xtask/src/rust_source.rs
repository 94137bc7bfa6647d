//! As much of Rust's syntax as the budgets need: where comments and literals are, and where
//! functions begin and end.

use std::iter::Peekable;
use std::str::CharIndices;

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Line of the `fn`, counted from 1.
    pub(crate) line: usize,
    /// Lines from the `fn` to the closing brace, both included.
    pub(crate) length: usize,
    /// Whether it carries `#[test]`.
    pub(crate) is_test: bool,
}

/// The source with comments, strings and characters blanked out. Lines stay where they are.
pub(crate) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    let mut after_word = false;
    while let Some(next) = rest.chars().next() {
        let literal = literal_length(rest, after_word);
        if literal > 0 {
            code.extend(rest[..literal].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[literal..];
            after_word = false;
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
            after_word = next.is_alphanumeric() || next == '_';
        }
    }
    code
}

/// Length in bytes of the comment, string or character that `text` starts with, 0 if with none.
fn literal_length(text: &str, after_word: bool) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment_length(text);
    }
    if text.starts_with('"') {
        return quoted_length(text, '"');
    }
    if text.starts_with('\'') {
        return character_length(text);
    }
    if after_word { 0 } else { prefixed_length(text) }
}

/// Block comments nest.
fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// From an opening quote to the closing one, escapes respected.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return at + quote.len_utf8();
        }
    }
    text.len()
}

/// A character literal; 0 for a lifetime or a label.
fn character_length(text: &str) -> usize {
    let mut characters = text.chars().skip(1);
    match (characters.next(), characters.next()) {
        (Some('\\'), _) => quoted_length(text, '\''),
        (Some(one), Some('\'')) => 2 + one.len_utf8(),
        _ => 0,
    }
}

/// Raw, byte and C strings: `r"`, `r#"`, `b"`, `br"`, `c"`, `b'`.
fn prefixed_length(text: &str) -> usize {
    let prefix = ["br", "cr", "b", "c", "r"].into_iter().find(|prefix| text.starts_with(prefix));
    let Some(prefix) = prefix else { return 0 };
    let after = &text[prefix.len()..];
    if !prefix.ends_with('r') {
        let length = match after.chars().next() {
            Some('"') => quoted_length(after, '"'),
            Some('\'') if prefix == "b" => character_length(after),
            _ => 0,
        };
        return if length > 0 { prefix.len() + length } else { 0 };
    }
    let hashes = after.len() - after.trim_start_matches('#').len();
    if !after[hashes..].starts_with('"') {
        return 0;
    }
    let body = prefix.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    text[body..].find(&end).map_or(text.len(), |at| body + at + end.len())
}

/// All functions with a body, in the order of their beginnings; nested ones are listed as well.
pub(crate) fn functions(source: &str) -> Vec<Function> {
    let code = code_only(source);
    let line_of = |at: usize| code[..at].matches('\n').count() + 1;
    let mut functions = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("fn ") {
        let start = from + found;
        from = start + 3;
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let name: String =
            code[from..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        let Some(open) = body_start(&code, from) else { continue };
        let end = body_end(&code, open);
        let (line, last) = (line_of(start), line_of(end));
        let is_test = attributes_before(&code, start).contains("#[test]");
        functions.push(Function { name, line, length: last - line + 1, is_test });
    }
    functions
}

/// Where the body of a function opens whose signature goes on at `from`; `None` if it has none.
fn body_start(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0i32;
    for (at, character) in code[from..].char_indices() {
        match character {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(from + at),
            // A semicolon in brackets belongs to an array type.
            ';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Where the brace closes that opens at `open`.
fn body_end(code: &str, open: usize) -> usize {
    let mut characters: Peekable<CharIndices<'_>> = code[open..].char_indices().peekable();
    let mut depth = 0usize;
    while let Some((at, character)) = characters.next() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || characters.peek().is_none() {
            return open + at;
        }
    }
    open
}

/// The text between the item before and the `fn` at `start`: attributes and visibility.
fn attributes_before(code: &str, start: usize) -> &str {
    let from = code[..start].rfind(['}', '{', ';']).map_or(0, |at| at + 1);
    &code[from..start]
}

#[cfg(test)]
mod tests;
