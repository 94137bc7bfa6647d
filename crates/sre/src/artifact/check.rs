//! Finds statements about an incident that do not say what they rest on, or that rest on what is not
//! there: in our own drafts none, in one that people or a model wrote whichever there are.
//!
//! Every sentence, bullet and row of a table is a statement, but in the sections that say what to do or how
//! to look. It names its evidence behind it, `… left its baseline (`m1`, `c2`).`, a bullet also in front,
//! `- `m1`: …`, and a row in its last cell. What is known in general of a cause begins with [`KNOWLEDGE`] and
//! has the words that we have for it. What is to be done is a task, `- [ ] …`, or begins as our drafts have it; all
//! else below "Action items" and "Remediation" is a statement, too. That what is named exists is checked, and
//! not that it supports what is said, nor what tasks say: that is for people to read.

use super::causes::guide;
use super::{ALERT, ANSWER, SERVICES, WINDOW};
use crate::cause::Cause;
use crate::incident::{Incident, plain};
use std::collections::BTreeSet;

/// How a paragraph begins that is about no incident in particular.
pub(super) const KNOWLEDGE: &str = "In general:";

/// What leads to the lists of a draft, and states nothing.
pub(super) const FOR_IT: &str = "Evidence for it:";
pub(super) const CITED: &str = "What was cited for the likeliest cause:";
pub(super) const LOOKED_AT: &str = "What was looked at:";
pub(super) const ELSEWHERE: &str = "Seen at other services:";
pub(super) const LESS_LIKELY: &str = "Less likely by what was measured at the service:";
const LEADS: [&str; 5] = [FOR_IT, CITED, LOOKED_AT, ELSEWHERE, LESS_LIKELY];

/// Sections that say what to do, or how to look.
const DOING: [&str; 6] =
    ["Remediation", "Action items", "Meaning", "Diagnosis", "Mitigation", "Prevention"];

/// How lines of a post-mortem begin that say what to do.
const TASKS: [&str; 6] = [
    "- [ ] ",
    "- [x] ",
    "Proposed, not carried out: ",
    "None is proposed: ",
    "- It helped if ",
    "- To take it back: ",
];

/// Ends of words that end no sentence.
const SHORT: [&str; 8] = ["e.g", "i.e", "etc", "approx", "ca", "vs", "no", "resp"];

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
/// Its title and the lines below it are no statements.
pub fn check(document: &str, incident: &Incident) -> Vec<Unsupported> {
    let mut known: BTreeSet<&str> = incident.evidence_ids().collect();
    known.extend([WINDOW, SERVICES, ANSWER]);
    known.extend(incident.alert.iter().map(|_| ALERT));
    let mut found = Vec::new();
    let blocks = blocks(document);
    if !document.lines().any(|line| line.trim_start().starts_with("## ")) {
        let statement = "the document states nothing".to_owned();
        found.push(Unsupported { line: 1, statement, why: Why::NoEvidence });
    }
    for (line, block) in blocks {
        for statement in statements(&block) {
            if let Some(why) = missing(statement, &known) {
                found.push(Unsupported { line, statement: plain(statement, SHOWN), why });
            }
        }
    }
    found
}

