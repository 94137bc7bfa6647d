//! The lines of an incident as Loki would hold them: streams of namespace, service, app and level.
//!
//! A line that came `before` times in the baseline stands there that often, evenly spaced, and `count` times
//! from its time to the end. No kind of line is spread over more than [`MOST_OF_A_LINE`] entries in either
//! part, nor over more than its share of [`MOST_ENTRIES`]: then fewer stand for all.

use crate::serve::matcher::Labels;
use crate::serve::prepare::Scene;
use crate::serve::time::nanos;
use sre::incident::{Level, LogLine};
use std::collections::BTreeMap;

/// Most entries of one kind of line, in the baseline and after it.
pub(crate) const MOST_OF_A_LINE: u64 = 2_000;

/// Most entries in all.
const MOST_ENTRIES: u64 = 2_000_000;

/// A line at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Nanoseconds since 1970.
    pub(crate) at: i64,
    /// Which of the lines.
    pub(crate) line: u32,
}

/// Entries with the same labels.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) labels: Labels,
    /// In order.
    pub(crate) entries: Vec<Entry>,
}

impl Stream {
    /// The entries from `start` on and before `end`.
    pub(crate) fn between(&self, start: i64, end: i64) -> &[Entry] {
        let first = self.entries.partition_point(|it| it.at < start);
        let last = self.entries.partition_point(|it| it.at < end);
        &self.entries[first..last.max(first)]
    }
}

/// All streams.
#[derive(Debug)]
pub(crate) struct Store {
    /// In the order of their labels.
    pub(crate) streams: Vec<Stream>,
    /// The texts that entries name.
    pub(crate) lines: Vec<String>,
}

impl Store {
    /// Of an incident.
    pub(crate) fn new(scene: &Scene) -> Self {
        let logs = &scene.incident.logs;
        let share = MOST_ENTRIES / 2 / (logs.len() as u64).max(1);
        let most = MOST_OF_A_LINE.min(share.max(1));
        let mut streams: BTreeMap<Labels, Vec<Entry>> = BTreeMap::new();
        for (line, log) in (0u32..).zip(logs) {
            let entries = streams.entry(labels(scene, log)).or_default();
            let at = |at: i64| Entry { at, line };
            let (start, end) = (nanos(scene.incident.start), nanos(scene.incident.end));
            let first = nanos(log.time);
            let baseline = (nanos(scene.first), start.min(first));
            // Lines of one moment stay apart, and in the order of the incident.
            let apart = i64::from(line % 1_000_000);
            entries.extend(spread(baseline, log.before.min(most)).map(|it| at(it + apart)));
            entries.extend(spread((first, end), log.count.min(most)).map(|it| at(it + apart)));
        }
        let stream = |(labels, mut entries): (Labels, Vec<Entry>)| {
            entries.sort_by_key(|it| (it.at, it.line));
            Stream { labels, entries }
        };
        let lines = logs.iter().map(|log| log.message.clone()).collect();
        Self { streams: streams.into_iter().map(stream).collect(), lines }
    }
}

fn labels(scene: &Scene, log: &LogLine) -> Labels {
    let level = match log.level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let service = log.service.as_str();
    let pairs = [
        ("namespace", scene.namespace.as_str()),
        ("service", service),
        ("app", service),
        ("level", level),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// So many moments from the first one on, evenly spaced, before the last one.
fn spread((first, last): (i64, i64), count: u64) -> impl Iterator<Item = i64> {
    let width = (i128::from(last) - i128::from(first)).max(0);
    let moment = move |index: u64| {
        let after = width * i128::from(index) / i128::from(count.max(1));
        first.saturating_add(i64::try_from(after).unwrap_or(i64::MAX))
    };
    (0..count).map(moment)
}
