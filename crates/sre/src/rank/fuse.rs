//! One list from everything that speaks for a service.

use super::blame::{Reach, SYMPTOMS, Symptom, chosen, load_origins, reach};
use super::onset::past_end;
use super::strength::{Reading, USUAL, read};
use super::window::Window;
use crate::signal::Signal;

/// A service that is at fault left its past by more than this many steps.
const FOUND: f64 = 2.5;
/// Without an alarm, or with one that no series confirms, by more than this many: among so many
/// services one always is a little beside itself.
const FOUND_ALONE: f64 = 8.0;
/// What raised the alarm left its past by more than this many steps.
const ALARMING: f64 = 0.75;

/// How much blame, resources and changes say.
const BLAME: f64 = 1.0;
const RESOURCE: f64 = 0.45;
const CHANGE: f64 = 0.15;
/// How much the symptom says that raised no alarm.
const OTHER_SYMPTOM: f64 = 0.3;
/// How much remains of a service that the alarm reaches by calls only, or not at all.
const BY_CALLS: f64 = 0.5;
const UNREACHED: f64 = 0.15;
/// How much remains of the blame of a service that is only given more to do.
const OVERRUN: f64 = 0.4;
/// A change this many seconds before the trouble says half as much as one right before it, and one
/// after its beginning by more than the tolerance nothing.
const HALF_AS_SURE: f64 = 900.0;
const CHANGE_TOLERANCE: f64 = 120.0;

/// What speaks for a service, each from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    /// What it lost itself, as a share of the most that any lost, if beyond its usual ups and downs.
    pub blame: f64,
    /// How far its own resources left their past.
    pub resource: f64,
    /// How shortly before the trouble it was changed.
    pub change: f64,
    /// Whether the alarm reaches it.
    pub reach: f64,
}

/// A place of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The service, as an index of the window's.
    pub service: usize,
    /// What moved: the series, as an index of the window's.
    pub series: usize,
    /// Steps that it moved.
    pub strength: f64,
    /// How much speaks for it.
    pub score: f64,
    /// What that is made of.
    pub parts: Parts,
    /// Ids of the series and of changes, where the window has them.
    pub evidence: Vec<String>,
}

/// The result of a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Services and signals, the most likely first; empty where nothing is wrong.
    pub list: Vec<Ranked>,
    /// When the trouble began, in seconds, as far as that is to be seen.
    pub began: f64,
}

impl Ranking {
    /// The services in order, each once.
    pub fn services(&self) -> Vec<usize> {
        let mut services = Vec::new();
        for ranked in &self.list {
            if !services.contains(&ranked.service) {
                services.push(ranked.service);
            }
        }
        services
    }
}

/// Ranks services and their signals.
pub fn rank(window: &Window) -> Ranking {
    let seen = Seen::new(window);
    let parts = seen.parts();
    let list = if seen.healthy(&parts) { Vec::new() } else { seen.list(&parts) };
    Ranking { list, began: seen.began }
}

/// From 0 for what is usual to 1 for what never was.
fn unusual(strength: f64) -> f64 {
    let squared = strength.max(0.0).powi(2);
    squared / (squared + (1.5 * USUAL).powi(2))
}

/// What a ranking looks at.
struct Seen<'a> {
    window: &'a Window,
    readings: Vec<Option<Reading>>,
    callees: Vec<Vec<usize>>,
    /// How far the strongest series of a service left its past that is neither a symptom nor
    /// requests.
    resources: Vec<f64>,
    symptoms: [Symptom; 2],
    began: f64,
}

impl<'a> Seen<'a> {
    fn new(window: &'a Window) -> Self {
        let began = past_end(window);
        let readings: Vec<Option<Reading>> =
            window.series.iter().map(|track| read(track, began)).collect();
        let callees = window.callees();
        let mut strongest = [(); 3].map(|()| vec![0.0_f64; window.services.len()]);
        for (track, reading) in window.series.iter().zip(&readings) {
            let (Some(reading), signal) = (reading, track.meaning.signal) else { continue };
            let kind = SYMPTOMS.iter().position(|kind| signal == Some(*kind)).unwrap_or(2);
            if signal != Some(Signal::Requests) {
                let place = &mut strongest[kind][track.service];
                *place = place.max(reading.strength);
            }
        }
        let [latency, errors, resources] = strongest;
        let both = |other: &[f64]| -> Vec<f64> {
            other.iter().zip(&resources).map(|(a, b)| a.max(*b)).collect()
        };
        let symptoms = [(SYMPTOMS[0], both(&errors)), (SYMPTOMS[1], both(&latency))]
            .map(|(signal, other)| Symptom::of(window, &readings, &callees, (signal, &other)));
        Self { window, readings, callees, resources, symptoms, began }
    }

    fn parts(&self) -> Vec<Parts> {
        let blames = self.blames();
        let mut parts: Vec<Parts> = blames
            .into_iter()
            .zip(&self.resources)
            .map(|(blame, it)| Parts { blame, resource: unusual(*it), ..Parts::default() })
            .collect();
        for change in &self.window.changes {
            let place = &mut parts[change.service].change;
            *place = place.max(self.recent(change.time));
        }
        // Where a symptom is not measured, the way is not closed.
        let suffers = |service: usize| {
            let bad =
                |symptom: &Symptom| symptom.strength[service] > USUAL || !symptom.knows(service);
            self.symptoms.iter().any(bad)
        };
        let reached = reach(&self.callees, self.window.target, &suffers);
        for (parts, reached) in parts.iter_mut().zip(reached) {
            parts.reach = match reached {
                Reach::Suffering => 1.0,
                Reach::Calls => BY_CALLS,
                Reach::No => UNREACHED,
            };
        }
        parts
    }

