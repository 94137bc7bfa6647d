//! How others rank, to compare with: by one number of each service, alone or along the calls.

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
    /// That score less the largest of a service's callees: what they do not explain ("topology
    /// excess").
    Excess,
    /// From the service with the alarm along calls to services that are beside themselves, to those
    /// that call none such, by the sum of scores on the way: the rule that PetShop brings. Medians and
    /// median deviations; it finds nothing where the alarm itself is nothing.
    Traversal,
}

/// A service is beside itself from this many median deviations on.
const ANOMALOUS: f64 = 5.0;
/// Steps of a traversal, which has as many ways as a graph has paths.
const MOST_STEPS: usize = 20_000;

/// Services by their largest score, of the symptom that raised the alarm where it is known. But for
/// the traversal they always find something.
pub fn rank(window: &Window, baseline: Baseline) -> Vec<usize> {
    let mut best = scores(window, baseline);
    match baseline {
        Baseline::NSigma | Baseline::Range => {}
        Baseline::Excess => {
            let callees = window.callees();
            let most = |service: usize| {
                let scores = callees[service].iter().map(|callee| best[*callee]);
                scores.fold(0.0, f64::max)
            };
            best = (0..best.len()).map(|service| best[service] - most(service)).collect();
        }
        Baseline::Traversal => best = roots(window, &best),
    }
    let mut order: Vec<usize> =
        (0..best.len()).filter(|service| best[*service] > f64::NEG_INFINITY).collect();
    let name = |service: usize| &window.services[service];
    order.sort_by(|a, b| best[*b].total_cmp(&best[*a]).then_with(|| name(*a).cmp(name(*b))));
    order
}

/// Where ways from the alarm end, with the largest sum of scores of a way there.
fn roots(window: &Window, scores: &[f64]) -> Vec<f64> {
    let mut best = vec![f64::NEG_INFINITY; scores.len()];
    let callees = window.callees();
    let anomalous = |service: &usize| scores[*service] > ANOMALOUS;
    let starts: Vec<usize> = match window.target {
        Some(target) => vec![target.service],
        None => (0..scores.len()).collect(),
    };
    let starts = starts.into_iter().filter(anomalous);
    let mut ways: Vec<(Vec<usize>, f64)> = starts.map(|it| (vec![it], scores[it])).collect();
    let mut steps = 0;
    while let Some((way, sum)) = ways.pop() {
        steps += 1;
        let at = way[way.len() - 1];
        let bad: Vec<usize> = callees[at].iter().copied().filter(anomalous).collect();
        if bad.is_empty() || steps > MOST_STEPS {
            best[at] = best[at].max(sum);
            continue;
        }
        for callee in bad.into_iter().filter(|callee| !way.contains(callee)) {
            let longer = way.iter().copied().chain([callee]).collect();
            ways.push((longer, sum + scores[callee]));
        }
    }
    best
}

/// The largest score of each service.
fn scores(window: &Window, baseline: Baseline) -> Vec<f64> {
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
    best
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
        Baseline::Range | Baseline::Excess => {
            (quantile(&past, 0.5), quantile(&past, 0.75) - quantile(&past, 0.25))
        }
        Baseline::Traversal => {
            let centre = quantile(&past, 0.5);
            let mut away: Vec<f64> = past.iter().map(|value| (value - centre).abs()).collect();
            away.sort_by(f64::total_cmp);
            (centre, quantile(&away, 0.5))
        }
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
