//! Makes the incident: names within their limits, ids in an order that no answer decides, and the
//! check that every incident must pass.

use super::directory::Directory;
use super::lines::Lines;
use super::window::{Window, timestamp};
use super::{Error, Reading, Result, Run};
use sre::incident::{Alert, Change, Event, Incident, LogLine, Series, Service, VERSION, plain};
use sre::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};

/// What an incident file takes.
const MOST_NAME: usize = 63;
const MOST_METRIC: usize = 200;
const MOST_MESSAGE: usize = 4_000;
const MOST_SERVICES: usize = 2_000;
/// Most values of all series: with their commas they stay below the size of a file that is read.
const MOST_VALUES: usize = 2_000_000;
/// Most events and most changes.
const MOST_EVENTS: usize = 2_000;

/// A series before it has its id.
pub(super) struct Measured {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) limit: Option<f64>,
    /// On the grid of the window.
    pub(super) values: Vec<Option<f64>>,
}

/// What was found besides services. Ids are given here.
#[derive(Default)]
pub(super) struct Found {
    pub(super) series: Vec<Measured>,
    pub(super) events: Vec<Event>,
    pub(super) changes: Vec<Change>,
    pub(super) alert: Option<Alert>,
    pub(super) lines: Option<Lines>,
    /// Whether any source answered anything.
    pub(super) is_answered: bool,
}

/// The incident of what was found.
pub(super) fn assemble(
    mut run: Run<'_>,
    mut directory: Directory,
    mut found: Found,
) -> Result<Reading> {
    let logs = lines(&mut run, found.lines.take(), found.series.is_empty());
    if !directory.is_known {
        // Without Kubernetes a service is what something is known of.
        let series = found.series.iter().map(|it| &it.service);
        let alert = found.alert.iter().map(|it| &it.service);
        let calls = directory.calls.iter().flat_map(|(from, to)| [from, to]);
        let names: BTreeSet<String> = series
            .chain(alert)
            .chain(calls)
            .chain(logs.iter().map(|it| &it.service))
            .cloned()
            .collect();
        names.iter().for_each(|name| {
            directory.service(name);
        });
    }
    run.missing.sort();
    run.missing.dedup();
    if directory.services.is_empty() {
        let (namespace, missing) = (run.ask.namespace.clone(), run.missing);
        return Err(match found.is_answered {
            true => Error::Empty { namespace, missing },
            false => Error::Nothing(missing),
        });
    }
    let names = names(&directory, &mut run);
    let mut incident = Incident {
        version: VERSION,
        id: id(&run),
        start: timestamp(run.window.start),
        end: timestamp(run.window.end),
        alert: found.alert.take(),
        services: services(&directory, &names),
        metrics: metrics(&mut run, std::mem::take(&mut found.series)),
        logs,
        events: found.events,
        changes: found.changes,
    };
    rename(&mut incident, &names);
    number(&mut incident, &mut run);
    let text = serde_json::to_string(&incident).map_err(|error| Error::Ask(error.to_string()))?;
    let incident = Incident::read(&text)?;
    Ok(Reading { incident, missing: run.missing, cut: run.cut })
}

/// `shop-20260301T100000Z`, at most as long as a name may be.
fn id(run: &Run<'_>) -> String {
    let time = timestamp(run.window.start).strftime("%Y%m%dT%H%M%SZ").to_string();
    let namespace: String = run.ask.namespace.chars().take(MOST_NAME - 1 - time.len()).collect();
    format!("{namespace}-{time}")
}

/// The lines that are kept.
fn lines(run: &mut Run<'_>, lines: Option<Lines>, is_alone: bool) -> Vec<LogLine> {
    let Some(lines) = lines else { return Vec::new() };
    if lines.homeless > 0 {
        let count = lines.homeless;
        run.cut.push(format!("{count} log lines belong to no service that is known"));
    }
    let dropped = lines.dropped;
    let (mut lines, left_out) = lines.finish();
    if left_out > 0 || dropped > 0 {
        let kept = lines.len();
        run.cut.push(format!(
            "{kept} different log lines were kept; {left_out} and another {dropped} lines were not"
        ));
    }
    if is_alone {
        // Without metrics a reader of the incident takes the baseline to be as long as the incident.
        let Window { from, start, end, .. } = run.window;
        let share = (end - start) as f64 / (start - from) as f64;
        for line in &mut lines {
            line.before = (line.before as f64 * share).round() as u64;
        }
    }
    lines
}

/// What the services are called in the incident: their own names as far as those may stand there.
fn names(directory: &Directory, run: &mut Run<'_>) -> BTreeMap<String, String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut names = BTreeMap::new();
    let count = directory.services.len();
    if count > MOST_SERVICES {
        run.cut.push(format!("{MOST_SERVICES} of {count} services were kept"));
    }
    for name in directory.services.keys().take(MOST_SERVICES) {
        let shown = unique(&short(name, MOST_NAME), &taken);
        taken.insert(shown.clone());
        names.insert(name.clone(), shown);
    }
    names
}

/// The name with a number if another has it already.
fn unique(name: &str, taken: &BTreeSet<String>) -> String {
    let mut shown = name.to_owned();
    let mut number = 2;
    while taken.contains(&shown) {
        let end = format!("~{number}");
        shown = name.chars().take(MOST_NAME - end.len()).chain(end.chars()).collect();
        number += 1;
    }
    shown
}

