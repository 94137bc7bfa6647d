//! Times and durations as clients of Prometheus and Loki write them.

use jiff::Timestamp;

/// Nanoseconds of a millisecond and of a second.
pub(super) const NANOS_PER_MILLI: i64 = 1_000_000;
pub(super) const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Milliseconds since 1970.
pub(super) fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// Nanoseconds since 1970; times were checked to fit when the incident was moved.
pub(super) fn nanos(time: Timestamp) -> i64 {
    let nanos = time.as_nanosecond();
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// Milliseconds of RFC 3339, or of seconds since 1970 with or without a fraction.
pub(super) fn prometheus_time(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(millis(time));
    }
    let seconds: f64 = text.parse().ok()?;
    // Far beyond anything stored, and far from overflowing.
    (seconds.abs() < 1e12).then(|| (seconds * 1e3).round() as i64)
}

/// Nanoseconds of RFC 3339, of nanoseconds since 1970, or of seconds where there are at most ten digits
/// or a fraction.
pub(super) fn loki_time(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(nanos(time));
    }
    match text.parse::<i64>() {
        Ok(number) if text.len() > 10 => Some(number),
        Ok(seconds) => seconds.checked_mul(NANOS_PER_SECOND),
        Err(_) => {
            let seconds: f64 = text.parse().ok()?;
            (seconds.abs() < 9e9).then(|| (seconds * 1e9).round() as i64)
        }
    }
}

/// Milliseconds of a step: a duration, or seconds.
pub(super) fn step(text: &str) -> Option<i64> {
    if let Some(duration) = duration(text) {
        return Some(duration);
    }
    let seconds: f64 = text.parse().ok()?;
    (seconds.abs() < 1e12).then(|| (seconds * 1e3).round() as i64)
}

/// Milliseconds of a duration such as `5m` or `1h30m`.
pub(super) fn duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
        ("w", 604_800_000),
        ("y", 31_536_000_000),
    ];
    let mut rest = text;
    let mut sum = 0i64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..letters])?;
        rest = &rest[letters..];
        sum = sum.checked_add(number.checked_mul(*unit)?)?;
    }
    // Less than three centuries, which nanoseconds in 64 bits still hold.
    (!text.is_empty() && sum <= 290 * 31_536_000_000).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_servers_do() {
        assert_eq!(prometheus_time("1970-01-01T00:00:01.5Z"), Some(1500));
        assert_eq!(prometheus_time("1435781430.781"), Some(1_435_781_430_781));
        assert_eq!(prometheus_time("now"), None);
        assert_eq!(prometheus_time("1e300"), None);
        assert_eq!(loki_time("1435781430"), Some(1_435_781_430_000_000_000));
        assert_eq!(loki_time("1435781430000000001"), Some(1_435_781_430_000_000_001));
        assert_eq!(loki_time("1970-01-01T00:00:02Z"), Some(2_000_000_000));
        assert_eq!(loki_time("99999999999999999999"), None);
    }

    #[test]
    fn durations_are_read_as_the_servers_do() {
        assert_eq!(duration("5m"), Some(300_000));
        assert_eq!(duration("1h30m"), Some(5_400_000));
        assert_eq!(duration("10ms"), Some(10));
        for bad in ["", "5", "m", "5x", "99999999999999999999s", "9999999y", "-5m"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(step("15"), Some(15_000));
        assert_eq!(step("0.5"), Some(500));
        assert_eq!(step("1m"), Some(60_000));
    }
}
