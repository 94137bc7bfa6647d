//! The HTTP API of Loki, over the lines of one incident.
//!
//! What of LogQL: stream selectors with all four operations and the filters `|=`, `!=`, `|~`, `!~`;
//! `count_over_time` and `rate` of a range of those, and `sum`, `avg`, `max`, `min`, `count` of that by or without
//! labels. Parsers and formatters are refused.

use super::answer::Answer;
use super::matcher::{Labels, all_match};
use super::prepare::Scene;
use super::prometheus::number;
use super::request::{Params, Request};
use super::time::{self, NANOS_PER_MILLI, NANOS_PER_SECOND};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

mod parse;
mod store;
#[cfg(test)]
mod tests;

pub(super) use store::{Entry, Store};

use parse::{Filter, Metric, Query, Selection};

/// Lines of an answer where nothing is said, and at most.
const USUAL_LIMIT: usize = 100;
const MOST_LINES: usize = 5_000;

/// Points of a series in one answer.
const MOST_POINTS: i64 = 11_000;

/// Lines that a query may look at, counted once for each moment.
const MOST_WORK: u64 = 50_000_000;

/// How far back a query goes where nothing is said: an hour.
const USUAL_WINDOW: i64 = 3600 * NANOS_PER_SECOND;

/// The API of one incident.
#[derive(Debug)]
pub(super) struct Loki {
    store: Store,
    end: i64,
}

/// What is wrong with a request; Loki says it in plain text.
struct Refused(u16, String);

impl From<String> for Refused {
    fn from(problem: String) -> Self {
        Self(400, problem)
    }
}

/// A series in a result: its labels and its points.
type Row = (Labels, Vec<(i64, f64)>);

/// A window of time and how it is stepped through, in nanoseconds.
struct Window {
    start: i64,
    end: i64,
}

impl Loki {
    /// Of this incident.
    pub(super) fn new(scene: &Scene) -> Self {
        Self { store: Store::new(scene), end: time::nanos(scene.incident.end) }
    }

    /// The lines, for whoever asks Kubernetes for them.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Answers what stands below `/loki/api/v1`; `None` for what is not there.
    pub(super) fn answer(&self, path: &[&str], request: &Request) -> Option<Answer> {
        let params = &request.params;
        let result = match path {
            ["query_range"] => self.query_range(params),
            ["query"] => self.query(params),
            ["labels" | "label"] => self.labels(params),
            ["label", name, "values"] => self.label_values(name, params),
            ["series"] => self.series(params),
            ["status", "buildinfo"] => {
                let build = json!({
                    "version": "3.0.0", "revision": "srek-lab", "branch": "", "buildUser": "",
                    "buildDate": "", "goVersion": "",
                });
                return Some(Answer::json(200, &build));
            }
            _ => return None,
        };
        Some(match result {
            Ok(data) => Answer::json(200, &json!({"status": "success", "data": data})),
            Err(Refused(status, problem)) => Answer::text(status, format!("{problem}\n")),
        })
    }

    fn window(&self, params: &Params) -> Result<Window, Refused> {
        let time = |name: &str, usual: i64| match params.get(name) {
            None => Ok(usual),
            Some(text) => time::loki_time(text).ok_or_else(|| {
                Refused(400, format!("could not parse '{name}' parameter: {text:?}"))
            }),
        };
        // One past the last line, as the end is not part of the window.
        let end = time("end", self.end.saturating_add(1))?;
        let since = match params.get("since") {
            None => USUAL_WINDOW,
            Some(text) => {
                let millis = time::duration(text);
                millis.ok_or_else(|| format!("could not parse 'since' parameter: {text:?}"))?
                    * NANOS_PER_MILLI
            }
        };
        let start = time("start", end.saturating_sub(since))?;
        if end < start {
            return Err(Refused(
                400,
                "end timestamp must not be before or equal to start time".into(),
            ));
        }
        Ok(Window { start, end })
    }

