//! Where the trouble began. Who notices it late has its beginning in what is taken for the past: there
//! it makes the usual moves look large, and what is left of the trouble may be little.

use super::blame::SYMPTOMS;
use super::strength::quantile;
use super::window::{Track, Window};

/// The trouble began at most this share of the past before it was noticed.
const FARTHEST: f64 = 0.25;
/// Steps that a value must be beside the past's median to speak for the trouble; nearer ones speak
/// against it. One value counts as so many at most.
const ALLOWANCE: f64 = 0.5;
const MOST: f64 = 3.0;
/// All values since an earlier beginning must speak for it by this many steps together.
const LEAST: f64 = 0.5;
/// The 95 % quantile of a normal distribution, in standard deviations.
const NORMAL_TAIL: f64 = 1.645;
const NORMAL_RANGE: f64 = 1.349;

/// When the past of a window ends, in seconds: when it was noticed, or before, where what raised the
/// alarm already did badly. It is the likeliest change of a cumulative sum (Page, 1954), backwards.
pub(super) fn past_end(window: &Window) -> f64 {
    let Some(target) = window.target else { return window.split };
    let asked = |track: &&Track| {
        let signal = track.meaning.signal;
        let symptom = signal.is_some_and(|it| SYMPTOMS.contains(&it));
        track.service == target.service
            && symptom
            && (target.signal.is_none() || target.signal == signal)
    };
    let tracks = window.series.iter().filter(asked);
    let least = tracks.clone().map(|track| track.meaning.percentile).min();
    let nearest = tracks.filter(|track| Some(track.meaning.percentile) == least);
    nearest.map(|track| began(track, window.split)).fold(window.split, f64::min)
}

fn began(track: &Track, split: f64) -> f64 {
    let (past, _) = track.split(split);
    let sign = track.signs()[0];
    let mut sorted: Vec<f64> = past.iter().map(|sample| sign * sample.1).collect();
    sorted.sort_by(f64::total_cmp);
    let median = quantile(&sorted, 0.5);
    let range = (quantile(&sorted, 0.75) - quantile(&sorted, 0.25)) / NORMAL_RANGE;
    let step = range.max((quantile(&sorted, 0.95) - median) / NORMAL_TAIL);
    let (mut sum, mut most, mut began) = (0.0, LEAST, split);
    if step <= 0.0 {
        return split;
    }
    let farthest = (FARTHEST * past.len() as f64) as usize;
    for sample in past.iter().rev().take(farthest) {
        sum += ((sign * sample.1 - median) / step - ALLOWANCE).clamp(-MOST, MOST);
        if sum > most {
            (most, began) = (sum, sample.0);
        }
        if sum < -MOST {
            break;
        }
    }
    began
}
