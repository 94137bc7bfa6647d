//! The draft of a post-mortem.

use super::actions::steps;
use super::causes::guide;
use super::check::{CITED, ELSEWHERE, FOR_IT, KNOWLEDGE, LESS_LIKELY, LOOKED_AT};
use super::factors::factors;
use super::timeline::{self, shown};
use super::unknown::{open, ruled_out};
use super::{
    ALERT, ANSWER, MOST_NAME, MOST_TEXT, SERVICES, WINDOW, described, name, percent, rests,
};
use crate::action::ActionKind;
use crate::answer::{Answer, BelowThreshold};
use crate::cause::Cause;
use crate::evidence::{Pack, deviation::Deviation};
use crate::incident::{Incident, Series};
use crate::markdown::{cell, code};
use crate::signal::Signal;

/// Most rows of the table of impact.
const MOST_ROWS: usize = 12;

/// The draft of a post-mortem in Markdown: what was seen and when, the cause with the evidence that
/// the answer cites, what speaks against other causes, what is not known, and what is proposed.
///
/// `pack` is the evidence that the answer was given about. Without a cause (`unknown`, `none`) the
/// draft says so and names none. `missing` is what could not be read, each in a line.
pub fn post_mortem(
    incident: &Incident,
    answer: &Answer,
    pack: &Pack,
    missing: &[String],
) -> String {
    let sections = [
        (String::new(), title(incident, answer)),
        ("Summary".to_owned(), summary(incident, answer)),
        ("Impact".to_owned(), impact(incident, answer)),
        ("Timeline".to_owned(), timeline::table(incident, pack, &answer.evidence)),
        ("Root cause".to_owned(), root_cause(incident, answer, pack)),
        ("Contributing factors".to_owned(), factors(incident, answer, pack)),
        ("What was ruled out".to_owned(), exclusions(incident, answer)),
        ("What is not known".to_owned(), open(incident, answer, pack, missing)),
        ("Remediation".to_owned(), remediation(answer)),
        ("Action items".to_owned(), action_items(answer)),
    ];
    let mut out = String::new();
    for (heading, body) in sections {
        if !heading.is_empty() {
            out.push_str(&format!("\n## {heading}\n\n"));
        }
        out.push_str(&body);
    }
    out
}

fn title(incident: &Incident, answer: &Answer) -> String {
    let id = name(&incident.id);
    let what = match (&answer.service, answer.cause) {
        (_, Cause::None) => "nothing found to be wrong".to_owned(),
        (Some(service), Cause::Unknown) => format!("{} in trouble, cause not known", name(service)),
        (None, Cause::Unknown) => "cause not known".to_owned(),
        (Some(service), cause) => format!("{}: {}", name(service), guide(cause).title),
        (None, cause) => guide(cause).title.to_owned(),
    };
    format!(
        "# Incident {id}: {what}\n\nA draft, computed from telemetry; no human has confirmed it. \
         Times are UTC. In brackets stands what a statement rests on: ids of evidence, or the `window`, \
         `alert` and `services` of the incident, or the `answer`.\n"
    )
}

fn summary(incident: &Incident, answer: &Answer) -> String {
    let start = shown(incident.start);
    let began = match &incident.alert {
        Some(alert) => format!(
            "At {start} an alert was raised for {}: {} {}.",
            name(&alert.service),
            code(&alert.message, MOST_TEXT),
            rests(&[ALERT])
        ),
        None => format!("Trouble was noticed at {start} {}.", rests(&[WINDOW])),
    };
    let minutes = incident.end.duration_since(incident.start).as_mins();
    let window = rests(&[WINDOW]);
    format!(
        "{began} {} Telemetry covers {minutes} minutes from then on {window}.\n",
        concluded(answer)
    )
}

