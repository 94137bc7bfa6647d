//! What speaks against other causes, and what nobody knows: read off the telemetry, not guessed.

use super::causes::guide;
use super::{ANSWER, MOST_TEXT, WINDOW, described, name, rests};
use crate::answer::Answer;
use crate::cause::Cause;
use crate::doubt::Doubt;
use crate::evidence::{Pack, deviation::Deviation};
use crate::incident::{Incident, Series};
use crate::markdown::code;
use crate::signal::Signal;

/// Most parts that could not be read that are listed.
const MOST_UNREAD: usize = 12;
/// Most lines of evidence that are listed as unexplained.
const MOST_UNEXPLAINED: usize = 8;

/// Causes whose own signal is measured at the service and stayed where it was. Weak evidence each:
/// a series says nothing about what it does not measure.
pub(super) fn ruled_out(incident: &Incident, answer: &Answer) -> String {
    let Some(service) = &answer.service else { return String::new() };
    let own = |series: &&Series| series.service == *service;
    let mut lines = String::new();
    for cause in Cause::faults().iter().filter(|cause| **cause != answer.cause) {
        let Some(signal) = guide(*cause).moves else { continue };
        let measured: Vec<_> = incident
            .metrics
            .iter()
            .filter(own)
            .filter(|series| Signal::of(&series.name) == Some(signal))
            .collect();
        let calm = measured.iter().all(|series| is_calm(series, incident));
        if let (Some(first), true) = (measured.first(), calm) {
            let title = guide(*cause).title;
            let id = name(&first.id);
            lines.push_str(&format!("- {title}: {signal} stayed where it was ({id})\n"));
        }
    }
    lines
}

/// The share of a limit from which on a series is not calm, wherever it was before.
const NEAR: f64 = 0.8;
/// The share by which a calm series may be higher or lower in the end than at first.
const DRIFT: f64 = 0.2;

/// Whether a series stayed where it was and is nowhere near its limit. A slow drift has a wide past, in
/// which no step stands out; and days until a certificate ends are never calm: they only fall.
fn is_calm(series: &Series, incident: &Incident) -> bool {
    let values: Vec<f64> = series.values.iter().flatten().copied().collect();
    let part = (values.len() / 4).max(1);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (Some(first), Some(last)) = (values.get(..part), values.get(values.len() - part..)) else {
        return false;
    };
    let (first, last) = (mean(first), mean(last));
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Signal::of(&series.name) != Some(Signal::Certificate)
        && !series.limit.is_some_and(|limit| high >= NEAR * limit)
        && (last - first).abs() <= DRIFT * first.abs().max(last.abs())
        && Deviation::of(series, incident.start, incident.end).is_none()
}

/// What is not known: what does not fit together in the answer, evidence that the answer does not use, telemetry that is missing, and what
/// telemetry never tells.
pub(super) fn open(
    incident: &Incident,
    answer: &Answer,
    pack: &Pack,
    missing: &[String],
) -> String {
    let unread = missing.iter().take(MOST_UNREAD);
    let unread =
        unread.map(|it| format!("- not read: {} {}\n", code(it, MOST_TEXT), rests(&[WINDOW])));
    let mut lines: String = unread.collect();
    let doubts = Doubt::of(answer, incident);
    let answer_id = rests(&[ANSWER]);
    lines.extend(doubts.iter().map(|doubt| format!("- {} {answer_id}\n", doubt.sentence())));
    let unused: Vec<_> =
        pack.items.iter().filter(|item| !answer.evidence.contains(&item.id)).collect();
    for item in unused.iter().take(MOST_UNEXPLAINED) {
        lines.push_str(&format!(
            "- {}: not cited for the cause: {}\n",
            name(&item.id),
            described(item)
        ));
    }
    if unused.len() > MOST_UNEXPLAINED {
        let more = unused.len() - MOST_UNEXPLAINED;
        let answer = rests(&[ANSWER]);
        lines.push_str(&format!(
            "- and {more} more lines of evidence that were not cited {answer}\n"
        ));
    }
    if let (Some(service), Some(signal)) = (&answer.service, guide(answer.cause).moves) {
        let is_it = |series: &&Series| {
            series.service == *service && Signal::of(&series.name) == Some(signal)
        };
        if !incident.metrics.iter().any(|series| is_it(&series)) {
            let service = name(service);
            let window = rests(&[WINDOW]);
            lines.push_str(&format!(
                "- {signal} of {service} is not measured or was not sent {window}\n"
            ));
        }
    }
    let window = rests(&[WINDOW]);
    lines.push_str(&format!(
        "- how many users and requests were affected is not in the telemetry {window}\n"
    ));
    lines
}
