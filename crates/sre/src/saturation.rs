//! When something runs out: the time until a series reaches its limit, as an interval. For CPU,
//! memory, disks, connections, queues, certificates and quotas alike; the units do not matter.
//!
//! [`forecast`] puts samples on an even grid (`grid`), takes out seasons (`season`) or keeps the tops
//! of saw-teeth (`teeth`), reads the noise off the whole history (`noise`), finds the line that holds
//! now (`trend`) and follows it to the limit (`passage`). It says nothing where the history is too
//! short, the trend no larger than the noise, a step explains it better, or the limit farther away
//! than the trend is old allows to say. [`Watch`] raises an alarm from forecasts; [`baseline`] has
//! what is usual in the field; [`of_incident`] is for all series of an incident that have a limit.

use crate::signal::Signal;
use grid::Grid;
use noise::Noise;
use passage::{NINETY, Passage};
use season::Profile;
use teeth::Teeth;
use trend::Line;

pub mod baseline;
mod grid;
mod noise;
mod of_incident;
mod passage;
mod season;
mod teeth;
#[cfg(test)]
mod tests;
mod trend;
mod watch;

pub use of_incident::{Saturation, of_incident};
pub use watch::{Held, Watch};

/// Fewest cells with a value, and fewest tops of teeth.
const FEWEST_CELLS: usize = 12;
const FEWEST_TOPS: usize = 8;

/// Cycles that a trend through a season must last.
const SHORTEST_CYCLES: f64 = 2.5;

/// Cells without a value at the end, beyond which the series says nothing about now.
const MOST_STALE: usize = 12;

/// The slope must be this many of its deviations.
const SIGNIFICANT: f64 = 4.0;

/// A trend is followed this many times its age ahead.
const AHEAD: f64 = 3.0;

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When, in seconds from any fixed time.
    pub seconds: f64,
    /// What, in the metric's unit.
    pub value: f64,
}

/// On which side of the limit the trouble is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// At and above it: what is used.
    Above,
    /// At and below it: what is left.
    Below,
}

/// What must not be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The limit now, in the metric's unit.
    pub value: f64,
    /// Where an autoscaler moves the limit when it comes near: how far it can.
    pub most: Option<f64>,
    /// On which side of it the trouble is.
    pub side: Side,
}

impl Limit {
    /// A limit from below that nothing moves.
    pub fn above(value: f64) -> Self {
        Self { value, most: None, side: Side::Above }
    }

    /// The limit that counts in the end.
    fn last(&self) -> f64 {
        self.most.unwrap_or(self.value)
    }
}

/// A 90 % interval of seconds from now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Until {
    /// The lower end.
    pub low: f64,
    /// Half of the outcomes are before it.
    pub likely: f64,
    /// The upper end; `None` where the trend may as well never get there.
    pub high: Option<f64>,
}

/// A slope with its 90 % interval, in the metric's unit per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slope {
    /// The slope.
    pub value: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// How a series was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As a line.
    Line,
    /// As a line and what repeats.
    Season,
    /// As a line through the tops of its teeth.
    Tops,
}

impl Method {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Season => "season",
            Self::Tops => "tops",
        }
    }
}

/// Why there is no forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Too few values are known.
    TooLittle,
    /// The last value is too old.
    Stale,
    /// The limit is not a number.
    NoLimit,
    /// Nothing that stands out of the noise goes towards the limit.
    NoTrend,
    /// It was one step, not a trend.
    Step,
    /// The limit is farther away than a trend of this age says anything about.
    TooFar,
}

impl Reason {
    /// It in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLittle => "too few values",
            Self::Stale => "no recent values",
            Self::NoLimit => "no limit",
            Self::NoTrend => "no trend towards the limit",
            Self::Step => "a step, not a trend",
            Self::TooFar => "too far ahead of so short a trend",
        }
    }
}

/// What is to be expected of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Seconds until the limit is reached.
    pub until: Option<Until>,
    /// Where the series goes, of tops where it has teeth.
    pub slope: Option<Slope>,
    /// How it was looked at.
    pub method: Method,
    /// The probability that it goes towards the limit at all, from 0 to 1.
    pub confidence: f64,
    /// Seconds for which the trend has been going on.
    pub age: f64,
    /// Why there is no forecast, where there is none.
    pub reason: Option<Reason>,
}

impl Forecast {
    fn none(reason: Reason) -> Self {
        let method = Method::Line;
        Self { until: None, slope: None, method, confidence: 0.0, age: 0.0, reason: Some(reason) }
    }

    /// Whether the limit may be reached within so many seconds.
    pub fn within(&self, horizon: f64) -> bool {
        self.until.is_some_and(|until| until.low <= horizon)
    }
}

