//! Fits how much ranking, signs and model say, and how sure an answer has to be, on incidents that
//! nothing else learned from.

use crate::example::{Example, Prediction};
use serde::{Deserialize, Serialize};
use sre::analyst::Opinion;
use sre::cause::Cause;
use sre::fusion::{FEATURES, Features, Pair, Weights, shares};

#[cfg(test)]
mod tests;

/// Steps of Newton's method; it has converged after a handful.
const STEPS: usize = 40;

/// How strongly weights are held to where they began: about as much as this many incidents.
const HELD: f64 = 1.0;

/// How far sharpening goes: from a half to twice as much, in steps of a fiftieth.
const SHARPEST: u32 = 75;

/// What was fitted, as a file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// How much each witness says.
    pub weights: Weights,
    /// The same without a model.
    pub alone: Weights,
    /// A fault that is less probable is not named.
    pub threshold: f64,
    /// Of the faults that were named with it, the share that was to be right.
    pub precision: f64,
    /// Incidents that this was fitted on.
    pub incidents: usize,
}

/// Weights by maximum likelihood of the right pairs, from `start` on, of which they do not go far
/// without reason (a Gaussian prior): a feature that never varies keeps its weight, and one that is 0
/// throughout, too.
pub fn weights(examples: &[Example], pairs: &[Vec<Pair>], start: &Weights) -> Weights {
    let right: Vec<Vec<bool>> =
        examples.iter().zip(pairs).map(|(example, pairs)| right(example, pairs)).collect();
    let start = start.array();
    let mut at = start;
    let mut value = objective(pairs, &right, &at, &start);
    for _ in 0..STEPS {
        let (gradient, curvature) = derivatives(pairs, &right, &at, &start);
        let Some(step) = solve(curvature, gradient) else { break };
        // Right pairs of several make it not quite concave: a step is halved until it gains.
        let mut size = 1.0;
        let better = loop {
            let tried = std::array::from_fn(|index| at[index] + size * step[index]);
            let found = objective(pairs, &right, &tried, &start);
            if found > value {
                break Some((tried, found));
            }
            size *= 0.5;
            if size < 1e-6 {
                break None;
            }
        };
        let Some((next, found)) = better else { break };
        let gained = found - value;
        (at, value) = (next, found);
        if gained < 1e-9 {
            break;
        }
    }
    Weights::from_array(at)
}

/// Weights that say as much more, or less, as makes the likeliest cause right as often as it is probable:
/// where several causes are right they share what the likelihood gives them, and each alone is right
/// more often than it says. All weights times one number, which has the least loss of likelihood of the
/// first answers being right (Platt 1999).
pub fn sharpened(
    examples: &[Example],
    pairs: &[Vec<Pair>],
    weights: &Weights,
    offered: &[Cause],
) -> Weights {
    let times = |factor: f64| Weights::from_array(weights.array().map(|weight| factor * weight));
    let loss = |factor: f64| -> f64 {
        let weights = times(factor);
        let told = examples.iter().zip(pairs).map(|(example, pairs)| {
            let opinion = Opinion::fused(pairs, &weights, offered);
            let share = opinion.confidence().clamp(1e-6, 1.0 - 1e-6);
            let right = example.is_cause(opinion.cause());
            -libm::log(if right { share } else { 1.0 - share })
        });
        told.sum()
    };
    let factors = (0..=SHARPEST).map(|step| 0.5 + f64::from(step) * 0.02);
    let best = factors.map(|factor| (loss(factor), factor)).min_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|_| !examples.is_empty()).map_or(*weights, |(_, factor)| times(factor))
}

/// Which pairs are right; where the service at fault is not shown, those with the right cause.
fn right(example: &Example, pairs: &[Pair]) -> Vec<bool> {
    let both = |pair: &Pair| example.is_cause(pair.cause) && example.is_service(&pair.label);
    let found: Vec<bool> = pairs.iter().map(both).collect();
    if found.contains(&true) {
        return found;
    }
    pairs.iter().map(|pair| example.is_cause(pair.cause)).collect()
}

