//! Who brought it about. The seconds that all requests of a service took longer than usual are those
//! that it lost itself and those that it waited for its callees; failed requests likewise. So what a
//! service lost beyond what its callees lost is its own: a score of the topology-excess kind, in a
//! unit in which callers and callees can be subtracted, whatever their load.

use super::strength::{Reading, USUAL, read_as};
use super::window::{Target, Window};
use crate::signal::Signal;
use std::collections::BTreeMap;

/// The two signals in which callers suffer from what they call.
pub(super) const SYMPTOMS: [Signal; 2] = [Signal::Latency, Signal::Errors];

/// One symptom of all services.
#[derive(Clone, Debug, Default)]
pub(super) struct Symptom {
    /// Steps away from the past, by service; 0 where nothing is measured.
    pub(super) strength: Vec<f64>,
    /// What was lost, by service: seconds or failures in any unit that is the same for all.
    pub(super) lost: Vec<f64>,
    /// What of it the callees do not explain.
    pub(super) own: Vec<f64>,
    /// The series that it is read from.
    pub(super) series: Vec<Option<usize>>,
}

/// The series that stand for a signal, by service: of several statistics of one thing, the one that
/// is nearest to a mean, because only means add up.
pub(super) fn chosen(
    window: &Window,
    readings: &[Option<Reading>],
    signal: Signal,
) -> BTreeMap<usize, usize> {
    let mut chosen: BTreeMap<usize, usize> = BTreeMap::new();
    for (index, track) in window.series.iter().enumerate() {
        if track.meaning.signal != Some(signal) || readings[index].is_none() {
            continue;
        }
        let key = |index: usize| {
            let track = &window.series[index];
            let strength = readings[index].map_or(0.0, |it| it.strength);
            (track.meaning.percentile, -strength, &track.name)
        };
        let place = chosen.entry(track.service).or_insert(index);
        let (new, old) = (key(index), key(*place));
        if new.0.cmp(&old.0).then(new.1.total_cmp(&old.1)).then(new.2.cmp(old.2)).is_lt() {
            *place = index;
        }
    }
    chosen
}

impl Symptom {
    /// Reads one symptom; `otherwise` is how far everything but it and requests left its past, by
    /// service.
    pub(super) fn of(
        window: &Window,
        readings: &[Option<Reading>],
        callees: &[Vec<usize>],
        (signal, otherwise): (Signal, &[f64]),
    ) -> Self {
        let count = window.services.len();
        let mut symptom = Self {
            strength: vec![0.0; count],
            lost: vec![0.0; count],
            own: vec![0.0; count],
            series: vec![None; count],
        };
        let requests = requests(window, readings);
        for (service, index) in chosen(window, readings, signal) {
            let Some(reading) = readings[index] else { continue };
            let weight = if counts(window, index) { 1.0 } else { requests[service] };
            symptom.series[service] = Some(index);
            symptom.strength[service] = reading.strength;
            symptom.lost[service] = reading.worse * weight;
        }
        symptom.guess(callees, otherwise);
        for (service, called) in callees.iter().enumerate() {
            let lost = symptom.lost[service];
            let own = symptom.unexplained(called, service);
            // What is lost in passing on is less sure to be one's own than what is lost alone.
            symptom.own[service] = if lost > 0.0 { own * own / lost } else { 0.0 };
        }
        symptom
    }

    /// Whether it is measured.
    pub(super) fn knows(&self, service: usize) -> bool {
        self.series[service].is_some()
    }

    /// What a service lost beyond what its callees did that are worse than usual.
    fn unexplained(&self, callees: &[usize], service: usize) -> f64 {
        let bad = callees.iter().filter(|callee| self.strength[**callee] > USUAL / 2.0);
        let explained: f64 = bad.map(|callee| self.lost[*callee]).sum();
        (self.lost[service] - explained).max(0.0)
    }