/// The cause in a sentence with what it rests on.
fn concluded(answer: &Answer) -> String {
    let rests = if answer.evidence.is_empty() { rests(&[ANSWER]) } else { rests(&answer.evidence) };
    format!("{} {rests}.", verdict(answer))
}

/// The cause in a sentence without its full stop, and how sure it is.
fn verdict(answer: &Answer) -> String {
    let sure = percent(answer.confidence);
    let service = answer.service.as_deref().map(name);
    if let Some(likeliest) = &answer.below_threshold {
        return not_named(likeliest, service.as_deref());
    }
    match (answer.cause, service) {
        (Cause::None, _) => format!(
            "No fault was found in what was measured and logged ({sure} probable among the causes \
             that were offered); what did move is below"
        ),
        (Cause::Unknown, Some(service)) => format!(
            "The trouble seems to begin at {service}, but none of the known causes explains what \
             was seen ({sure})"
        ),
        (Cause::Unknown, None) => {
            format!("None of the known causes explains what was seen ({sure})")
        }
        (cause, Some(service)) => format!(
            "The most likely explanation is that {service} failed because {} ({sure} probable \
             among the causes that were offered)",
            cause.because()
        ),
        (cause, None) => format!(
            "The most likely cause is \"{}\" ({sure} probable among the causes that were offered), \
             but no service could be named for it",
            guide(cause).title
        ),
    }
}

/// That there is a likeliest cause, and that it is not probable enough to be named as the cause.
fn not_named(likeliest: &BelowThreshold, service: Option<&str>) -> String {
    let lead = service.map_or_else(
        || "No".to_owned(),
        |service| format!("The trouble seems to begin at {service}, but no"),
    );
    // Rounded down, so that what is just below the threshold does not read as if it reached it.
    let probable = (100.0 * likeliest.probability.clamp(0.0, 1.0)).floor();
    format!(
        "{lead} cause is named: the likeliest, \"{}\", is only {probable:.0} % probable among the \
         causes that were offered, below the threshold of {}",
        guide(likeliest.cause).title,
        percent(likeliest.threshold)
    )
}

/// What callers notice, where it left its baseline: the service at fault and that of the alert
/// first, then the rest by how far they moved.
fn impact(incident: &Incident, answer: &Answer) -> String {
    let noticed = [Signal::Errors, Signal::Latency, Signal::Requests, Signal::Ready, Signal::Queue];
    let alerted = incident.alert.as_ref().map(|alert| alert.service.as_str());
    let rank = |series: &Series| {
        let own = answer.service.as_deref() == Some(series.service.as_str());
        u8::from(alerted != Some(series.service.as_str())) + u8::from(!own)
    };
    let mut rows: Vec<_> = incident
        .metrics
        .iter()
        .filter_map(|series| {
            let signal = Signal::of(&series.name).filter(|signal| noticed.contains(signal))?;
            let deviation = Deviation::of(series, incident.start, incident.end)?;
            Some((rank(series), deviation, series, signal))
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.score.total_cmp(&a.1.score)));
    let is_noticed =
        |series: &Series| Signal::of(&series.name).is_some_and(|signal| noticed.contains(&signal));
    if !incident.metrics.iter().any(is_noticed) {
        let window = rests(&[WINDOW]);
        return format!(
            "No measure of errors, latency, load or ready replicas is known {window}.\n"
        );
    }
    if rows.is_empty() {
        let window = rests(&[WINDOW]);
        return format!(
            "No measure of errors, latency, load or ready replicas left its baseline {window}.\n"
        );
    }
    let mut out = "| Service | What | Change | Evidence |\n|---|---|---|---|\n".to_owned();
    for (_, deviation, series, signal) in rows.iter().take(MOST_ROWS) {
        out.push_str(&format!(
            "| {} | {signal} | {} | {} |\n",
            cell(&series.service, MOST_NAME),
            deviation.words(series.limit),
            cell(&series.id, MOST_NAME)
        ));
    }
    if rows.len() > MOST_ROWS {
        let more = rows.len() - MOST_ROWS;
        out.push_str(&format!("\n{more} more such metrics moved {}.\n", rests(&[WINDOW])));
    }
    out
}

