//! The times that are read, and the even grid that metrics are put on.

use super::{Ask, Error, Result};
use jiff::Timestamp;

/// Steps that people use, in seconds.
const STEPS: [i64; 12] = [15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 86_400];
/// The shortest baseline.
const SHORTEST_BASELINE: i64 = 3_600;
/// Most points of a series by our own choice, and by Prometheus' rule.
const MOST_CHOSEN: i64 = 720;
const MOST_POINTS: i64 = 11_000;
/// The longest window: a year.
const LONGEST: i64 = 366 * 86_400;

/// What is diagnosed is from `start` to `end`; what is usual is seen from `from` to `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The first point of the grid.
    pub(super) from: i64,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
}

impl Window {
    pub(super) fn new(ask: &Ask) -> Result<Self> {
        namespace(&ask.namespace)?;
        let (start, end) = (ask.start.as_second(), ask.until.as_second());
        let length = end - start;
        if !(1..=LONGEST).contains(&length) {
            let problem = "the time to look at is empty or longer than a year";
            return Err(Error::Ask(problem.to_owned()));
        }
        let baseline = length.max(SHORTEST_BASELINE);
        let whole = baseline + length;
        let fits = |step: i64| step >= length / 60 && whole / step <= MOST_CHOSEN;
        let step = match ask.step_seconds {
            None => STEPS.into_iter().find(|step| fits(*step)).unwrap_or(86_400),
            Some(step) => i64::from(step),
        };
        if step < 1 || whole / step < 2 || whole / step >= MOST_POINTS {
            let problem =
                format!("a step of {step} s gives too many or too few points in {whole} s");
            return Err(Error::Ask(problem));
        }
        // Points at round times: two readings of the same minutes see the same values.
        let from = (start - baseline).div_euclid(step) * step;
        Ok(Self { from, start, end, step })
    }

    /// Points of the grid.
    pub(super) fn points(&self) -> usize {
        usize::try_from((self.end - self.from) / self.step + 1).unwrap_or(0)
    }

    /// The time of the last point.
    pub(super) fn last(&self) -> i64 {
        self.from + (self.end - self.from) / self.step * self.step
    }

    /// Whether a time is in what is diagnosed.
    pub(super) fn is_in(&self, time: Timestamp) -> bool {
        (self.start..=self.end).contains(&time.as_second())
    }

    /// Whether a time is in what is read.
    pub(super) fn is_read(&self, time: Timestamp) -> bool {
        (self.from..=self.end).contains(&time.as_second())
    }

    /// Seconds over which counters are differentiated: a few of the usual 15 to 60 s between scrapes.
    pub(super) fn rate_seconds(&self) -> i64 {
        self.step.max(120)
    }

    /// Samples in any order on the grid. A point gets the latest sample that is nearer to it than to
    /// another; what is not a finite number or outside is no sample.
    pub(super) fn resample(&self, samples: &[(f64, f64)]) -> Vec<Option<f64>> {
        let mut samples: Vec<_> =
            samples.iter().filter(|(time, value)| time.is_finite() && value.is_finite()).collect();
        samples.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut values = vec![None; self.points()];
        for (time, value) in samples {
            let place = ((time - self.from as f64) / self.step as f64).round();
            if place >= 0.0 && place < values.len() as f64 {
                values[place as usize] = Some(*value);
            }
        }
        values
    }
}

/// Seconds of a time, for what is compared with the window.
pub(super) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A namespace stands in queries and addresses, so it has to be one.
fn namespace(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let ends = [name.as_bytes().first(), name.as_bytes().last()];
    let right = (1..=63).contains(&name.len())
        && name.bytes().all(fits)
        && ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric));
    if right {
        return Ok(());
    }
    let shown = sre::incident::plain(name, 63);
    Err(Error::Ask(format!(
        "\"{shown}\" is no name of a namespace\nhint: at most 63 of a-z, 0-9 and -, such as shop"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn window(length: i64, step: Option<u32>) -> Result<Window> {
        let until = timestamp(1_772_359_207);
        Window::new(&Ask {
            namespace: "shop".to_owned(),
            start: until - jiff::SignedDuration::from_secs(length),
            until,
            step_seconds: step,
            alert: None,
            deadline: Duration::ZERO,
            limits: super::super::Limits::default(),
        })
    }

    #[test]
    fn steps_are_round_and_points_neither_few_nor_many() {
        for (length, step) in
            [(60, 15), (900, 15), (3_600, 60), (6 * 3_600, 600), (86_400, 1_800), (172_800, 3_600)]
        {
            let window = window(length, None).unwrap();
            assert_eq!(window.step, step, "{length}");
            assert!((60..=721).contains(&window.points()), "{length}: {}", window.points());
            assert_eq!(window.from % step, 0);
            assert!(window.start - window.from >= length.max(3_600));
            assert!(window.last() <= window.end && window.end < window.last() + step);
        }
        assert_eq!(window(3_600, Some(5)).unwrap().points(), 1_441);
        assert!(window(86_400, Some(1)).is_err() && window(3_600, Some(0)).is_err());
        assert!(window(0, None).is_err() && window(-5, None).is_err());
    }

    #[test]
    fn samples_find_their_places_whatever_their_order() {
        let window = Window { from: 0, start: 60, end: 75, step: 15 };
        let nan = f64::NAN;
        let samples = [
            (30.0, 3.0),
            (0.0, 1.0),
            (31.0, 4.0),
            (44.0, nan),
            (61.0, 5.0),
            (-40.0, 9.0),
            (9e9, 9.0),
            (75.0, f64::INFINITY),
        ];
        let expected = [Some(1.0), None, Some(4.0), None, Some(5.0), None];
        assert_eq!(window.resample(&samples), expected);
    }

    #[test]
    fn a_namespace_cannot_be_a_query() {
        for name in ["", "Shop", "a\"} or {", "../x", "-a", "a-", "a b", &"a".repeat(64)] {
            assert!(namespace(name).is_err(), "{name}");
        }
        assert!(namespace("shop-1").is_ok());
    }
}
