//! Labels and what selects by them: the four operations that Prometheus and Loki share.

use regex::{Regex, RegexBuilder};
use std::collections::BTreeMap;

/// Labels of a series or a stream.
pub(super) type Labels = BTreeMap<String, String>;

/// The label that holds a metric's name.
pub(super) const NAME: &str = "__name__";

/// Bytes that a compiled expression may take, and how deep it may be nested.
const MOST_REGEX: usize = 1 << 20;
const DEEPEST_REGEX: u32 = 50;

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Matches,
    /// `!~`
    NotMatches,
}

/// A condition on one label.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    label: String,
    operation: Operation,
    value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// A condition, with its expression compiled.
    pub(super) fn new(label: &str, operation: Operation, value: &str) -> Result<Self, String> {
        let regex = match operation {
            Operation::Matches | Operation::NotMatches => Some(regex(&format!("^(?:{value})$"))?),
            Operation::Equal | Operation::NotEqual => None,
        };
        Ok(Self { label: label.to_owned(), operation, value: value.to_owned(), regex })
    }

    /// Whether the labels meet it. A label that is not there is empty.
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.label).map_or("", String::as_str))
    }

    /// Whether it is met where there is no such label: then alone it selects everything.
    pub(super) fn takes_empty(&self) -> bool {
        self.matches_value("")
    }

    fn matches_value(&self, value: &str) -> bool {
        let found = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.operation {
            Operation::Equal => value == self.value,
            Operation::NotEqual => value != self.value,
            Operation::Matches => found(),
            Operation::NotMatches => !found(),
        }
    }
}

/// Whether all conditions are met.
pub(super) fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels))
}

/// A regular expression within limits; a dot takes line feeds as well, as in both servers.
pub(super) fn regex(text: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(MOST_REGEX).dfa_size_limit(MOST_REGEX).nest_limit(DEEPEST_REGEX);
    let built = builder.dot_matches_new_line(true).build();
    // The whole message quotes the expression over several lines.
    built.map_err(|error| {
        let message = error.to_string();
        let last = message.lines().last().unwrap_or_default();
        format!("invalid regular expression: {}", last.trim_start_matches("error: "))
    })
}