    /// What every service lost itself, as a share of the most that any did. Where a rise of requests
    /// comes from a service that does badly, it gets the blame of those that it overruns.
    fn blames(&self) -> Vec<f64> {
        let count = self.window.services.len();
        let mut blames = vec![0.0_f64; count];
        for (symptom, weight) in self.symptoms.iter().zip(self.weights()) {
            let own = |it: usize| symptom.own[it] * unusual(symptom.strength[it]);
            let most = (0..count).map(own).fold(0.0, f64::max);
            for (service, blame) in blames.iter_mut().enumerate() {
                if most > 0.0 {
                    *blame = blame.max(weight * own(service) / most);
                }
            }
        }
        let origins = load_origins(self.window, &self.callees, self.began);
        let mut given = blames.clone();
        for (service, origin) in origins.iter().enumerate() {
            let Some(origin) = origin.filter(|origin| *origin != service) else { continue };
            if self.strongest(origin).max(self.resources[origin]) > 2.0 * USUAL {
                given[origin] = given[origin].max(blames[service]);
                given[service] = given[service].min(OVERRUN * blames[service]);
            }
        }
        given
    }

    /// How far the symptom of a service left its past that did most.
    fn strongest(&self, service: usize) -> f64 {
        self.symptoms.iter().map(|it| it.strength[service]).fold(0.0, f64::max)
    }

    /// How much each symptom says: the one that raised the alarm most.
    fn weights(&self) -> [f64; 2] {
        let target = self.window.target;
        let weight = |kind: usize| {
            let symptom = &self.symptoms[kind];
            let most = || symptom.strength.iter().copied().fold(0.0, f64::max);
            let strength = target.map_or_else(most, |it| symptom.strength[it.service]);
            match target.and_then(|it| it.signal) {
                Some(signal) if signal == SYMPTOMS[kind] => 1.0,
                Some(_) => OTHER_SYMPTOM * unusual(strength),
                None => unusual(strength),
            }
        };
        [weight(0), weight(1)]
    }

    /// How much a change at this time says, from 0 to 1.
    fn recent(&self, time: f64) -> f64 {
        let before = self.began - time;
        if before < -CHANGE_TOLERANCE {
            return 0.0;
        }
        let halves = before.max(0.0) / HALF_AS_SURE;
        0.5_f64.powf(halves)
    }

    /// Whether nothing is wrong: what raised the alarm does as well as ever, or nobody is to blame.
    fn healthy(&self, parts: &[Parts]) -> bool {
        let by_score = |a: &usize, b: &usize| score(&parts[*a]).total_cmp(&score(&parts[*b]));
        let Some(first) = (0..parts.len()).max_by(by_score) else { return true };
        let mut needed = FOUND_ALONE;
        if let Some(target) = self.window.target {
            let asked = |kind: &usize| target.signal.is_none_or(|signal| signal == SYMPTOMS[*kind]);
            let known = (0..2).filter(asked).map(|kind| &self.symptoms[kind]);
            let known = known.filter(|symptom| symptom.knows(target.service));
            let strength = |symptom: &&Symptom| symptom.strength[target.service];
            match known.max_by(|a, b| strength(a).total_cmp(&strength(b))) {
                Some(symptom) if strength(&symptom) <= ALARMING => return true,
                Some(_) => needed = FOUND,
                None => {}
            }
        }
        self.strongest(first) < needed
    }

    fn list(&self, parts: &[Parts]) -> Vec<Ranked> {
        let mut list: Vec<Ranked> = Vec::new();
        let tops = self.tops();
        for (service, parts) in parts.iter().enumerate() {
            let whole = score(parts);
            if whole <= 0.0 {
                continue;
            }
            let strongest = tops[service].iter().map(|it| it.0).fold(0.0, f64::max);
            for &(strength, series) in &tops[service] {
                list.push(Ranked {
                    service,
                    series,
                    strength,
                    score: whole * unusual(strength) / unusual(strongest).max(1e-9),
                    parts: *parts,
                    evidence: self.evidence(service, series),
                });
            }
        }
        // Names break ties, so that the order in which services and series came does not matter.
        let name =
            |it: &Ranked| (&self.window.services[it.service], &self.window.series[it.series].name);
        list.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| name(a).cmp(&name(b))));
        list
    }

    /// Of every service the series that moved, one for each thing that is measured, the strongest
    /// first.
    fn tops(&self) -> Vec<Vec<(f64, usize)>> {
        let mut tops = vec![Vec::new(); self.window.services.len()];
        let latency = chosen(self.window, &self.readings, Signal::Latency);
        for (index, track) in self.window.series.iter().enumerate() {
            let Some(reading) = self.readings[index] else { continue };
            let other = track.meaning.signal == Some(Signal::Latency)
                && latency.get(&track.service) != Some(&index);
            if reading.strength > 0.0 && !other {
                tops[track.service].push((reading.strength, index));
            }
        }
        for top in &mut tops {
            let name = |index: usize| &self.window.series[index].name;
            top.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| name(a.1).cmp(name(b.1))));
        }
        tops
    }

    fn evidence(&self, service: usize, series: usize) -> Vec<String> {
        let changes = self.window.changes.iter();
        let changes = changes.filter(|it| it.service == service && self.recent(it.time) > 0.25);
        let ids = self.window.series[series].id.iter().cloned();
        ids.chain(changes.map(|it| it.id.clone())).collect()
    }
}

/// Everything that speaks for a service, in one number.
fn score(parts: &Parts) -> f64 {
    parts.reach * (BLAME * parts.blame + RESOURCE * parts.resource + CHANGE * parts.change)
}
