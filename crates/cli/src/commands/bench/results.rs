//! Rows of a benchmark: on the screen, as JSON, and appended to a table of all times.

use super::Peaks;
use crate::exit::usage;
use crate::machine::{self, Machine};
use crate::paths;
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Largest table that is read back.
const LIMIT_BYTES: u64 = 64 << 20;
const HEADING: &str = "date,commit,machine,command,median_tokens_per_second,spread_percent,\
                       limit_percent,bf16_percent,f32_percent,bandwidth_percent\n";

/// One measured thing.
#[derive(Clone, Debug)]
pub(super) struct Timing {
    /// What was done.
    pub(super) command: String,
    /// Tokens of one repeat.
    pub(super) tokens: usize,
    /// Seconds of every repeat, at least one.
    pub(super) seconds: Vec<f64>,
    /// The shortest time that one repeat could take.
    pub(super) best_seconds: f64,
    /// Floating-point operations of one repeat.
    pub(super) flops: f64,
    /// Bytes that one repeat's launches move.
    pub(super) bytes: f64,
}

/// One measured thing beside the machine's peaks.
#[derive(Clone, Debug)]
pub(super) struct Row {
    command: String,
    tokens_per_second: f64,
    /// (slowest - fastest) / median.
    spread: f64,
    limit: f64,
    bf16: f64,
    f32: f64,
    bandwidth: f64,
}

impl Row {
    pub(super) fn new(peaks: &Peaks, timing: Timing) -> Row {
        let mut seconds = timing.seconds;
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        let rate = |amount: f64| amount / median;
        Row {
            command: timing.command,
            tokens_per_second: rate(timing.tokens as f64),
            spread: (seconds[seconds.len() - 1] - seconds[0]) / median,
            limit: timing.best_seconds / median,
            bf16: rate(timing.flops) / peaks.bf16_flops,
            f32: rate(timing.flops) / peaks.f32_flops,
            bandwidth: rate(timing.bytes) / peaks.read_bandwidth,
        }
    }

    pub(super) fn heading() -> Vec<String> {
        ["what", "tokens/s", "spread", "of limit", "of bf16", "of f32", "of bandwidth"]
            .map(str::to_owned)
            .to_vec()
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.command.clone(), format!("{:.1}", self.tokens_per_second)];
        cells.extend(self.shares().map(|share| format!("{:.1} %", 100.0 * share)));
        cells
    }

    fn shares(&self) -> [f64; 5] {
        [self.spread, self.limit, self.bf16, self.f32, self.bandwidth]
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "command": self.command,
            "tokens_per_second": self.tokens_per_second,
            "spread": self.spread,
            "share_of_limit": self.limit,
            "share_of_bf16": self.bf16,
            "share_of_f32": self.f32,
            "share_of_bandwidth": self.bandwidth,
        })
    }
}

/// Checks that rows can be appended to a table, whose directory is made if it is missing.
pub(super) fn check(file: &Path) -> Result<()> {
    crate::paths::make_parent(file)?;
    paths::check_file(file)?;
    read(file).map(drop)
}

/// The table as it stands, the heading alone if it is new.
fn read(file: &Path) -> Result<String> {
    if !file.exists() {
        return Ok(HEADING.to_owned());
    }
    let text = files::read_to_string(file, LIMIT_BYTES)?;
    let hint = "hint: name a new file, or one that `srek bench` wrote";
    let name = file.display();
    if !text.starts_with(HEADING) {
        let heading = HEADING.trim_end();
        return Err(usage(format!("{name}:1: expected the heading {heading}\n{hint}")));
    }
    if !text.ends_with('\n') {
        let line = text.lines().count();
        return Err(usage(format!("{name}:{line}: the last line has no end\n{hint}")));
    }
    Ok(text)
}

/// Appends the rows to a table, which appears with its heading if it is new.
pub(super) fn append(file: &Path, machine: &Machine, rows: &[Row]) -> Result<()> {
    let mut text = read(file)?;
    let place = format!("{} {} {}", machine::processor(), machine.isa.name(), machine.threads);
    let place = place.replace(',', " ");
    let (date, commit) = (today(), commit());
    for row in rows {
        let numbers = row.shares().map(|share| format!("{:.1}", 100.0 * share)).join(",");
        let (command, rate) = (&row.command, row.tokens_per_second);
        text.push_str(&format!("{date},{commit},{place},{command},{rate:.1},{numbers}\n"));
    }
    Ok(files::write_atomic(file, |out| out.write_all(text.as_bytes()))?)
}

/// The commit of the working directory, where there is one.
fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok();
    let text = output.filter(|it| it.status.success()).map(|it| it.stdout).unwrap_or_default();
    let name = String::from_utf8_lossy(&text).trim().to_owned();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    date(seconds / 86_400)
}

/// The date of a day after 1970-01-01, in the Gregorian calendar.
fn date(days: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        let cases =
            [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_453, "2025-12-31")];
        for (days, expected) in cases {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn a_row_is_the_median_beside_the_peaks() {
        let peaks = Peaks { f32_flops: 50.0, bf16_flops: 100.0, read_bandwidth: 10.0 };
        let timing = Timing {
            command: "train".into(),
            tokens: 20,
            seconds: vec![4.0, 1.0, 2.0],
            best_seconds: 1.0,
            flops: 100.0,
            bytes: 10.0,
        };
        let row = Row::new(&peaks, timing);
        assert_eq!(row.tokens_per_second, 10.0);
        assert_eq!(row.shares(), [1.5, 0.5, 0.5, 1.0, 0.5]);
    }
}