    fn query_range(&self, params: &Params) -> Result<Value, Refused> {
        let window = self.window(params)?;
        match parse::query(params.get("query").unwrap_or_default())? {
            Query::Lines(selection) => self.lines(&selection, &window, params),
            Query::Metric(metric) => {
                let step = step(params, &window)?;
                let moments = (window.end.saturating_sub(window.start) / step).saturating_add(1);
                if moments > MOST_POINTS {
                    return Err(Refused(
                        400,
                        "exceeded maximum resolution of 11,000 points per time series. Try increasing the \
                         value of the step parameter"
                            .into(),
                    ));
                }
                let times: Vec<i64> = (0..moments).map(|it| window.start + it * step).collect();
                let rows = self.measure(&metric, &times)?;
                let row = |(labels, values): Row| {
                    let values: Vec<Value> = values.iter().map(|it| point(*it)).collect();
                    json!({"metric": labels, "values": values})
                };
                let result: Vec<Value> = rows.into_iter().map(row).collect();
                Ok(json!({"resultType": "matrix", "result": result, "stats": {}}))
            }
        }
    }

    fn query(&self, params: &Params) -> Result<Value, Refused> {
        let at = match params.get("time") {
            None => self.end,
            Some(text) => time::loki_time(text)
                .ok_or_else(|| format!("could not parse 'time' parameter: {text:?}"))?,
        };
        let Query::Metric(metric) = parse::query(params.get("query").unwrap_or_default())? else {
            let problem = "log queries are not supported as an instant query type, please change your query \
                           to a range query type";
            return Err(Refused(400, problem.into()));
        };
        let rows = self.measure(&metric, &[at])?;
        let row = |(labels, values): Row| {
            let value = values.first().map(|it| point(*it));
            json!({"metric": labels, "value": value})
        };
        let result: Vec<Value> = rows.into_iter().map(row).collect();
        Ok(json!({"resultType": "vector", "result": result, "stats": {}}))
    }

    fn lines(
        &self,
        selection: &Selection,
        window: &Window,
        params: &Params,
    ) -> Result<Value, Refused> {
        let limit = match params.get("limit") {
            None => USUAL_LIMIT,
            Some(text) => text.parse().map_err(|_| format!("limit {text:?} is not a number"))?,
        };
        if limit > MOST_LINES {
            return Err(Refused(
                400,
                format!(
                    "max entries limit per query exceeded, limit > max_entries_limit ({limit} > {MOST_LINES})"
                ),
            ));
        }
        let forward = match params.get("direction").unwrap_or("backward") {
            it if it.eq_ignore_ascii_case("forward") => true,
            it if it.eq_ignore_ascii_case("backward") => false,
            other => return Err(format!("invalid direction: {other:?}").into()),
        };
        let passing = self.passing(&selection.filters);
        let mut found: Vec<(usize, Entry)> = Vec::new();
        for (index, stream) in self.store.streams.iter().enumerate() {
            if all_match(&selection.matchers, &stream.labels) {
                let inside = stream.between(window.start, window.end).iter();
                let own = inside.filter(|it| passing[it.line as usize]).map(|it| (index, *it));
                match forward {
                    true => found.extend(own.take(limit)),
                    false => found.extend(own.rev().take(limit)),
                }
            }
        }
        // The complement turns the order round.
        found.sort_by_key(|(index, it)| (if forward { it.at } else { !it.at }, *index));
        found.truncate(limit);
        let mut streams: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
        for (index, entry) in found {
            let line = &self.store.lines[entry.line as usize];
            streams.entry(index).or_default().push(json!([entry.at.to_string(), line]));
        }
        let stream = |(index, values): (usize, Vec<Value>)| json!({"stream": self.store.streams[index].labels, "values": values});
        let result: Vec<Value> = streams.into_iter().map(stream).collect();
        Ok(json!({"resultType": "streams", "result": result, "stats": {}}))
    }

    /// For each kind of line whether it passes the filters: kinds are few, lines are many.
    fn passing(&self, filters: &[Filter]) -> Vec<bool> {
        let passes = |line: &String| filters.iter().all(|filter| filter.passes(line));
        self.store.lines.iter().map(passes).collect()
    }

