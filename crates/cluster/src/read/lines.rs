//! Log lines: what each says and how loud, equal ones counted.

use super::window::Window;
use jiff::Timestamp;
use serde_json::{Map, Value};
use sre::incident::{Level, LogLine, plain, without_escapes};
use std::collections::BTreeMap;

mod templates;

/// Most characters of a message, and most bytes of a line that are looked at.
const MOST_MESSAGE: usize = 1_000;
const MOST_LINE: usize = 16 << 10;
/// Fields of a structured line that hold its text, and its level.
const MESSAGES: [&str; 7] = ["msg", "message", "log", "text", "event", "error", "body"];
const LEVELS: [&str; 6] = ["level", "severity", "lvl", "log.level", "loglevel", "severity_text"];
/// For every text that is kept, so many may be counted before.
const COUNTED: usize = 10;

/// Lines counted by service, level and what is the same in all of them.
pub(super) struct Lines {
    texts: BTreeMap<(String, Level, String), Text>,
    most: usize,
    /// Lines whose text was one too many.
    pub(super) dropped: u64,
    /// Lines that no service is known for.
    pub(super) homeless: u64,
}

/// Lines that are the same but for numbers and names.
struct Text {
    /// When the one that is shown came, and its text.
    first: (bool, Timestamp, String),
    count: u64,
    before: u64,
}

impl Lines {
    /// At most so many different texts.
    pub(super) fn new(most: usize) -> Self {
        Self { texts: BTreeMap::new(), most, dropped: 0, homeless: 0 }
    }

    /// Whether no line came at all.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.homeless == 0
    }

    /// Counts a line. `told` is the level that its labels give.
    pub(super) fn add(
        &mut self,
        service: &str,
        time: Timestamp,
        line: &str,
        (told, window): (Option<Level>, &Window),
    ) {
        if !window.is_read(time) {
            return;
        }
        let (level, message) = said(line);
        let level = told.or(level).unwrap_or(Level::Info);
        let message = plain(&message, MOST_MESSAGE);
        if message.is_empty() {
            return;
        }
        let key = (service.to_owned(), level, same(&message));
        if self.texts.len() >= self.most * COUNTED && !self.texts.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        let is_in = window.is_in(time);
        // The earliest of the incident is shown; of several at once the same one whatever the order.
        let first = (!is_in, time, message);
        let text = self.texts.entry(key).or_insert_with(|| Text {
            first: first.clone(),
            count: 0,
            before: 0,
        });
        if first < text.first {
            text.first = first;
        }
        *(if is_in { &mut text.count } else { &mut text.before }) += 1;
    }

    /// The lines that are worth keeping, the loud and the new ones first if there are too many, in the
    /// order of services and texts; and how many were left out.
    pub(super) fn finish(self) -> (Vec<LogLine>, usize) {
        let mut lines: Vec<LogLine> = Vec::new();
        for ((service, level, _), text) in templates::merged(self.texts) {
            let Text { first: (_, time, message), count, before } = text;
            lines.push(LogLine { id: String::new(), service, time, level, message, count, before });
        }
        // What came in the baseline only says something if it came often and then stopped.
        lines.retain(|line| line.count > 0 || line.before >= 5);
        let worth = |line: &LogLine| {
            let growth = (line.count as f64 + 1.0) / (line.before as f64 + 1.0);
            (line.level as usize as f64) + growth.ln().max(0.0)
        };
        // The sort is stable, so equal ones keep the order of the map.
        lines.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
        let left_out = lines.len().saturating_sub(self.most);
        lines.truncate(self.most);
        lines.sort_by(|a, b| (&a.service, &a.message).cmp(&(&b.service, &b.message)));
        (lines, left_out)
    }
}

/// Counts the lines of another text with those of this one.
fn join(text: &mut Text, other: Text) {
    text.count += other.count;
    text.before += other.before;
    if other.first < text.first {
        text.first = other.first;
    }
}

