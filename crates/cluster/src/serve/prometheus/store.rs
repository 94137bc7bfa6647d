//! The series of an incident as Prometheus would hold them.
//!
//! A series' name has every character that no metric has replaced by `_`. A limit is a series of its own,
//! `<name>_limit`: it is in the unit of the metric, whatever that is, where those of kube-state-metrics would
//! have to be guessed. The alert is `ALERTS`, from when it was raised.

use crate::serve::matcher::{Labels, NAME};
use crate::serve::prepare::Scene;
use crate::serve::time::millis;
use std::collections::{BTreeMap, BTreeSet};

/// What scraped the series.
pub(crate) const JOB: &str = "lab";

/// Milliseconds between the points of `ALERTS`.
const ALERT_STEP: i64 = 60_000;

/// A series.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Its labels, its name among them.
    pub(crate) labels: Labels,
    /// Milliseconds since 1970 and values, in order.
    pub(crate) points: Vec<(i64, f64)>,
}

impl Series {
    /// The metric's name.
    pub(crate) fn name(&self) -> &str {
        self.labels.get(NAME).map_or("", String::as_str)
    }
}

/// An alert.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) name: &'static str,
    pub(crate) labels: Labels,
    pub(crate) description: String,
}

/// All series.
#[derive(Debug)]
pub(crate) struct Store {
    /// In the order of their labels.
    pub(crate) series: Vec<Series>,
    /// What fires.
    pub(crate) alert: Option<Alert>,
    helps: BTreeMap<String, String>,
}

impl Store {
    /// Of an incident.
    pub(crate) fn new(scene: &Scene) -> Self {
        let mut store = Self { series: Vec::new(), alert: None, helps: BTreeMap::new() };
        let mut used = BTreeSet::new();
        for it in &scene.incident.metrics {
            let step = i64::from(it.step_seconds) * 1000;
            let (mut at, mut points) = (millis(it.start), Vec::with_capacity(it.values.len()));
            for value in &it.values {
                points.extend(value.map(|value| (at, value)));
                at += step;
            }
            let name = metric_name(&it.name);
            store.helps.insert(name.clone(), format!("{} of the simulated services.", it.name));
            let mut add = |name: String, points: Vec<(i64, f64)>| {
                let mut labels = labels(scene, &name, &it.service);
                if !used.insert(labels.clone()) {
                    labels.insert("series".to_owned(), it.id.clone());
                }
                store.series.push(Series { labels, points });
            };
            if let Some(limit) = it.limit {
                let name = format!("{name}_limit");
                store.helps.insert(name.clone(), format!("What {} must not pass.", it.name));
                add(name, points.iter().map(|(at, _)| (*at, limit)).collect());
            }
            add(name, points);
        }
        store.raise(scene);
        store.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        store
    }

    /// Of these series alone.
    #[cfg(test)]
    pub(crate) fn of(series: Vec<Series>) -> Self {
        Self { series, alert: None, helps: BTreeMap::new() }
    }

    fn raise(&mut self, scene: &Scene) {
        let Some(alert) = &scene.incident.alert else { return };
        let name = alert_name(&alert.message);
        let mut labels = labels(scene, name, &alert.service);
        labels.remove(NAME);
        labels.remove("job");
        labels.insert("alertname".to_owned(), name.to_owned());
        labels.insert("severity".to_owned(), "critical".to_owned());
        let mut own = labels.clone();
        own.insert(NAME.to_owned(), "ALERTS".to_owned());
        own.insert("alertstate".to_owned(), "firing".to_owned());
        let (start, end) = (millis(scene.incident.start), millis(scene.incident.end));
        let count = ((end - start) / ALERT_STEP).min(10_000);
        let points = (0..=count).map(|index| (start + index * ALERT_STEP, 1.0)).collect();
        self.series.push(Series { labels: own, points });
        self.alert = Some(Alert { name, labels, description: alert.message.clone() });
    }

    /// What a metric is, in a line.
    pub(crate) fn help(&self, name: &str) -> &str {
        self.helps.get(name).map_or("What fires.", String::as_str)
    }
}

fn labels(scene: &Scene, name: &str, service: &str) -> Labels {
    let pairs = [(NAME, name), ("namespace", &scene.namespace), ("service", service), ("job", JOB)];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The name with every character replaced that no metric's name has.
fn metric_name(name: &str) -> String {
    let fits = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == ':';
    let mut out: String = name.chars().map(|it| if fits(it) { it } else { '_' }).collect();
    if out.starts_with(|it: char| it.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

/// What an alert is called, by its message.
fn alert_name(message: &str) -> &'static str {
    const NAMES: [(&str, &[&str]); 3] = [
        ("HighErrorRate", &["error", "fail", "5xx", "burn"]),
        ("ReplicasMissing", &["replica", "pods"]),
        ("HighLatency", &["p99", "slow", "latency", "response", "ms"]),
    ];
    let message = message.to_ascii_lowercase();
    let found = NAMES.iter().find(|(_, words)| words.iter().any(|word| message.contains(word)));
    found.map_or("Incident", |(name, _)| name)
}

/// A value as Prometheus writes it: shortest, and never with an exponent.
pub(crate) fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}
