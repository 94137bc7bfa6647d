//! Telemetry as it comes out of a cluster, in the dialect of its incident: log lines, events,
//! samples of metrics, changes. No explanation.

use super::numbers::{clock, number};
use super::template::{Pool, Slots};
use crate::dice::Dice;
use crate::simulated::Simulated;
use sre::incident::{EventKind, Incident, Level, LogLine};

/// Most lines of an excerpt.
const MOST_LINES: usize = 14;

/// Minutes between the samples of a metric that are shown.
const EVERY: usize = 5;

const LOG_TITLES: Pool = Pool {
    train: &[
        "logs {clock} to {end}",
        "$ logs --since {clock}",
        "Log lines, {clock} - {end} UTC",
        "",
    ],
    test: &["Output between {clock} and {end}"],
};
const EVENT_TITLES: Pool = Pool {
    train: &["$ kubectl get events", "Events up to {end}", "events"],
    test: &["Cluster events until {end}"],
};
const METRIC_TITLES: Pool = Pool {
    train: &["metrics, one value per five minutes", "# samples {clock} to {end}", "samples"],
    test: &["Measured every five minutes"],
};
const CHANGE_TITLES: Pool = Pool {
    train: &["changes of the last hour", "Changes before {clock}", "change log"],
    test: &["Alterations up to {end}"],
};

/// An excerpt of one kind of telemetry, or of two.
pub(super) fn excerpt(simulated: &Simulated, variation: u64) -> String {
    let mut dice = Dice::named(&[0x7465_6c65, variation]);
    let dice = &mut dice;
    let incident = &simulated.incident;
    let slots = Slots::from([("clock", clock(incident.start)), ("end", clock(incident.end))]);
    let mut out = String::new();
    for _ in 0..=dice.below(2) {
        let kind = dice.below(5);
        let (mut pool, mut lines) = match kind {
            0 | 1 => (LOG_TITLES, logs(dice, incident)),
            2 => (EVENT_TITLES, events(incident)),
            3 => (METRIC_TITLES, metrics(dice, incident)),
            _ => (CHANGE_TITLES, changes(incident)),
        };
        if lines.is_empty() {
            // A quiet incident: measured it was all the same.
            (pool, lines) = (METRIC_TITLES, metrics(dice, incident));
        }
        let title = pool.say(dice, simulated.part, &slots).unwrap_or_default();
        if !out.is_empty() {
            out.push('\n');
        }
        if !title.is_empty() {
            out.push_str(&format!("{title}\n"));
        }
        for line in lines.into_iter().take(MOST_LINES) {
            out.push_str(&format!("{line}\n"));
        }
    }
    out
}

/// Log lines in the order of time; of one service, where that has enough of them.
fn logs(dice: &mut Dice, incident: &Incident) -> Vec<String> {
    let mut lines: Vec<&LogLine> = incident.logs.iter().collect();
    if !lines.is_empty() && dice.happens(0.3) {
        let service = dice.one(&lines).service.clone();
        let own: Vec<_> = lines.iter().copied().filter(|line| line.service == service).collect();
        if own.len() > 2 {
            lines = own;
        }
    }
    lines.sort_by_key(|line| line.time);
    let style = dice.below(5);
    lines.into_iter().map(|line| log(style, line)).collect()
}

fn log(style: usize, line: &LogLine) -> String {
    let level = match line.level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let LogLine { service, time, message, count, .. } = line;
    match style {
        0 => format!("{time} {service} {level} {message}"),
        1 => {
            let at = time.strftime("%H:%M:%S");
            format!("{at} [{service}] {}: {message} (x{count})", level.to_uppercase())
        }
        2 => format!("ts={time} svc={service} lvl={level} msg={message:?}"),
        3 => format!("{service}/{level}: {message}"),
        _ => format!("x{count} {service} {message}"),
    }
}

fn events(incident: &Incident) -> Vec<String> {
    let mut events: Vec<_> = incident.events.iter().collect();
    events.sort_by_key(|event| event.time);
    let line = |event: &&sre::incident::Event| {
        let kind = match event.kind {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        };
        let ago = incident.end.duration_since(event.time).as_mins();
        let (reason, service, message) = (&event.reason, &event.service, &event.message);
        format!("{ago}m (x{}) {kind} {reason} deployment/{service} {message}", event.count)
    };
    events.iter().map(line).collect()
}

/// A few series of one or two services.
fn metrics(dice: &mut Dice, incident: &Incident) -> Vec<String> {
    if incident.metrics.is_empty() {
        return Vec::new();
    }
    let service = dice.one(&incident.metrics).service.clone();
    let style = dice.below(3);
    let own = incident.metrics.iter().filter(|series| series.service == service);
    let line = |series: &sre::incident::Series| {
        let values: Vec<_> = series
            .values
            .iter()
            .step_by(EVERY)
            .map(|value| value.map_or_else(|| "-".to_owned(), number))
            .collect();
        let (name, values) = (&series.name, values.join(" "));
        match style {
            0 => format!("{name}{{service=\"{service}\"}} {values}"),
            1 => format!("{service} {name}: {values}"),
            _ => format!("{name} [{service}] = {values}"),
        }
    };
    // Wide lines: half as many as of the other kinds.
    own.map(line).take(MOST_LINES / 2).collect()
}

fn changes(incident: &Incident) -> Vec<String> {
    let mut changes: Vec<_> = incident.changes.iter().collect();
    changes.sort_by_key(|change| change.time);
    let line = |change: &&sre::incident::Change| {
        format!("{} {}: {}", clock(change.time), change.service, change.message)
    };
    changes.iter().map(line).collect()
}