/// What is the same in lines that say the same: words without digits. The rest is `#`.
pub(super) fn same(message: &str) -> String {
    let mut key = String::new();
    for word in message.split(' ') {
        let mark = if word.bytes().any(|byte| byte.is_ascii_digit()) { "#" } else { word };
        // One mark for a run of them: lists of numbers differ in length.
        if !(mark == "#" && key.ends_with("# ")) {
            key.push_str(mark);
            key.push(' ');
        }
    }
    key
}

/// The level that a word stands for.
pub(super) fn level(word: &str) -> Option<Level> {
    match word.trim().to_ascii_lowercase().as_str() {
        "error" | "err" | "fatal" | "critical" | "crit" | "panic" | "emerg" | "emergency"
        | "alert" | "severe" | "50" | "60" => Some(Level::Error),
        "warn" | "warning" | "40" => Some(Level::Warn),
        "info" | "information" | "debug" | "trace" | "notice" | "10" | "20" | "30" => {
            Some(Level::Info)
        }
        _ => None,
    }
}

/// The level and the text of a line: of JSON and of `key=value` lines by their fields, of others by
/// their words.
fn said(line: &str) -> (Option<Level>, String) {
    let line = without_escapes(beginning(line.trim(), MOST_LINE));
    let line = line.trim();
    if line.starts_with('{')
        && let Ok(Value::Object(fields)) = serde_json::from_str(line)
    {
        return of_json(&fields, line);
    }
    let fields = pairs(line);
    let field = |names: &[&str]| {
        names.iter().find_map(|name| fields.iter().find(|(key, _)| key == name)).map(|it| &it.1)
    };
    match field(&MESSAGES[..2]) {
        Some(message) => {
            let told = field(&LEVELS).and_then(|word| level(word));
            (told.or_else(|| of_words(message)), message.clone())
        }
        None => (of_words(line), line.to_owned()),
    }
}

fn of_json(fields: &Map<String, Value>, line: &str) -> (Option<Level>, String) {
    let of = |names: &[&str]| names.iter().find_map(|name| fields.get(*name));
    let told = of(&LEVELS).and_then(|value| match value {
        Value::String(word) => level(word),
        Value::Number(number) => level(&number.to_string()),
        _ => None,
    });
    let message = of(&MESSAGES).and_then(Value::as_str).unwrap_or(line);
    if message.trim_start().starts_with('{') && message.len() < line.len() {
        // Container runtimes wrap a line that is JSON in JSON of their own.
        let (inner, message) = said(message);
        return (inner.or(told), message);
    }
    (told.or_else(|| of_words(message)), message.to_owned())
}

/// The loudest word among the first ones of a line.
fn of_words(line: &str) -> Option<Level> {
    let words = line.split(|it: char| !it.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    // As Kubernetes' own programs begin a line: a letter, month and day.
    if let [letter @ (b'E' | b'F' | b'W' | b'I'), date @ ..] = line.as_bytes()
        && date.iter().take_while(|it| it.is_ascii_digit()).count() == 4
        && date.get(4) == Some(&b' ')
    {
        return level(match letter {
            b'W' => "warn",
            b'I' => "info",
            _ => "error",
        });
    }
    let mut found = None;
    for word in words.take(12) {
        let loud = match word {
            "ERROR" | "FATAL" | "PANIC" | "CRITICAL" | "SEVERE" | "E" => Some(Level::Error),
            "WARN" | "WARNING" | "W" => Some(Level::Warn),
            "INFO" | "DEBUG" | "TRACE" => Some(Level::Info),
            _ => None,
        };
        if loud.is_some() {
            return loud;
        }
        let word = word.to_ascii_lowercase();
        let is_failure = ["error", "exception", "panic", "fatal", "failed", "traceback"];
        if is_failure.contains(&word.as_str()) || word.ends_with("exception") {
            found = Some(Level::Error);
        } else if found.is_none() && word.starts_with("warn") {
            found = Some(Level::Warn);
        }
    }
    found
}

/// The fields of a line of `key=value` and `key="value with blanks"`.
fn pairs(line: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('=') {
        let key = before.rsplit(' ').next().unwrap_or_default();
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted),
            None => {
                let (value, left) = after.split_once(' ').unwrap_or((after, ""));
                (value.to_owned(), left)
            }
        };
        fields.push((key.to_owned(), value));
        rest = left;
        if fields.len() >= 64 {
            break;
        }
    }
    fields
}

