//! Events of the window, equal ones counted under the service that they are about.

use super::super::directory::Directory;
use super::super::lines::same;
use super::super::window::{Window, timestamp};
use super::super::{Run, Source};
use super::objects::{EventObject, Node};
use super::{Objects, Pod};
use jiff::Timestamp;
use sre::incident::{Event, EventKind};
use std::collections::BTreeMap;

/// The events, without ids and in no particular order.
pub(super) fn of(objects: &Objects, directory: &Directory, run: &mut Run<'_>) -> Vec<Event> {
    let mut counted: BTreeMap<(String, String, String), Event> = BTreeMap::new();
    let mut homeless = 0_u64;
    for it in &objects.events {
        let Some((time, count)) = when(it, &run.window) else { continue };
        let Some(service) = directory.named(&it.involved_object.name) else {
            homeless += 1;
            continue;
        };
        let kind = if it.r#type == "Warning" { EventKind::Warning } else { EventKind::Normal };
        let reason = if it.reason.is_empty() { "Unknown" } else { &it.reason };
        let event = Event {
            id: String::new(),
            service: service.to_owned(),
            time,
            kind,
            reason: reason.to_owned(),
            message: it.message.clone(),
            count,
        };
        add(&mut counted, event);
    }
    for event in nodes(objects, directory, &run.window) {
        add(&mut counted, event);
    }
    if homeless > 0 {
        run.cut.push(format!("{homeless} events are about objects of no service that is known"));
    }
    run.step(Source::Kubernetes, "events", (super::KINDS, super::KINDS));
    counted.into_values().collect()
}

/// Counts an event; of equal ones the earliest is shown, of several at once the first by its text.
fn add(counted: &mut BTreeMap<(String, String, String), Event>, event: Event) {
    // Names of pods are generated words with digits, so they do not tell equal events apart.
    let key = (event.service.clone(), event.reason.clone(), same(&event.message));
    let Some(known) = counted.get_mut(&key) else {
        counted.insert(key, event);
        return;
    };
    known.count = known.count.saturating_add(event.count);
    if (event.time, &event.message) < (known.time, &known.message) {
        (known.time, known.message) = (event.time, event.message);
    }
}

/// When an event came first within the window, and how often: of one that began before, the share of
/// its time that lies within.
fn when(event: &EventObject, window: &Window) -> Option<(Timestamp, u64)> {
    let series = event.series.as_ref();
    let last = series.and_then(|it| it.last_observed_time.0);
    let last = last.or(event.last_timestamp.0).or(event.event_time.0);
    let last = last.or(event.metadata.creation_timestamp.0)?;
    let first = event.first_timestamp.0.or(event.event_time.0).unwrap_or(last).min(last);
    let (first_second, last_second) = (first.as_second(), last.as_second());
    if last_second < window.start || first_second > window.end {
        return None;
    }
    let count = series.map(|it| it.count).or(event.count).unwrap_or(1).max(1);
    let (begin, end) = (first_second.max(window.start), last_second.min(window.end));
    let all = (last_second - first_second) as f64;
    let share = if all > 0.0 { (end - begin) as f64 / all } else { 1.0 };
    let time = if first_second < window.start { timestamp(window.start) } else { first };
    Some((time, ((count as f64 * share).round() as u64).max(1)))
}

/// What is wrong with a node since it is, told of the services that mostly run there.
fn nodes(objects: &Objects, directory: &Directory, window: &Window) -> Vec<Event> {
    let mut events = Vec::new();
    for node in &objects.nodes {
        let name = &node.metadata.name;
        let here = directory.services.values().filter(|it| it.node.as_ref() == Some(name));
        let here: Vec<_> = here.map(|it| it.name.clone()).collect();
        for (time, reason, message) in troubles(node, window) {
            events.extend(here.iter().map(|service| Event {
                id: String::new(),
                service: service.clone(),
                time,
                kind: EventKind::Warning,
                reason: reason.clone(),
                message: format!("node {name}: {message}"),
                count: 1,
            }));
        }
    }
    events
}

fn troubles(node: &Node, window: &Window) -> Vec<(Timestamp, String, String)> {
    let mut found = Vec::new();
    for it in &node.status.conditions {
        let is_ready = it.r#type == "Ready";
        let is_well = it.status == if is_ready { "True" } else { "False" };
        let Some(time) = it.last_transition_time.0 else { continue };
        if !is_well && window.is_in(time) {
            let reason = if is_ready { "NodeNotReady" } else { &it.r#type };
            found.push((time, reason.to_owned(), it.message.clone()));
        }
    }
    found
}

/// How suspicious a pod is: what restarted, waits or is not ready comes first.
pub(super) fn suspicion(pod: &Pod) -> u64 {
    let statuses = &pod.status.container_statuses;
    let restarts: u64 = statuses.iter().map(|it| it.restart_count).fold(0, u64::saturating_add);
    let waits = statuses
        .iter()
        .any(|it| it.state.waiting.as_ref().is_some_and(|it| it.reason != "ContainerCreating"));
    let unready = statuses.iter().any(|it| !it.ready) && pod.status.phase != "Succeeded";
    restarts.min(1_000) + if waits { 5_000 } else { 0 } + if unready { 2_000 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(fields: Value) -> EventObject {
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn an_event_counts_for_its_time_in_the_window() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (start, end) = (at("2026-03-01T10:00:00Z"), at("2026-03-01T10:10:00Z"));
        let (start, end) = (start.as_second(), end.as_second());
        let window = Window { from: start - 3600, start, end, step: 15 };
        for (fields, expected) in [
            (
                json!({"firstTimestamp": "2026-03-01T09:50:00Z", "lastTimestamp": "2026-03-01T10:10:00Z", "count": 40}),
                Some(("2026-03-01T10:00:00Z", 20)),
            ),
            (
                json!({"eventTime": "2026-03-01T10:01:00.123456Z", "firstTimestamp": null,
                    "series": {"count": 7, "lastObservedTime": "2026-03-01T10:02:00.000000Z"}}),
                Some(("2026-03-01T10:01:00.123456Z", 7)),
            ),
            (json!({"lastTimestamp": "2026-03-01T09:59:59Z", "count": 3}), None),
            (
                json!({"firstTimestamp": "2026-03-01T10:11:00Z", "lastTimestamp": "2026-03-01T10:12:00Z"}),
                None,
            ),
            (json!({"lastTimestamp": "yesterday"}), None),
        ] {
            let expected = expected.map(|(time, count)| (at(time), count));
            assert_eq!(when(&event(fields.clone()), &window), expected, "{fields}");
        }
    }
}
