//! The strips below the metrics: changes and events as marks at their times.

use super::Frame;
use crate::chart::svg::{self, Anchor, Svg};
use sre::incident::{Change, Event, EventKind, Incident, plain};
use std::collections::{BTreeMap, BTreeSet};

/// Most lines of ids above the marks; ids for which there is no room stand only below the figure.
const MOST_LEVELS: usize = 3;
/// Height of the marks.
const MARKS: f64 = 22.0;
/// Height of a line of ids.
const LEVEL: f64 = 13.0;

/// A change or an event.
struct Moment<'a> {
    id: &'a str,
    /// After the alert.
    time: f64,
    cited: bool,
    /// Whether it is one to look at.
    loud: bool,
    /// What it is, in words.
    tip: String,
}

/// Moments of one kind, by time.
pub(super) struct Strip<'a> {
    name: &'static str,
    moments: Vec<Moment<'a>>,
}

/// An id above a mark, and its middle.
struct Label {
    x: f64,
    text: String,
}

impl<'a> Strip<'a> {
    /// The changes; `since` turns seconds into time after the alert.
    pub(super) fn changes(
        incident: &'a Incident,
        cited: &BTreeSet<&str>,
        since: impl Fn(i64) -> f64,
    ) -> Self {
        let moment = |change: &'a Change| Moment {
            id: &change.id,
            time: since(change.time.as_second()),
            cited: cited.contains(change.id.as_str()),
            loud: true,
            tip: format!("{} {}: {}", change.id, change.service, change.message),
        };
        Self::of("changes", incident.changes.iter().map(moment))
    }

    /// The events.
    pub(super) fn events(
        incident: &'a Incident,
        cited: &BTreeSet<&str>,
        since: impl Fn(i64) -> f64,
    ) -> Self {
        let moment = |event: &'a Event| Moment {
            id: &event.id,
            time: since(event.time.as_second()),
            cited: cited.contains(event.id.as_str()),
            loud: event.kind == EventKind::Warning,
            tip: format!("{} {}: {} {}", event.id, event.service, event.reason, event.message),
        };
        Self::of("events", incident.events.iter().map(moment))
    }

    fn of(name: &'static str, moments: impl Iterator<Item = Moment<'a>>) -> Self {
        let mut moments: Vec<_> = moments.collect();
        moments.sort_by(|a, b| a.time.total_cmp(&b.time));
        Self { name, moments }
    }

    /// When the cited ones were.
    pub(super) fn cited(&self) -> impl Iterator<Item = f64> {
        self.moments.iter().filter(|moment| moment.cited).map(|moment| moment.time)
    }

    /// Its height.
    pub(super) fn height(&self, frame: &Frame) -> f64 {
        MARKS + self.levels(frame).len() as f64 * LEVEL
    }

    /// Draws it.
    pub(super) fn draw(&self, svg: &mut Svg, frame: &Frame, top: f64) {
        let levels = self.levels(frame);
        let base = top + MARKS + levels.len() as f64 * LEVEL - 4.0;
        svg.line("grid", [frame.left, base, frame.right, base]);
        let before = self.moments.iter().filter(|moment| moment.time < frame.time.low).count();
        let earlier = if before > 0 { format!(" ({before} earlier)") } else { String::new() };
        let x = if frame.wide { 0.0 } else { frame.right + 5.0 };
        svg.text("muted", Anchor::Start, [x, base], &format!("{}{earlier}", self.name));
        for (class, x, tip) in self.marks(frame) {
            svg.mark(class, [x, base], &tip);
        }
        for (level, labels) in levels.iter().enumerate() {
            let y = base - 11.0 - level as f64 * LEVEL;
            for Label { x, text } in labels {
                svg.text("accent strong", Anchor::Middle, [*x, y], text);
            }
        }
    }

    /// The ids of cited moments, line by line from the marks upwards. Those before the beginning
    /// stand together at the left.
    fn levels(&self, frame: &Frame) -> Vec<Vec<Label>> {
        let cited = || self.moments.iter().filter(|moment| moment.cited);
        let early = cited().filter(|moment| moment.time < frame.time.low);
        let early: Vec<&str> = early.map(|moment| moment.id).collect();
        let early = (!early.is_empty()).then(|| {
            let text = format!("◂ {}", plain(&early.join(" "), 24));
            Label { x: frame.left + svg::width(&text) / 2.0, text }
        });
        let within = cited().filter(|moment| frame.holds(moment.time));
        let within =
            within.map(|moment| Label { x: frame.x(moment.time), text: moment.id.to_owned() });
        let mut levels: Vec<(f64, Vec<Label>)> = Vec::new();
        for label in early.into_iter().chain(within) {
            let half = svg::width(&label.text) / 2.0 + 3.0;
            let end = label.x + half;
            let full = levels.len() == MOST_LEVELS;
            match levels.iter_mut().find(|(end, _)| *end <= label.x - half) {
                Some((last, labels)) => {
                    *last = end;
                    labels.push(label);
                }
                None if !full => levels.push((end, vec![label])),
                None => {}
            }
        }
        levels.into_iter().map(|(_, labels)| labels).collect()
    }

    /// Class, place and tip of every mark; of those of one class on one pixel the first stands for
    /// all.
    fn marks(&self, frame: &Frame) -> impl Iterator<Item = (&'static str, f64, String)> {
        let mut marks: BTreeMap<(usize, i64), (f64, &str, usize)> = BTreeMap::new();
        for moment in self.moments.iter().filter(|moment| frame.holds(moment.time)) {
            let rank = match moment {
                Moment { cited: true, .. } => 2,
                Moment { loud: true, .. } => 1,
                _ => 0,
            };
            let x = frame.x(moment.time);
            marks.entry((rank, x.round() as i64)).or_insert((x, &moment.tip, 0)).2 += 1;
        }
        marks.into_iter().map(|((rank, _), (x, tip, count))| {
            let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
            (["grey", "plain", "accent"][rank], x, plain(tip, 200) + &more)
        })
    }
}