fn quoted_value(quoted: &str) -> (String, &str) {
    let mut value = String::new();
    let mut escaped = false;
    for (at, character) in quoted.char_indices() {
        match character {
            '"' if !escaped => return (value, &quoted[at + 1..]),
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            'n' if escaped => value.push(' '),
            _ => value.push(character),
        }
        escaped = false;
    }
    (value, "")
}

/// The first bytes of a text, up to the end of a character.
fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::super::window::timestamp;
    use super::*;

    #[test]
    fn lines_of_all_forms_say_what_they_say() {
        let error = Some(Level::Error);
        for (line, expected) in [
            (r#"{"level":"error","msg":"no route","n":1}"#, (error, "no route")),
            (r#"{"severity":"WARNING","message":"slow"}"#, (Some(Level::Warn), "slow")),
            (r#"{"level":50,"msg":"down"}"#, (error, "down")),
            (r#"{"log":"{\"level\":\"error\",\"msg\":\"deep\"}"}"#, (error, "deep")),
            (
                r#"ts=1 level=warn msg="slow \"db\" call" ms=3"#,
                (Some(Level::Warn), "slow \"db\" call"),
            ),
            (
                "2026-03-01 10:00:00 ERROR pool is empty",
                (error, "2026-03-01 10:00:00 ERROR pool is empty"),
            ),
            ("java.io.IOException: broken", (error, "java.io.IOException: broken")),
            ("GET /error-page 200", (error, "GET /error-page 200")),
            ("E0312 10:15:07.8 1 a.go:7] 502", (error, "E0312 10:15:07.8 1 a.go:7] 502")),
            ("all is well", (None, "all is well")),
            ("a=b c", (None, "a=b c")),
            (r#"{"broken"#, (None, r#"{"broken"#)),
        ] {
            let (level, message) = said(line);
            assert_eq!((level, message.as_str()), expected, "{line}");
        }
    }

    #[test]
    fn equal_lines_are_counted_on_both_sides_of_the_start() {
        let window = Window { from: 0, start: 100, end: 200, step: 15 };
        let all = [
            (150, "took 15 ms for 10.0.0.7"),
            (120, "took 12 ms for 10.0.0.9"),
            (50, "took 3 ms for 10.0.0.9"),
            (160, "took 9 \u{1b}[31mms"),
            (500, "took 1 ms"),
        ];
        let finish = |order: &mut dyn Iterator<Item = &(i64, &str)>| {
            let mut lines = Lines::new(10);
            for (time, line) in order {
                lines.add("cart", timestamp(*time), line, (None, &window));
            }
            lines.finish().0
        };
        let lines = finish(&mut all.iter());
        assert_eq!(lines, finish(&mut all.iter().rev()));
        assert_eq!(lines.len(), 2);
        let first = &lines[0];
        assert_eq!((first.count, first.before), (2, 1));
        assert_eq!(first.message, "took 12 ms for 10.0.0.9");
        assert!(!lines[1].message.contains('\u{1b}'));
    }

    #[test]
    fn of_too_many_texts_the_loud_ones_stay() {
        let window = Window { from: 0, start: 100, end: 200, step: 15 };
        let mut lines = Lines::new(2);
        for word in ["a", "b", "c", "d"] {
            lines.add("cart", timestamp(150), word, (None, &window));
        }
        lines.add("cart", timestamp(150), "z", (Some(Level::Error), &window));
        let (kept, left_out) = lines.finish();
        let kept: Vec<_> = kept.iter().map(|line| line.message.as_str()).collect();
        assert_eq!((kept, left_out), (vec!["a", "z"], 3));
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut() {
        let window = Window { from: 0, start: 100, end: 200, step: 15 };
        let mut lines = Lines::new(2);
        lines.add("cart", timestamp(150), &"ä".repeat(1 << 19), (None, &window));
        assert!(lines.finish().0[0].message.chars().count() <= MOST_MESSAGE + 1);
    }
}
