//! Features of the evidence, for methods that need numbers: of an incident as a whole, and of each
//! service in it.

use crate::example::Example;
use sre::evidence::{Item, Kind};
use std::collections::BTreeMap;

/// Named features; those that are not there are 0.
pub(super) type Features = BTreeMap<String, f64>;

/// What an incident shows, for its cause.
pub(super) fn of_incident(example: &Example) -> Features {
    let mut features = Features::from([("always".to_owned(), 1.0)]);
    for item in &example.pack.items {
        let feature = features.entry(name(item)).or_default();
        *feature = feature.max(size(item));
        *features.entry(format!("count {:?}", item.kind)).or_default() += 0.1;
    }
    features
}

/// What one service shows beside the others, for whether it is at fault.
pub(super) fn of_service(example: &Example, label: &str) -> Features {
    let mut features = Features::from([("always".to_owned(), 1.0)]);
    let Some(service) = example.pack.service(label) else {
        features.insert("nobody".to_owned(), 1.0);
        return features;
    };
    let total: f64 = example.pack.items.iter().map(size).sum();
    let mut own = 0.0;
    for item in example.pack.items.iter().filter(|item| item.service == service) {
        own += size(item);
        let feature = features.entry(name(item)).or_default();
        *feature = feature.max(size(item));
    }
    features.insert("share".to_owned(), own / total.max(1e-9));
    let alerted = example.pack.prompt.starts_with(&format!("alert: {label} "));
    features.insert("alerted".to_owned(), f64::from(u8::from(alerted)));
    features
}

/// What kind of thing a line shows: the signal and its direction, or the first word.
fn name(item: &Item) -> String {
    let words = item.said.split_whitespace();
    match (item.kind, item.signal) {
        (Kind::Metric, Some(signal)) => {
            let up = item.text.contains(" up ");
            format!("metric {signal} {}", if up { "up" } else { "down" })
        }
        (Kind::Metric, None) => "metric other".to_owned(),
        (Kind::Event, _) => format!("event {}", words.take(1).collect::<String>()),
        (Kind::Log, _) => "log".to_owned(),
        (Kind::Change, _) => "change".to_owned(),
    }
}

/// How strongly a line stands out, on a scale that a linear model can use.
fn size(item: &Item) -> f64 {
    libm::log1p(item.weight.max(0.0)) / 3.0
}
