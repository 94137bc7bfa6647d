//! Rows of a benchmark: on the screen, as JSON, and appended to a table of all times.

use super::{Peaks, ops_table};
use crate::exit::usage;
use crate::machine::{self, Machine};
use crate::paths;
use crate::serving::Times;
use anyhow::Result;
use ops::{Numerics, Size};
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
    /// How products were made.
    pub(super) numerics: Numerics,
    /// Tokens of one repeat.
    pub(super) tokens: usize,
    /// Seconds of every repeat, at least one.
    pub(super) seconds: Vec<f64>,
    /// The shortest time that one repeat could take, where the machine's peaks are known.
    pub(super) best_seconds: Option<f64>,
    /// Floating-point operations of one repeat.
    pub(super) flops: f64,
    /// Bytes that one repeat's launches move.
    pub(super) bytes: f64,
    /// The memory that it was given.
    pub(super) planned: Planned,
    /// What every op took, where that was timed: of all repeats in training, of one in generation.
    pub(super) ops: Times,
}

/// Memory in bytes, as planned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Planned {
    /// The arenas.
    pub(super) size: Size,
    /// The heap beside them.
    pub(super) host_bytes: usize,
}

/// One measured thing beside the machine's peaks.
#[derive(Clone, Debug)]
pub(super) struct Row {
    timing: Timing,
    /// Median of the seconds.
    seconds: f64,
    /// (slowest - fastest) / median.
    spread: f64,
    /// Of the limit, and of the peaks in bf16, f32 and bandwidth, where these are known.
    shares: Option<[f64; 4]>,
    peaks: Option<Peaks>,
}

impl Row {
    pub(super) fn new(peaks: Option<Peaks>, mut timing: Timing) -> Row {
        timing.seconds.sort_by(f64::total_cmp);
        let all = &timing.seconds;
        let median = (all[(all.len() - 1) / 2] + all[all.len() / 2]) / 2.0;
        let spread = (all[all.len() - 1] - all[0]) / median;
        let rate = |amount: f64| amount / median;
        let shares = peaks.zip(timing.best_seconds).map(|(peaks, best)| {
            [
                rate(best),
                rate(timing.flops) / peaks.bf16_flops,
                rate(timing.flops) / peaks.f32_flops,
                rate(timing.bytes) / peaks.read_bandwidth,
            ]
        });
        Row { timing, seconds: median, spread, shares, peaks }
    }

    fn tokens_per_second(&self) -> f64 {
        self.timing.tokens as f64 / self.seconds
    }

    /// In 8 bits it is their peak that counts.
    pub(super) fn heading(numerics: Numerics) -> Vec<String> {
        let of_peak = if numerics == Numerics::Int8 { "of int8" } else { "of bf16" };
        ["what", "tokens/s", "spread", "of limit", of_peak, "of f32", "of bandwidth"]
            .map(str::to_owned)
            .to_vec()
    }

    pub(super) fn cells(&self) -> Vec<String> {
        let rate = format!("{:.1}", self.tokens_per_second());
        let mut cells = vec![self.timing.command.clone(), rate, percent(Some(self.spread))];
        let [limit, bf16, f32, bandwidth] = self.each_share();
        let of_peak = if self.timing.numerics == Numerics::Int8 { self.of_int8() } else { bf16 };
        cells.extend([limit, of_peak, f32, bandwidth].map(percent));
        cells
    }

    /// The table of its ops.
    pub(super) fn ops(&self) -> String {
        let Timing { command, ops, numerics, .. } = &self.timing;
        ops_table::table(command, ops, self.peaks, *numerics)
    }

    fn of_int8(&self) -> Option<f64> {
        self.peaks?.int8_ops.map(|peak| self.timing.flops / self.seconds / peak)
    }

    fn each_share(&self) -> [Option<f64>; 4] {
        self.shares.map_or([None; 4], |shares| shares.map(Some))
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let [limit, bf16, f32, bandwidth] = self.each_share();
        let Timing { command, tokens, flops, bytes, planned, .. } = &self.timing;
        serde_json::json!({
            "command": command,
            "tokens": tokens,
            "median_seconds": self.seconds,
            "tokens_per_second": self.tokens_per_second(),
            "spread": self.spread,
            "flops": flops,
            "bytes": bytes,
            "share_of_limit": limit,
            "share_of_bf16": bf16,
            "share_of_int8": self.of_int8(),
            "share_of_f32": f32,
            "share_of_bandwidth": bandwidth,
            "plan_device_bytes": planned.size.device,
            "plan_pinned_bytes": planned.size.pinned,
            "plan_mapped_bytes": planned.size.mapped,
            "plan_host_bytes": planned.host_bytes,
            "peaks": self.peaks.map(Peaks::json),
            "ops": ops_table::json(&self.timing.ops, self.peaks),
        })
    }
}

/// A share for people.
fn percent(share: Option<f64>) -> String {
    share.map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
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
    let place = match machine.gpu {
        Some(_) => machine.tier(),
        None => format!("{} {} {}", machine::processor(), machine.isa.name(), machine.threads),
    };
    let place = place.replace(',', " ");
    let (date, commit) = (today(), commit());
    for row in rows {
        let number =
            |share: Option<f64>| share.map_or(String::new(), |it| format!("{:.1}", 100.0 * it));
        let numbers = row.each_share().map(number).join(",");
        let (command, rate) = (&row.timing.command.replace(',', " "), row.tokens_per_second());
        let spread = number(Some(row.spread));
        text.push_str(&format!("{date},{commit},{place},{command},{rate:.1},{spread},{numbers}\n"));
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
        let peaks = Peaks {
            f32_flops: 50.0,
            bf16_flops: 100.0,
            int8_ops: Some(200.0),
            read_bandwidth: 10.0,
        };
        let timing = Timing {
            command: "train".into(),
            numerics: Numerics::Bf16,
            tokens: 20,
            seconds: vec![4.0, 1.0, 2.0],
            best_seconds: Some(1.0),
            flops: 100.0,
            bytes: 10.0,
            planned: Planned::default(),
            ops: Times::new(),
        };
        let row = Row::new(Some(peaks), timing.clone());
        assert_eq!((row.tokens_per_second(), row.spread), (10.0, 1.5));
        assert_eq!(row.shares, Some([0.5, 0.5, 1.0, 0.5]));
        assert_eq!(Row::new(None, timing).cells()[2..], ["150.0 %", "-", "-", "-", "-"]);
    }
}
