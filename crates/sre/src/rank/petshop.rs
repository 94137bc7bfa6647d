//! The layout of the PetShop data set (Hardt et al., "The PetShop Dataset", 2024): a call graph, metrics
//! of a time without issues, and issues with what raised the alarm and what really was the cause.

use super::layout::{Table, cells, shown};
use super::meaning::Meaning;
use super::window::{Target, Window};
use crate::{Error, Result};
use serde::Deserialize;

/// Lines of heads of a metrics file: service, metric, statistic, and the name of the index.
const HEADS: usize = 4;

/// What `target.json` says.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Issue {
    /// What raised the alarm.
    pub target: Alarm,
    /// What was the cause.
    pub root_cause: Cause,
}

/// What raised the alarm.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Alarm {
    /// The service.
    pub node: String,
    /// Its metric: `latency` or `availability`.
    pub metric: String,
    /// When, in seconds.
    pub timestamp: f64,
}

/// What was the cause.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Cause {
    /// The service.
    pub node: String,
}

/// Reads a `target.json`.
///
/// # Errors
/// [`Error::Table`] with the line.
pub fn issue(json: &str) -> Result<Issue> {
    serde_json::from_str(json).map_err(|error| {
        let hint = "target has node, metric and timestamp, root_cause has node";
        Error::table(error.line().max(1), shown(&error.to_string()), hint)
    })
}

/// Reads a `metrics.csv`.
///
/// # Errors
/// [`Error::Table`] with the line.
pub fn metrics(text: &str) -> Result<Table> {
    let table = Table::read(text, HEADS)?;
    let empty = table.heads.iter().position(|head| head[..2].iter().any(String::is_empty));
    if let Some(column) = empty {
        let problem = format!("column {} has no name", column + 2);
        return Err(Error::table(1, problem, "lines 1 to 3 are service, metric and statistic"));
    }
    Ok(table)
}

/// Reads a `graph.csv`: who calls whom, a caller a line, 1 in the columns of those that it calls.
///
/// # Errors
/// [`Error::Table`] with the line.
pub fn graph(text: &str) -> Result<Vec<(String, String)>> {
    let mut lines = text.lines().enumerate();
    let head = lines.next().map_or("", |(_, line)| line);
    let callees = cells(head, 1)?;
    let mut calls = Vec::new();
    for (index, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let row = cells(line, index + 1)?;
        if row.len() != callees.len() {
            let problem = format!("{} cells, line 1 has {}", row.len(), callees.len());
            return Err(Error::table(index + 1, problem, "a matrix of callers and callees"));
        }
        for (callee, cell) in callees.iter().zip(&row).skip(1) {
            if super::layout::value(cell, index + 1)? > 0.0 {
                calls.push((row[0].clone(), callee.clone()));
            }
        }
    }
    Ok(calls)
}

/// The window of an issue that is noticed so many samples late. The metrics without issues may be of
/// another time; they count as what was before.
///
/// # Errors
/// [`Error::Incident`] where there is more than a ranking takes.
pub fn window(
    calls: &[(String, String)],
    normal: &Table,
    issue: &Table,
    alarm: &Alarm,
    late: usize,
) -> Result<Window> {
    let step = issue.step();
    // The sample that was being taken when the alarm was raised is the first that shows it.
    let begun = issue.times.iter().copied().filter(|time| *time <= alarm.timestamp);
    let noticed = begun.fold(f64::NEG_INFINITY, f64::max).max(issue.span().0);
    let mut window = Window::new(noticed + step * late as f64);
    for (caller, callee) in calls {
        window.call(caller, callee)?;
    }
    let earlier = normal.before(issue);
    for (column, head) in issue.heads.iter().enumerate() {
        let service = window.service(&head[0])?;
        let name = format!("{} {}", head[1], head[2]);
        let past = normal.heads.iter().position(|it| it == head);
        let past = past.into_iter().flat_map(|column| normal.samples(column, earlier));
        window.track(service, &name, past.chain(issue.samples(column, 0.0)))?;
    }
    let service = window.service(&alarm.node)?;
    window.target = Some(Target { service, signal: Meaning::of(&alarm.metric).signal });
    Ok(window)
}

/// Windows of so many samples of a time without issues, each with all the rest as its past: tables as
/// [`window`] takes them.
pub fn quiet(normal: &Table, length: usize) -> impl Iterator<Item = (Table, Table)> + '_ {
    let starts = (0..normal.times.len().saturating_sub(length)).step_by(length.max(1));
    starts.map(move |start| {
        let inside = |row: usize| (start..start + length).contains(&row);
        (part(normal, &|row| !inside(row)), part(normal, &inside))
    })
}

/// Those rows of a table, closed up in time, so that what is taken out leaves no hole.
fn part(table: &Table, keep: &dyn Fn(usize) -> bool) -> Table {
    let rows: Vec<usize> = (0..table.times.len()).filter(|row| keep(*row)).collect();
    let pick = |values: &Vec<f64>| rows.iter().map(|row| values[*row]).collect();
    Table {
        heads: table.heads.clone(),
        times: pick(&table.times),
        columns: table.columns.iter().map(pick).collect(),
    }
}
