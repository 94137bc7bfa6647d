//! Methods without a language model, which a tuned one has to beat: the majority of the training
//! incidents, their most frequent fault, logistic regression on features of the evidence, and the
//! nearest training incident.
//! None of them sees more than the model: all work on the evidence pack.

mod features;
mod logistic;
mod nearest;
#[cfg(test)]
mod tests;

pub use logistic::Logistic;
pub use nearest::Nearest;

use crate::example::{Example, Prediction};
use sre::answer::NO_SERVICE;
use sre::cause::Cause;
use std::collections::BTreeMap;

/// A method that learned from examples.
pub trait Method: Sync {
    /// What it says about an example, whose right answer it does not look at.
    fn predict(&self, example: &Example) -> Prediction;
}

/// All of them by their names, trained on the same examples.
pub fn all(train: &[Example]) -> [(&'static str, Box<dyn Method>); 4] {
    [
        ("majority", Box::new(Majority::train(train))),
        ("most frequent fault", Box::new(Majority::of_faults(train))),
        ("logistic regression", Box::new(Logistic::train(train))),
        ("nearest neighbour", Box::new(Nearest::train(train))),
    ]
}

/// Always says what was most often right, for causes as for the places of services in the table.
#[derive(Clone, Debug)]
pub struct Majority {
    causes: Vec<(Cause, f64)>,
    services: Vec<(String, f64)>,
}

impl Majority {
    /// Counts the answers of the training examples.
    pub fn train(examples: &[Example]) -> Self {
        Self::count(&examples.iter().collect::<Vec<_>>())
    }

    /// Counts those alone that name a fault. The majority of all is never right about a fault where
    /// "none" or "unknown" is the most frequent answer.
    pub fn of_faults(examples: &[Example]) -> Self {
        let named = examples.iter().filter(|it| Cause::faults().contains(&it.cause));
        Self::count(&named.collect::<Vec<_>>())
    }

    fn count(examples: &[&Example]) -> Self {
        let mut causes: BTreeMap<Cause, f64> = BTreeMap::new();
        let mut services: BTreeMap<String, f64> = BTreeMap::new();
        for example in examples {
            *causes.entry(example.cause).or_default() += 1.0 / examples.len() as f64;
            for label in labels(example).filter(|label| example.is_service(label)) {
                *services.entry(label).or_default() += 1.0 / examples.len() as f64;
            }
        }
        Self { causes: causes.into_iter().collect(), services: services.into_iter().collect() }
    }
}

impl Method for Majority {
    fn predict(&self, example: &Example) -> Prediction {
        let there: Vec<String> = labels(example).collect();
        let services = self.services.iter().filter(|(label, _)| there.contains(label));
        Prediction::new(self.causes.clone(), services.cloned().collect())
    }
}

/// Every label that an answer about this example can name.
fn labels(example: &Example) -> impl Iterator<Item = String> {
    example.pack.labels().into_iter().chain([NO_SERVICE.to_owned()])
}
