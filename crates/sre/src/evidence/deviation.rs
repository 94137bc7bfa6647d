//! How far a metric left its baseline: the robust scorer of BARO (Pham et al., "BARO: Robust Root
//! Cause Analysis for Microservices via Multivariate Bayesian Online Change Point Detection", FSE
//! 2024, section 4.3) on both sides: (x - median) / IQR, median and quartiles over the time before
//! the incident, the largest over the time of the incident, runs of three values smoothed.

use crate::incident::Series;
use jiff::Timestamp;

/// Fewest values before and after the start that say anything.
const FEWEST: usize = 3;

/// Below this many interquartile ranges a metric counts as unchanged.
const NOTABLE: f64 = 3.0;

/// From here on a number is only said to be huge.
const HUGE: f64 = 1e12;

/// The share of the baseline's median that counts as one step of it at least: series that hardly
/// move would otherwise make a mountain of nothing.
const LEAST_SCALE: f64 = 0.05;

/// How a metric changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// Interquartile ranges between baseline and the farthest value.
    pub score: f64,
    /// The median before the incident, in the metric's unit.
    pub before: f64,
    /// The farthest value during the incident, in the metric's unit.
    pub extreme: f64,
    /// When it left its baseline, in minutes after the start of the incident.
    pub onset_minutes: i64,
}

impl Deviation {
    /// The deviation of a series, or `None` where it stayed where it was or where too few values
    /// are known.
    pub fn of(series: &Series, start: Timestamp, end: Timestamp) -> Option<Self> {
        let (mut before, mut during) = (Vec::new(), Vec::new());
        let mut second = series.start.as_second();
        for value in &series.values {
            if let Some(value) = value {
                if second < start.as_second() {
                    before.push(*value);
                } else if second <= end.as_second() {
                    during.push((second, *value));
                }
            }
            second += i64::from(series.step_seconds);
        }
        if before.len() < FEWEST || during.len() < FEWEST {
            return None;
        }
        before.sort_by(f64::total_cmp);
        let median = quantile(&before, 0.5);
        let range = quantile(&before, 0.75) - quantile(&before, 0.25);
        let scale = range.max(LEAST_SCALE * median.abs()).max(1e-9);
        let smooth: Vec<(i64, f64)> = during
            .windows(3)
            .map(|three| (three[0].0, middle(three[0].1, three[1].1, three[2].1)))
            .collect();
        let score = |value: f64| ((value - median) / scale).abs();
        let (_, extreme) =
            smooth.iter().copied().max_by(|a, b| score(a.1).total_cmp(&score(b.1)))?;
        let onset = smooth.iter().find(|(_, value)| score(*value) >= NOTABLE)?.0;
        Some(Self {
            // A series that was constant has no scale of its own; beyond this all are alike.
            score: score(extreme).min(1e3),
            before: median,
            extreme,
            onset_minutes: (onset - start.as_second()).div_euclid(60),
        })
    }

    /// It in words: "up x2.6 to 99% of limit from +2m".
    pub fn words(&self, limit: Option<f64>) -> String {
        let direction = if self.extreme >= self.before { "up" } else { "down" };
        let factor = self.extreme / self.before;
        let change = match limit {
            Some(limit) => {
                let percent = |value: f64| (100.0 * (value / limit).clamp(-HUGE, HUGE)).round();
                format!("{:.0}% to {:.0}% of limit", percent(self.before), percent(self.extreme))
            }
            None if factor.is_finite() && factor >= 1.0 => format!("x{}", short(factor)),
            None if factor.is_finite() && factor > 0.0 && self.extreme != 0.0 => {
                format!("to 1/{}", short(1.0 / factor))
            }
            None => format!("{} to {}", short(self.before), short(self.extreme)),
        };
        format!("{direction} {change} from {:+}m", self.onset_minutes)
    }
}

/// A number with two digits that matter, and never an exponent.
fn short(value: f64) -> String {
    let size = value.abs();
    if size >= HUGE {
        // Hundreds of digits say no more.
        "a huge number".to_owned()
    } else if size >= 10_000.0 {
        format!("{:.0}k", value / 1000.0)
    } else if size >= 10.0 || value == 0.0 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

/// The quantile of sorted values, interpolated between neighbours.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}

fn middle(a: f64, b: f64, c: f64) -> f64 {
    a.max(b).min(a.min(b).max(c))
}
