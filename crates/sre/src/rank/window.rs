//! What is ranked: series before and after a moment, calls, changes, and what raised the alarm.

use super::meaning::{Bad, Meaning};
use super::strength::FEWEST;
use crate::incident::Incident;
use crate::signal::Signal;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Most services, series, calls and samples of all series together.
pub const MOST_SERVICES: usize = 5_000;
/// Most series.
pub const MOST_SERIES: usize = 100_000;
/// Most calls.
pub const MOST_CALLS: usize = 200_000;
/// Most samples of all series together: 16 bytes each.
pub const MOST_SAMPLES: usize = 20_000_000;

/// Larger values than this, in any unit, are no measurements.
const LARGEST: f64 = 1e60;

/// Everything that a ranking is made from. Indices are those of `services`.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Names of services.
    pub services: Vec<String>,
    /// Who calls whom: caller, callee.
    pub calls: Vec<(usize, usize)>,
    /// Series.
    pub series: Vec<Track>,
    /// Changes.
    pub changes: Vec<Changed>,
    /// What raised the alarm, if anything did.
    pub target: Option<Target>,
    /// When the trouble was noticed, in seconds: what lies before is the past.
    pub split: f64,
    /// Where services are in `services`.
    places: BTreeMap<String, usize>,
    /// Samples so far.
    samples: usize,
}

/// Seconds and a value.
pub type Sample = (f64, f64);

/// A series of one service.
#[derive(Clone, Debug)]
pub struct Track {
    /// Whose it is.
    pub service: usize,
    /// Its name.
    pub name: String,
    /// What it measures.
    pub meaning: Meaning,
    /// Its id where the incident gives one.
    pub id: Option<String>,
    /// Seconds and values, in order of time, one value at a time, none of them without a number.
    samples: Vec<Sample>,
}

/// Something that was changed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The service.
    pub service: usize,
    /// When, in seconds.
    pub time: f64,
    /// Its id.
    pub id: String,
}

/// What raised the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The service.
    pub service: usize,
    /// Which of its signals, where that is known.
    pub signal: Option<Signal>,
}

impl Track {
    /// The samples, in order of time.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The values before a time and from it on.
    pub fn split(&self, time: f64) -> (&[Sample], &[Sample]) {
        self.samples.split_at(self.samples.partition_point(|sample| sample.0 < time))
    }
}

impl Window {
    /// An empty one that is split at a time, in seconds.
    pub fn new(split: f64) -> Self {
        Self { split, ..Self::default() }
    }

    /// Whether anything was measured often enough to be told from usual: where nothing was, an empty
    /// ranking says nothing.
    pub fn is_measured(&self) -> bool {
        self.series.iter().any(|track| {
            let (before, since) = track.split(self.split);
            before.len() >= FEWEST && !since.is_empty()
        })
    }

    /// The index of a service, which is added where it is new.
    ///
    /// # Errors
    /// [`Error::Incident`] where there are too many.
    pub fn service(&mut self, name: &str) -> Result<usize> {
        if let Some(&index) = self.places.get(name) {
            return Ok(index);
        }
        over("services", self.services.len() + 1, MOST_SERVICES)?;
        self.places.insert(name.to_owned(), self.services.len());
        self.services.push(name.to_owned());
        Ok(self.services.len() - 1)
    }

    /// The index of a service that is there.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Adds a call.
    ///
    /// # Errors
    /// [`Error::Incident`] where there are too many.
    pub fn call(&mut self, caller: &str, callee: &str) -> Result<()> {
        over("calls", self.calls.len() + 1, MOST_CALLS)?;
        let call = (self.service(caller)?, self.service(callee)?);
        self.calls.push(call);
        Ok(())
    }

    /// Adds a series: seconds and values in any order. What is no number is a gap; of several values
    /// at one time the mean counts, whatever their order.
    ///
    /// # Errors
    /// [`Error::Incident`] where there are too many.
    pub fn track(
        &mut self,
        service: usize,
        name: &str,
        samples: impl IntoIterator<Item = (f64, f64)>,
    ) -> Result<&mut Track> {
        over("series", self.series.len() + 1, MOST_SERIES)?;
        let usable = |it: &(f64, f64)| it.0.abs() < LARGEST && it.1.abs() < LARGEST;
        let mut samples: Vec<(f64, f64)> = samples.into_iter().filter(usable).collect();
        self.samples += samples.len();
        over("samples", self.samples, MOST_SAMPLES)?;
        if !samples.is_sorted_by(|a, b| a.0 < b.0) {
            samples.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            samples = merged(&samples);
        }
        let meaning = Meaning::of(name);
        self.series.push(Track { service, name: name.to_owned(), meaning, id: None, samples });
        let last = self.series.len() - 1;
        Ok(&mut self.series[last])
    }

    /// The window of an incident, noticed at its start.
    ///
    /// # Errors
    /// [`Error::Incident`] where it has more than a ranking takes.
    pub fn of(incident: &Incident) -> Result<Self> {
        let seconds = |time: jiff::Timestamp| time.as_second() as f64;
        let mut window = Self::new(seconds(incident.start));
        for service in &incident.services {
            window.service(&service.name)?;
        }
        for service in &incident.services {
            for callee in &service.calls {
                window.call(&service.name, callee)?;
            }
        }
        let end = seconds(incident.end);
        for series in &incident.metrics {
            let service = window.service(&series.service)?;
            let (first, step) = (seconds(series.start), f64::from(series.step_seconds));
            let values = series.values.iter().enumerate();
            let samples = values
                .filter_map(|(index, value)| Some((first + step * index as f64, (*value)?)))
                .filter(|sample| sample.0 <= end);
            window.track(service, &series.name, samples)?.id = Some(series.id.clone());
        }
        for change in &incident.changes {
            let service = window.service(&change.service)?;
            let (time, id) = (seconds(change.time), change.id.clone());
            window.changes.push(Changed { service, time, id });
        }
        if let Some(alert) = &incident.alert {
            let service = window.service(&alert.service)?;
            let signal = Meaning::of(&alert.message).signal;
            let signal = signal.filter(|it| matches!(it, Signal::Latency | Signal::Errors));
            window.target = Some(Target { service, signal });
        }
        Ok(window)
    }

    /// The same, noticed so many seconds later.
    #[must_use]
    pub fn later(mut self, seconds: f64) -> Self {
        self.split += seconds;
        self
    }

    /// For every service those that it calls, in order, none twice and not itself.
    pub(super) fn callees(&self) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new(); self.services.len()];
        for &(caller, callee) in &self.calls {
            if caller != callee {
                all[caller].push(callee);
            }
        }
        for callees in &mut all {
            callees.sort_unstable();
            callees.dedup();
        }
        all
    }
}

impl Track {
    /// Whether higher is worse (1), lower (-1), or either.
    pub(super) fn signs(&self) -> &'static [f64] {
        match self.meaning.bad {
            Bad::Up => &[1.0],
            Bad::Down => &[-1.0],
            Bad::Either => &[1.0, -1.0],
        }
    }
}

/// Sorted samples with one value a time: the mean.
fn merged(sorted: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let same = sorted.chunk_by(|a, b| a.0 == b.0);
    let mean = |same: &[(f64, f64)]| {
        let sum: f64 = same.iter().map(|sample| sample.1).sum();
        (same[0].0, sum / same.len() as f64)
    };
    same.map(mean).collect()
}

fn over(what: &str, count: usize, most: usize) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    Err(Error::incident(what, format!("more than {most}, which is the most that are ranked")))
}