/// The paragraphs, bullets and rows that state something, with the lines where they begin.
fn blocks(document: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = document.lines().map(str::trim).collect();
    let mut blocks: Vec<(usize, String)> = Vec::new();
    // Before the first section stand the title and what the document is.
    let (mut stating, mut fence, mut open) = (false, None, false);
    let mut has_tasks = false;
    for (index, line) in lines.iter().enumerate() {
        let ticks = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark));
        if !stating && (fence.is_some() || ticks.is_some()) {
            // In a section that says what to do, commands stand between fences.
            fence = match fence {
                None => ticks.map(|mark| (mark, index)),
                Some((mark, _)) if *line == mark => None,
                still => still,
            };
            continue;
        }
        if let Some(heading) = line.strip_prefix("## ") {
            stating = !DOING.contains(&heading.trim());
            has_tasks = DOING[..2].contains(&heading.trim());
            open = false;
            let is_ours = DOING.contains(&heading.trim()) || SECTIONS.contains(&heading.trim());
            if !is_ours {
                blocks.push((index + 1, heading.to_owned()));
            }
            continue;
        }
        let is_task = !has_tasks || TASKS.iter().any(|task| line.starts_with(task));
        if (!stating && is_task) || is_frame(line, lines.get(index + 1)) {
            open = false;
            continue;
        }
        let own = line.starts_with(['|', '#']) || bullet(line).is_some();
        match blocks.last_mut() {
            // A paragraph goes on over its lines, and a bullet over those below it.
            Some((_, block)) if open && !own => {
                block.push(' ');
                block.push_str(line);
            }
            _ => blocks.push((index + 1, (*line).to_owned())),
        }
        open = !line.starts_with(['|', '#']);
    }
    if let Some((mark, index)) = fence {
        blocks.push((index + 1, format!("{mark} is never closed")));
    }
    blocks
}

/// Sections that tell what happened.
const SECTIONS: [&str; 7] = [
    "Summary",
    "Impact",
    "Timeline",
    "Root cause",
    "Contributing factors",
    "What was ruled out",
    "What is not known",
];

/// Lines that state nothing: empty ones, what leads to a list, what we know of a cause in general, and the
/// head of a table with the rule below it.
fn is_frame(line: &str, next: Option<&&str>) -> bool {
    let is_rule = |line: &str| {
        line.starts_with('|') && line.contains('-') && line.bytes().all(|b| b"|-: ".contains(&b))
    };
    let general = || {
        let said = line.strip_prefix(KNOWLEDGE).map(str::trim);
        said.is_some_and(|said| Cause::ALL.iter().any(|cause| guide(*cause).meaning == said))
    };
    line.is_empty()
        || LEADS.contains(&line)
        || is_rule(line)
        || (line.starts_with('|') && next.is_some_and(|next| is_rule(next)))
        || general()
}

/// What stands behind the mark of a bullet or a number.
fn bullet(line: &str) -> Option<&str> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let number = line[digits..].strip_prefix(['.', ')']).filter(|_| (1..=4).contains(&digits));
    let mark = line.strip_prefix(['-', '*', '+']).or(number)?;
    mark.strip_prefix(' ').map(str::trim_start)
}

/// The statements of a block: a row is one, all others have sentences.
fn statements(block: &str) -> Vec<&str> {
    if block.starts_with('|') {
        return vec![block];
    }
    let body = bullet(block).unwrap_or(block);
    let mut statements = Vec::new();
    let mut begin = 0;
    for (at, mark) in outside(body).filter(|(_, character)| ".!?".contains(*character)) {
        let behind = &body[at + 1..];
        let word = body[begin..at].rsplit([' ', '(']).next().unwrap_or_default();
        let is_short = mark == '.' && SHORT.iter().any(|short| word.eq_ignore_ascii_case(short));
        if behind.starts_with(' ') && !is_short {
            statements.push(body[begin..=at].trim());
            begin = at + 1;
        }
    }
    statements.push(body[begin..].trim());
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
    if let Some((0, end, id)) = all.first()
        && statement[*end..].starts_with(':')
    {
        return vec![id];
    }
    let body = statement.trim_end_matches(['.', '!', '?']);
    let Some(body) = body.strip_suffix(')') else { return Vec::new() };
    let Some((open, _)) = outside(body).filter(|(_, c)| *c == '(').last() else {
        return Vec::new();
    };
    let inside: Vec<_> = all.into_iter().filter(|it| it.0 > open && it.1 <= body.len()).collect();
    // Nothing but ids and what separates them.
    let mut rest = body[open + 1..].to_owned();
    for (begin, end, _) in inside.iter().rev() {
        rest.replace_range(begin - open - 1..end - open - 1, "");
    }
    if rest.replace(" and ", "").trim_matches([',', ' ']).is_empty() {
        inside.into_iter().map(|it| it.2).collect()
    } else {
        Vec::new()
    }
}
