//! What a series does, in shares of the limit that counts in the end, to the end of what is known.

use super::{Course, DAY, KNOWN, MEASURED, STEP};
use crate::dice::Dice;

/// The highest that a series gets which never reaches its limit, before noise.
const HIGHEST: f64 = 0.88;

/// The share of the limit at each step, and the limit itself where an autoscaler moves it.
pub(super) fn shares(dice: &mut Dice, course: Course) -> (Vec<f64>, Option<Vec<f64>>) {
    let plain = plain(dice, course);
    let grows = !matches!(
        course,
        Course::Step
            | Course::Burst
            | Course::Season
            | Course::Teeth
            | Course::Autoscaled
            | Course::Noise
    );
    let noise = noise(dice, course, plain.len());
    // What is to stay below must do so with its noise: the noise is pressed into what is left.
    let room = |share: f64, noise: f64| {
        if grows { share + noise } else { share + noise.min(0.9 * (1.0 - share)) }
    };
    let all: Vec<f64> =
        plain.iter().zip(&noise).map(|(share, noise)| room(*share, *noise).max(0.0)).collect();
    let scaled = matches!(course, Course::Autoscaled | Course::AutoscaledToMost);
    let limits = scaled.then(|| scaled_limits(dice, &all));
    (all, limits)
}

/// Without noise.
fn plain(dice: &mut Dice, course: Course) -> Vec<f64> {
    let times = (0..(KNOWN / STEP) as usize).map(|index| index as f64 * STEP);
    match course {
        Course::Steady => {
            let (low, length) = (dice.between((0.2, 0.6)), dice.between((4.0, 25.0)) * DAY);
            let restart = restart(dice, 0.5 * length.min(MEASURED));
            times.map(|time| low + (1.0 - low) * since(time, restart) / length).collect()
        }
        Course::Ramp => {
            let (low, begin) = (dice.between((0.2, 0.7)), dice.between((3.2, 9.0)) * DAY);
            let length = dice.spread((DAY / 6.0, 8.0 * DAY));
            let restart = restart(dice, 0.5 * length);
            let grown = |time: f64| since((time - begin).max(0.0), restart) / length;
            times.map(|time| low + (1.0 - low) * grown(time)).collect()
        }
        Course::Step => {
            let mut steps = vec![(0.0, dice.between((0.2, 0.5)))];
            for _ in 0..dice.whole((1, 3)) {
                let time = dice.between((3.2, 13.0)) * DAY;
                steps.push((time, dice.between((0.4, HIGHEST))));
            }
            steps.sort_by(|a, b| a.0.total_cmp(&b.0));
            let level = |time: f64| steps.iter().rfind(|it| it.0 <= time).map_or(0.0, |it| it.1);
            times.map(level).collect()
        }
        Course::Burst => bursts(dice),
        Course::Season | Course::GrowingSeason => {
            let day = Day::new(dice);
            let top = if course == Course::Season {
                dice.between((0.6, HIGHEST + 0.02))
            } else {
                dice.between((0.45, 0.8))
            };
            let length = dice.between((5.0, 20.0)) * DAY;
            let growth = if course == Course::Season { 0.0 } else { (1.0 / top - 1.0) / length };
            times.map(|time| top * (1.0 + growth * time) * day.at(time)).collect()
        }
        Course::Teeth | Course::LeakingTeeth => teeth(dice, course == Course::LeakingTeeth),
        Course::Autoscaled => {
            let day = Day::new(dice);
            let (top, gain) = (dice.between((0.4, 0.7)), dice.between((0.0, 0.25)));
            let length = dice.between((2.0, 6.0)) * DAY;
            let grown = |time: f64| 1.0 + gain * ((time - 4.0 * DAY) / length).clamp(0.0, 1.0);
            times.map(|time| top * grown(time) * day.at(time)).collect()
        }
        Course::AutoscaledToMost => {
            let low = dice.between((0.3, 0.6));
            let (begin, length) = (dice.between((3.2, 8.0)) * DAY, dice.spread((0.3, 8.0)) * DAY);
            let grown = |time: f64| ((time - begin) / length).max(0.0);
            times.map(|time| low + (1.0 - low) * grown(time)).collect()
        }
        Course::Noise => {
            let level = dice.between((0.3, 0.75));
            times.map(|_| level).collect()
        }
    }
}

/// A restart within so many seconds, after which everything begins again; mostly none.
fn restart(dice: &mut Dice, within: f64) -> Option<f64> {
    let at = dice.between((0.2, 1.0)) * within;
    dice.happens(0.25).then_some(at)
}

/// Seconds since the start or the restart.
fn since(time: f64, restart: Option<f64>) -> f64 {
    restart.filter(|at| time >= *at).map_or(time, |at| time - at)
}

