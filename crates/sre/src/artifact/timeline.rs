//! What happened when: the lines of the pack and those that are cited in the order of time, as a table.

use super::{ALERT, MOST_NAME, MOST_TEXT, WINDOW};
use crate::evidence::{Item, Kind, Pack, deviation::Deviation};
use crate::incident::Incident;
use crate::markdown::cell;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// A time in UTC to the minute.
pub(super) fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// The table: changes, metrics when they left their baseline, events and log lines when they came
/// first, and the alert.
pub(super) fn table(incident: &Incident, pack: &Pack, cited: &[String]) -> String {
    let times = times(incident);
    let row = |item: &Item| {
        let time = times.get(item.id.as_str()).copied().unwrap_or(incident.start);
        let what = match item.kind {
            Kind::Change => "changed",
            Kind::Metric => "began to move",
            Kind::Event => "event",
            Kind::Log => "logged",
        };
        let cells = [
            cell(&item.service, MOST_NAME),
            format!("{what}: {}", cell(&item.text, MOST_TEXT)),
            cell(&item.id, MOST_NAME),
        ];
        (time, cells)
    };
    let mut rows: Vec<_> = pack.with_cited(cited).into_iter().map(row).collect();
    rows.push((incident.start, noticed(incident)));
    // Equal times keep the order of the pack: changes, metrics, events, logs.
    rows.sort_by_key(|(time, _)| *time);
    let mut out = "| Time (UTC) | Service | What | Evidence |\n|---|---|---|---|\n".to_owned();
    for (time, cells) in rows {
        out.push_str(&format!("| {} | {} |\n", shown(time), cells.join(" | ")));
    }
    out
}

fn noticed(incident: &Incident) -> [String; 3] {
    match &incident.alert {
        Some(alert) => [
            cell(&alert.service, MOST_NAME),
            format!("alert: {}", cell(&alert.message, MOST_TEXT)),
            cell(ALERT, MOST_NAME),
        ],
        None => [String::new(), "start of the incident".to_owned(), cell(WINDOW, MOST_NAME)],
    }
}

/// When everything that can be cited happened; of a metric, when it left its baseline.
fn times(incident: &Incident) -> BTreeMap<&str, Timestamp> {
    let onset = |minutes: i64| {
        let after = SignedDuration::from_mins(minutes);
        incident.start.checked_add(after).unwrap_or(incident.start)
    };
    let metrics = incident.metrics.iter().filter_map(|series| {
        let deviation = Deviation::of(series, incident.start, incident.end)?;
        Some((series.id.as_str(), onset(deviation.onset_minutes)))
    });
    let changes = incident.changes.iter().map(|item| (item.id.as_str(), item.time));
    let events = incident.events.iter().map(|item| (item.id.as_str(), item.time));
    let logs = incident.logs.iter().map(|item| (item.id.as_str(), item.time));
    metrics.chain(changes).chain(events).chain(logs).collect()
}
