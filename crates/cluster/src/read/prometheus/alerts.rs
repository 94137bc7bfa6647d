//! The alert that the incident is about: the one that is named, else the one that fires longest.

use super::super::directory::{Directory, LABELS};
use super::super::{Run, Source};
use super::Prometheus;
use super::answer::{self, Labels};
use jiff::Timestamp;
use serde::Deserialize;
use sre::incident::Alert;

/// Annotations that say what it is about.
const TEXTS: [&str; 4] = ["description", "message", "summary", "runbook_summary"];

#[derive(Deserialize)]
struct Alerts {
    alerts: Vec<Firing>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Firing {
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    annotations: Labels,
    #[serde(default)]
    state: String,
    #[serde(default)]
    active_at: Option<String>,
}

/// The alert, where there is one about a service that is known.
pub(super) fn read(server: &Prometheus, directory: &Directory, run: &mut Run<'_>) -> Option<Alert> {
    run.step(Source::Prometheus, "alerts", (0, 1));
    let wanted = run.ask.alert.clone();
    let now = match answer::data(&server.remote, "/api/v1/alerts", &[]) {
        Ok(Alerts { alerts }) => alerts,
        Err(trouble) => {
            run.missing(Source::Prometheus, "alerts", trouble.why);
            Vec::new()
        }
    };
    let mut all = fitting(now, server, wanted.as_deref());
    if all.is_empty() {
        // What fires now is not what fired then: the history has it, without texts.
        all = fitting(history(server), server, wanted.as_deref());
    }
    let is_any = !all.is_empty();
    let found = all.into_iter().find_map(|it| {
        let service = service(&it.labels, directory)?;
        Some(Alert { service, message: message(&it) })
    });
    if let (None, Some(name)) = (&found, wanted) {
        let why = match is_any {
            true => "it names no service of the namespace",
            false => "it does not fire in this namespace in that time",
        };
        run.missing(Source::Prometheus, format!("alert {}", sre::incident::plain(&name, 80)), why);
    }
    found
}

/// The service that an alert is about: of a Service that selects several workloads, the first.
fn service(labels: &Labels, directory: &Directory) -> Option<String> {
    let behind = |label: &&str| directory.hosts.get(labels.get(*label)?)?.first().cloned();
    directory.of_labels(labels).or_else(|| LABELS.iter().find_map(behind))
}

/// Those of the namespace and of the name, those that began first in front.
fn fitting(alerts: Vec<Firing>, server: &Prometheus, wanted: Option<&str>) -> Vec<Firing> {
    let fits = |it: &Firing| {
        let named =
            wanted.is_none_or(|name| it.labels.get("alertname").is_some_and(|it| it == name));
        let here = match it.labels.get("namespace") {
            Some(namespace) => *namespace == server.namespace,
            // Without a namespace it may be anybody's.
            None => wanted.is_some(),
        };
        let is_firing = it.state == "firing" || (wanted.is_some() && it.state == "pending");
        let time = it.active_at.as_ref().and_then(|it| it.parse::<Timestamp>().ok());
        let is_late = time.is_some_and(|time| time.as_second() > server.window.end);
        named && here && is_firing && !is_late
    };
    let mut alerts: Vec<Firing> = alerts.into_iter().filter(fits).collect();
    // One that always fires, to show that alerts work, is about nothing.
    alerts.retain(|it| it.labels.get("alertname").is_none_or(|it| it != "Watchdog"));
    alerts.sort_by_cached_key(|it| {
        let time = it.active_at.as_ref().and_then(|it| it.parse::<Timestamp>().ok());
        (time.is_none(), time, it.labels.clone())
    });
    alerts
}

/// What fired in the time of the incident.
fn history(server: &Prometheus) -> Vec<Firing> {
    let query = "{__name__=\"ALERTS\",alertstate=\"firing\"}";
    let rows = server.range(query).unwrap_or_default();
    let since = server.window.start as f64;
    let of = |row: answer::Row| {
        let first = row.values().into_iter().map(|(time, _)| time).find(|time| *time >= since)?;
        let active_at = Timestamp::from_second(first as i64).ok()?.to_string();
        let (labels, state) = (row.metric, "firing".to_owned());
        Some(Firing { labels, annotations: Labels::new(), state, active_at: Some(active_at) })
    };
    rows.into_iter().filter_map(of).collect()
}

fn message(alert: &Firing) -> String {
    let name = alert.labels.get("alertname").map_or("alert", String::as_str);
    let text =
        TEXTS.iter().find_map(|it| alert.annotations.get(*it)).filter(|it| !it.trim().is_empty());
    match text {
        Some(text) => format!("{name}: {text}"),
        None => name.to_owned(),
    }
}
