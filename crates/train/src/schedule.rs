//! The learning rate as a pure function of the step.

use crate::recipe::{Decay, Schedule};

/// The learning rate of step `step`, counted from 0, of `total`.
///
/// The first `warmup_steps` rise in equal parts, (step + 1) / (warmup + 1) of the peak, so that no step
/// learns nothing and the first one after them is at the peak. From there, with p the share of the
/// remaining steps that is done and r the minimum ratio:
/// constant 1; linear 1 - (1 - r) p; cosine r + (1 - r) (1 + cos πp) / 2.
pub fn learning_rate(schedule: &Schedule, step: u64, total: u64) -> f64 {
    let Schedule { learning_rate: peak, warmup_steps, minimum_ratio, decay, .. } = *schedule;
    if step < warmup_steps {
        return peak * (step + 1) as f64 / (warmup_steps + 1) as f64;
    }
    let rest = total.saturating_sub(warmup_steps).max(1);
    let done = ((step - warmup_steps) as f64 / rest as f64).min(1.0);
    let factor = match decay {
        Decay::Constant => 1.0,
        Decay::Linear => 1.0 - (1.0 - minimum_ratio) * done,
        Decay::Cosine => {
            let wave = (1.0 + libm::cos(std::f64::consts::PI * done)) / 2.0;
            minimum_ratio + (1.0 - minimum_ratio) * wave
        }
    };
    peak * factor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(decay: Decay) -> Schedule {
        Schedule {
            decay,
            learning_rate: 2.0,
            warmup_steps: 3,
            minimum_ratio: 0.1,
            ..Schedule::default()
        }
    }

    fn rates(decay: Decay) -> Vec<f64> {
        (0..=13).map(|step| learning_rate(&schedule(decay), step, 13)).collect()
    }

    #[test]
    fn warm_up_rises_to_the_peak() {
        for decay in [Decay::Constant, Decay::Linear, Decay::Cosine] {
            assert_eq!(rates(decay)[..4], [0.5, 1.0, 1.5, 2.0], "{decay:?}");
        }
    }

    #[test]
    fn the_three_shapes_end_where_they_should() {
        assert!(rates(Decay::Constant)[3..].iter().all(|&rate| rate == 2.0));
        for decay in [Decay::Linear, Decay::Cosine] {
            let rates = rates(decay);
            assert!(rates[3..].windows(2).all(|pair| pair[1] < pair[0]), "{decay:?}: {rates:?}");
            assert!((rates[8] - 1.1).abs() < 1e-12, "halfway, {decay:?}: {}", rates[8]);
            assert!((rates[13] - 0.2).abs() < 1e-12, "at the end, {decay:?}: {}", rates[13]);
        }
        // A quarter of the way a cosine is still high: (1 + cos 45°) / 2.
        let expected = 2.0 * (0.1 + 0.9 * (1.0 + std::f64::consts::FRAC_1_SQRT_2) / 2.0);
        let quarter =
            learning_rate(&Schedule { warmup_steps: 0, ..schedule(Decay::Cosine) }, 3, 12);
        assert!((quarter - expected).abs() < 1e-12, "{quarter} {expected}");
    }

    #[test]
    fn a_warm_up_longer_than_the_run_never_divides_by_zero() {
        let rate = learning_rate(&schedule(Decay::Cosine), 3, 2);
        assert!(rate.is_finite() && rate > 0.0);
    }
}
