//! An incident with the right answer, and what a method said about it.

use serde::{Deserialize, Serialize};
use sre::cause::Cause;
use sre::evidence::Pack;
use sre::fusion::Suspects;
use std::collections::BTreeSet;

#[cfg(test)]
pub(crate) mod tests;

/// What kind of case an example is; scores are given for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Case {
    /// One fault of a kind that training has.
    Known,
    /// Two faults at once, both of kinds that training has.
    Two,
    /// A fault of a kind that training never saw: the right answer is "unknown".
    HeldOut,
    /// Nothing is wrong.
    Healthy,
    /// A known fault whose decisive evidence is missing: the right answer is "unknown".
    Thin,
}

impl Case {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Known, Self::Two, Self::HeldOut, Self::Healthy, Self::Thin];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Known => "known fault",
            Self::Two => "two faults",
            Self::HeldOut => "held-out fault",
            Self::Healthy => "healthy",
            Self::Thin => "too little evidence",
        }
    }
}

/// An incident as a model sees it, and the truth about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Names the incident.
    pub id: String,
    /// What kind of case it is.
    pub case: Case,
    /// What is shown.
    pub pack: Pack,
    /// What the ranking says of it.
    pub suspects: Suspects,
    /// The right cause: one of the options.
    pub cause: Cause,
    /// The second right cause of a case with two faults.
    pub second_cause: Option<Cause>,
    /// The labels of the services at fault; empty where none is.
    pub services: BTreeSet<String>,
    /// Ids of what supports the right answer.
    pub support: BTreeSet<String>,
    /// The text of the right answer.
    pub answer: String,
}

impl Example {
    /// Whether this cause is right.
    pub fn is_cause(&self, cause: Cause) -> bool {
        cause == self.cause || Some(cause) == self.second_cause
    }

    /// Whether this label names a service at fault, or [`sre::answer::NO_SERVICE`] where none is.
    pub fn is_service(&self, label: &str) -> bool {
        if self.services.is_empty() {
            label == sre::answer::NO_SERVICE
        } else {
            self.services.contains(label)
        }
    }
}

/// What a method said about an example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Causes and their probabilities, the likeliest first.
    pub causes: Vec<(Cause, f64)>,
    /// Labels of services and their probabilities, the likeliest first.
    pub services: Vec<(String, f64)>,
    /// Ids that it cites; `None` for methods that cite nothing.
    #[serde(default)]
    pub cited: Option<Vec<String>>,
}

impl Prediction {
    /// A prediction out of distributions in any order. Equal probabilities keep their order.
    pub fn new(mut causes: Vec<(Cause, f64)>, mut services: Vec<(String, f64)>) -> Self {
        causes.sort_by(|a, b| b.1.total_cmp(&a.1));
        services.sort_by(|a, b| b.1.total_cmp(&a.1));
        Self { causes, services, cited: None }
    }

    /// The likeliest cause and its probability.
    pub fn cause(&self) -> Option<(Cause, f64)> {
        self.causes.first().copied()
    }

    /// Whether a right cause is among the first `k`.
    pub fn cause_in_top(&self, example: &Example, k: usize) -> bool {
        self.causes.iter().take(k).any(|(cause, _)| example.is_cause(*cause))
    }

    /// Whether a service at fault is among the first `k`.
    pub fn service_in_top(&self, example: &Example, k: usize) -> bool {
        self.services.iter().take(k).any(|(label, _)| example.is_service(label))
    }
}
