//! The part of LogQL that is understood.

use crate::serve::aggregate::{Grouping, Groups, Operation};
use crate::serve::matcher::{self, Labels, Matcher};
use crate::serve::scan::{Word, Words};
use crate::serve::time::NANOS_PER_MILLI;
use regex::Regex;

/// What to say about all else.
const SUPPORTED: &str = "the lab understands stream selectors with |=, !=, |~ and !~, count_over_time and \
    rate of those, and sum, avg, max, min, count of that with by or without";

/// Most filters of a query.
const MOST_FILTERS: usize = 32;

/// A query.
#[derive(Debug)]
pub(super) enum Query {
    Lines(Selection),
    Metric(Metric),
}

/// Which lines.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) matchers: Vec<Matcher>,
    pub(super) filters: Vec<Filter>,
}

/// A filter of lines.
#[derive(Debug)]
pub(super) struct Filter {
    wanted: bool,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Holds(String),
    Matches(Regex),
}

impl Filter {
    /// Whether a line passes.
    pub(super) fn passes(&self, line: &str) -> bool {
        let found = match &self.test {
            Test::Holds(text) => line.contains(text.as_str()),
            Test::Matches(regex) => regex.is_match(line),
        };
        found == self.wanted
    }
}

/// How many lines, over time.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) selection: Selection,
    /// Per second.
    per_second: bool,
    /// Nanoseconds.
    pub(super) range: i64,
    pub(super) offset: i64,
    /// What is made of the streams, if anything is.
    pub(super) operation: Option<Operation>,
    grouping: Grouping,
}

impl Metric {
    /// What a number of lines in the range comes to.
    pub(super) fn value(&self, count: f64) -> f64 {
        if self.per_second { count / (self.range as f64 / 1e9) } else { count }
    }

    /// The groups of streams, if they are grouped.
    pub(super) fn groups(&self, labels: &[Labels]) -> Option<Groups> {
        self.operation.map(|_| Groups::new(&self.grouping, labels))
    }
}

/// Reads a query.
pub(super) fn query(text: &str) -> Result<Query, String> {
    let mut words = Words::of(text)?;
    let query = match words.peek() {
        Some(Word::Sign("{")) => Query::Lines(selection(&mut words)?),
        _ => Query::Metric(metric(&mut words)?),
    };
    words.finish().map_err(|it| unsupported(&it))?;
    Ok(query)
}

/// Reads a stream selector that stands alone.
pub(super) fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    let mut words = Words::of(text)?;
    let matchers = stream(&mut words)?;
    words.finish()?;
    Ok(matchers)
}

fn unsupported(problem: &str) -> String {
    format!("{problem}; {SUPPORTED}")
}

fn stream(words: &mut Words) -> Result<Vec<Matcher>, String> {
    if !matches!(words.peek(), Some(Word::Sign("{"))) {
        return Err(unsupported(&words.wrong("expected a stream selector in braces")));
    }
    let matchers = words.matchers()?;
    if matchers.iter().all(Matcher::takes_empty) {
        return Err("parse error : queries require at least one regexp or equality matcher that does not have \
                    an empty-compatible value"
            .to_owned());
    }
    Ok(matchers)
}

fn selection(words: &mut Words) -> Result<Selection, String> {
    let matchers = stream(words)?;
    let mut filters = Vec::new();
    loop {
        let (wanted, regex) = match words.peek() {
            Some(Word::Sign("|=")) => (true, false),
            Some(Word::Sign("!=")) => (false, false),
            Some(Word::Sign("|~")) => (true, true),
            Some(Word::Sign("!~")) => (false, true),
            Some(Word::Sign("|")) => {
                return Err(unsupported(&words.wrong("parsers and stages are not supported")));
            }
            _ => return Ok(Selection { matchers, filters }),
        };
        words.next();
        let Some(Word::Text(text)) = words.peek().cloned() else {
            return Err(words.wrong("expected a string"));
        };
        words.next();
        if filters.len() == MOST_FILTERS {
            return Err(format!("more than {MOST_FILTERS} filters"));
        }
        let test = if regex { Test::Matches(matcher::regex(&text)?) } else { Test::Holds(text) };
        filters.push(Filter { wanted, test });
    }
}

fn metric(words: &mut Words) -> Result<Metric, String> {
    let operation = match words.peek() {
        Some(Word::Name(name)) => Operation::named(name),
        _ => None,
    };
    let Some(operation) = operation else { return counted(words) };
    words.next();
    let before = Grouping::read(words)?;
    words.expect("(")?;
    let inner = counted(words)?;
    words.expect(")").map_err(|it| unsupported(&it))?;
    let grouping = match before {
        Some(grouping) => grouping,
        None => Grouping::read(words)?.unwrap_or_default(),
    };
    Ok(Metric { operation: Some(operation), grouping, ..inner })
}

fn counted(words: &mut Words) -> Result<Metric, String> {
    let per_second = words.take_name("rate");
    if !per_second && !words.take_name("count_over_time") {
        return Err(unsupported(&words.wrong("expected count_over_time or rate")));
    }
    words.expect("(")?;
    let selection = selection(words)?;
    let Some(range) = words.range()? else { return Err(words.wrong("expected a range: [5m]")) };
    let offset = words.offset()?;
    words.expect(")").map_err(|it| unsupported(&it))?;
    let (range, offset) = (range * NANOS_PER_MILLI, offset * NANOS_PER_MILLI);
    let grouping = Grouping::default();
    Ok(Metric { selection, per_second, range, offset, operation: None, grouping })
}
