//! Numbers and times in words.

use super::template::{Pool, Slots};
use crate::dice::Dice;
use crate::settings::Part;
use jiff::Timestamp;
use sre::evidence::deviation::Deviation;

const OF_LIMIT: Pool = Pool {
    train: &[
        "from {before} to {extreme} of its limit",
        "[up to|to] {extreme} of the limit, coming from {before}",
        "from {before} of what is allowed to {extreme}",
    ],
    test: &[
        "{before} to {extreme} of the bound",
        "as far as {extreme} of its cap (normally {before})",
    ],
};
const TIMES: Pool = Pool {
    train: &[
        "to {factor} times its usual value",
        "up by a factor of {factor}",
        "from {before} to {extreme}",
        "to {factor}x what it was",
    ],
    test: &["up {factor}-fold", "{before} to {extreme}, {factor} times the norm"],
};
const PARTS: Pool = Pool {
    train: &[
        "down to 1/{factor} of its usual value",
        "down by a factor of {factor}",
        "down from {before} to {extreme}",
    ],
    test: &["to a {factor}th of the norm", "{before} down to {extreme}"],
};
const VALUES: Pool = Pool {
    train: &["from {before} to {extreme}", "to {extreme}, where it had been {before}"],
    test: &["{before} to {extreme}", "as far as {extreme} (normally {before})"],
};

/// How far a metric moved: "from 37% to 99% of its limit".
pub(super) fn moved(
    dice: &mut Dice,
    part: Part,
    deviation: &Deviation,
    limit: Option<f64>,
) -> String {
    let factor = deviation.extreme / deviation.before;
    let mut slots = Slots::new();
    let percent = |value: f64, limit: f64| format!("{:.0}%", 100.0 * value / limit);
    let (before, extreme) = match limit {
        Some(limit) => (percent(deviation.before, limit), percent(deviation.extreme, limit)),
        None => (number(deviation.before), number(deviation.extreme)),
    };
    slots.insert("before", before);
    slots.insert("extreme", extreme);
    let pool = match limit {
        Some(_) if deviation.extreme >= deviation.before => OF_LIMIT,
        None if factor.is_finite() && factor >= 1.0 => TIMES,
        None if factor.is_finite() && factor > 0.02 => PARTS,
        _ => VALUES,
    };
    let factor = if factor >= 1.0 { factor } else { 1.0 / factor };
    slots.insert("factor", number(factor));
    // Every place of these patterns is filled above.
    pool.say(dice, part, &slots).unwrap_or_default()
}

/// A number with two or three digits that matter and no exponent.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e9 {
        format!("{:.1} G", value / 1e9)
    } else if size >= 1e6 {
        format!("{:.1} M", value / 1e6)
    } else if size >= 1e4 {
        format!("{:.0} k", value / 1e3)
    } else if size >= 10.0 || value == 0.0 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

/// The time of day in UTC.
pub(super) fn clock(time: Timestamp) -> String {
    time.strftime("%H:%M").to_string()
}

const AFTER: Pool = Pool {
    train: &["at {clock}", "{span} after the start", "{span} in", "at {clock} UTC"],
    test: &["by {clock}", "{span} past zero"],
};
const BEFORE: Pool = Pool {
    train: &["at {clock}", "{span} before the start", "{span} earlier", "at {clock} UTC"],
    test: &["by {clock}", "{span} ahead of zero"],
};

/// When something happened, by the clock or by the start of the incident.
pub(super) fn when(dice: &mut Dice, part: Part, start: Timestamp, time: Timestamp) -> String {
    let minutes = time.duration_since(start).as_mins();
    let span = match minutes.abs() {
        1 => "1 minute".to_owned(),
        count => format!("{count} minutes"),
    };
    let slots = Slots::from([("clock", clock(time)), ("span", span)]);
    let pool = if minutes >= 0 { AFTER } else { BEFORE };
    pool.say(dice, part, &slots).unwrap_or_default()
}

const ONCE: Pool = Pool { train: &["once", "one time"], test: &["a single time"] };
const OFTEN: Pool = Pool {
    train: &["{count} times", "x{count}", "{count} times in all"],
    test: &["on {count} occasions", "{count}-fold"],
};

/// How often something came.
pub(super) fn often(dice: &mut Dice, part: Part, count: u64) -> String {
    let pool = if count == 1 { ONCE } else { OFTEN };
    let slots = Slots::from([("count", count.to_string())]);
    pool.say(dice, part, &slots).unwrap_or_default()
}