    /// Where a symptom is not measured of a service that does badly otherwise, it lost what its
    /// callers lost and nobody else explains.
    fn guess(&mut self, callees: &[Vec<usize>], otherwise: &[f64]) {
        let mut guessed = vec![(0.0, 0.0); callees.len()];
        for (caller, called) in callees.iter().enumerate() {
            if !self.knows(caller) || self.strength[caller] <= USUAL {
                continue;
            }
            let lost = self.unexplained(called, caller);
            for &callee in called {
                if !self.knows(callee)
                    && otherwise[callee] > 2.0 * USUAL
                    && lost > guessed[callee].0
                {
                    guessed[callee] = (lost, self.strength[caller].min(otherwise[callee]));
                }
            }
        }
        for (service, (lost, strength)) in guessed.into_iter().enumerate() {
            if lost > 0.0 {
                self.lost[service] = lost;
                self.strength[service] = strength;
            }
        }
    }
}

/// A service has a rise of requests where they are this many times as many, beyond any doubt.
const RISE: f64 = 1.4;

/// For every service from which of those that it serves, directly or not, its rise of requests comes:
/// the service itself where no caller of it has one; none without a rise.
pub(super) fn load_origins(
    window: &Window,
    callees: &[Vec<usize>],
    split: f64,
) -> Vec<Option<usize>> {
    let count = callees.len();
    let mut rises = vec![false; count];
    for track in &window.series {
        if track.meaning.signal != Some(Signal::Requests) {
            continue;
        }
        let Some(reading) = read_as(track, split, &[1.0]) else { continue };
        let much = reading.before > 0.0 && reading.mean > RISE * reading.before;
        rises[track.service] |= much && reading.strength > 2.0 * USUAL;
    }
    let mut has_rising_caller = vec![false; count];
    for (caller, called) in callees.iter().enumerate() {
        for &callee in called {
            has_rising_caller[callee] |= rises[caller];
        }
    }
    let mut origins = vec![None; count];
    for origin in (0..count).filter(|it| rises[*it] && !has_rising_caller[*it]) {
        let mut waiting = vec![origin];
        while let Some(at) = waiting.pop() {
            if origins[at].is_none() && rises[at] {
                origins[at] = Some(origin);
                waiting.extend(&callees[at]);
            }
        }
    }
    origins
}

/// Requests of every service since the split, in the unit of their series; where none is measured,
/// as many as of the one in the middle.
fn requests(window: &Window, readings: &[Option<Reading>]) -> Vec<f64> {
    let known = chosen(window, readings, Signal::Requests);
    let mean = |index: usize| readings[index].map_or(0.0, |it| it.mean.max(0.0));
    let mut sorted: Vec<f64> = known.values().map(|index| mean(*index)).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or(1.0);
    let of = |service| known.get(&service).map_or(middle, |index| mean(*index));
    (0..window.services.len()).map(of).collect()
}

/// Whether a series counts failures, instead of giving their share of all requests.
fn counts(window: &Window, index: usize) -> bool {
    let track = &window.series[index];
    if track.meaning.signal != Some(Signal::Errors) {
        return false;
    }
    let large = || track.samples().iter().any(|sample| sample.1 > 1.0);
    track.meaning.share.map_or_else(large, |share| !share)
}

/// How a service is reached from the one that raised the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Not by calls.
    No,
    /// By calls, through a service that does as well as ever.
    Calls,
    /// Through services that all do badly: the anomalous path of the traversal of the PetShop paper
    /// (Hardt et al., 2024).
    Suffering,
}

/// How every service is reached. Where nothing raised an alarm, all do.
pub(super) fn reach(
    callees: &[Vec<usize>],
    target: Option<Target>,
    suffers: &dyn Fn(usize) -> bool,
) -> Vec<Reach> {
    let Some(target) = target else { return vec![Reach::Suffering; callees.len()] };
    let mut reached = vec![Reach::No; callees.len()];
    for (step, through) in [(Reach::Suffering, true), (Reach::Calls, false)] {
        let mut waiting = vec![target.service];
        let mut seen = vec![false; callees.len()];
        while let Some(at) = waiting.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            reached[at] = reached[at].max(step);
            let open = callees[at].iter().filter(|callee| !through || suffers(**callee));
            waiting.extend(open.filter(|callee| !seen[**callee]));
        }
    }
    reached
}