/// A name of at most so many characters, none of them hidden.
fn short(name: &str, most: usize) -> String {
    let name = plain(name, most);
    let name: String = name.chars().take(most).collect();
    if name.trim().is_empty() { "unnamed".to_owned() } else { name }
}

fn services(directory: &Directory, names: &BTreeMap<String, String>) -> Vec<Service> {
    let shown = |(name, shown): (&String, &String)| {
        let mut service = directory.services[name].clone();
        let callees = directory.calls.iter().filter(|(from, _)| from == name);
        let mut calls: Vec<_> = callees.filter_map(|(_, to)| names.get(to).cloned()).collect();
        calls.dedup();
        service.name.clone_from(shown);
        service.calls = calls;
        service.node = service.node.map(|node| short(&node, 253));
        service
    };
    names.iter().map(shown).collect()
}

/// The series that are kept, in the order of services and names.
fn metrics(run: &mut Run<'_>, mut series: Vec<Measured>) -> Vec<Series> {
    series.sort_by(|a, b| (&a.service, &a.name).cmp(&(&b.service, &b.name)));
    series.dedup_by(|a, b| a.service == b.service && a.name == b.name);
    let all = series.len();
    let mut ranked: Vec<(f64, usize)> =
        series.iter().enumerate().map(|(place, it)| (worth(it), place)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let limits = &run.ask.limits;
    let most = limits.series.min(MOST_VALUES / run.window.points().max(1));
    let mut per_service: BTreeMap<&str, usize> = BTreeMap::new();
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    for (_, place) in ranked {
        let count = per_service.entry(&series[place].service).or_default();
        if *count < limits.series_per_service && kept.len() < most {
            *count += 1;
            kept.insert(place);
        }
    }
    if kept.len() < all {
        run.cut.push(format!("{} of {all} series were kept, those that moved most", kept.len()));
    }
    let (start, step) = (timestamp(run.window.from), run.window.step);
    let series = series.into_iter().enumerate().filter(|(place, _)| kept.contains(place));
    let series = series.map(|(_, it)| Series {
        id: String::new(),
        service: it.service,
        name: short(&it.name, MOST_METRIC),
        limit: it.limit.filter(|limit| limit.is_finite() && *limit > 0.0),
        start,
        step_seconds: u32::try_from(step).unwrap_or(u32::MAX),
        values: it.values,
    });
    series.collect()
}

/// How much a series is likely to say: known signals before others, what moved before what did not,
/// what has a limit before what has none.
fn worth(series: &Measured) -> f64 {
    let mut values: Vec<f64> = series.values.iter().copied().flatten().collect();
    values.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (values.first(), values.last()) else { return -1.0 };
    let middle = values[values.len() / 2].abs();
    let range = most - least;
    let moved = if range > 0.0 { (range / (middle + range * 0.05)).ln_1p() } else { -10.0 };
    let known = if Signal::of(&series.name).is_some() { 3.0 } else { 0.0 };
    moved + known + if series.limit.is_some() { 2.0 } else { 0.0 }
}

/// Puts the names of the incident in place of those of the cluster; what belongs to a service that is
/// left out goes with it.
fn rename(incident: &mut Incident, names: &BTreeMap<String, String>) {
    let known = |service: &mut String| match names.get(service.as_str()) {
        Some(name) => {
            service.clone_from(name);
            true
        }
        None => false,
    };
    incident.metrics.retain_mut(|it| known(&mut it.service));
    incident.logs.retain_mut(|it| known(&mut it.service));
    incident.events.retain_mut(|it| known(&mut it.service));
    incident.changes.retain_mut(|it| known(&mut it.service));
    if let Some(alert) = &mut incident.alert {
        alert.message = message(&alert.message);
        if !known(&mut alert.service) {
            incident.alert = None;
        }
    }
    for event in &mut incident.events {
        event.reason = short(&event.reason, MOST_NAME);
        event.message = message(&event.message);
    }
    for change in &mut incident.changes {
        change.message = message(&change.message);
    }
}

fn message(text: &str) -> String {
    let text = plain(text, MOST_MESSAGE);
    if text.trim().is_empty() { "no message".to_owned() } else { text }
}

/// Sorts what has no order yet and gives everything its id.
fn number(incident: &mut Incident, run: &mut Run<'_>) {
    incident.events.sort_by(|a, b| {
        let key = |it: &Event| (it.time, it.service.clone(), it.reason.clone(), it.message.clone());
        key(a).cmp(&key(b))
    });
    incident
        .changes
        .sort_by(|a, b| (a.time, &a.service, &a.message).cmp(&(b.time, &b.service, &b.message)));
    incident
        .changes
        .dedup_by(|a, b| (a.time, &a.service, &a.message) == (b.time, &b.service, &b.message));
    for (what, count) in [("events", incident.events.len()), ("changes", incident.changes.len())] {
        if count > MOST_EVENTS {
            run.cut.push(format!("{MOST_EVENTS} of {count} {what} were kept"));
        }
    }
    incident.events.truncate(MOST_EVENTS);
    incident.changes.truncate(MOST_EVENTS);
    fn give<'a>(letter: char, ids: impl Iterator<Item = &'a mut String>) {
        for (place, id) in ids.enumerate() {
            *id = format!("{letter}{}", place + 1);
        }
    }
    give('m', incident.metrics.iter_mut().map(|it| &mut it.id));
    give('l', incident.logs.iter_mut().map(|it| &mut it.id));
    give('e', incident.events.iter_mut().map(|it| &mut it.id));
    give('c', incident.changes.iter_mut().map(|it| &mut it.id));
}
