//! Finds statements about an incident that do not say what they rest on, or that rest on what is not
//! there: in our own drafts none, in one that people or a model wrote whichever there are.
//!
//! In the sections that tell what happened every sentence, bullet and row of a table is a statement. It
//! names its evidence behind it, `… left its baseline (`m1`, `c2`).`, a bullet also in front, `- `m1`: …`,
//! and a row in its last cell. What is known in general begins with [`KNOWLEDGE`].

use super::{ALERT, ANSWER, SERVICES, WINDOW};
use crate::incident::{Incident, plain};
use std::collections::BTreeSet;

/// How a paragraph begins that is about no incident in particular.
pub(super) const KNOWLEDGE: &str = "In general:";

/// Sections that tell what happened. All others say what to do, or how to look.
const FACTUAL: [&str; 7] = [
    "Summary",
    "Impact",
    "Timeline",
    "Root cause",
    "Contributing factors",
    "What was ruled out",
    "What is not known",
];

/// Most characters of a statement that are shown.
const SHOWN: usize = 110;

/// Why a statement is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It names nothing that it rests on.
    NoEvidence,
    /// It rests on this, which the incident does not have.
    NotThere(String),
}

/// A statement that is not supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The line in the document, from 1.
    pub line: usize,
    /// The statement, made plain.
    pub statement: String,
    /// Why.
    pub why: Why,
}

/// The statements of a post-mortem or a runbook in Markdown that are not supported by this incident.
pub fn check(document: &str, incident: &Incident) -> Vec<Unsupported> {
    let mut known: BTreeSet<&str> = incident.evidence_ids().collect();
    known.extend([WINDOW, SERVICES, ANSWER]);
    known.extend(incident.alert.iter().map(|_| ALERT));
    let mut found = Vec::new();
    let (mut factual, mut fenced) = (false, false);
    for (index, line) in document.lines().enumerate() {
        let line = line.trim();
        fenced ^= line.starts_with("```");
        if let Some(heading) = line.strip_prefix("## ").filter(|_| !fenced) {
            factual = FACTUAL.contains(&heading.trim());
        } else if factual && !fenced && !is_frame(line) {
            for statement in statements(line) {
                if let Some(why) = missing(statement, &known) {
                    let statement = plain(statement, SHOWN);
                    found.push(Unsupported { line: index + 1, statement, why });
                }
            }
        }
    }
    found
}

/// Lines that state nothing: empty ones, headings, what leads to a list, general knowledge, and the
/// head of a table.
fn is_frame(line: &str) -> bool {
    let rule = line.starts_with('|') && line.bytes().all(|b| b"|-: ".contains(&b));
    let head = line.starts_with('|') && line.ends_with("| Evidence |");
    line.is_empty()
        || line.starts_with('#')
        || line.starts_with("```")
        || (line.ends_with(':') && !line.starts_with(['-', '|']))
        || line.starts_with(KNOWLEDGE)
        || rule
        || head
}

/// The statements of a line: a row or a bullet is one, a paragraph has sentences.
fn statements(line: &str) -> Vec<&str> {
    if line.starts_with(['|', '-', '*']) {
        return vec![line];
    }
    let mut statements = Vec::new();
    let mut begin = 0;
    for (at, _) in outside(line).filter(|(_, character)| *character == '.') {
        let behind = &line[at + 1..];
        let next = behind.trim_start();
        // A sentence ends where another begins; ids and numbers have dots within.
        if behind.starts_with(' ') && next.starts_with(|c: char| c.is_uppercase() || c == '`') {
            statements.push(line[begin..=at].trim());
            begin = at + 1;
        }
    }
    statements.push(line[begin..].trim());
    statements.retain(|statement| !statement.is_empty());
    statements
}

/// The characters of a line that stand in no code span, with their places.
fn outside(line: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    let mut spans = spans(line).into_iter().peekable();
    line.char_indices().filter(move |(at, _)| {
        while spans.peek().is_some_and(|(_, end, _)| *end <= *at) {
            spans.next();
        }
        spans.peek().is_none_or(|(begin, ..)| at < begin)
    })
}

/// The code spans of a line: where they begin and end, fences included, and what is in them
/// (CommonMark 0.31.2, section 6.1).
fn spans(line: &str) -> Vec<(usize, usize, &str)> {
    let run = |from: usize| line[from..].bytes().take_while(|b| *b == b'`').count();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(begin) = line[at..].find('`').map(|place| at + place) {
        let fence = run(begin);
        let mut close = begin + fence;
        let end = loop {
            let Some(place) = line[close..].find('`').map(|place| close + place) else {
                break None;
            };
            let length = run(place);
            if length == fence {
                break Some(place);
            }
            close = place + length;
        };
        match end {
            Some(end) => {
                found.push((begin, end + fence, line[begin + fence..end].trim()));
                at = end + fence;
            }
            None => at = begin + fence,
        }
    }
    found
}

/// What a statement lacks; `None` where it is supported.
fn missing(statement: &str, known: &BTreeSet<&str>) -> Option<Why> {
    let cited = cited(statement);
    if cited.is_empty() {
        return Some(Why::NoEvidence);
    }
    let absent = cited.into_iter().find(|id| !known.contains(id))?;
    Some(Why::NotThere(plain(absent, 40)))
}

/// The ids in the place where a statement of its form names them.
fn cited(statement: &str) -> Vec<&str> {
    let all = spans(statement);
    if let Some(row) = statement.strip_suffix('|').filter(|_| statement.starts_with('|')) {
        let bars = outside(row).filter(|(at, c)| *c == '|' && !row[..*at].ends_with('\\'));
        let cell = bars.last().map_or(0, |(at, _)| at);
        return all.into_iter().filter(|it| it.0 > cell).map(|it| it.2).collect();
    }
    let bullet = statement.strip_prefix("- ");
    if let (Some(_), Some((2, end, id))) = (bullet, all.first())
        && statement[*end..].starts_with(':')
    {
        return vec![id];
    }
    let Some(body) = statement.trim_end_matches('.').strip_suffix(')') else { return Vec::new() };
    let Some((open, _)) = outside(body).filter(|(_, c)| *c == '(').last() else {
        return Vec::new();
    };
    let inside: Vec<_> = all.into_iter().filter(|it| it.0 > open && it.1 <= body.len()).collect();
    // Nothing but ids and what separates them.
    let mut rest = body[open + 1..].to_owned();
    for (begin, end, _) in inside.iter().rev() {
        rest.replace_range(begin - open - 1..end - open - 1, "");
    }
    if rest.trim_matches([',', ' ']).is_empty() {
        inside.into_iter().map(|it| it.2).collect()
    } else {
        Vec::new()
    }
}
