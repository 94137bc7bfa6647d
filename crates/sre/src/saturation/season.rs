//! What repeats every hour, day or week, taken out of a series: per period a profile of medians over
//! the cycles, around a moving average (after Bandara, Hyndman and Bergmeir, "MSTL: A
//! Seasonal-Trend Decomposition Algorithm for Time Series with Multiple Seasonal Patterns", 2021,
//! with moving averages and medians where MSTL has LOESS).

use super::grid::{Grid, median};
use super::noise::middle;

/// Periods that are looked for, in seconds, the shorter ones first.
const PERIODS: [f64; 2] = [86_400.0, 604_800.0];

/// Fewest cycles that show a season: with the half cycles at the ends lost, two are left.
const FEWEST_CYCLES: f64 = 3.0;

/// Cycles that the profile is made of, the last ones.
const MOST_CYCLES: f64 = 8.0;

/// Most parts of a period that a profile tells apart, and fewest cells of a period.
const MOST_PARTS: usize = 96;
const FEWEST_PARTS: usize = 12;

/// The share of the variance around the moving average that a season must explain.
const STRONG: f64 = 0.5;

/// What repeats.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    /// Seconds of a cycle.
    pub(super) period: f64,
    /// The value that each part of the cycle adds, their median 0.
    parts: Vec<f64>,
}

impl Profile {
    /// What it adds at a time, in seconds.
    pub(super) fn at(&self, seconds: f64) -> f64 {
        let count = self.parts.len();
        let place = (seconds / self.period).rem_euclid(1.0) * count as f64 - 0.5;
        let low = place.floor();
        let share = place - low;
        let index = (low.max(-1.0) + count as f64) as usize;
        self.parts[index % count] * (1.0 - share) + self.parts[(index + 1) % count] * share
    }

    /// The season of a period, if it is there.
    fn of(grid: &Grid, period: f64) -> Option<Self> {
        let cells = period / grid.step;
        let span = grid.values.len() as f64;
        if cells < FEWEST_PARTS as f64 || span < FEWEST_CYCLES * cells {
            return None;
        }
        let around = around_average(&grid.values, cells.round() as usize);
        let oldest = span - MOST_CYCLES * cells;
        let count = (cells as usize).min(MOST_PARTS);
        let mut buckets = vec![Vec::new(); count];
        for (index, value) in around.iter().enumerate() {
            if value.is_nan() || (index as f64) < oldest {
                continue;
            }
            let turn = (grid.time(index) / period).rem_euclid(1.0);
            buckets[((turn * count as f64) as usize).min(count - 1)].push(*value);
        }
        let raw: Vec<f64> = buckets
            .iter_mut()
            .map(|it| if it.is_empty() { f64::NAN } else { median(it) })
            .collect();
        let parts = smooth(&raw)?;
        let center = middle(parts.iter().copied())?;
        let profile = Self { period, parts: parts.iter().map(|it| it - center).collect() };
        let (mut left, mut all) = (0.0, 0.0);
        for (index, value) in around.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            let rest = value - center - profile.at(grid.time(index));
            left += rest * rest;
            all += value * value;
        }
        (left < (1.0 - STRONG) * all).then_some(profile)
    }
}

/// Takes the seasons out of a grid and says which they were.
pub(super) fn take_out(grid: &mut Grid) -> Vec<Profile> {
    let mut found = Vec::new();
    for period in PERIODS {
        let Some(profile) = Profile::of(grid, period) else { continue };
        for index in 0..grid.values.len() {
            grid.values[index] -= profile.at(grid.time(index));
        }
        found.push(profile);
    }
    found
}

/// The values less the average of the period around each; NaN where half of it is not known.
fn around_average(values: &[f64], period: usize) -> Vec<f64> {
    let half = period / 2;
    let mut sums = vec![(0.0, 0_usize)];
    let shift = middle(values.iter().copied()).unwrap_or(0.0);
    for value in values {
        let (sum, count) = sums[sums.len() - 1];
        let known = !value.is_nan();
        sums.push(if known { (sum + (value - shift), count + 1) } else { (sum, count) });
    }
    let around = |(index, value): (usize, &f64)| {
        if index < half || index + half >= values.len() {
            return f64::NAN;
        }
        let (low, high) = (sums[index - half], sums[index + half + 1]);
        let count = high.1 - low.1;
        if count <= half { f64::NAN } else { value - shift - (high.0 - low.0) / count as f64 }
    };
    values.iter().enumerate().map(around).collect()
}

/// Each part with its two neighbours on the circle; what is missing from them alone. `None` where
/// three parts in a row are missing.
fn smooth(parts: &[f64]) -> Option<Vec<f64>> {
    let count = parts.len();
    let mean = |index: usize| {
        let three = [index + count - 1, index, index + 1].map(|it| parts[it % count]);
        let known: Vec<f64> = three.into_iter().filter(|it| !it.is_nan()).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    (0..count).map(mean).collect()
}
