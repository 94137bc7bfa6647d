//! How early and how rightly methods say that something runs out, on simulated series.
//!
//! Every method looks at each series twice an hour, from its third day until the limit is reached or
//! the measurements end. An alarm is right if the limit is reached within twice the horizon after it
//! was raised, otherwise false; one that was cleared for less than `APART` is still the same. The
//! lead time is that from the first right alarm to the limit.

use lab::series::{Course, Drawn, KNOWN, MEASURED, STEP, series};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use sre::saturation::baseline::{PredictLinear, Threshold};
use sre::saturation::{Held, Until, Watch, forecast};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

#[cfg(test)]
mod tests;

/// Seconds that are looked ahead: the four days of the rule for volumes.
pub const HORIZON: f64 = 345_600.0;

/// Seconds of history before the first look, and between two.
const FIRST: f64 = 3.0 * DAY;
const EVERY: f64 = 1_800.0;

/// Seconds without alarm that part two alarms.
const APART: f64 = 14_400.0;

const DAY: f64 = 86_400.0;

/// The share of the limit that is the plain threshold.
const THRESHOLD: f64 = 0.9;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// [`forecast`] with [`Watch`].
    Forecast,
    /// `predict_linear` as the usual rule for volumes has it.
    PredictVolume,
    /// `predict_linear` as the usual rule for nodes has it.
    PredictNode,
    /// A plain threshold.
    Threshold,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Forecast, Self::PredictVolume, Self::PredictNode, Self::Threshold];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forecast => "forecast",
            Self::PredictVolume => "predict_linear volume",
            Self::PredictNode => "predict_linear node",
            Self::Threshold => "threshold 90%",
        }
    }
}

/// What a method did on one series.
#[derive(Clone, Debug, Default)]
struct Seen {
    days: f64,
    /// Whether the limit is reached while it is measured.
    event: bool,
    lead: Option<f64>,
    false_alarms: usize,
    /// Of the intervals of which the outcome is known, those that hold it.
    covered: usize,
    intervals: usize,
    /// How far the likely time was off, as a share of the true time, within the horizon.
    errors: Vec<f64>,
}

/// What a method did on many series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Series, and days of them.
    pub series: usize,
    /// Days of series that were looked at.
    pub days: f64,
    /// Series that reach their limit.
    pub events: usize,
    /// The share of these that an alarm came before.
    pub recall: Option<f64>,
    /// Seconds from alarm to limit: the median and the tenth part from below, over all events;
    /// those without alarm count as 0.
    pub median_lead: Option<f64>,
    /// See there.
    pub p10_lead: Option<f64>,
    /// False alarms.
    pub false_alarms: usize,
    /// Intervals of which the outcome is known, and the share that holds it.
    pub intervals: usize,
    /// See there.
    pub coverage: Option<f64>,
    /// The median of how far the likely time is off, as a share of the true time, where that is
    /// within the horizon.
    pub error: Option<f64>,
}

impl Score {
    /// False alarms per day of a series.
    pub fn false_per_day(&self) -> f64 {
        self.false_alarms as f64 / self.days.max(1e-9)
    }

    fn of(all: &[&Seen]) -> Self {
        let mut leads: Vec<f64> =
            all.iter().filter(|it| it.event).map(|it| it.lead.unwrap_or(0.0)).collect();
        leads.sort_by(f64::total_cmp);
        let mut errors: Vec<f64> = all.iter().flat_map(|it| it.errors.iter().copied()).collect();
        errors.sort_by(f64::total_cmp);
        let found = all.iter().filter(|it| it.event && it.lead.is_some()).count();
        let (covered, intervals) =
            all.iter().fold((0, 0), |sum, it| (sum.0 + it.covered, sum.1 + it.intervals));
        let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
        Self {
            series: all.len(),
            days: all.iter().map(|it| it.days).sum(),
            events: leads.len(),
            recall: share(found, leads.len()),
            median_lead: quantile(&leads, 0.5),
            p10_lead: quantile(&leads, 0.1),
            false_alarms: all.iter().map(|it| it.false_alarms).sum(),
            intervals,
            coverage: share(covered, intervals),
            error: quantile(&errors, 0.5),
        }
    }
}

fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    let (low, high) = (*sorted.get(low)?, *sorted.get(high)?);
    Some(low + (high - low) * (place - place.floor()))
}

/// The scores of a method: over all series, and by what they do.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The method.
    pub method: Method,
    /// Over all series.
    pub all: Score,
    /// By course.
    pub by_course: BTreeMap<Course, Score>,
}

