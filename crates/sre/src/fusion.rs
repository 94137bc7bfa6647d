//! One belief from three witnesses: the ranking (arithmetic on metrics), the signs (what operators know),
//! and a model's distributions. Each pair of a service and a cause gets a score that is linear in what the
//! three say of it, and the pairs' probabilities are the softmax of the scores (a conditional logit,
//! McFadden 1974). The few weights are fitted by likelihood on incidents that nothing else learned from,
//! so that a probability of 0.8 is right in eight of ten.

use crate::answer::NO_SERVICE;
use crate::cause::Cause;
use crate::evidence::Pack;
use crate::incident::Incident;
use crate::rank::{Window, rank};
use crate::sign;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Numbers that describe a pair.
pub const FEATURES: usize = 8;

/// What of each pair describes it.
pub type Features = [f64; FEATURES];

/// Smaller probabilities of a model count as this: it may be wrong, and must not veto.
const LEAST: f64 = 1e-3;

/// Services of the ranking that a model is asked about though it did not name them first.
const ASKED: usize = 2;

/// What the ranking says about the services of a pack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Suspects {
    /// Labels and scores ([`crate::rank::Ranked::score`]), the most suspect first.
    pub scores: Vec<(String, f64)>,
    /// Whether series were measured well enough to rank at all. If so, and nobody is suspect, all
    /// is as usual.
    pub measured: bool,
}

impl Suspects {
    /// Of an incident of which this pack is shown.
    pub fn of(incident: &Incident, pack: &Pack) -> Self {
        // An incident over the ranking's limits is one that it says nothing about.
        let Ok(window) = Window::of(incident) else { return Self::default() };
        let ranking = rank(&window);
        let mut scores: Vec<(String, f64)> = Vec::new();
        for ranked in &ranking.list {
            let Some(label) = pack.label(&window.services[ranked.service]) else { continue };
            if !scores.iter().any(|(known, _)| *known == label) {
                scores.push((label, ranked.score));
            }
        }
        Self { scores, measured: window.is_measured() }
    }

    /// The labels that a model should be asked about in any case.
    pub fn first(&self) -> impl Iterator<Item = &str> {
        self.scores.iter().take(ASKED).map(|(label, _)| label.as_str())
    }

    fn score(&self, label: &str) -> f64 {
        self.scores.iter().find(|(known, _)| known == label).map_or(0.0, |(_, score)| *score)
    }
}

/// What a model finds probable, as it was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heard {
    /// Every label of the pack and [`NO_SERVICE`], the likeliest first.
    pub services: Vec<(String, f64)>,
    /// Of the labels that were asked about, the probability of each cause on offer, in their order.
    pub causes: Vec<(String, Vec<f64>)>,
}

impl Heard {
    fn service(&self, label: &str) -> Option<f64> {
        self.services.iter().find(|(known, _)| known == label).map(|(_, share)| *share)
    }

    /// The probability of the cause at this place of the offer, where this service is at fault; of a
    /// service that was not asked about, the mean of those that were.
    fn cause(&self, label: &str, place: usize) -> Option<f64> {
        let asked = self.causes.iter().find(|(known, _)| known == label);
        let mean = || {
            let total: f64 = self.causes.iter().map(|(_, shares)| shares[place]).sum();
            (!self.causes.is_empty()).then(|| total / self.causes.len() as f64)
        };
        asked.map(|(_, shares)| shares[place]).or_else(mean)
    }
}

/// A service and a cause that an answer could name.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The label of the service, or [`NO_SERVICE`].
    pub label: String,
    /// The cause.
    pub cause: Cause,
    /// What the witnesses say.
    pub features: Features,
}

