//! What monitoring makes of a series: gaps, samples twice and late, clocks that jump, spikes.

use super::{DAY, STEP};
use crate::dice::Dice;
use sre::saturation::Sample;

/// Which faults a series is measured with.
struct Faults {
    missing: f64,
    twice: f64,
    late: f64,
    spikes: f64,
    /// From when to when there is nothing.
    gaps: Vec<(f64, f64)>,
    /// From when to when a clock is off by how much.
    jumps: Vec<(f64, f64, f64)>,
}

impl Faults {
    fn new(dice: &mut Dice, seconds: f64) -> Self {
        let mut rate = |chance: f64, share: f64| if dice.happens(chance) { share } else { 0.0 };
        let (missing, twice) = (rate(0.5, 0.02), rate(0.4, 0.02));
        let (late, spikes) = (rate(0.4, 0.02), rate(0.3, 0.002));
        let many = if dice.happens(0.5) { dice.whole((1, 6)) } else { 0 };
        let gaps = (0..many)
            .map(|_| {
                let begin = dice.unit() * seconds;
                (begin, begin + dice.spread((600.0, DAY / 4.0)))
            })
            .collect();
        let many = if dice.happens(0.25) { dice.whole((1, 2)) } else { 0 };
        let jumps = (0..many)
            .map(|_| {
                let begin = dice.unit() * seconds;
                let off = dice.spread((600.0, 5_400.0));
                let off = if dice.happens(0.5) { off } else { -off };
                (begin, begin + dice.between((3_600.0, 21_600.0)), off)
            })
            .collect();
        Self { missing, twice, late, spikes, gaps, jumps }
    }
}

/// Samples in the order of their arrival, and when each arrived.
pub(super) fn measure(dice: &mut Dice, shares: &[f64], unit: f64) -> (Vec<Sample>, Vec<f64>) {
    let faults = Faults::new(dice, shares.len() as f64 * STEP);
    let mut all: Vec<(f64, Sample)> = Vec::new();
    for (index, share) in shares.iter().enumerate() {
        let time = index as f64 * STEP;
        let gap = faults.gaps.iter().any(|(from, to)| time >= *from && time < *to);
        if gap || dice.happens(faults.missing) {
            continue;
        }
        let jump = faults.jumps.iter().find(|(from, to, _)| time >= *from && time < *to);
        let spike = if dice.happens(faults.spikes) { dice.between((0.2, 0.6)) } else { 0.0 };
        let sample =
            Sample { seconds: time + jump.map_or(0.0, |it| it.2), value: (share + spike) * unit };
        let delay = if dice.happens(faults.late) { dice.between((1.0, 4.0)) * STEP } else { 0.0 };
        all.push((time + delay, sample));
        if dice.happens(faults.twice) {
            all.push((time + delay, sample));
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    (all.iter().map(|it| it.1).collect(), all.iter().map(|it| it.0).collect())
}
