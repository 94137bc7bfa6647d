//! How far a series left its past, the bad way. The centre is the past's median, as in the robust
//! scorer of BARO (Pham et al., FSE 2024, section 4.3); the scale is not only its interquartile range
//! but also the largest of its own moves over windows as long as the one that is looked at: what
//! jumps about on any day says little by jumping once more.

use super::window::Track;

/// Fewest values of the past.
pub(super) const FEWEST: usize = 6;

/// A past of this many values is believed half: its tails are hardly known.
const HALF_KNOWN: f64 = 6.0;

/// A past of this many windows is believed half.
const FEW_WINDOWS: f64 = 2.0;

/// This share of the windows of the past moves less than [`USUAL`] steps.
const TAIL: f64 = 0.95;

/// Steps up to which a move is a usual one.
pub(super) const USUAL: f64 = 2.0;

/// A step is at least this share of the median: below that nobody cares.
const LEAST_STEP: f64 = 0.005;

/// A series that never moved has no step of its own: its largest move counts as so many.
const FIRST_MOVE: f64 = 12.0;

/// The interquartile range of a normal distribution, in standard deviations.
const NORMAL_RANGE: f64 = 1.349;

/// What is read off a series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// Steps away from the past, above 0 where it got worse.
    pub(super) strength: f64,
    /// The mean of what it got worse by, in the unit of the series, at least 0.
    pub(super) worse: f64,
    /// The median of the past, and the mean since.
    pub(super) before: f64,
    pub(super) mean: f64,
}

/// The reading of a series; `None` where too little is known.
pub(super) fn read(track: &Track, split: f64) -> Option<Reading> {
    read_as(track, split, track.signs())
}

/// As [`read`], where up (1), down (-1) or either is bad.
pub(super) fn read_as(track: &Track, split: f64, signs: &[f64]) -> Option<Reading> {
    let (before, since) = track.split(split);
    if before.len() < FEWEST || since.is_empty() {
        return None;
    }
    let mean = since.iter().map(|sample| sample.1).sum::<f64>() / since.len() as f64;
    let both = signs.iter().map(|&sign| {
        let signed = |samples: &[(f64, f64)]| -> Vec<f64> {
            samples.iter().map(|sample| sign * sample.1).collect()
        };
        let (strength, median, worse) = worse(&signed(before), &signed(since));
        Reading { strength, worse, before: sign * median, mean }
    });
    both.max_by(|a, b| a.strength.total_cmp(&b.strength))
}

/// Strength, the past's median and the mean move where up is bad.
fn worse(before: &[f64], since: &[f64]) -> (f64, f64, f64) {
    let mut sorted = before.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = quantile(&sorted, 0.5);
    let range = (quantile(&sorted, 0.75) - quantile(&sorted, 0.25)) / NORMAL_RANGE;
    let move_of = |values: &[f64]| upper_half(values) - median;
    let length = since.len().clamp(1, (before.len() / 3).max(1));
    let stride = (length / 2).max(1);
    let starts = (0..=before.len() - length).step_by(stride);
    let mut moves: Vec<f64> = starts.map(|start| move_of(&before[start..start + length])).collect();
    moves.sort_by(f64::total_cmp);
    let tail = quantile(&moves, TAIL) / USUAL;
    let mut step = tail.max(range).max(LEAST_STEP * median.abs());
    // The largest of few windows is less than the largest of many.
    step *= 1.0 + (HALF_KNOWN + FEW_WINDOWS * length as f64) / before.len() as f64;
    let farthest = since.iter().fold(0.0_f64, |most, value| most.max((value - median).abs()));
    step = step.max(farthest * 1e-9);
    if step <= farthest * 1e-6 {
        step = farthest / FIRST_MOVE;
    }
    let mean = since.iter().sum::<f64>() / since.len() as f64;
    let strength = if step > 0.0 { move_of(since) / step } else { 0.0 };
    (strength, median, (mean - median).max(0.0))
}

/// The mean of the larger half, so that what comes and goes still counts, and one value of many does
/// not.
fn upper_half(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    let half = sorted.len().div_ceil(2);
    let at = sorted.len() - half;
    sorted.select_nth_unstable_by(at, f64::total_cmp);
    sorted[at..].iter().sum::<f64>() / half.max(1) as f64
}

/// The quantile of sorted values, interpolated between neighbours; 0 without any.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = share * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}
