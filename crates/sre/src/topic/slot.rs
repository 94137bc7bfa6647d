//! The kinds of values in a text. A prompt says that a text has a duration in it, not which one.

/// What kind of value a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// A host name, or a service with a port.
    Host,
    /// An address of the network.
    Address,
    /// A path of files or of a URL.
    Path,
    /// A date or a time of day.
    Time,
    /// A span of time.
    Duration,
    /// A share of a hundred.
    Percent,
    /// A number of bytes or of thousandths of a core.
    Size,
    /// What only a machine would write: a UUID, a hash, a trace.
    Id,
    /// Any other number.
    Number,
}

impl Slot {
    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Address => "address",
            Self::Path => "path",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Percent => "percent",
            Self::Size => "size",
            Self::Id => "id",
            Self::Number => "number",
        }
    }
}

/// Units behind a number, as one word with it or as the next.
const DURATIONS: [&str; 13] =
    ["ns", "us", "µs", "ms", "s", "sec", "secs", "second", "seconds", "m", "min", "minutes", "h"];
const SIZES: [&str; 12] =
    ["b", "k", "kb", "kib", "ki", "mb", "mib", "mi", "gb", "gib", "gi", "bytes"];

/// The values of a text with their kinds, in its order. The number is that of a number with or
/// without a unit, scaled by it for sizes; 0 for what is none.
pub fn slots(text: &str) -> Vec<(Slot, f64)> {
    let mut words = text.split_whitespace().flat_map(|word| word.split(['=', ',', '"'])).peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric() && !"/%-".contains(c));
        let next =
            words.peek().map(|next| next.trim_matches(|c: char| !c.is_alphanumeric() && c != '%'));
        if let Some(slot) = slot(word, next.unwrap_or_default()) {
            found.push(slot);
        }
    }
    found
}

/// The kind and the number of a word before the next.
fn slot(word: &str, next: &str) -> Option<(Slot, f64)> {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if let Some(number) = measured(word, next) {
        return Some(number);
    }
    if word.contains("://") {
        return Some((Slot::Host, 0.0));
    }
    if word.len() > 1 && word.trim_start_matches('-').starts_with('/') {
        return Some((Slot::Path, 0.0));
    }
    let (front, port) = word.rsplit_once(':').unwrap_or((word, ""));
    let port = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if front.split('.').count() == 4 && front.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Some((Slot::Address, 0.0));
    }
    let timely = word.bytes().all(|b| b.is_ascii_digit() || b":-.+TZ".contains(&b));
    if timely && digits >= 4 && word.contains([':', '-']) {
        return Some((Slot::Time, 0.0));
    }
    let hexadecimal = word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if digits >= 2 && word.len() >= 8 && hexadecimal {
        return Some((Slot::Id, 0.0));
    }
    let name = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let labels = front.split('.').count();
    let lettered = front.bytes().any(|b| b.is_ascii_alphabetic());
    if lettered && front.split('.').all(name) && (labels >= 2 || port) {
        return Some((Slot::Host, 0.0));
    }
    None
}

/// A number with its unit, in the word or behind it.
fn measured(word: &str, next: &str) -> Option<(Slot, f64)> {
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let number: f64 = word[..end].parse().ok()?;
    let inside = word[end..].to_lowercase();
    let unit = if inside.is_empty() { next.to_lowercase() } else { inside.clone() };
    let unit = unit.as_str();
    if unit == "%" || unit == "percent" || unit == "prozent" {
        return Some((Slot::Percent, number));
    }
    // Thousandths of a core are written as `500m`, minutes as `5m` and `5 m`: from 60 on an hour
    // would be said.
    if inside == "m" && number >= 60.0 {
        return Some((Slot::Size, number));
    }
    if DURATIONS.contains(&unit) {
        return Some((Slot::Duration, number));
    }
    if SIZES.contains(&unit) {
        let power = ["k", "m", "g"].iter().position(|letter| unit.starts_with(letter));
        let scale = power.map_or(1.0, |power| 1024f64.powi(power as i32 + 1));
        return Some((Slot::Size, number * scale));
    }
    inside.is_empty().then_some((Slot::Number, number))
}

/// Whether a text says that something went from one number to a higher or lower one of its kind: of
/// the last two. Versions and dates say nothing.
pub fn direction(text: &str) -> Option<&'static str> {
    let numbers: Vec<_> = slots(text)
        .into_iter()
        .filter(|(kind, number)| match kind {
            Slot::Size | Slot::Percent => true,
            // A number with a fraction is a version more often than a count.
            Slot::Number => number.fract() == 0.0,
            _ => false,
        })
        .collect();
    let [.., (kind, old), (same, new)] = numbers[..] else { return None };
    if kind != same || old == new {
        return None;
    }
    Some(if new < old { "lowered" } else { "raised" })
}
