//! Tables of others as text: comma-separated, a column of time, and a column for each series.

use super::window::{MOST_SAMPLES, MOST_SERIES};
use crate::{Error, Result};

/// Most bytes of one file.
pub const MOST_BYTES: usize = 256 << 20;

/// A table of series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The head of each column but the first, as many cells as there are rows of heads.
    pub heads: Vec<Vec<String>>,
    /// Seconds of each row.
    pub times: Vec<f64>,
    /// Values by column, as long as `times`; what is no number is a gap.
    pub columns: Vec<Vec<f64>>,
}

impl Table {
    /// Reads a table whose first so many lines are heads; `named` are how many of them must have a
    /// cell for every column.
    ///
    /// # Errors
    /// [`Error::Table`] with the line, from 1.
    pub fn read(text: &str, heads: usize) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut table = Self::default();
        let mut width = None;
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if line.is_empty() && index >= heads {
                continue;
            }
            let cells = cells(line, number)?;
            let expected = *width.get_or_insert(cells.len());
            if cells.len() != expected {
                let problem = format!("{} cells, line 1 has {expected}", cells.len());
                return Err(Error::table(number, problem, "every line has a cell for each column"));
            }
            if index < heads {
                table.head(cells, number)?;
                if number == heads {
                    table.distinct(number)?;
                }
            } else {
                table.row(&cells, number)?;
            }
        }
        if table.times.is_empty() {
            let problem = "there is no line of values";
            return Err(Error::table(
                text.lines().count().max(1),
                problem,
                "the first column is the time",
            ));
        }
        Ok(table)
    }

    fn head(&mut self, cells: Vec<String>, number: usize) -> Result<()> {
        if number == 1 {
            if cells.len() < 2 {
                let hint = "the first column is the time, the others are series";
                return Err(Error::table(1, "fewer than two columns", hint));
            }
            if cells.len() > MOST_SERIES {
                let problem = format!("{} columns, at most {MOST_SERIES} are read", cells.len());
                return Err(Error::table(1, problem, "rank a part of the services"));
            }
            self.heads = vec![Vec::new(); cells.len() - 1];
            self.columns = vec![Vec::new(); cells.len() - 1];
        }
        for (head, cell) in self.heads.iter_mut().zip(cells.into_iter().skip(1)) {
            head.push(cell);
        }
        Ok(())
    }

    /// Checks that no two columns are called alike.
    fn distinct(&self, number: usize) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        if let Some(twice) = self.heads.iter().find(|head| !seen.insert(*head)) {
            let problem = format!("two columns are called \"{}\"", shown(&twice.join(" ")));
            return Err(Error::table(number, problem, "every series has a name of its own"));
        }
        Ok(())
    }

    fn row(&mut self, cells: &[String], number: usize) -> Result<()> {
        if (self.times.len() + 1).saturating_mul(self.columns.len()) > MOST_SAMPLES {
            let problem = format!("more than {MOST_SAMPLES} values");
            return Err(Error::table(number, problem, "rank a shorter time"));
        }
        let time = seconds(&cells[0], number)?;
        if self.times.last().is_some_and(|last| time < *last) {
            let problem =
                format!("the time \"{}\" is before that of the line above", shown(&cells[0]));
            return Err(Error::table(number, problem, "put the lines in the order of their times"));
        }
        self.times.push(time);
        for (column, cell) in self.columns.iter_mut().zip(&cells[1..]) {
            column.push(value(cell, number)?);
        }
        Ok(())
    }

    /// The samples of a column, so many seconds later.
    pub fn samples(&self, column: usize, later: f64) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.times
            .iter()
            .zip(&self.columns[column])
            .map(move |(time, value)| (time + later, *value))
    }

    /// Seconds from one row to the next, the middle one of all; 1 where there is only one row.
    pub fn step(&self) -> f64 {
        let mut sorted = self.times.clone();
        sorted.sort_by(f64::total_cmp);
        let mut steps: Vec<f64> =
            sorted.windows(2).map(|two| two[1] - two[0]).filter(|step| *step > 0.0).collect();
        steps.sort_by(f64::total_cmp);
        steps.get(steps.len() / 2).copied().unwrap_or(1.0)
    }

    /// The first and the last time, in seconds.
    pub fn span(&self) -> (f64, f64) {
        let first = self.times.iter().copied().fold(f64::INFINITY, f64::min);
        (first, self.times.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }

    /// How much later this table must be so that it ends one step before the other begins; 0 where
    /// it ends before that by itself.
    pub fn before(&self, other: &Self) -> f64 {
        let past = other.span().0 - self.step();
        (past - self.span().1).min(0.0)
    }
}

/// The cells of a line; a cell in double quotes may have commas in it.
pub(super) fn cells(line: &str, number: usize) -> Result<Vec<String>> {
    if !line.contains('"') {
        return Ok(line.split(',').map(|cell| cell.trim().to_owned()).collect());
    }
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            _ => cell.push(character),
        }
    }
    if quoted {
        return Err(Error::table(number, "a quote that does not end", "close it on the same line"));
    }
    cells.push(cell.trim().to_owned());
    Ok(cells)
}

/// A number of seconds, or a time as RFC 3339 has it.
fn seconds(cell: &str, number: usize) -> Result<f64> {
    let plain: Option<f64> = cell.parse().ok().filter(|it: &f64| it.abs() < 1e15);
    let time =
        || cell.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond() as f64 / 1e3);
    plain.or_else(time).ok_or_else(|| {
        let problem = format!("\"{}\" is no time", shown(cell));
        Error::table(number, problem, "the first column is the time, in seconds")
    })
}

/// A value, or a gap where there is none.
pub(super) fn value(cell: &str, number: usize) -> Result<f64> {
    if cell.is_empty()
        || ["null", "none", "na", "n/a"].contains(&cell.to_ascii_lowercase().as_str())
    {
        return Ok(f64::NAN);
    }
    cell.parse().map_err(|_| {
        let problem = format!("\"{}\" is no number", shown(cell));
        Error::table(number, problem, "leave a cell empty where there is no value")
    })
}

pub(super) fn shown(cell: &str) -> String {
    crate::incident::plain(cell, 40)
}
