//! Bootstrap intervals (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13:
//! the percentile interval). Two methods that saw the same examples are resampled together, so that
//! what is hard for both does not blur their difference.

use serde::{Deserialize, Serialize};
use text::random::Numbers;

#[cfg(test)]
mod tests;

/// How many times is resampled.
const ROUNDS: u64 = 2_000;

/// A mean and where it lies with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How many values it is the mean of.
    pub count: usize,
}

impl Interval {
    /// The interval of the mean of values; `None` without any.
    pub fn of(values: &[f64], seed: u64) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let count = values.len();
        let mean = |pick: &mut dyn FnMut(usize) -> usize| {
            (0..count).map(|index| values[pick(index)]).sum::<f64>() / count as f64
        };
        let mut means: Vec<f64> = (0..ROUNDS)
            .map(|round| {
                let mut numbers = Numbers::named(&[seed, round, count as u64]);
                mean(&mut |_| numbers.below(count))
            })
            .collect();
        means.sort_by(f64::total_cmp);
        let end = |share: f64| means[(share * (means.len() - 1) as f64).round() as usize];
        Some(Self { mean: mean(&mut |index| index), low: end(0.025), high: end(0.975), count })
    }

    /// The interval of the mean difference `after - before`, value by value; `None` where the lists
    /// are empty or of different length.
    pub fn of_difference(before: &[f64], after: &[f64], seed: u64) -> Option<Self> {
        if before.len() != after.len() {
            return None;
        }
        let differences: Vec<f64> = before.iter().zip(after).map(|(b, a)| a - b).collect();
        Self::of(&differences, seed)
    }
}
