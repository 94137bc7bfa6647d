//! The incident as it is served: moved in time, and with names that Kubernetes takes.

use super::{Error, Options};
use jiff::{SignedDuration, Timestamp};
use sre::incident::Incident;
use std::collections::{BTreeMap, BTreeSet};

/// Most characters of a name in a cluster.
const MOST_NAME: usize = 63;

/// Minutes of baseline where nothing was measured that says where it begins.
const BASELINE_MINUTES: i64 = 60;

/// What is served.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// The incident, moved.
    pub(super) incident: Incident,
    /// The namespace of its services.
    pub(super) namespace: String,
    /// When the baseline begins.
    pub(super) first: Timestamp,
}

/// Moves the incident so that it ends when the options say, and gives services and nodes names that are
/// labels of DNS; those of the lab are already.
pub(super) fn prepare(incident: &Incident, options: &Options) -> Result<Scene, Error> {
    let namespace = options.namespace.clone();
    if namespace != dns_label(&namespace) {
        return Err(Error::Namespace(namespace));
    }
    let mut incident = incident.clone();
    shift(&mut incident, options.end).ok_or(Error::Time(options.end))?;
    rename(&mut incident);
    let measured = incident.metrics.iter().map(|series| series.start).min();
    let baseline = SignedDuration::from_mins(BASELINE_MINUTES);
    let first = match measured.filter(|it| *it < incident.start) {
        Some(first) => first,
        None => incident.start.checked_sub(baseline).unwrap_or(incident.start),
    };
    Ok(Scene { incident, namespace, first })
}

fn shift(incident: &mut Incident, end: Timestamp) -> Option<()> {
    let by = end.duration_since(incident.end);
    let times = [&mut incident.start, &mut incident.end].into_iter();
    let times = times.chain(incident.metrics.iter_mut().map(|it| &mut it.start));
    let times = times.chain(incident.logs.iter_mut().map(|it| &mut it.time));
    let times = times.chain(incident.events.iter_mut().map(|it| &mut it.time));
    let times = times.chain(incident.changes.iter_mut().map(|it| &mut it.time));
    for time in times {
        *time = time.checked_add(by).ok()?;
        // Answers count in nanoseconds, in 64 bits.
        i64::try_from(time.as_nanosecond()).ok()?;
    }
    Some(())
}

fn rename(incident: &mut Incident) {
    let mut used = BTreeSet::new();
    let mut names = BTreeMap::new();
    for service in &incident.services {
        let name = unused(&dns_label(&service.name), &mut used);
        names.insert(service.name.clone(), name);
    }
    let renamed = |name: &mut String| {
        if let Some(new) = names.get(name) {
            name.clone_from(new);
        }
    };
    for service in &mut incident.services {
        renamed(&mut service.name);
        service.calls.iter_mut().for_each(renamed);
        service.node = service.node.take().map(|node| dns_label(&node));
    }
    incident.alert.iter_mut().for_each(|it| renamed(&mut it.service));
    incident.metrics.iter_mut().for_each(|it| renamed(&mut it.service));
    incident.logs.iter_mut().for_each(|it| renamed(&mut it.service));
    incident.events.iter_mut().for_each(|it| renamed(&mut it.service));
    incident.changes.iter_mut().for_each(|it| renamed(&mut it.service));
}

/// The name, or it with a number that nobody has.
fn unused(name: &str, used: &mut BTreeSet<String>) -> String {
    let mut candidate = name.to_owned();
    let mut number = 2;
    while !used.insert(candidate.clone()) {
        let ending = format!("-{number}");
        let kept = name.len().min(MOST_NAME - ending.len());
        candidate = format!("{}{ending}", name[..kept].trim_end_matches('-'));
        number += 1;
    }
    candidate
}

/// The nearest label of DNS: small letters, digits and inner hyphens.
fn dns_label(name: &str) -> String {
    let lower = name.chars().map(|it| it.to_ascii_lowercase());
    let fits = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
    let label: String = lower.map(|it| if fits(it) { it } else { '-' }).take(MOST_NAME).collect();
    let label = label.trim_matches('-');
    // A Service must begin with a letter.
    match label.chars().next() {
        Some(first) if first.is_ascii_lowercase() => label.to_owned(),
        _ => format!("x-{label}")
            .chars()
            .take(MOST_NAME)
            .collect::<String>()
            .trim_end_matches('-')
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_labels_of_dns() {
        let mut used = BTreeSet::new();
        let table = [
            ("cart", "cart"),
            ("Web Frontend", "web-frontend"),
            ("web/frontend", "web-frontend-2"),
            ("7up", "x-7up"),
            ("–", "x"),
        ];
        for (name, label) in table {
            assert_eq!(unused(&dns_label(name), &mut used), label, "{name}");
        }
        let long = "a".repeat(63);
        assert_eq!(unused(&dns_label(&long), &mut used), long);
        assert_eq!(unused(&dns_label(&long), &mut used).len(), 63);
    }
}