/// What every method did on one series.
#[derive(Clone, Debug)]
pub struct Looked {
    course: Course,
    seen: [Seen; Method::ALL.len()],
}

/// Every method looks at the series of these numbers. The same for the same seed and numbers, on any
/// number of threads.
pub fn look(seed: u64, numbers: Range<u64>) -> Vec<Looked> {
    let one = |number: u64| {
        let drawn = series(seed, number);
        let seen = Method::ALL.map(|method| watch(&drawn, method));
        Looked { course: drawn.course, seen }
    };
    numbers.into_par_iter().map(one).collect()
}

/// The scores of every method.
pub fn compare(all: &[Looked]) -> Vec<Scores> {
    let scores = |(index, method): (usize, Method)| {
        let of = |wanted: Option<Course>| {
            let some = all.iter().filter(|it| wanted.is_none_or(|course| course == it.course));
            Score::of(&some.map(|it| &it.seen[index]).collect::<Vec<_>>())
        };
        let courses = all.iter().map(|it| it.course).collect::<BTreeSet<_>>();
        let by_course = courses.into_iter().map(|course| (course, of(Some(course)))).collect();
        Scores { method, all: of(None), by_course }
    };
    Method::ALL.into_iter().enumerate().map(scores).collect()
}

/// A method looks at a series until its end.
fn watch(drawn: &Drawn, method: Method) -> Seen {
    let end = drawn.reached.unwrap_or(MEASURED).min(MEASURED);
    let mut seen = Seen {
        days: ((end - FIRST) / DAY).max(0.0),
        event: drawn.reached.is_some_and(|reached| reached > FIRST && reached < MEASURED),
        ..Seen::default()
    };
    let (mut watch, mut held) = (Watch::new(HORIZON), Held::default());
    let (mut raised, mut last) = (false, f64::NEG_INFINITY);
    let looks = ((end - FIRST) / EVERY).ceil().max(0.0) as usize;
    for now in (0..looks).map(|index| FIRST + index as f64 * EVERY) {
        let (samples, limit) = (drawn.seen(now), drawn.limit(now));
        let stands = match method {
            Method::Forecast => {
                let forecast = forecast(samples, &limit, now);
                if let Some(until) = forecast.until {
                    seen.interval(drawn, now, until);
                }
                watch.see(now, &forecast)
            }
            Method::PredictVolume | Method::PredictNode => {
                let volume = method == Method::PredictVolume;
                let rule = if volume { PredictLinear::VOLUME } else { PredictLinear::NODE };
                if let Some(until) = rule.until(samples, &limit, now) {
                    seen.error(drawn, now, until);
                }
                held.see(now, rule.holds(samples, &limit, now), (rule.hold, 0.0))
            }
            Method::Threshold => {
                let threshold = Threshold { share: THRESHOLD };
                held.see(now, threshold.holds(samples, &limit, now), (0.0, 0.0))
            }
        };
        if stands && !raised && now - last > APART {
            seen.alarm(drawn, now);
        }
        raised = stands;
        last = if stands { now } else { last };
    }
    seen
}

impl Seen {
    fn alarm(&mut self, drawn: &Drawn, now: f64) {
        match drawn.reached {
            Some(reached) if reached - now <= 2.0 * HORIZON => {
                if self.event {
                    self.lead.get_or_insert(reached - now);
                }
            }
            _ => self.false_alarms += 1,
        }
    }

    /// Compares an interval with what comes, if that is known: where nothing comes, an interval that
    /// ends before all is known was wrong, and one without an end was right.
    fn interval(&mut self, drawn: &Drawn, now: f64, until: Until) {
        let after = drawn.reached.map(|reached| reached - now);
        let covered = match (after, until.high) {
            // The limit is looked at once a step.
            (Some(after), high) => {
                after + STEP >= until.low && high.is_none_or(|high| after <= high + STEP)
            }
            (None, None) => true,
            (None, Some(high)) if high <= KNOWN - now => false,
            (None, Some(_)) => return,
        };
        self.intervals += 1;
        self.covered += usize::from(covered);
        self.error(drawn, now, until.likely);
    }

    fn error(&mut self, drawn: &Drawn, now: f64, likely: f64) {
        let Some(after) = drawn.reached.map(|reached| reached - now) else { return };
        if after <= HORIZON {
            self.errors.push((likely - after).abs() / after.max(STEP));
        }
    }
}