/// Growth that ends before the limit, and mostly goes back.
fn bursts(dice: &mut Dice) -> Vec<f64> {
    let low = dice.between((0.25, 0.6));
    let bursts: Vec<_> = (0..dice.whole((1, 4)))
        .map(|_| {
            let begin = dice.between((3.2, 13.0)) * DAY;
            let length = dice.spread((DAY / 24.0, DAY / 3.0));
            let stays = dice.spread((DAY / 48.0, DAY / 2.0));
            let rise = dice.between((0.1, HIGHEST - low));
            (begin, length, stays, rise)
        })
        .collect();
    let height = |time: f64, (begin, length, stays, rise): (f64, f64, f64, f64)| {
        let gone = time > begin + length + stays;
        if gone { 0.0 } else { rise * ((time - begin) / length).clamp(0.0, 1.0) }
    };
    let times = (0..(KNOWN / STEP) as usize).map(|index| index as f64 * STEP);
    times.map(|time| low + bursts.iter().map(|it| height(time, *it)).fold(0.0, f64::max)).collect()
}

/// The shape of a day, its highest value 1.
struct Day {
    swing: f64,
    phase: f64,
    second: f64,
    weekend: f64,
}

impl Day {
    fn new(dice: &mut Dice) -> Self {
        Self {
            swing: dice.between((0.15, 0.5)),
            phase: dice.unit(),
            second: dice.between((0.0, 0.3)),
            weekend: if dice.happens(0.4) { dice.between((0.8, 0.95)) } else { 1.0 },
        }
    }

    fn at(&self, time: f64) -> f64 {
        let turn = core::f64::consts::TAU * (time / DAY + self.phase);
        let wave = libm::sin(turn) + self.second * libm::sin(2.0 * turn);
        let weekend = if (time / DAY).rem_euclid(7.0) < 5.0 { 1.0 } else { self.weekend };
        weekend * (1.0 - self.swing * (1.0 - wave / (1.0 + self.second)) / 2.0)
    }
}

/// Growth that is cut; with a leak, from a floor that rises.
fn teeth(dice: &mut Dice, leaks: bool) -> Vec<f64> {
    let period = dice.spread((DAY / 24.0, DAY / 2.0));
    let deep = dice.between((0.1, 0.35));
    let top = if leaks { dice.between((0.4, 0.7)) } else { dice.between((0.5, HIGHEST)) };
    let (begin, length) = (dice.between((0.0, 5.0)) * DAY, dice.between((3.0, 12.0)) * DAY);
    let jitter = dice.between((0.0, 0.15));
    let (mut from, mut this) = (-period * dice.unit(), period);
    let mut height = deep;
    let mut value = |time: f64| {
        if time - from >= this {
            from = time;
            this = period * (1.0 + jitter * dice.bell().clamp(-2.0, 2.0));
            height = deep * (1.0 + 0.5 * jitter * dice.bell());
        }
        let leaked = if leaks { (1.0 - top) * ((time - begin) / length).max(0.0) } else { 0.0 };
        top - deep + leaked + height * (time - from) / this
    };
    (0..(KNOWN / STEP) as usize).map(|index| value(index as f64 * STEP)).collect()
}

/// White noise and noise that remembers, from minutes to hours.
fn noise(dice: &mut Dice, course: Course, count: usize) -> Vec<f64> {
    let most = if course == Course::Noise { 0.05 } else { 0.02 };
    let (white, slow) = (dice.spread((0.0005, 0.015)), dice.spread((0.0005, most)));
    let memory = libm::exp(-STEP / dice.spread((600.0, 28_800.0)));
    let fresh = (1.0 - memory * memory).sqrt();
    let mut state = dice.bell();
    let mut next = || {
        state = memory * state + fresh * dice.bell();
        slow * state + white * dice.bell()
    };
    (0..count).map(|_| next()).collect()
}

/// The limit that an autoscaler gives: one more part when four fifths are in use, one less when
/// half would be enough for long; at most all of it.
fn scaled_limits(dice: &mut Dice, shares: &[f64]) -> Vec<f64> {
    let parts = dice.between((4.0, 16.0)).floor();
    let mut have = 1.0_f64;
    let mut low_for = 0;
    let mut limit = |share: f64| {
        while share > 0.8 * have / parts && have < parts {
            have += 1.0;
        }
        low_for = if share < 0.6 * (have - 1.0) / parts { low_for + 1 } else { 0 };
        if low_for > 6 && have > 1.0 {
            have -= 1.0;
            low_for = 0;
        }
        have / parts
    };
    shares.iter().map(|share| limit(*share)).collect()
}
