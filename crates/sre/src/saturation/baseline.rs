//! What is usual in the field, to compare with: a threshold, and Prometheus' `predict_linear` with
//! the guards of its usual rules.

use super::{Limit, Sample, Side};

/// `predict_linear(v[window], ahead)` past the limit, while the use is above a share of it. The
/// numbers of two rules that many clusters have are in [`PredictLinear::VOLUME`] and
/// [`PredictLinear::NODE`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictLinear {
    /// Seconds that the line is fitted to.
    pub window: f64,
    /// Seconds that it is followed.
    pub ahead: f64,
    /// The share of the limit that must be in use.
    pub share: f64,
    /// Seconds for which it must hold.
    pub hold: f64,
}

impl PredictLinear {
    /// `KubePersistentVolumeFillingUp` of the kubernetes-mixin, the warning.
    pub const VOLUME: Self =
        Self { window: 21_600.0, ahead: 345_600.0, share: 0.85, hold: 3_600.0 };

    /// `NodeFilesystemSpaceFillingUp` of the node-mixin, the warning.
    pub const NODE: Self = Self { window: 21_600.0, ahead: 86_400.0, share: 0.6, hold: 3_600.0 };

    /// Seconds until the line through the window reaches the limit, if it ever does.
    pub fn until(&self, samples: &[Sample], limit: &Limit, now: f64) -> Option<f64> {
        let (slope, value) = self.line(samples, now)?;
        let left = limit.value - value;
        let left = if limit.side == Side::Above { left } else { -left };
        let slope = if limit.side == Side::Above { slope } else { -slope };
        if left <= 0.0 {
            return Some(0.0);
        }
        (slope > 0.0).then_some(left / slope)
    }

    /// Whether the rule's condition holds at `now`.
    pub fn holds(&self, samples: &[Sample], limit: &Limit, now: f64) -> bool {
        let threshold = Threshold { share: self.share };
        let soon = self.until(samples, limit, now).is_some_and(|until| until <= self.ahead);
        soon && threshold.holds(samples, limit, now)
    }

    /// Slope and value at `now` of the least squares line through the window.
    fn line(&self, samples: &[Sample], now: f64) -> Option<(f64, f64)> {
        let known = || {
            let inside = |it: &&Sample| it.seconds <= now && it.seconds > now - self.window;
            samples.iter().filter(inside).filter(|it| it.value.is_finite())
        };
        let count = known().count() as f64;
        let time = known().map(|it| it.seconds - now).sum::<f64>() / count;
        let mean = known().map(|it| it.value / count).sum::<f64>();
        let (mut square, mut product) = (0.0, 0.0);
        for sample in known() {
            let offset = sample.seconds - now - time;
            square += offset * offset;
            product += offset * (sample.value - mean);
        }
        let slope = product / square;
        (count >= 2.0 && square > 0.0 && slope.is_finite()).then_some((slope, mean - slope * time))
    }
}

/// A plain threshold: the share of the limit that is in use; of a limit from above, how much of it
/// more than nothing is left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// The share.
    pub share: f64,
}

impl Threshold {
    /// Whether the last sample is past the share.
    pub fn holds(&self, samples: &[Sample], limit: &Limit, now: f64) -> bool {
        let usable = |it: &&Sample| it.seconds <= now && it.value.is_finite();
        let last = samples.iter().filter(usable).max_by(|a, b| a.seconds.total_cmp(&b.seconds));
        last.is_some_and(|last| match limit.side {
            Side::Above => last.value >= self.share * limit.value,
            Side::Below => last.value <= limit.value + (1.0 - self.share) * limit.value.abs(),
        })
    }
}