fn root_cause(incident: &Incident, answer: &Answer, pack: &Pack) -> String {
    let mut out = concluded(answer);
    out.push('\n');
    if answer.cause.is_fault() {
        out.push_str(&format!("\n{KNOWLEDGE} {}\n", guide(answer.cause).meaning));
    }
    if let Some(way) = way(incident, answer) {
        out.push_str(&format!("\n{way}\n"));
    }
    let line = |id: &String| pack.all.iter().find(|item| item.id == *id);
    let label = answer.service.as_deref().and_then(|service| pack.label(service));
    let is_own = |id: &&String| {
        line(id).is_some_and(|item| {
            Some(&item.service) == answer.service.as_ref()
                || label.as_ref().is_some_and(|label| item.about.contains(label))
        })
    };
    let (own, others): (Vec<&String>, Vec<&String>) = answer.evidence.iter().partition(is_own);
    let lead = match answer.below_threshold {
        Some(_) => CITED,
        None if answer.cause.is_fault() => FOR_IT,
        None => LOOKED_AT,
    };
    for (lead, ids) in [(lead, own), (ELSEWHERE, others)] {
        if ids.is_empty() {
            continue;
        }
        out.push_str(&format!("\n{lead}\n\n"));
        for id in ids {
            let text = line(id).map_or_else(|| "is not in the evidence pack".to_owned(), described);
            out.push_str(&format!("- {}: {text}\n", name(id)));
        }
    }
    out
}

/// How trouble at one service reaches the one that raised the alarm.
fn way(incident: &Incident, answer: &Answer) -> Option<String> {
    let (service, alert) = (answer.service.as_deref()?, incident.alert.as_ref()?);
    if service == alert.service || answer.cause == Cause::None {
        return None;
    }
    let Some(path) = incident.call_path(&alert.service, service) else {
        return Some(format!(
            "{}, which raised the alarm, is not known to call {}, directly or through others {}.",
            name(&alert.service),
            name(service),
            rests(&[SERVICES])
        ));
    };
    let names: Vec<_> = path.into_iter().map(name).collect();
    Some(format!("The way to the alarm: {} {}.", names.join(" calls "), rests(&[SERVICES])))
}

fn exclusions(incident: &Incident, answer: &Answer) -> String {
    let lines = ruled_out(incident, answer);
    if lines.is_empty() {
        format!("Nothing can be ruled out by what was measured {}.\n", rests(&[WINDOW]))
    } else {
        format!("{LESS_LIKELY}\n\n{lines}")
    }
}

fn remediation(answer: &Answer) -> String {
    let steps = steps(&answer.action);
    match answer.action.kind {
        ActionKind::Nothing => "None is proposed: leave everything as it is.\n".to_owned(),
        ActionKind::Escalate => {
            "None is proposed: a human who knows the service has to look.\n".to_owned()
        }
        _ => format!(
            "Proposed, not carried out: {}.\n\n- It helped if {}.\n- To take it back: {}.\n",
            answer.action.sentence(),
            steps.verify,
            steps.undo
        ),
    }
}

fn action_items(answer: &Answer) -> String {
    let mut items = vec!["confirm or correct this draft".to_owned()];
    if !matches!(answer.action.kind, ActionKind::Nothing | ActionKind::Escalate) {
        items.push(format!("decide on the proposal: {}", answer.action.sentence()));
    }
    if answer.cause == Cause::Unknown {
        items.push("hand over to somebody who knows the service".to_owned());
    }
    items.extend(guide(answer.cause).prevention.iter().map(|&item| item.to_owned()));
    let lines: Vec<_> = items.iter().map(|item| format!("- [ ] {item} (owner: open)\n")).collect();
    lines.concat()
}