/// What is to be expected of a series at `now`, in seconds as the samples have them. Samples may be
/// in any order, repeated, missing, later than `now` or not finite.
pub fn forecast(samples: &[Sample], limit: &Limit, now: f64) -> Forecast {
    if !limit.last().is_finite() || !limit.value.is_finite() {
        return Forecast::none(Reason::NoLimit);
    }
    let sign = if limit.side == Side::Above { 1.0 } else { -1.0 };
    let Some(mut grid) = Grid::of(samples, now).filter(|it| it.known() >= FEWEST_CELLS) else {
        return Forecast::none(Reason::TooLittle);
    };
    if grid.stale() > MOST_STALE {
        return Forecast::none(Reason::Stale);
    }
    for value in &mut grid.values {
        *value *= sign;
    }
    let top = sign * limit.last();
    if grid.last_two().is_some_and(|(before, last)| before.min(last) >= top) {
        let zero = Until { low: 0.0, likely: 0.0, high: Some(0.0) };
        let none = Forecast::none(Reason::NoTrend);
        return Forecast { until: Some(zero), confidence: 1.0, reason: None, ..none };
    }
    grid.cut_spikes();
    let seasons = season::take_out(&mut grid);
    if let Teeth::Tops(tops) = teeth::teeth(&grid)
        && seasons.is_empty()
    {
        return follow(&tops, &[], (top, sign), Method::Tops);
    }
    let method = if seasons.is_empty() { Method::Line } else { Method::Season };
    follow(&grid, &seasons, (top, sign), method)
}

/// Finds the line and follows it to the limit, which lies above after the sign was applied.
fn follow(grid: &Grid, seasons: &[Profile], (top, sign): (f64, f64), method: Method) -> Forecast {
    let fewest = if method == Method::Tops { FEWEST_TOPS } else { FEWEST_CELLS };
    if grid.known() < fewest {
        return Forecast { method, ..Forecast::none(Reason::TooLittle) };
    }
    let noise = Noise::of(&grid.values);
    // What is left of a season must not look like a trend.
    let cycles = seasons.iter().map(|it| (SHORTEST_CYCLES * it.period / grid.step) as usize);
    let shortest = cycles.min().unwrap_or(if method == Method::Tops { FEWEST_TOPS } else { 0 });
    let Some(line) = Line::longest(&grid.values, &noise, shortest) else {
        return Forecast { method, ..Forecast::none(Reason::TooLittle) };
    };
    let misfit = line.misfit(&grid.values, &noise);
    let (line, noise) = (line.less_sure(misfit), noise.larger(misfit));
    let significance = line.significance();
    let (value, wide) = (line.slope / grid.step, NINETY * line.slope_variance.sqrt() / grid.step);
    let (low, high) = (value - wide, value + wide);
    let (low, high) = if sign > 0.0 { (low, high) } else { (-high, -low) };
    let none = |reason| Forecast {
        until: None,
        slope: Some(Slope { value: sign * value, low, high }),
        method,
        confidence: normal(significance),
        age: line.cells as f64 * grid.step,
        reason: Some(reason),
    };
    if significance < SIGNIFICANT {
        return none(Reason::NoTrend);
    }
    if line.is_a_step(&grid.values) {
        return none(Reason::Step);
    }
    let last = grid.values.len() - 1;
    let now = grid.time(last);
    let offset = offset(grid, &line, &noise);
    let (line, noise) = (&line, &noise);
    let passage = Passage { line, noise, offset, seasons, now, step: grid.step, limit: top };
    let crossing = passage.crossing();
    // A top is somewhere in its cell; the height of a season is known to some parts of its cycle.
    let part = |season: &Profile| season.period / grid.step / 48.0;
    let slack = if method == Method::Tops { 0.5 } else { seasons.iter().map(part).sum() };
    match (crossing.early, crossing.likely) {
        (Some(early), Some(likely)) if likely <= AHEAD * line.cells as f64 => {
            let until = Until {
                low: (early - slack).max(0.0) * grid.step,
                likely: likely * grid.step,
                high: crossing.late.map(|late| (late + slack) * grid.step),
            };
            Forecast { until: Some(until), reason: None, ..none(Reason::TooFar) }
        }
        _ => none(Reason::TooFar),
    }
}

/// How far the remembering part of the noise is from the line now: the mean of the last values of
/// its memory, in as far as it is not white noise.
fn offset(grid: &Grid, line: &Line, noise: &Noise) -> f64 {
    let count = ((noise.cells / 3.0) as usize).clamp(2, line.cells.max(2));
    let last = grid.values.len().saturating_sub(count);
    let rest = grid.values.iter().enumerate().skip(last).filter(|(_, value)| !value.is_nan());
    let rest: Vec<f64> = rest
        .map(|(index, value)| value - line.at(index as f64 - (grid.values.len() - 1) as f64))
        .collect();
    if rest.is_empty() || noise.slow <= 0.0 {
        return 0.0;
    }
    let mean = rest.iter().sum::<f64>() / rest.len() as f64;
    mean * noise.slow / (noise.slow + noise.white / rest.len() as f64)
}

/// The share of a normal distribution below so many deviations.
fn normal(deviations: f64) -> f64 {
    0.5 * libm::erfc(-deviations * std::f64::consts::FRAC_1_SQRT_2)
}
