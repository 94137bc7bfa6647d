//! An alarm out of forecasts: it must hold for a while before it is raised and be gone for a while
//! before it is cleared.

use super::Forecast;

/// A condition that must hold for a while, as `for` and `keep_firing_for` of an alerting rule.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    since: Option<f64>,
    last: Option<f64>,
    raised: bool,
}

impl Held {
    /// Takes in whether the condition holds at `now`, and says whether the alarm stands: after it
    /// held for `hold` seconds, until it did not hold for `keep` seconds.
    pub fn see(&mut self, now: f64, holds: bool, (hold, keep): (f64, f64)) -> bool {
        if holds {
            let since = *self.since.get_or_insert(now);
            self.last = Some(now);
            self.raised |= now - since >= hold;
        } else {
            self.since = None;
            self.raised &= self.last.is_some_and(|last| now - last < keep);
        }
        self.raised
    }
}

/// Seconds for which an alarm holds before it is raised, at most, and after which it is cleared.
const HOLD: f64 = 3_600.0;
const KEEP: f64 = 3_600.0;

/// The share of the time that is left at least that may pass before an alarm is raised.
const SHARE: f64 = 0.25;

/// An alarm looks this many times the age of the trend ahead once that is so many seconds, and less
/// before: what goes on for hours often ends by itself.
const AHEAD: f64 = 2.5;
const OLD: f64 = 86_400.0;
const LEAST_AHEAD: f64 = 0.5;

/// An alarm needs an interval that ends by so many times the likely time.
const SURE: f64 = 4.0;

/// Raises an alarm when the limit may be reached within a horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    horizon: f64,
    held: Held,
}

impl Watch {
    /// A watch for the next `horizon` seconds.
    pub fn new(horizon: f64) -> Self {
        Self { horizon, held: Held::default() }
    }

    /// Takes in the forecast at `now` and says whether the alarm stands.
    pub fn see(&mut self, now: f64, forecast: &Forecast) -> bool {
        let Some(until) = forecast.until else {
            return self.held.see(now, false, (0.0, KEEP));
        };
        let ahead = (AHEAD * forecast.age / OLD).clamp(LEAST_AHEAD, AHEAD);
        let sure = until.high.is_some_and(|high| high <= SURE * until.likely.max(HOLD));
        let old = until.likely <= ahead * forecast.age || until.low <= 0.0;
        let holds = forecast.within(self.horizon) && sure && old;
        self.held.see(now, holds, ((SHARE * until.low).min(HOLD), KEEP))
    }
}
