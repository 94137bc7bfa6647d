//! The values of flags, and what is assigned to objects.

use super::Check;
use super::words::Word;
use crate::kubernetes::finding::Problem;
use crate::kubernetes::manifest::is_quantity;

/// Flags with whole numbers, the smallest of them, and the commands where they mean this; empty
/// for all.
const NUMBERS: [(&str, i64); 14] = [
    ("chunk-size", 0),
    ("cpu-percent", -1),
    ("current-replicas", -1),
    ("grace-period", -1),
    ("limit-bytes", 0),
    ("max", 1),
    ("max-log-requests", 1),
    ("min", -1),
    ("node-port", 0),
    ("replicas", 0),
    ("retries", 0),
    ("revision", 0),
    ("tail", -1),
    ("to-revision", 0),
];

const DURATIONS: [&str; 5] =
    ["duration", "pod-running-timeout", "request-timeout", "since", "timeout"];

/// Flag, and all that it may be.
const CHOICES: [(&str, &[&str]); 6] = [
    ("dry-run", &["client", "none", "server", "unchanged", "true"]),
    ("cascade", &["background", "foreground", "orphan", "true", "false"]),
    ("restart", &["Always", "Never", "OnFailure"]),
    ("session-affinity", &["ClientIP", "None"]),
    ("protocol", &["SCTP", "TCP", "UDP"]),
    ("validate", &["false", "ignore", "strict", "true", "warn"]),
];

impl Check<'_> {
    /// Flags whose values have a form.
    pub(super) fn values(&mut self) {
        for (name, value) in self.line.flags.iter().filter(|(_, value)| !value.open) {
            if let Some(expected) = expected(self.line.command.name, name, &value.text) {
                let message = format!("expected {expected}, found {:?}", value.text);
                self.note(Problem::WrongType, &format!("--{name}"), message);
            }
        }
        if self.line.command.name == "set resources" {
            for flag in ["limits", "requests"] {
                self.amounts(flag);
            }
        }
    }

    /// `cpu=250m,memory=1Gi`.
    fn amounts(&mut self, flag: &str) {
        let Some(word) = self.line.flag(flag).filter(|it| !it.open) else { return };
        for item in word.text.split(',') {
            let at = format!("--{flag}");
            match item.split_once('=') {
                Some((_, amount)) if is_quantity(amount) => {}
                Some((_, amount)) => {
                    let message = format!("{amount:?} is no quantity");
                    self.note(Problem::WrongType, &at, message);
                }
                None => self.note(Problem::Syntax, &at, "expected NAME=QUANTITY"),
            }
        }
    }

    /// What `label`, `annotate`, `taint` and `set` assign.
    pub(super) fn assignments(&mut self, words: &[Word]) {
        let name = self.line.command.name;
        let needed = match name {
            "label" | "annotate" => !self.line.any(&["list"]),
            "taint" | "set image" => true,
            "set env" => !self.line.any(&["list", "from", "env"]),
            _ => false,
        };
        if needed && words.is_empty() {
            self.note(Problem::MissingRequired, "NAME=VALUE", "something is to be assigned");
        }
        for word in words.iter().filter(|it| !it.open) {
            match name {
                "label" => self.label(&word.text),
                "taint" => self.taint(&word.text),
                "set image" if word.text.split_once('=').is_none_or(|(_, to)| to.is_empty()) => {
                    self.note(Problem::Syntax, &word.text, "expected CONTAINER=IMAGE");
                }
                _ => {}
            }
        }
    }

    fn label(&mut self, text: &str) {
        let (key, value) = match text.split_once('=') {
            Some(parts) => parts,
            None => (text.trim_end_matches('-'), ""),
        };
        if !is_label(key.rsplit('/').next().unwrap_or(key)) || key.is_empty() {
            self.note(Problem::Syntax, text, "no label has such a key");
        }
        if !value.is_empty() && !is_label(value) {
            let message = "a label's value is at most 63 letters, digits, -, _ and .";
            self.note(Problem::WrongType, text, message);
        }
    }

    fn taint(&mut self, text: &str) {
        const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "PreferNoSchedule"];
        let removed = text.ends_with('-');
        let effect = text.trim_end_matches('-').rsplit_once(':').map(|(_, effect)| effect);
        match effect {
            Some(effect) if EFFECTS.contains(&effect) => {}
            None if removed => {}
            None => self.note(Problem::Syntax, text, "expected KEY=VALUE:EFFECT"),
            Some(effect) => {
                let message = format!("expected one of {}, found {effect:?}", EFFECTS.join(", "));
                self.note(Problem::WrongType, text, message);
            }
        }
    }
}

fn is_label(text: &str) -> bool {
    let inner = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.');
    let ends = |it: Option<&u8>| it.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().all(|&it| inner(it))
        && ends(bytes.first())
        && ends(bytes.last())
}

/// What a flag's value should have been, where it is something else.
fn expected(command: &str, flag: &str, value: &str) -> Option<String> {
    if let Some((_, least)) = NUMBERS.iter().find(|(name, _)| *name == flag) {
        let right = value.parse::<i64>().is_ok_and(|number| number >= *least);
        return (!right).then(|| format!("a whole number of at least {least}"));
    }
    if DURATIONS.contains(&flag) {
        let plain = value.bytes().all(|it| it.is_ascii_digit()) && flag == "request-timeout";
        let none = value == "0" || command == "wait" && value.starts_with('-');
        let right = plain || none || is_duration(value.trim_start_matches('-'));
        return (!right).then(|| "a duration such as 30s or 5m".to_owned());
    }
    let choices = match (command, flag) {
        ("patch", "type") => &["json", "merge", "strategic"],
        ("expose", "type") => &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"][..],
        _ => CHOICES.iter().find(|(name, _)| *name == flag)?.1,
    };
    (!choices.contains(&value)).then(|| format!("one of {}", choices.join(", ")))
}

/// A duration of Go: numbers with units, such as `1h30m`.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
        let units = ["ns", "us", "µs", "ms", "s", "m", "h"];
        let Some(unit) = units.iter().find(|unit| after.starts_with(**unit)) else { return false };
        if after.len() == rest.len() {
            return false;
        }
        rest = &after[unit.len()..];
    }
    !text.is_empty()
}
