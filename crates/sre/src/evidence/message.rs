//! What a log line says without the frame that a logger puts around it: time, level, thread, file.
//! The frame is the same for all lines of a program and would use up the budget.

use std::borrow::Cow;

#[cfg(test)]
mod tests;

/// Fields of structured lines that hold the message, in the order in which they are tried.
const FIELDS: [&str; 5] = ["msg", "message", "body", "log", "text"];

/// Fields that hold what went wrong, said after the message.
const ERRORS: [&str; 3] = ["err", "error", "exception"];

/// Words that say how loud a line is.
const LEVELS: [&str; 12] = [
    "trace", "debug", "info", "notice", "warn", "warning", "error", "err", "fatal", "critical",
    "severe", "panic",
];

/// Most words that a frame has.
const MOST_FRAME: usize = 8;

/// The message of a line. What is no known form stays whole.
pub(super) fn essence(line: &str) -> Cow<'_, str> {
    let line = line.trim();
    if line.starts_with('{') {
        if let Some(text) = of_json(line) {
            return Cow::Owned(text);
        }
    } else if let Some(text) = of_pairs(line) {
        return Cow::Owned(text);
    }
    Cow::Borrowed(without_frame(line))
}

fn of_json(line: &str) -> Option<String> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    let said = |names: &[&str]| {
        names.iter().find_map(|name| fields.get(*name)?.as_str()).filter(|text| !text.is_empty())
    };
    let message = said(&FIELDS)?;
    let error = said(&ERRORS).filter(|error| !message.contains(error));
    Some(error.map_or_else(|| message.to_owned(), |error| format!("{message}: {error}")))
}

/// The message of `level=error msg="no space" err=…`.
fn of_pairs(line: &str) -> Option<String> {
    let value = |name: &str| {
        let at = line.match_indices(name).find_map(|(at, _)| {
            let begins = at == 0 || line[..at].ends_with(' ');
            line[at + name.len()..].strip_prefix('=').filter(|_| begins)
        })?;
        Some(unquoted(at)).filter(|text| !text.is_empty())
    };
    let message = FIELDS.iter().find_map(|name| value(name))?;
    let error = ERRORS.iter().find_map(|name| value(name));
    let error = error.filter(|error| !message.contains(error.as_str()));
    Some(error.map_or_else(|| message.clone(), |error| format!("{message}: {error}")))
}

/// A value up to its closing quote, or up to the next blank.
fn unquoted(text: &str) -> String {
    let Some(quoted) = text.strip_prefix('"') else {
        return text.split(' ').next().unwrap_or_default().to_owned();
    };
    let mut out = String::new();
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => out.extend(characters.next()),
            other => out.push(other),
        }
    }
    out
}

/// What follows the words at the front that no sentence would begin with.
fn without_frame(line: &str) -> &str {
    let mut rest = line;
    for dropped in 0..MOST_FRAME {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let after = after.trim_start();
        if after.is_empty() || !is_frame(word, after, dropped > 0) {
            break;
        }
        rest = after;
    }
    rest
}

/// Whether a word belongs to a logger's frame.
fn is_frame(word: &str, after: &str, inside: bool) -> bool {
    let bare = word.trim_matches(|c| "[]()<>:|-".contains(c));
    let digits = bare.chars().any(|c| c.is_ascii_digit());
    let in_brackets = word.starts_with(['[', '<', '(']) && word.ends_with([']', '>', ')', ':']);
    let time = digits
        && bare.matches('.').count() < 3
        && bare.contains([':', '-'])
        && bare.chars().all(|c| c.is_ascii_digit() || ":-.,/TZ+".contains(c));
    let number = inside && digits && bare.chars().all(|c| c.is_ascii_digit());
    let priority = word.starts_with('<') && digits;
    let place = digits && (word.ends_with(']') || word.ends_with("]:"));
    let header = bare.len() == 5 && bare.starts_with(['I', 'W', 'E', 'F']) && {
        bare[1..].chars().all(|c| c.is_ascii_digit())
    };
    let class = bare.matches('.').count() >= 2
        && bare.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '$' || c == '_')
        && (word.ends_with(':') || after.starts_with(": ") || after.starts_with("- "));
    let level = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(bare));
    let nothing = inside && bare.is_empty();
    in_brackets || time || number || priority || place || header || class || level || nothing
}
