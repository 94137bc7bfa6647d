//! Real post-mortems as incidents: does what was learned from a simulation carry over? A post-mortem
//! is shown as an incident with one service whose "logs" are its summary, impact and timeline, cut to what a
//! line of a pack holds; a pack takes the first of them, and the title as its alert.
//! What comes after these (contributing factors, action items, lessons) tells the cause and is left
//! out; summaries often tell it too, so this is an easier task than finding a cause, and one of other
//! words.

use crate::example::{Case, Example};
use crate::incidents::Shown;
use serde::Deserialize;
use sre::analyst::{AnalystError, pack};
use sre::cause::Cause;
use sre::evidence::MOST_TEXT;
use sre::fusion::Suspects;
use sre::incident::{Alert, Incident, Level, LogLine, Service, plain};
use std::collections::BTreeSet;

#[cfg(test)]
mod tests;

/// The only service.
const SERVICE: &str = "platform";

/// Headings of the parts that are shown, in lower case; everything before the first heading of
/// level two is shown too.
const SHOWN: [&str; 3] = ["summary", "impact", "timeline"];

/// Most characters of a title.
const TITLE: usize = 240;

/// A label given by a reader.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The document: how its file's name begins.
    pub document: String,
    /// What it tells of.
    pub cause: Cause,
}

/// Reads labels, one JSON object per line.
///
/// # Errors
/// The number of the first line that is no label, and why.
pub fn labels(lines: &str) -> Result<Vec<Label>, String> {
    let read = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| format!("line {}: {error}", index + 1))
    };
    lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(read).collect()
}

/// The document as an incident; `None` where nothing of it is left to show.
pub fn incident(document: &str, markdown: &str) -> Option<Incident> {
    let mut title = None;
    let mut shown = true;
    let mut lines: Vec<String> = Vec::new();
    for line in markdown.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            let name = heading.trim_start_matches('#').trim();
            if line.starts_with("# ") && title.is_none() {
                title = Some(name.to_owned());
            } else {
                shown = SHOWN.iter().any(|it| name.to_lowercase().starts_with(it));
            }
            continue;
        }
        let text = words(line);
        if shown && text.len() > 2 {
            lines.extend(pieces(&plain(&text, usize::MAX)));
        }
    }
    let title = plain(&title?, TITLE);
    (!lines.is_empty()).then(|| made(document, title, &lines))
}

/// The words of a line of Markdown: cells of a table side by side, without rules and bullets.
fn words(line: &str) -> String {
    let cells = line.split('|').map(str::trim);
    let filled = cells.filter(|cell| cell.chars().any(char::is_alphanumeric));
    let joined = filled.collect::<Vec<_>>().join(" ");
    joined.trim_start_matches(['-', '*', '>', ' ']).to_owned()
}

/// A text in pieces that a pack shows whole, cut between words.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for word in text.split_whitespace() {
        let last = pieces.last_mut().filter(|last| {
            last.is_empty() || last.chars().count() + 1 + word.chars().count() <= MOST_TEXT
        });
        match last {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) => {
                last.push(' ');
                last.push_str(word);
            }
            None => pieces.push(word.to_owned()),
        }
    }
    pieces
}

fn made(document: &str, title: String, lines: &[String]) -> Incident {
    let start = jiff::Timestamp::UNIX_EPOCH;
    let log = |(index, message): (usize, &String)| LogLine {
        // Of lines that weigh the same the first by id are shown.
        id: format!("l{:04}", index + 1),
        service: SERVICE.to_owned(),
        time: start,
        level: Level::Error,
        message: message.clone(),
        count: 1,
        before: 0,
    };
    Incident {
        version: 1,
        id: document.to_lowercase(),
        start,
        end: start + jiff::SignedDuration::from_mins(30),
        alert: Some(Alert { service: SERVICE.to_owned(), message: title }),
        services: vec![Service {
            name: SERVICE.to_owned(),
            calls: Vec::new(),
            replicas: None,
            max_replicas: None,
            memory_limit_mib: None,
            cpu_limit_millicores: None,
            node: None,
        }],
        metrics: Vec::new(),
        logs: lines.iter().enumerate().map(log).collect(),
        events: Vec::new(),
        changes: Vec::new(),
    }
}

/// The document as an example with a reader's label. A cause that is not among those on offer makes
/// "unknown" right.
///
/// # Errors
/// A pack that cannot be made.
pub fn example(
    label: &Label,
    markdown: &str,
    causes: &[Cause],
    shown: &Shown<'_>,
) -> Result<Option<Example>, AnalystError> {
    let Some(incident) = incident(&label.document, markdown) else { return Ok(None) };
    // A document says with its words what an incident shows with its signals, and nobody attacks
    // with a post-mortem of one's own.
    let pack = pack(&incident, shown.budget, causes, true, shown.tokens)?;
    let offered = causes.contains(&label.cause);
    Ok(Some(Example {
        id: label.document.clone(),
        case: if offered && label.cause != Cause::Unknown { Case::Known } else { Case::HeldOut },
        cause: if offered { label.cause } else { Cause::Unknown },
        second_cause: None,
        services: pack.label(SERVICE).into_iter().collect(),
        support: BTreeSet::new(),
        answer: String::new(),
        suspects: Suspects::default(),
        pack,
    }))
}