/// The logarithm of the likelihood of what is right, less what going away from the start costs.
fn objective(pairs: &[Vec<Pair>], right: &[Vec<bool>], at: &Features, start: &Features) -> f64 {
    let weights = Weights::from_array(*at);
    let mut total = 0.0;
    for (pairs, right) in pairs.iter().zip(right) {
        let shares = shares(pairs, &weights);
        let likely: f64 = shares.iter().zip(right).filter(|it| *it.1).map(|it| it.0).sum();
        total += libm::log(likely.max(1e-300));
    }
    let away: f64 = at.iter().zip(start).map(|(at, start)| (at - start).powi(2)).sum();
    total - 0.5 * HELD * away
}

/// The gradient, and the negative of the second derivative without the part that could make it
/// indefinite: the covariance of the features under the shares.
fn derivatives(
    pairs: &[Vec<Pair>],
    right: &[Vec<bool>],
    at: &Features,
    start: &Features,
) -> (Features, [Features; FEATURES]) {
    let weights = Weights::from_array(*at);
    let mut gradient: Features = std::array::from_fn(|index| HELD * (start[index] - at[index]));
    let mut curvature = [[0.0; FEATURES]; FEATURES];
    for (row, line) in curvature.iter_mut().enumerate() {
        line[row] = HELD;
    }
    for (pairs, right) in pairs.iter().zip(right) {
        let shares = shares(pairs, &weights);
        let likely: f64 = shares.iter().zip(right).filter(|it| *it.1).map(|it| it.0).sum();
        let (mut mean, mut mean_right) = ([0.0; FEATURES], [0.0; FEATURES]);
        for ((pair, share), right) in pairs.iter().zip(&shares).zip(right) {
            for (index, feature) in pair.features.iter().enumerate() {
                mean[index] += share * feature;
                if *right && likely > 0.0 {
                    mean_right[index] += share / likely * feature;
                }
            }
        }
        for index in 0..FEATURES {
            gradient[index] += mean_right[index] - mean[index];
        }
        for (pair, share) in pairs.iter().zip(&shares) {
            for row in 0..FEATURES {
                for column in 0..FEATURES {
                    curvature[row][column] += share
                        * (pair.features[row] - mean[row])
                        * (pair.features[column] - mean[column]);
                }
            }
        }
    }
    (gradient, curvature)
}

/// Solves `a x = b` for a symmetric positive definite `a` by Cholesky's decomposition; `None` where it
/// is not.
fn solve(mut a: [Features; FEATURES], mut b: Features) -> Option<Features> {
    for column in 0..FEATURES {
        for row in column..FEATURES {
            let known: f64 = (0..column).map(|k| a[row][k] * a[column][k]).sum();
            let rest = a[row][column] - known;
            if row == column {
                if rest.is_nan() || rest <= 0.0 {
                    return None;
                }
                a[row][column] = rest.sqrt();
            } else {
                a[row][column] = rest / a[column][column];
            }
        }
    }
    for row in 0..FEATURES {
        let known: f64 = (0..row).map(|k| a[row][k] * b[k]).sum();
        b[row] = (b[row] - known) / a[row][row];
    }
    for row in (0..FEATURES).rev() {
        let known: f64 = (row + 1..FEATURES).map(|k| a[k][row] * b[k]).sum();
        b[row] = (b[row] - known) / a[row][row];
    }
    Some(b)
}

/// The lowest threshold with which at least this share of the named faults is right, 1 where none is
/// high enough: what is not named is "unknown".
pub fn threshold(examples: &[Example], predictions: &[Prediction], precision: f64) -> f64 {
    let mut named: Vec<(f64, bool)> = examples
        .iter()
        .zip(predictions)
        .filter_map(|(example, said)| {
            let (cause, share) = said.cause()?;
            cause.is_fault().then(|| (share, example.is_cause(cause)))
        })
        .collect();
    named.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut found) = (0, 1.0);
    for (count, (share, is_right)) in named.iter().enumerate() {
        right += usize::from(*is_right);
        if right as f64 >= precision * (count + 1) as f64 {
            found = *share;
        }
    }
    found
}
