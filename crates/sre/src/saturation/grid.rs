//! Samples as they arrive on an even grid: sorted, one value per cell, lone spikes cut.

use super::Sample;

/// Most cells of a grid; a longer history gets wider cells.
const MOST_CELLS: usize = 4_096;

/// Larger values would have squares that are not finite.
const LARGEST: f64 = 1e150;

/// A value this many scales of noise away from the median of its neighbourhood is a spike.
const SPIKE: f64 = 8.0;

/// Values on even cells that end at "now". A cell without a value holds NaN.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    /// Seconds of a cell.
    pub(super) step: f64,
    /// When the first cell begins, in seconds.
    pub(super) start: f64,
    /// The values, oldest first.
    pub(super) values: Vec<f64>,
}

impl Grid {
    /// The grid of samples up to `now`; `None` where they have no two times. Their order does not
    /// matter; the median of those that fall in a cell counts, so that repeated samples and those
    /// with wrong clocks do little harm.
    pub(super) fn of(samples: &[Sample], now: f64) -> Option<Self> {
        let usable = |it: &&Sample| {
            let finite = it.seconds.is_finite() && it.value.is_finite();
            finite && it.seconds <= now && it.value.abs() < LARGEST
        };
        let mut sorted: Vec<Sample> = samples.iter().filter(usable).copied().collect();
        sorted.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let mut steps: Vec<f64> = sorted
            .windows(2)
            .map(|two| two[1].seconds - two[0].seconds)
            .filter(|step| *step > 0.0)
            .collect();
        if steps.is_empty() || !now.is_finite() {
            return None;
        }
        let step = median(&mut steps);
        let span = now - sorted[0].seconds + step;
        let step = step.max(span / MOST_CELLS as f64);
        if !span.is_finite() {
            return None;
        }
        // A sample belongs to the middle of its cell, so that late ones do not change cells.
        let count = ((span / step).ceil() as usize).clamp(1, MOST_CELLS);
        let start = now + step / 2.0 - count as f64 * step;
        let cell = |sample: &Sample| {
            (((sample.seconds - start) / step).floor().max(0.0) as usize).min(count - 1)
        };
        let mut values = vec![f64::NAN; count];
        let mut rest = sorted.as_slice();
        while let Some(first) = rest.first() {
            let at = cell(first);
            let many = rest.iter().take_while(|it| cell(it) == at).count();
            let (here, later) = rest.split_at(many);
            values[at] = match here {
                [one] => one.value,
                _ => median(&mut here.iter().map(|it| it.value).collect::<Vec<_>>()),
            };
            rest = later;
        }
        Some(Self { step, start, values })
    }

    /// The middle of a cell, in seconds.
    pub(super) fn time(&self, index: usize) -> f64 {
        self.start + self.step * (index as f64 + 0.5)
    }

    /// How many cells have a value.
    pub(super) fn known(&self) -> usize {
        self.values.iter().filter(|value| !value.is_nan()).count()
    }

    /// Cells since the last value.
    pub(super) fn stale(&self) -> usize {
        self.values.iter().rev().take_while(|value| value.is_nan()).count()
    }

    /// The last two values: one alone may be a spike.
    pub(super) fn last_two(&self) -> Option<(f64, f64)> {
        let mut known = self.values.iter().rev().copied().filter(|value| !value.is_nan());
        let last = known.next()?;
        Some((known.next()?, last))
    }

    /// Cuts lone values that leave their neighbourhood of five by far. Steps and slopes stay.
    pub(super) fn cut_spikes(&mut self) {
        let mut changes = differences(&self.values, 1);
        let Some(scale) = spread(&mut changes) else { return };
        let original = self.values.clone();
        let count = original.len();
        for at in 2..count.saturating_sub(2) {
            let mut five: [f64; 5] = std::array::from_fn(|offset| original[at + offset - 2]);
            if five.iter().any(|value| value.is_nan()) {
                continue;
            }
            five.sort_by(f64::total_cmp);
            if (original[at] - five[2]).abs() > SPIKE * scale {
                self.values[at] = five[2];
            }
        }
    }
}

/// Differences over `lag` cells where both ends are known.
pub(super) fn differences(values: &[f64], lag: usize) -> Vec<f64> {
    let pairs = values.iter().zip(values.iter().skip(lag));
    pairs.map(|(before, after)| after - before).filter(|it| !it.is_nan()).collect()
}

/// The median of values, which must not be empty; puts them in another order.
pub(super) fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    let high = *values.select_nth_unstable_by(middle, f64::total_cmp).1;
    if values.len() % 2 == 1 {
        return high;
    }
    let low = values[..middle].iter().copied().fold(f64::NEG_INFINITY, f64::max);
    low + (high - low) / 2.0
}

/// The standard deviation that a normal distribution with this median absolute deviation has.
pub(super) fn spread(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let center = median(values);
    for value in values.iter_mut() {
        *value = (*value - center).abs();
    }
    Some(1.482_602 * median(values))
}
