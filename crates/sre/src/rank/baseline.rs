//! How others rank, to compare with: by one number of each service, without calls.

use super::strength::{FEWEST, quantile};
use super::window::{Track, Window};
use std::collections::BTreeMap;

/// A way to rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// Means and standard deviations ("N-sigma").
    NSigma,
    /// Medians and interquartile ranges: the scorer of BARO, signed.
    Range,
}

/// Services by their largest score, of the symptom that raised the alarm where it is known. They
/// always find something.
pub fn rank(window: &Window, baseline: Baseline) -> Vec<usize> {
    let mut best = vec![f64::NEG_INFINITY; window.services.len()];
    let wanted = window.target.and_then(|target| target.signal);
    let key = |track: &Track| (track.service, track.meaning.signal);
    // Where there is a mean, percentiles of the same thing are left out, as in the published runs.
    let mut least: BTreeMap<_, u8> = BTreeMap::new();
    for track in &window.series {
        let place = least.entry(key(track)).or_insert(u8::MAX);
        *place = (*place).min(track.meaning.percentile);
    }
    for track in &window.series {
        let signal = track.meaning.signal;
        let other = wanted.is_some() && signal != wanted;
        if other || least.get(&key(track)) != Some(&track.meaning.percentile) {
            continue;
        }
        if let Some(score) = score(track, window.split, baseline) {
            best[track.service] = best[track.service].max(score);
        }
    }
    let mut order: Vec<usize> =
        (0..best.len()).filter(|service| best[*service] > f64::NEG_INFINITY).collect();
    let name = |service: usize| &window.services[service];
    order.sort_by(|a, b| best[*b].total_cmp(&best[*a]).then_with(|| name(*a).cmp(name(*b))));
    order
}

/// The largest (x - centre) / scale since the split; a scale of 0 counts as 1.
fn score(track: &Track, split: f64, baseline: Baseline) -> Option<f64> {
    let (before, since) = track.split(split);
    let mut past: Vec<f64> = before.iter().map(|sample| sample.1).collect();
    if past.len() < FEWEST || since.is_empty() {
        return None;
    }
    past.sort_by(f64::total_cmp);
    let (centre, scale) = match baseline {
        Baseline::Range => (quantile(&past, 0.5), quantile(&past, 0.75) - quantile(&past, 0.25)),
        Baseline::NSigma => {
            let count = past.len() as f64;
            let mean = past.iter().sum::<f64>() / count;
            let squares = past.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            (mean, (squares / count).sqrt())
        }
    };
    let scale = if scale > 0.0 { scale } else { 1.0 };
    let moves = since.iter().flat_map(|sample| {
        track.signs().iter().map(move |sign| sign * (sample.1 - centre) / scale)
    });
    moves.max_by(f64::total_cmp)
}
