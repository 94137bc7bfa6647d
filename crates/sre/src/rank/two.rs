//! Two tables of the layout of RCAEval (Pham et al., ASE 2024): one of a time when all was well and one
//! of a trouble, a column for each series, its name `service_metric`.

use super::layout::Table;
use super::window::Window;
use crate::{Error, Result};

/// The window of both tables, with calls where they are known: it is split where the second begins.
///
/// # Errors
/// [`Error::Incident`] where there is more than a ranking takes, or no column is in both.
pub fn window(normal: &Table, anomalous: &Table, calls: &[(String, String)]) -> Result<Window> {
    let mut window = Window::new(anomalous.span().0);
    for (caller, callee) in calls {
        window.call(caller, callee)?;
    }
    let earlier = normal.before(anomalous);
    for (column, head) in anomalous.heads.iter().enumerate() {
        let name = head.first().map_or("", String::as_str);
        let Some(before) = normal.heads.iter().position(|it| it == head) else { continue };
        let Some((service, metric)) = owner(&window, name, calls) else { continue };
        let service = window.service(&service)?;
        let samples = normal.samples(before, earlier).chain(anomalous.samples(column, 0.0));
        window.track(service, &metric, samples)?;
    }
    if window.series.is_empty() {
        let problem = "no column named service_metric is in both files";
        return Err(Error::incident("columns", problem));
    }
    Ok(window)
}

/// Whose a column is and what it has of it: the longest service that calls name, or else what stands
/// before the first underscore.
fn owner(window: &Window, name: &str, calls: &[(String, String)]) -> Option<(String, String)> {
    let mut splits = name.match_indices('_').map(|(at, _)| (&name[..at], &name[at + 1..]));
    let known = if calls.is_empty() {
        None
    } else {
        splits.clone().rfind(|(service, _)| window.find(service).is_some())
    };
    let (service, metric) = known.or_else(|| splits.next())?;
    let named = !service.is_empty() && !metric.is_empty();
    named.then(|| (service.to_owned(), metric.to_owned()))
}

/// Reads a list of calls: a line for each, `caller,callee`; a first line of these two words is none.
///
/// # Errors
/// [`Error::Table`] with the line, from 1.
pub fn calls(text: &str) -> Result<Vec<(String, String)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut calls = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || (index == 0 && line.trim() == "caller,callee") {
            continue;
        }
        let cells = super::layout::cells(line, index + 1)?;
        let [caller, callee] = cells.as_slice() else {
            let problem = format!("{} cells, expected 2", cells.len());
            return Err(Error::table(index + 1, problem, "a line is caller,callee"));
        };
        calls.push((caller.clone(), callee.clone()));
    }
    Ok(calls)
}
