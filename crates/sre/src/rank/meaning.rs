//! What a series measures, which way is bad, and which of several statistics of one thing it is: all
//! read off its name.

use crate::signal::Signal;

/// Which way a metric goes when things get worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Up.
    Up,
    /// Down.
    Down,
    /// Nobody knows.
    Either,
}

/// What is read off a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What it measures.
    pub signal: Option<Signal>,
    /// Which way is bad.
    pub bad: Bad,
    /// Which statistic it is: 0 for a mean or none in particular, else the percentile; 100 for a
    /// largest value.
    pub percentile: u8,
    /// Whether it says for itself that it is a share of requests, or that it is a count.
    pub share: Option<bool>,
}

/// Words of a metric that falls when things get worse although its signal rises.
const GOOD: [&str; 8] =
    ["availab", "success", "uptime", "free", "idle", "remaining", "healthy", "headroom"];
/// Words of shares and of counts.
const SHARES: [&str; 8] =
    ["ratio", "pct", "percent", "share", "fraction", "permille", "availab", "success"];
const COUNTS: [&str; 6] = ["total", "count", "cnt", "per_s", "number", "sum"];

impl Meaning {
    /// The meaning of a metric of this name, which may have the name of a statistic in it or
    /// beside it: `latency p90`, `http_request_duration_seconds:p99`, `latency-50`.
    pub fn of(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let good = has(&GOOD) && !has(&["unavailab", "unsuccess", "unhealthy"]);
        let answers = has(&["availability", "success"]);
        let signal = if answers { Some(Signal::Errors) } else { signal(&lower) };
        let bad = match signal {
            _ if good => Bad::Down,
            Some(Signal::CacheHits) if has(&["miss"]) => Bad::Up,
            Some(Signal::CacheHits | Signal::Ready | Signal::Certificate) => Bad::Down,
            Some(Signal::Requests | Signal::Wanted | Signal::Clock) | None => Bad::Either,
            Some(_) => Bad::Up,
        };
        let share = if has(&SHARES) { Some(true) } else { has(&COUNTS).then_some(false) };
        Self { signal, bad, percentile: percentile(&lower), share }
    }
}

/// As [`Signal::of`], and what short names leave out.
fn signal(lower: &str) -> Option<Signal> {
    Signal::of(lower).or_else(|| {
        let words = lower.split(|it: char| !it.is_ascii_alphanumeric());
        let mut found = words.filter_map(|word| match word {
            "load" | "workload" | "traffic" => Some(Signal::Requests),
            "diskio" | "io" => Some(Signal::Disk),
            "delay" => Some(Signal::Latency),
            _ => None,
        });
        found.next()
    })
}

/// The percentile that a name ends on or has in it: `p90`, `upper_99`, `latency-50`.
fn percentile(lower: &str) -> u8 {
    let mut found = 0;
    let mut before = "";
    for word in lower.split(|it: char| !it.is_ascii_alphanumeric()) {
        let digits = word.strip_prefix('p').or_else(|| word.strip_prefix('q')).unwrap_or(word);
        let bare = digits.len() == word.len();
        let known = !bare || matches!(before, "latency" | "upper" | "quantile" | "percentile");
        match digits.parse::<u16>() {
            Ok(number @ 1..=99) if known => found = number as u8,
            Ok(999 | 9999) if known => found = 99,
            _ if matches!(word, "max" | "maximum") => found = 100,
            _ if word == "median" => found = 50,
            _ => {}
        }
        before = word;
    }
    found
}
