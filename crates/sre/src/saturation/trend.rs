//! The line that the series follows now: least squares over the longest window up to now that does
//! not contradict the shorter ones (Lepski, "On a problem of adaptive estimation in Gaussian white
//! noise", 1990), with the variance that noise with memory gives it.

use super::noise::Noise;

/// Fewest cells of a window, and fewest values in it.
const FEWEST: usize = 6;

/// The ratio of one window to the next shorter one.
const RATIO: f64 = 1.35;

/// A longer window must agree with each shorter one within this many deviations of its slope.
const AGREES: f64 = 2.5;

/// By how much the variance grows for what does not fit, at most.
const MOST_MISFIT: f64 = 9.0;

/// A line through the last `cells` cells. Times are in cells, 0 at the last cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    /// Units per cell.
    pub(super) slope: f64,
    /// The mean time, at which the line passes through `mean`.
    center: f64,
    mean: f64,
    /// Variances of slope and mean and their covariance.
    pub(super) slope_variance: f64,
    mean_variance: f64,
    covariance: f64,
    /// The window.
    pub(super) cells: usize,
}

impl Line {
    /// The line through the last `cells` of the values.
    pub(super) fn through(values: &[f64], cells: usize, noise: &Noise) -> Option<Self> {
        let cells = cells.min(values.len());
        let window = &values[values.len() - cells..];
        let time = |index: usize| (index + 1) as f64 - cells as f64;
        let known = || window.iter().enumerate().filter(|(_, value)| !value.is_nan());
        let count = known().count() as f64;
        if count < FEWEST as f64 {
            return None;
        }
        let center = known().map(|(index, _)| time(index)).sum::<f64>() / count;
        let mean = known().map(|(_, value)| value / count).sum::<f64>();
        let (mut square, mut product) = (0.0, 0.0);
        for (index, value) in known() {
            let offset = time(index) - center;
            square += offset * offset;
            product += offset * (value - mean);
        }
        if square <= 0.0 {
            return None;
        }
        // What is left of sums of equal numbers is no slope.
        let slope = product / square;
        let slope = if (slope * cells as f64).abs() <= 1e-9 * mean.abs() { 0.0 } else { slope };
        // The sums over all pairs of `weight weight memory^distance`, by what the past adds up to.
        let (mut slopes, mut means, mut both) = (0.0, 0.0, 0.0);
        let (mut past_slope, mut past_mean) = (0.0, 0.0);
        for (index, value) in window.iter().enumerate() {
            past_slope *= noise.memory;
            past_mean *= noise.memory;
            if value.is_nan() {
                continue;
            }
            let (slope, mean) = ((time(index) - center) / square, 1.0 / count);
            slopes += slope * (slope + 2.0 * past_slope);
            means += mean * (mean + 2.0 * past_mean);
            both += slope * (mean + past_mean) + mean * past_slope;
            past_slope += slope;
            past_mean += mean;
        }
        Some(Self {
            slope,
            center,
            mean,
            slope_variance: noise.white / square + noise.slow * slopes.max(0.0),
            mean_variance: noise.white / count + noise.slow * means.max(0.0),
            covariance: noise.slow * both,
            cells,
        })
    }

    /// The longest line up to now that agrees with the shorter ones, over no fewer than so many
    /// cells.
    pub(super) fn longest(values: &[f64], noise: &Noise, shortest: usize) -> Option<Self> {
        let mut accepted: Vec<Self> = Vec::new();
        let mut cells = shortest.max(FEWEST);
        loop {
            cells = cells.min(values.len());
            if let Some(line) = Self::through(values, cells, noise) {
                let agrees = |shorter: &Self| {
                    let allowed = AGREES * shorter.slope_variance.sqrt();
                    (line.slope - shorter.slope).abs() <= allowed.max(1e-6 * shorter.slope.abs())
                };
                if !accepted.iter().all(agrees) {
                    break;
                }
                accepted.push(line);
            }
            if cells == values.len() {
                break;
            }
            cells = ((cells as f64 * RATIO) as usize).max(cells + 1);
        }
        accepted.pop()
    }

    /// The line's value at a time, in cells from the last one.
    pub(super) fn at(&self, time: f64) -> f64 {
        self.mean + self.slope * (time - self.center)
    }

    /// The variance of [`Line::at`].
    pub(super) fn variance_at(&self, time: f64) -> f64 {
        let offset = time - self.center;
        let variance = self.mean_variance
            + 2.0 * offset * self.covariance
            + offset * offset * self.slope_variance;
        variance.max(0.0)
    }

    /// Slopes per deviation: how sure it is that there is a trend.
    pub(super) fn significance(&self) -> f64 {
        if self.slope == 0.0 { 0.0 } else { self.slope / self.slope_variance.sqrt() }
    }

    /// How many times more the window varies around the line than the noise says, at least 1: by
    /// what medians do not show, as weekends.
    pub(super) fn misfit(&self, values: &[f64], noise: &Noise) -> f64 {
        let window = &values[values.len() - self.cells..];
        let time = |index: usize| (index + 1) as f64 - self.cells as f64;
        let off = window.iter().enumerate().map(|(index, value)| value - self.at(time(index)));
        let (mut sum, mut count) = (0.0, 0.0);
        for off in off.filter(|off| !off.is_nan()) {
            sum += off * off;
            count += 1.0;
        }
        let expected = count * (noise.white + noise.slow);
        if expected > 0.0 { (sum / expected).clamp(1.0, MOST_MISFIT) } else { 1.0 }
    }

    /// The line with variances so many times larger.
    pub(super) fn less_sure(self, times: f64) -> Self {
        Self {
            slope_variance: times * self.slope_variance,
            mean_variance: times * self.mean_variance,
            covariance: times * self.covariance,
            ..self
        }
    }

    /// Whether one step explains the window better than the line.
    pub(super) fn is_a_step(&self, values: &[f64]) -> bool {
        let window = &values[values.len() - self.cells..];
        let time = |index: usize| (index + 1) as f64 - self.cells as f64;
        let known: Vec<(f64, f64)> = window
            .iter()
            .enumerate()
            .filter(|(_, value)| !value.is_nan())
            .map(|(index, value)| (value - self.mean, value - self.at(time(index))))
            .collect();
        let line: f64 = known.iter().map(|(_, off)| off * off).sum();
        let all: f64 = known.iter().map(|(value, _)| value * value).sum();
        let total: f64 = known.iter().map(|(value, _)| value).sum();
        let count = known.len() as f64;
        let (mut before, mut explained) = (0.0, 0.0_f64);
        for (index, (value, _)) in known.iter().enumerate().take(known.len() - 1) {
            before += value;
            let (left, right) = ((index + 1) as f64, count - (index + 1) as f64);
            let after = total - before;
            explained = explained.max(before * before / left + after * after / right);
        }
        all - explained < line
    }
}
