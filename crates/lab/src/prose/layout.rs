//! How documents look: headings, paragraphs, timelines.

use super::facts::{Facts, Seen};
use super::numbers::clock;
use crate::dice::Dice;
use crate::settings::Part;
use sre::incident::plain;

/// Most lines of a timeline besides the alert.
const MOST_ROWS: usize = 12;

/// A style of headings.
#[derive(Clone, Copy, Debug)]
pub(super) enum Heading {
    Hashes,
    Deeper,
    Bold,
    Underlined,
    Colon,
    Equals,
}

const HEADINGS: [&[Heading]; 2] = [
    &[Heading::Hashes, Heading::Hashes, Heading::Deeper, Heading::Bold, Heading::Underlined],
    &[Heading::Colon, Heading::Equals],
];

impl Heading {
    pub(super) fn any(dice: &mut Dice, part: Part) -> Self {
        *dice.one(HEADINGS[usize::from(part == Part::Test)])
    }

    pub(super) fn title(self, text: &str) -> String {
        match self {
            Self::Hashes | Self::Bold => format!("# {text}\n"),
            Self::Deeper => format!("## {text}\n"),
            Self::Underlined => format!("{text}\n{}\n", "=".repeat(text.chars().count())),
            Self::Colon => format!("{text}\n"),
            Self::Equals => format!("== {text} ==\n"),
        }
    }

    pub(super) fn section(self, text: &str) -> String {
        match self {
            Self::Hashes => format!("\n## {text}\n\n"),
            Self::Deeper => format!("\n### {text}\n"),
            Self::Bold => format!("\n**{text}**\n\n"),
            Self::Underlined => format!("\n{text}\n{}\n\n", "-".repeat(text.chars().count())),
            Self::Colon => format!("\n{text}:\n"),
            Self::Equals => format!("\n= {text} =\n\n"),
        }
    }
}

/// Sentences as prose or as a list.
pub(super) fn paragraph(sentences: &[String], list: bool) -> String {
    if sentences.is_empty() {
        return String::new();
    }
    if list {
        return sentences.iter().map(|sentence| format!("- {sentence}\n")).collect();
    }
    format!("{}\n", sentences.join(" "))
}

/// A style of timelines.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timeline {
    Table,
    List,
    Plain,
    Relative,
    Arrow,
}

const TIMELINES: [&[Timeline]; 2] =
    [&[Timeline::Table, Timeline::List, Timeline::Plain], &[Timeline::Relative, Timeline::Arrow]];

impl Timeline {
    pub(super) fn any(dice: &mut Dice, part: Part) -> Self {
        *dice.one(TIMELINES[usize::from(part == Part::Test)])
    }

    /// The lines of the pack that matter most in the order of time, with the alert among them.
    pub(super) fn of(self, facts: &Facts<'_>) -> String {
        let incident = &facts.simulated.incident;
        let mut seen: Vec<_> = facts.seen.iter().collect();
        let truth = &facts.simulated.truth;
        seen.sort_by_key(|seen| {
            let cited = facts.said.evidence.contains(&seen.item.id);
            (!cited, !truth.evidence.contains(&seen.item.id), seen.item.kind)
        });
        let mut rows: Vec<_> = seen
            .into_iter()
            .take(MOST_ROWS)
            .map(|seen| (seen.time, facts.call(&seen.item.service), what(seen)))
            .collect();
        if let Some(alert) = &incident.alert {
            let what = format!("alert: {}", plain(&alert.message, 90));
            rows.push((incident.start, facts.call(&alert.service), what));
        }
        rows.sort_by_key(|(time, ..)| *time);
        let mut out = match self {
            Self::Table => "| Time | Service | What |\n|---|---|---|\n".to_owned(),
            _ => String::new(),
        };
        for (time, service, what) in rows {
            let at = clock(time);
            let minutes = time.duration_since(incident.start).as_mins();
            out.push_str(&match self {
                Self::Table => format!("| {at} | {service} | {} |\n", what.replace('|', "/")),
                Self::List => format!("- {at} {service}: {what}\n"),
                Self::Plain => format!("{at} UTC  {service}, {what}\n"),
                Self::Relative => format!("T{minutes:+}m {service} {what}\n"),
                Self::Arrow => format!("{at} -> {service} -> {what}\n"),
            });
        }
        out
    }
}

/// A line of the pack as an entry of a timeline.
fn what(seen: &Seen<'_>) -> String {
    let get = |place: &str| seen.slots.get(place).map(String::as_str).unwrap_or_default();
    match (seen.slots.get("what"), seen.slots.get("reason")) {
        (Some(what), _) => format!("{what} {} {}", get("moved"), get("id")),
        (None, Some(reason)) => format!("{reason} {} {}", get("text"), get("id")),
        (None, None) => format!("{} {}", get("text"), get("id")),
    }
}
