//! When something happened, and where a document says so.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use regex::Regex;
use std::fmt;
use std::sync::LazyLock;

#[cfg(test)]
mod tests;

/// Lines at the beginning of a document in which its date is looked for.
const FIRST_LINES: usize = 40;

/// A point in time, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(i64);

impl Time {
    /// Reads RFC 3339 (`2024-05-17T08:30:00Z`) or a day (`2024-05-17`, from midnight UTC on).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Some(Self(moment.as_second()));
        }
        // A civil date reads more than a date, and would drop it.
        if text.len() != "2024-05-17".len() {
            return None;
        }
        Self::of_day(text.parse().ok()?)
    }

    /// The time of a document: the front matter's `date` or `time`, else a date in the file's name,
    /// else the first date within the first lines. In the name a date is `2024-05-17`; in the text it
    /// may also be written out, as in 17 May 2024, 17th of May, 2024, or May 17, 2024.
    pub fn of_document(name: &str, text: &str) -> Option<Self> {
        let file = name.rsplit('/').next().unwrap_or(name);
        in_front_matter(text).or_else(|| numeric(file)).or_else(|| in_first_lines(text))
    }

    /// Seconds since the beginning of 1970, UTC.
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// The time this many seconds after the beginning of 1970, UTC.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        jiff::Timestamp::from_second(seconds).ok().map(|_| Self(seconds))
    }

    fn of_day(day: Date) -> Option<Self> {
        Some(Self(TimeZone::UTC.to_timestamp(day.into()).ok()?.as_second()))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(moment) => moment.fmt(out),
            Err(_) => write!(out, "{} s", self.0),
        }
    }
}

/// The value of `date` or `time` between the two lines of dashes at the top.
fn in_front_matter(text: &str) -> Option<Time> {
    let mut lines = text.lines();
    (lines.next()?.trim_end() == "---").then_some(())?;
    let inside = lines.take_while(|line| line.trim_end() != "---");
    inside.filter_map(|line| line.split_once(':')).find_map(|(key, value)| {
        let key = key.trim().to_ascii_lowercase();
        let value = value.trim().trim_matches(['"', '\'']);
        let is_time = matches!(key.as_str(), "date" | "time" | "incident_date");
        is_time.then(|| Time::parse(value).or_else(|| numeric(value)))?
    })
}

fn in_first_lines(text: &str) -> Option<Time> {
    text.lines().take(FIRST_LINES).find_map(|line| numeric(line).or_else(|| written_out(line)))
}

/// The first date such as 2024-05-17.
fn numeric(text: &str) -> Option<Time> {
    static DAY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:^|[^0-9])((?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2})(?:[^0-9]|$)")
            .expect("the pattern is fixed")
    });
    DAY.captures_iter(text).find_map(|found| Time::parse(&found[1]))
}

/// The first date with the month as a word and a year.
fn written_out(line: &str) -> Option<Time> {
    static DAY_FIRST: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"(?i)\b([0-9]{1,2})(?:st|nd|rd|th)?\.?(?: of)? ([a-z]{3,9})\.?,? ((?:19|20)[0-9]{2})\b";
        Regex::new(pattern).expect("the pattern is fixed")
    });
    static MONTH_FIRST: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"(?i)\b([a-z]{3,9})\.? ([0-9]{1,2})(?:st|nd|rd|th)?,? ((?:19|20)[0-9]{2})\b";
        Regex::new(pattern).expect("the pattern is fixed")
    });
    let day_first = DAY_FIRST.captures_iter(line).map(|it| (it.extract::<3>().1, [1, 0, 2]));
    let month_first = MONTH_FIRST.captures_iter(line).map(|it| (it.extract::<3>().1, [0, 1, 2]));
    day_first.chain(month_first).find_map(|(parts, [name, day, year])| {
        let (year, day) = (parts[year].parse().ok()?, parts[day].parse().ok()?);
        Time::of_day(Date::new(year, month(parts[name])?, day).ok()?)
    })
}

/// The number of the month that a word names or begins, from three letters on.
fn month(word: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.to_ascii_lowercase();
    let number = MONTHS.iter().position(|month| month.starts_with(&word) && word.len() >= 3)?;
    Some(number as i8 + 1)
}
