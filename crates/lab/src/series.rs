//! Series of something that may run out, with the time at which it does: ramps, steps, seasons,
//! saw-teeth, autoscaled limits and noise, measured with the faults that monitoring has.

use crate::dice::Dice;
use sre::saturation::{Limit, Sample, Side};

mod course;
mod measured;
#[cfg(test)]
mod tests;

/// Seconds from one value to the next.
pub const STEP: f64 = 300.0;

/// Seconds that are measured.
pub const MEASURED: f64 = 14.0 * DAY;

/// Seconds after which nothing counts as reaching the limit any more: a forecast can be compared
/// with what comes long after the measurements end.
pub const KNOWN: f64 = 60.0 * DAY;

const DAY: f64 = 86_400.0;

/// What a series does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Course {
    /// It grows from the first day on, as a disk fills.
    Steady,
    /// It is flat, then grows within hours or days, as with a leak that came with a rollout.
    Ramp,
    /// It steps to a new level and stays there.
    Step,
    /// It grows for some hours and stops, as in a nightly job.
    Burst,
    /// It goes up and down every day.
    Season,
    /// It goes up and down every day, and a little higher each day.
    GrowingSeason,
    /// It grows and is cut, as with garbage collection and log rotation.
    Teeth,
    /// It grows and is cut, less deep each time.
    LeakingTeeth,
    /// An autoscaler moves the limit and has room left.
    Autoscaled,
    /// An autoscaler moves the limit until it is at its most.
    AutoscaledToMost,
    /// It wanders and goes nowhere.
    Noise,
}

impl Course {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Steady,
        Self::Ramp,
        Self::Step,
        Self::Burst,
        Self::Season,
        Self::GrowingSeason,
        Self::Teeth,
        Self::LeakingTeeth,
        Self::Autoscaled,
        Self::AutoscaledToMost,
        Self::Noise,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Ramp => "ramp",
            Self::Step => "step",
            Self::Burst => "burst",
            Self::Season => "season",
            Self::GrowingSeason => "growing-season",
            Self::Teeth => "teeth",
            Self::LeakingTeeth => "leaking-teeth",
            Self::Autoscaled => "autoscaled",
            Self::AutoscaledToMost => "autoscaled-to-most",
            Self::Noise => "noise",
        }
    }
}

/// A series and what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// What it does.
    pub course: Course,
    /// The samples in the order in which they arrived, and when each did, in seconds.
    samples: Vec<Sample>,
    arrived: Vec<f64>,
    /// The limit at each step, and the most that it can become.
    limits: Vec<f64>,
    most: Option<f64>,
    /// Seconds at which the limit is first reached, if that is within [`KNOWN`].
    pub reached: Option<f64>,
}

impl Drawn {
    /// What had arrived by a time.
    pub fn seen(&self, now: f64) -> &[Sample] {
        &self.samples[..self.arrived.partition_point(|arrived| *arrived <= now)]
    }

    /// The limit at a time.
    pub fn limit(&self, now: f64) -> Limit {
        let index = ((now / STEP) as usize).min(self.limits.len().saturating_sub(1));
        Limit { value: self.limits[index], most: self.most, side: Side::Above }
    }
}

/// The series of this number: the same for the same seed. The courses take turns.
pub fn series(seed: u64, number: u64) -> Drawn {
    let courses = Course::ALL.len();
    let course = Course::ALL[usize::try_from(number).unwrap_or(0) % courses];
    let mut dice = Dice::named(&[0x6c61_6202, seed, number]);
    let dice = &mut dice;
    let unit = *dice.one(&[1.0, 100.0, 4_096.0, 536_870_912.0, 1e12]);
    let (shares, limits) = course::shares(dice, course);
    let at = shares.iter().position(|share| *share >= 1.0);
    let reached = at.map(|index| index as f64 * STEP);
    let measured = (MEASURED / STEP) as usize;
    let (samples, arrived) = measured::measure(dice, &shares[..measured], unit);
    let scaled = limits.is_some();
    let limits = limits.unwrap_or_else(|| vec![1.0; measured]);
    let limits = limits.into_iter().take(measured).map(|share| share * unit).collect();
    Drawn { course, samples, arrived, limits, most: scaled.then_some(unit), reached }
}
