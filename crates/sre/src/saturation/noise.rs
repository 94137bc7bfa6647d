//! What a series does without a trend: white noise, and noise that remembers. Read off the medians
//! of differences over growing lags (a robust variogram: Cressie, "Statistics for Spatial Data",
//! 1993, section 2.4), which steps, ramps in the smaller part of the history and spikes hardly move.

use super::grid::{differences, median, spread};

/// Pairs of a lag that are looked at, at most.
const MOST_PAIRS: usize = 1_024;

/// Fewest pairs of a lag that say anything.
const FEWEST_PAIRS: usize = 8;

/// Noise whose covariance over `h` cells is `white [h = 0] + slow memory^h`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noise {
    /// Variance of what forgets at once, in units squared.
    pub(super) white: f64,
    /// Variance of what remembers, in units squared.
    pub(super) slow: f64,
    /// The share that is left of the slow part after a cell.
    pub(super) memory: f64,
    /// Cells after which a third of it is left.
    pub(super) cells: f64,
}

impl Noise {
    /// The noise of values on even cells, NaN where there is none.
    pub(super) fn of(values: &[f64]) -> Self {
        let lags = lags(values.len() / 4);
        let points: Vec<(f64, f64)> = lags
            .into_iter()
            .filter_map(|lag| {
                let all = differences(values, lag);
                let stride = all.len().div_ceil(MOST_PAIRS).max(1);
                let mut some: Vec<f64> = all.into_iter().step_by(stride).collect();
                let wide = if some.len() >= FEWEST_PAIRS { spread(&mut some) } else { None };
                // Half the variance of a difference.
                wide.map(|wide| (lag as f64, wide * wide / 2.0))
            })
            .collect();
        let mut best = (f64::INFINITY, Self::none());
        let mut cells = 1.5;
        while cells <= 2.0 * values.len() as f64 {
            let (error, noise) = Self::fit(&points, cells);
            if error < best.0 {
                best = (error, noise);
            }
            cells *= 1.5;
        }
        // A value is from anywhere in its cell, so a usual step is spread evenly.
        let step = middle(differences(values, 1).into_iter().map(f64::abs)).unwrap_or(0.0);
        Self { white: best.1.white.max(step * step / 12.0), ..best.1 }
    }

    fn none() -> Self {
        Self { white: 0.0, slow: 0.0, memory: 0.0, cells: 1.0 }
    }

    /// The best variances for a memory of so many cells, and how far they are off: least squares of
    /// `white + slow (1 - memory^lag)` in shares of the measured value.
    fn fit(points: &[(f64, f64)], cells: f64) -> (f64, Self) {
        let memory = libm::exp(-1.0 / cells);
        let top = points.iter().map(|it| it.1).fold(0.0, f64::max);
        if top <= 0.0 {
            return (0.0, Self::none());
        }
        let row = |(lag, half): &(f64, f64)| {
            let weight = 1.0 / (half / top).max(1e-6);
            (weight, 1.0 - libm::pow(memory, *lag), half / top)
        };
        let (mut ww, mut wr, mut rr, mut wy, mut ry) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (weight, rise, half) in points.iter().map(row) {
            let weight = weight * weight;
            ww += weight;
            wr += weight * rise;
            rr += weight * rise * rise;
            wy += weight * half;
            ry += weight * rise * half;
        }
        let determinant = ww * rr - wr * wr;
        let (mut white, mut slow) = (0.0, 0.0);
        if determinant > 1e-9 * ww * rr {
            white = (wy * rr - ry * wr) / determinant;
            slow = (ww * ry - wr * wy) / determinant;
        }
        if white < 0.0 || (white == 0.0 && slow == 0.0) {
            (white, slow) = (0.0, (ry / rr).max(0.0));
        } else if slow < 0.0 {
            (white, slow) = (wy / ww, 0.0);
        }
        let error = |(weight, rise, half): (f64, f64, f64)| {
            let off = weight * (white + slow * rise - half);
            off * off
        };
        let error = points.iter().map(row).map(error).sum();
        (error, Self { white: white * top, slow: slow * top, memory, cells })
    }

    /// Noise of so many times the variance.
    pub(super) fn larger(self, times: f64) -> Self {
        Self { white: times * self.white, slow: times * self.slow, ..self }
    }
}

/// 1, 2, 3, 5, 8 … up to `most`.
fn lags(most: usize) -> Vec<usize> {
    let (mut lag, mut next) = (1, 2);
    let mut all = Vec::new();
    while lag <= most.max(1) {
        all.push(lag);
        (lag, next) = (next, lag + next);
    }
    all
}

/// The middle of values, where there are any.
pub(super) fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut known: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    (!known.is_empty()).then(|| median(&mut known))
}
