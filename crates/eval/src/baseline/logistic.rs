//! Multinomial logistic regression on features of the evidence, and a binary one per service;
//! gradient descent on all examples at once, with an L2 penalty.

use super::features::{Features, of_incident, of_service};
use super::{Method, labels};
use crate::example::{Example, Prediction};
use sre::cause::Cause;
use std::collections::BTreeMap;

/// Steps of gradient descent, their length, and the penalty on squared weights.
const STEPS: usize = 300;
const RATE: f64 = 1.0;
const PENALTY: f64 = 1e-4;

/// The two regressions.
#[derive(Clone, Debug)]
pub struct Logistic {
    names: BTreeMap<String, usize>,
    causes: Vec<Cause>,
    cause_weights: Vec<Vec<f64>>,
    service_weights: Vec<Vec<f64>>,
}

/// Features as (index, value).
type Sparse = Vec<(usize, f64)>;

impl Logistic {
    /// Learns from examples.
    pub fn train(examples: &[Example]) -> Self {
        let mut names = BTreeMap::new();
        let mut add = |features: Features| -> Sparse {
            let mut index = |name: String| {
                let next = names.len();
                *names.entry(name).or_insert(next)
            };
            features.into_iter().map(|(name, value)| (index(name), value)).collect()
        };
        let (mut causes, mut whole, mut single): (Vec<Cause>, Vec<_>, Vec<_>) = Default::default();
        for example in examples {
            let class = causes.iter().position(|it| *it == example.cause).unwrap_or_else(|| {
                causes.push(example.cause);
                causes.len() - 1
            });
            whole.push((add(of_incident(example)), class));
            for label in labels(example) {
                let right = usize::from(example.is_service(&label));
                single.push((add(of_service(example, &label)), right));
            }
        }
        let count = names.len();
        let cause_weights = descend(&whole, causes.len(), count);
        let service_weights = descend(&single, 2, count);
        Self { names, causes, cause_weights, service_weights }
    }

    /// Features that training did not have say nothing.
    fn sparse(&self, features: Features) -> Sparse {
        let known = features.into_iter();
        known.filter_map(|(name, value)| Some((*self.names.get(&name)?, value))).collect()
    }
}

impl Method for Logistic {
    fn predict(&self, example: &Example) -> Prediction {
        let scores = softmax(&self.cause_weights, &self.sparse(of_incident(example)));
        let causes = self.causes.iter().copied().zip(scores).collect();
        let mut services: Vec<(String, f64)> = labels(example)
            .map(|label| {
                let features = self.sparse(of_service(example, &label));
                let right = softmax(&self.service_weights, &features).get(1).copied();
                (label, right.unwrap_or(0.0))
            })
            .collect();
        let total: f64 = services.iter().map(|(_, share)| share).sum();
        services.iter_mut().for_each(|(_, share)| *share /= total.max(1e-300));
        Prediction::new(causes, services)
    }
}

/// Weights by class and feature.
fn descend(examples: &[(Sparse, usize)], classes: usize, features: usize) -> Vec<Vec<f64>> {
    let mut weights = vec![vec![0.0; features]; classes];
    let share = 1.0 / examples.len().max(1) as f64;
    for _ in 0..STEPS {
        let mut gradient = vec![vec![0.0; features]; classes];
        for (sparse, right) in examples {
            for (class, probability) in softmax(&weights, sparse).into_iter().enumerate() {
                let error = probability - f64::from(u8::from(class == *right));
                for (index, value) in sparse {
                    gradient[class][*index] += share * error * value;
                }
            }
        }
        for (row, slope) in weights.iter_mut().zip(&gradient) {
            for (weight, slope) in row.iter_mut().zip(slope) {
                *weight -= RATE * (slope + PENALTY * *weight);
            }
        }
    }
    weights
}

fn softmax(weights: &[Vec<f64>], sparse: &Sparse) -> Vec<f64> {
    let score = |row: &Vec<f64>| sparse.iter().map(|(index, value)| row[*index] * value).sum();
    text::llm::normalized(&weights.iter().map(score).collect::<Vec<f64>>())
}