/// All pairs that an answer about this pack could name, and what is said of each. Without a model its
/// two features are 0 throughout.
pub fn pairs(
    pack: &Pack,
    causes: &[Cause],
    suspects: &Suspects,
    heard: Option<&Heard>,
) -> Vec<Pair> {
    let log = |share: Option<f64>| share.map_or(0.0, |share| libm::log(share.max(LEAST)));
    let quiet = suspects.measured && suspects.scores.is_empty();
    let first = suspects.scores.first().map(|(label, _)| label.as_str());
    let mut labels = pack.labels();
    labels.push(NO_SERVICE.to_owned());
    let mut pairs = Vec::with_capacity(labels.len() * causes.len());
    for label in labels {
        let nobody = label == NO_SERVICE;
        for (place, &cause) in causes.iter().enumerate() {
            if (cause == Cause::None) != nobody && cause != Cause::Unknown {
                continue;
            }
            let is = |it: bool| f64::from(u8::from(it));
            let features = [
                log(heard.and_then(|it| it.service(&label))),
                log(heard.and_then(|it| it.cause(&label, place))),
                suspects.score(&label),
                is(first == Some(label.as_str())),
                sign::support(cause, &label, pack),
                is(cause == Cause::Unknown),
                is(cause == Cause::None),
                is(cause == Cause::None && quiet),
            ];
            pairs.push(Pair { label: label.clone(), cause, features });
        }
    }
    pairs
}

/// How much each witness says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Of the logarithm of the model's probability of the service.
    pub model_service: f64,
    /// Of the logarithm of its probability of the cause, given the service.
    pub model_cause: f64,
    /// Of the service's score in the ranking.
    pub ranking: f64,
    /// Of its being the first there.
    pub first: f64,
    /// Of the signs of the cause at the service.
    pub signs: f64,
    /// Of every pair with the cause "unknown".
    pub unknown: f64,
    /// Of the pair with "none".
    pub none: f64,
    /// Of that pair where the ranking finds nobody.
    pub quiet: f64,
}

impl Weights {
    /// Those for a model that was tuned as `configs/sre-tiny/incidents.toml` says, fitted on incidents
    /// of the laboratory that were not trained on (`srek eval --calibrate`, LOG.md of 2026-11-29).
    pub const TUNED: Self = Self::from_array([0.56, 0.57, 3.0, 0.0, 4.7, 3.8, 2.3, 3.1]);

    /// Those without a model, fitted likewise.
    pub const ALONE: Self = Self::from_array([0.0, 0.0, 4.6, -0.54, 5.3, 4.5, 3.9, 4.6]);

    /// In the order of the features.
    pub const fn from_array(array: Features) -> Self {
        let [model_service, model_cause, ranking, first, signs, unknown, none, quiet] = array;
        Self { model_service, model_cause, ranking, first, signs, unknown, none, quiet }
    }

    /// In the order of the features.
    pub fn array(&self) -> Features {
        let Self { model_service, model_cause, ranking, first, signs, unknown, none, quiet } =
            *self;
        [model_service, model_cause, ranking, first, signs, unknown, none, quiet]
    }

    /// Checks numbers that were read.
    ///
    /// # Errors
    /// [`Error::Form`] for one that is not finite or beyond 100.
    pub fn checked(self) -> Result<Self> {
        match self.array().iter().find(|weight| weight.is_nan() || weight.abs() > 100.0) {
            Some(weight) => Err(Error::Form(format!("a weight is {weight}, expected -100 to 100"))),
            None => Ok(self),
        }
    }
}

/// A fault that is less probable is not named, so that with [`Weights::TUNED`] four of five named faults
/// of the laboratory are right.
pub const THRESHOLD: f64 = 0.3;

/// The probability of each pair.
pub fn shares(pairs: &[Pair], weights: &Weights) -> Vec<f64> {
    let weights = weights.array();
    let score = |pair: &Pair| -> f64 {
        pair.features.iter().zip(&weights).map(|(feature, weight)| feature * weight).sum()
    };
    let scores: Vec<f64> = pairs.iter().map(score).collect();
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| libm::exp(score - most)).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}