    /// A value for each series and moment, where there are lines.
    fn measure(&self, metric: &Metric, times: &[i64]) -> Result<Vec<Row>, Refused> {
        let passing = self.passing(&metric.selection.filters);
        let matching = self
            .store
            .streams
            .iter()
            .filter(|it| all_match(&metric.selection.matchers, &it.labels));
        let mut counted: Vec<(Labels, Vec<i64>)> = Vec::new();
        for stream in matching {
            let passing = stream.entries.iter().filter(|it| passing[it.line as usize]);
            counted.push((stream.labels.clone(), passing.map(|it| it.at).collect()));
        }
        let work = (counted.len() as u64).saturating_mul(times.len() as u64);
        if work > MOST_WORK {
            return Err(Refused(400, "the query would have to look at too many lines".into()));
        }
        let labels: Vec<Labels> = counted.iter().map(|(labels, _)| labels.clone()).collect();
        let groups = metric.groups(&labels);
        let mut rows: Vec<Row> = match &groups {
            Some(groups) => groups.labels.iter().map(|it| (it.clone(), Vec::new())).collect(),
            None => labels.into_iter().map(|it| (it, Vec::new())).collect(),
        };
        for at in times {
            let end = at.saturating_sub(metric.offset);
            let start = end.saturating_sub(metric.range);
            let value = |times: &[i64]| {
                let before = |limit: i64| times.partition_point(|it| *it <= limit);
                let count = before(end).saturating_sub(before(start)) as f64;
                (count > 0.0).then(|| metric.value(count))
            };
            let values: Vec<Option<f64>> = counted.iter().map(|(_, times)| value(times)).collect();
            let values = match (&groups, metric.operation) {
                (Some(groups), Some(operation)) => groups.fold(operation, &values),
                _ => values,
            };
            for ((_, points), value) in rows.iter_mut().zip(values) {
                points.extend(value.map(|value| (*at, value)));
            }
        }
        rows.retain(|(_, points)| !points.is_empty());
        Ok(rows)
    }

    /// The streams that any of the selectors takes, of all if there is none, with lines in the window.
    fn selected(&self, params: &Params, name: &str) -> Result<Vec<&store::Stream>, Refused> {
        let window = self.window(params)?;
        let mut selectors = Vec::new();
        for text in params.all(name).filter(|it| !it.is_empty()) {
            selectors.push(parse::selector(text)?);
        }
        let taken = |it: &&store::Stream| {
            let any = selectors.iter().any(|selector| all_match(selector, &it.labels));
            (selectors.is_empty() || any) && !it.between(window.start, window.end).is_empty()
        };
        Ok(self.store.streams.iter().filter(taken).collect())
    }

    fn labels(&self, params: &Params) -> Result<Value, Refused> {
        let streams = self.selected(params, "query")?;
        let names: BTreeSet<&String> = streams.iter().flat_map(|it| it.labels.keys()).collect();
        Ok(json!(names))
    }

    fn label_values(&self, name: &str, params: &Params) -> Result<Value, Refused> {
        let streams = self.selected(params, "query")?;
        let values: BTreeSet<&String> =
            streams.iter().filter_map(|it| it.labels.get(name)).collect();
        Ok(json!(values))
    }

    fn series(&self, params: &Params) -> Result<Value, Refused> {
        let mut streams = self.selected(params, "match[]")?;
        if params.get("match[]").is_none() {
            streams = self.selected(params, "match")?;
        }
        Ok(streams.iter().map(|it| json!(it.labels)).collect())
    }
}

/// Nanoseconds of a step; where none is given, a 250th of the window and a second at least, as Loki does.
fn step(params: &Params, window: &Window) -> Result<i64, Refused> {
    let Some(text) = params.get("step") else {
        let seconds = window.end.saturating_sub(window.start) / NANOS_PER_SECOND / 250;
        return Ok(seconds.max(1) * NANOS_PER_SECOND);
    };
    let millis = time::step(text).filter(|it| *it > 0);
    let millis = millis.ok_or_else(|| format!("could not parse 'step' parameter: {text:?}"))?;
    Ok(millis.saturating_mul(NANOS_PER_MILLI))
}

fn point((at, value): (i64, f64)) -> Value {
    let seconds = match at % NANOS_PER_SECOND {
        0 => json!(at / NANOS_PER_SECOND),
        _ => json!((at / NANOS_PER_MILLI) as f64 / 1000.0),
    };
    json!([seconds, number(value)])
}
