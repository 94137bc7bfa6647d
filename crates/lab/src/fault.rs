//! Faults as data: what a fault does to the service that it hits, in metrics, log lines, events and
//! changes. One engine interprets the tables, see [`crate::simulate`]. A cause may have several
//! rows: ways in which it comes about.

use crate::phrase::Phrase;
use crate::topology::Trait;
use sre::cause::Cause;
use sre::incident::{EventKind, Level};
use sre::signal::Signal;

mod code;
mod network;
mod platform;
mod resources;

/// A range that a number is drawn from.
pub(crate) type Range = (f64, f64);

/// How a fault grows from nothing (0) to its full size (1) over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    /// At once.
    Step,
    /// Over so many minutes.
    Ramp(f64),
    /// Climbs for so many minutes, falls back, climbs again.
    SawTooth(f64),
    /// For a minute or two in every so many.
    Spikes(f64),
    /// Slowly, beginning so many minutes before it is noticed.
    Climb(f64),
}

/// Where a metric goes when the fault is at its full size.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To {
    /// A multiple of what it would be.
    Times(Range),
    /// A share of its limit.
    Limit(Range),
    /// A value.
    Value(Range),
}

/// A metric that moves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub(crate) who: Who,
    pub(crate) signal: Signal,
    pub(crate) to: To,
    /// Its own course, where it is not that of the fault.
    pub(crate) shape: Option<Shape>,
    /// Whether it tells this fault from others.
    pub(crate) telling: bool,
    pub(crate) chance: f64,
}

/// Who writes or reports something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The service at fault.
    Itself,
    /// The services that call it.
    Callers,
    /// Other services on its node.
    Neighbours,
}

/// A log line that comes with the fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) who: Who,
    pub(crate) phrase: Phrase,
    pub(crate) level: Level,
    /// How often in all.
    pub(crate) count: Range,
    pub(crate) telling: bool,
    pub(crate) chance: f64,
}

/// An event that comes with the fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happening {
    pub(crate) who: Who,
    pub(crate) reason: &'static str,
    pub(crate) kind: EventKind,
    pub(crate) message: Phrase,
    pub(crate) count: Range,
    pub(crate) telling: bool,
    pub(crate) chance: f64,
}

/// A change that brought the fault about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    pub(crate) phrase: Phrase,
    /// Minutes from the change to the fault.
    pub(crate) before: Range,
    pub(crate) telling: bool,
    pub(crate) chance: f64,
}

/// One way in which a cause comes about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) cause: Cause,
    /// What the service must have.
    pub(crate) needs: Option<Trait>,
    pub(crate) shape: Shape,
    /// Its work takes so many times as long.
    pub(crate) slow: Range,
    /// The share of its requests that fail.
    pub(crate) fail: Range,
    /// The share of its replicas that do not serve.
    pub(crate) lost: Range,
    /// It gets so many times the requests.
    pub(crate) load: Range,
    pub(crate) moves: &'static [Move],
    pub(crate) lines: &'static [Line],
    pub(crate) events: &'static [Happening],
    pub(crate) changes: &'static [Changed],
}

/// What a fault does if its row says nothing else.
const NOTHING: Fault = Fault {
    cause: Cause::Unknown,
    needs: None,
    shape: Shape::Step,
    slow: (1.0, 1.0),
    fail: (0.0, 0.0),
    lost: (0.0, 0.0),
    load: (1.0, 1.0),
    moves: &[],
    lines: &[],
    events: &[],
    changes: &[],
};

/// The ways in which a cause comes about.
pub(crate) fn of(cause: Cause) -> Vec<&'static Fault> {
    let all = [resources::FAULTS, network::FAULTS, platform::FAULTS, code::FAULTS];
    all.into_iter().flatten().filter(|fault| fault.cause == cause).collect()
}

impl Fault {
    /// Whether it shows at those that call the service that it hits.
    pub(crate) fn needs_callers(&self) -> bool {
        let lines = self.lines.iter().any(|line| line.telling && line.who == Who::Callers);
        lines || self.moves.iter().any(|it| it.telling && it.who == Who::Callers)
    }
}

impl Move {
    /// A metric that goes along without telling anything.
    const fn also(signal: Signal, to: To) -> Self {
        Self { who: Who::Itself, signal, to, shape: None, telling: false, chance: 0.8 }
    }

    /// A metric that tells.
    const fn tells(signal: Signal, to: To) -> Self {
        Self { who: Who::Itself, signal, to, shape: None, telling: true, chance: 1.0 }
    }

    const fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    const fn over(self, shape: Shape) -> Self {
        Self { shape: Some(shape), ..self }
    }

    const fn chance(self, chance: f64) -> Self {
        Self { chance, ..self }
    }
}

impl Line {
    const fn of(phrase: Phrase, count: Range) -> Self {
        let (who, level) = (Who::Itself, Level::Error);
        Self { who, phrase, level, count, telling: false, chance: 0.85 }
    }

    const fn warn(self) -> Self {
        Self { level: Level::Warn, ..self }
    }

    const fn info(self) -> Self {
        Self { level: Level::Info, ..self }
    }

    const fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    const fn tells(self) -> Self {
        Self { telling: true, ..self }
    }

    const fn chance(self, chance: f64) -> Self {
        Self { chance, ..self }
    }
}

impl Happening {
    const fn of(reason: &'static str, message: Phrase, count: Range) -> Self {
        let (who, kind) = (Who::Itself, EventKind::Warning);
        Self { who, reason, kind, message, count, telling: false, chance: 0.85 }
    }

    const fn normal(self) -> Self {
        Self { kind: EventKind::Normal, ..self }
    }

    const fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    const fn tells(self) -> Self {
        Self { telling: true, ..self }
    }

    const fn chance(self, chance: f64) -> Self {
        Self { chance, ..self }
    }
}

impl Changed {
    const fn of(phrase: Phrase, before: Range) -> Self {
        Self { phrase, before, telling: true, chance: 1.0 }
    }

    const fn chance(self, chance: f64) -> Self {
        Self { chance, ..self }
    }
}
