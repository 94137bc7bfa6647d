//! Axes with round labels.

#[cfg(test)]
mod tests;

/// The range of an axis and the distance of its labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axis {
    /// The value at its beginning.
    pub(crate) low: f64,
    /// The value at its end, above `low`.
    pub(crate) high: f64,
    /// From one label to the next.
    pub(crate) step: f64,
}

impl Axis {
    /// From 0 to 1, a label at every quarter.
    pub(crate) const UNIT: Self = Self { low: 0.0, high: 1.0, step: 0.25 };

    /// Begins and ends at labels, about `count` of them, and covers all finite values.
    pub(crate) fn around(values: impl Iterator<Item = f64>, count: f64) -> Self {
        let Self { low, high, step } = Self::over(values, count);
        let low = (low / step).floor() * step;
        let high = ((high / step).ceil() * step).max(low + step);
        Self { low, high, step }
    }

    /// Begins and ends with the finite values; never an empty range.
    pub(crate) fn over(values: impl Iterator<Item = f64>, count: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.abs() < MOST) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // A thousandth of what stands still, so that its labels differ.
        let least = (1e-3 * low.abs().max(high.abs())).max(1e-9);
        if high - low < least {
            (low, high) = (low - least / 2.0, high + least / 2.0);
        }
        let rough = (high - low) / count;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * power).into_iter().find(|it| *it >= rough);
        Self { low, high, step: step.unwrap_or(10.0 * power) }
    }

    /// Where a value lies: 0 at the beginning, 1 at the end.
    pub(crate) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The labelled values.
    pub(crate) fn labels(&self) -> impl Iterator<Item = f64> {
        let slack = 1e-6;
        let first = (self.low / self.step - slack).ceil();
        let count = (self.high / self.step + slack).floor() - first;
        let step = self.step;
        (0..=count.max(0.0) as usize).map(move |index| (first + index as f64) * step)
    }

    /// A value with as many digits as tell the labels apart.
    pub(crate) fn text(&self, value: f64) -> String {
        let places = (-self.step.log10().floor()).clamp(0.0, 12.0);
        let scale = 10.0_f64.powf(places);
        // A quarter needs one digit more than its power of ten has.
        let more = ((self.step * scale).fract() > 1e-6) as usize;
        let digits = places as usize + more;
        let text = format!("{value:.digits$}");
        if text.trim_start_matches(['-', '0', '.']).is_empty() { "0".to_owned() } else { text }
    }
}

/// Values beyond have no place on a drawing.
const MOST: f64 = 1e300;

/// A value in three digits and the letter of its power of a thousand.
pub(crate) fn short(value: f64) -> String {
    let powers = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];
    let size = value.abs();
    if !value.is_finite() || size >= 1e15 || size > 0.0 && size < 1e-3 {
        return format!("{value:.1e}");
    }
    // What rounds up to a thousand has the next letter.
    let power = powers.iter().find(|(power, _)| size >= 0.9995 * power);
    let (scaled, letter) = power.map_or((value, ""), |(power, letter)| (value / power, letter));
    let whole = scaled.abs().max(1.0).log10().floor() as usize;
    let mut text =
        format!("{scaled:.*}", if size < 1.0 { 3 } else { 2_usize.saturating_sub(whole) });
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text + letter
}
