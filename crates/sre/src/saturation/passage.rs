//! When a line with noise and seasons first reaches a limit: early, likely and late.

use super::noise::Noise;
use super::season::Profile;
use super::trend::Line;

/// Deviations on either side of a 90 % interval.
pub(super) const NINETY: f64 = 1.644_853_6;

/// By how much the deviation of what is forecast is larger than the fit says, for what was chosen
/// by looking at the data: the window, the noise, the season.
const WIDER: f64 = 1.0;

/// How far is looked ahead, in windows of the line.
const FARTHEST: f64 = 60.0;

/// By how much a season may grow.
const MOST_GROWTH: f64 = 2.0;

/// Steps of a season's period, and how much farther each step is without one.
const STEPS_OF_PERIOD: f64 = 96.0;
const FARTHER: f64 = 0.02;

/// The way to a limit that lies above.
pub(super) struct Passage<'a> {
    pub(super) line: &'a Line,
    pub(super) noise: &'a Noise,
    /// How far the series is from the line just now; that fades.
    pub(super) offset: f64,
    pub(super) seasons: &'a [Profile],
    /// Seconds of the last cell, and of a cell.
    pub(super) now: f64,
    pub(super) step: f64,
    pub(super) limit: f64,
}

/// Cells until the limit is reached; `None` where that is not in sight.
pub(super) struct Crossing {
    pub(super) early: Option<f64>,
    pub(super) likely: Option<f64>,
    pub(super) late: Option<f64>,
}

impl Passage<'_> {
    pub(super) fn crossing(&self) -> Crossing {
        let peaks = self.peaks();
        let mut found = [None; 3];
        let mut before = [f64::NEG_INFINITY; 3];
        let (mut time, mut last) = (0.0, 0.0);
        let farthest = FARTHEST * self.line.cells as f64;
        while found[2].is_none() && time <= farthest {
            for (side, deviations) in [NINETY, 0.0, -NINETY].into_iter().enumerate() {
                let height = self.height(peaks, time, deviations) - self.limit;
                if found[side].is_none() && height >= 0.0 {
                    let share = if before[side].is_finite() && height > before[side] {
                        -before[side] / (height - before[side])
                    } else {
                        0.0
                    };
                    found[side] = Some(last + share * (time - last));
                }
                before[side] = height;
            }
            last = time;
            time += self.stride(time);
        }
        Crossing { early: found[0], likely: found[1], late: found[2] }
    }

    fn stride(&self, time: f64) -> f64 {
        let periods = self.seasons.iter().map(|season| season.period / self.step);
        let short = periods.fold(f64::INFINITY, f64::min);
        (0.25 + FARTHER * time).min((short / STEPS_OF_PERIOD).max(0.25))
    }

    /// How high the series has been by a time, that many deviations from the likely.
    fn height(&self, (slow_peak, white_peak): (Peak, Peak), time: f64, deviations: f64) -> f64 {
        let fading = libm::pow(self.noise.memory, time);
        let slow = self.noise.slow * (1.0 - fading * fading);
        let white = self.noise.white;
        let at = self.now + time * self.step;
        let growth = self.growth(time, deviations);
        let season: f64 = self.seasons.iter().map(|it| growth * it.at(at)).sum();
        let noise = slow_peak.variance * slow + white_peak.variance * white;
        let variance = self.line.variance_at(time) + noise;
        self.line.at(time)
            + self.offset * fading
            + season
            + slow_peak.height * slow.sqrt()
            + white_peak.height * white.sqrt()
            + deviations * WIDER * variance.sqrt()
    }

    /// The peaks of the two parts of the noise. While the slow part is at its peak, the white one has
    /// the tries of that time.
    fn peaks(&self) -> (Peak, Peak) {
        let slope = self.line.slope.abs().max(1e-300);
        let slow = self.noise.slow.sqrt() / (slope * self.noise.cells);
        let white = self.noise.white.sqrt() / slope;
        let both = self.noise.slow > 0.25 * self.noise.white;
        let white = if both { white.min(self.noise.cells) } else { white };
        (Peak::of(slow), Peak::of(white))
    }

    /// By how much a season is larger than it was on average. Load makes it grow with the level,
    /// other things leave it as it is: early outcomes take the first, late ones the second.
    fn growth(&self, time: f64, deviations: f64) -> f64 {
        let share = 0.5 + 0.5 * (deviations / NINETY).clamp(-1.0, 1.0);
        let (before, then) = (self.line.at(self.line.cells as f64 / -2.0), self.line.at(time));
        let growth = if before > 0.0 { (then / before).clamp(1.0, MOST_GROWTH) } else { 1.0 };
        1.0 + share * (growth - 1.0)
    }
}

/// How far noise stands above its mean when a rising line and it first reach a limit together, in
/// deviations.
#[derive(Clone, Copy)]
struct Peak {
    height: f64,
    variance: f64,
}

impl Peak {
    /// For noise that is drawn anew so many times while the line rises by one of its deviations. By
    /// the time at which the line is `x` deviations below the limit, `draws ψ(x)` draws are expected
    /// to have reached it, with `ψ(x)` the mean of what a normal number has above `x`; that number of
    /// draws is Poisson's, so none has with the probability `exp(-draws ψ(x))`.
    fn of(draws: f64) -> Self {
        let height = |none: f64| inverse_excess(-libm::log(none) / draws.max(1e-9));
        let wide = (height(0.95) - height(0.05)) / (2.0 * NINETY);
        Self { height: height(0.5).max(0.0), variance: (wide * wide).min(1.0) }
    }
}

/// The `x` above which a normal number has `excess` on average, from -4 to 8.
fn inverse_excess(excess: f64) -> f64 {
    let (mut low, mut high) = (-4.0, 8.0);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        let density = libm::exp(-0.5 * middle * middle) / std::f64::consts::TAU.sqrt();
        let above = 0.5 * libm::erfc(middle * std::f64::consts::FRAC_1_SQRT_2);
        if density - middle * above > excess {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}
