//! The HTTP API of Prometheus, over the series of one incident: queries in a part of PromQL, series, labels,
//! rules and alerts.
//!
//! What of PromQL: selectors with all four operations, `offset`, numbers; `rate`, `increase`, `delta` and
//! `{avg,min,max,sum,count,last}_over_time` of a range; `sum`, `avg`, `max`, `min`, `count`, `by` and `without`
//! labels. Ranges are open on their left, as from Prometheus 3 on. All else is refused and says so.

use super::answer::Answer;
use super::matcher::{Labels, Matcher, all_match};
use super::prepare::Scene;
use super::request::{Params, Request};
use super::scan::Words;
use super::time;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

mod evaluate;
mod parse;
mod store;
#[cfg(test)]
mod tests;

pub(super) use store::{JOB, Series, Store, number};

use evaluate::{Fault, Outcome};

/// Points of a series in one answer, as Prometheus has it.
const MOST_POINTS: i64 = 11_000;

/// The API of one incident.
#[derive(Debug)]
pub(super) struct Prometheus {
    store: Store,
    start: Timestamp,
    end: Timestamp,
}

/// An error as Prometheus answers it.
struct Refused {
    status: u16,
    kind: &'static str,
    message: String,
}

impl Refused {
    fn bad(message: impl Into<String>) -> Self {
        Self { status: 400, kind: "bad_data", message: message.into() }
    }

    fn parameter(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::bad(format!("invalid parameter \"{name}\": {problem}"))
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Query(message) => Self::bad(message),
            Fault::Execution(message) => Self { status: 422, kind: "execution", message },
        }
    }
}

impl Prometheus {
    /// Of this incident.
    pub(super) fn new(scene: &Scene) -> Self {
        let (start, end) = (scene.incident.start, scene.incident.end);
        Self { store: Store::new(scene), start, end }
    }

    /// The series that a scraper is shown.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Answers what stands below `/api/v1`; `None` for what is not Prometheus's.
    pub(super) fn answer(&self, path: &[&str], request: &Request) -> Option<Answer> {
        let params = &request.params;
        let result = match path {
            ["query"] => self.query(params),
            ["query_range"] => self.query_range(params),
            ["series"] => self.series(params).map(|it| data(&it)),
            ["labels"] => self.labels(params).map(|it| data(&it)),
            ["label", name, "values"] => self.label_values(name, params).map(|it| data(&it)),
            ["metadata"] => Ok(data(&self.metadata(params))),
            ["rules"] => Ok(data(&self.rules(params))),
            ["alerts"] => Ok(data(&json!({"alerts": self.alerts()}))),
            ["status", "buildinfo"] => Ok(data(&json!({
                "version": "3.0.0", "revision": "srek-lab", "branch": "", "buildUser": "",
                "buildDate": "", "goVersion": "",
            }))),
            ["query" | "query_range" | "labels" | "label" | "rules" | "alerts", ..] => {
                let message = "not found".to_owned();
                Err(Refused { status: 404, kind: "not_found", message })
            }
            _ => return None,
        };
        Some(result.unwrap_or_else(|it| {
            let error = json!({"status": "error", "errorType": it.kind, "error": it.message});
            Answer::json(it.status, &error)
        }))
    }

    fn query(&self, params: &Params) -> Result<Answer, Refused> {
        let at = self.time(params, "time")?.unwrap_or_else(|| time::millis(self.end));
        let expression = expression(params)?;
        let outcome = evaluate::at(&expression, &self.store, at)?;
        let mut out = Written::default();
        let kind = match outcome {
            Outcome::Scalar(value) => {
                point(&mut out.text, at, value);
                let text = success("scalar", &out.text);
                return Ok(Answer::bytes(200, "application/json", text.into_bytes()));
            }
            Outcome::Vector(values) => {
                values.iter().for_each(|(labels, value)| out.instant(labels, (at, *value)));
                "vector"
            }
            Outcome::Matrix(rows) => {
                rows.iter().for_each(|(labels, points)| out.range(labels, points));
                "matrix"
            }
        };
        Ok(out.answer(kind))
    }

    fn query_range(&self, params: &Params) -> Result<Answer, Refused> {
        let needed = |name: &str| {
            let missing = || Refused::parameter(name, "cannot parse \"\" to a valid timestamp");
            self.time(params, name)?.ok_or_else(missing)
        };
        let (start, end) = (needed("start")?, needed("end")?);
        if end < start {
            return Err(Refused::parameter("end", "end timestamp must not be before start time"));
        }
        let text = params.get("step").unwrap_or_default();
        let unreadable =
            || Refused::parameter("step", format!("cannot parse {text:?} to a valid duration"));
        let step = time::step(text).ok_or_else(unreadable)?;
        if step <= 0 {
            return Err(Refused::parameter(
                "step",
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        if (end - start) / step >= MOST_POINTS {
            return Err(Refused::bad(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query \
                 resolution (?step=XX)",
            ));
        }
        let expression = expression(params)?;
        let rows = evaluate::over(&expression, &self.store, (start, end, step))?;
        let mut out = Written::default();
        rows.iter().for_each(|(labels, points)| out.range(labels, points));
        Ok(out.answer("matrix"))
    }

    fn time(&self, params: &Params, name: &str) -> Result<Option<i64>, Refused> {
        let Some(text) = params.get(name) else { return Ok(None) };
        let parsed = time::prometheus_time(text);
        let problem = || format!("cannot parse {text:?} to a valid timestamp");
        parsed.map(Some).ok_or_else(|| Refused::parameter(name, problem()))
    }

    /// The series that any selector takes, of all if there is none, in the window that is asked for.
    fn selected(&self, params: &Params) -> Result<Vec<&Series>, Refused> {
        let start = self.time(params, "start")?.unwrap_or(i64::MIN);
        let end = self.time(params, "end")?.unwrap_or(i64::MAX);
        let mut selectors: Vec<Vec<Matcher>> = Vec::new();
        for text in params.all("match[]") {
            let selector = parse::selector(text);
            selectors.push(selector.map_err(|it| Refused::parameter("match[]", it))?);
        }
        let taken = |series: &&Series| {
            let inside = series.points.iter().any(|(at, _)| (start..=end).contains(at));
            let any = selectors.iter().any(|selector| all_match(selector, &series.labels));
            inside && (selectors.is_empty() || any)
        };
        Ok(self.store.series.iter().filter(taken).collect())
    }

    fn series(&self, params: &Params) -> Result<Value, Refused> {
        if params.get("match[]").is_none() {
            return Err(Refused::bad("no match[] parameter provided"));
        }
        Ok(self.selected(params)?.iter().map(|series| json!(series.labels)).collect())
    }

    fn labels(&self, params: &Params) -> Result<Value, Refused> {
        let series = self.selected(params)?;
        let names: BTreeSet<&String> = series.iter().flat_map(|it| it.labels.keys()).collect();
        Ok(json!(names))
    }

    fn label_values(&self, name: &str, params: &Params) -> Result<Value, Refused> {
        if Words::of(name).is_err() || name.is_empty() {
            return Err(Refused::bad(format!("invalid label name: {name:?}")));
        }
        let series = self.selected(params)?;
        let values: BTreeSet<&String> =
            series.iter().filter_map(|it| it.labels.get(name)).collect();
        Ok(json!(values))
    }

    fn metadata(&self, params: &Params) -> Value {
        let wanted = params.get("metric");
        let names: BTreeSet<&str> = self.store.series.iter().map(Series::name).collect();
        let names = names.into_iter().filter(|name| wanted.is_none_or(|it| it == *name));
        let row = |name: &str| {
            let help = self.store.help(name);
            (name.to_owned(), json!([{"type": "gauge", "help": help, "unit": ""}]))
        };
        names.map(row).collect::<serde_json::Map<_, _>>().into()
    }

    fn alerts(&self) -> Value {
        let alert = |it: &store::Alert| {
            json!({
                "labels": it.labels,
                "annotations": {"description": it.description},
                "state": "firing",
                "activeAt": self.start.to_string(),
                "value": "1e+00",
            })
        };
        self.store.alert.iter().map(alert).collect()
    }

    fn rules(&self, params: &Params) -> Value {
        let rule = |it: &store::Alert| {
            let query = format!("ALERTS{{alertname=\"{}\"}}", it.name);
            json!({
                "type": "alerting", "name": it.name, "query": query, "duration": 0, "keepFiringFor": 0,
                "labels": {"severity": it.labels.get("severity")},
                "annotations": {"description": it.description},
                "alerts": self.alerts(), "state": "firing", "health": "ok",
                "evaluationTime": 0, "lastEvaluation": self.end.to_string(),
            })
        };
        let alerting = params.get("type").is_none_or(|it| it == "alert");
        let rules: Vec<Value> = self.store.alert.iter().filter(|_| alerting).map(rule).collect();
        if rules.is_empty() {
            return json!({"groups": []});
        }
        json!({"groups": [{
            "name": "lab", "file": "lab.yaml", "interval": 60, "limit": 0, "rules": rules,
            "evaluationTime": 0, "lastEvaluation": self.end.to_string(),
        }]})
    }
}

fn expression(params: &Params) -> Result<parse::Expression, Refused> {
    let query = params.get("query").unwrap_or_default();
    parse::expression(query).map_err(|problem| Refused::parameter("query", problem))
}

fn data(value: &Value) -> Answer {
    Answer::json(200, &json!({"status": "success", "data": value}))
}

fn success(kind: &str, result: &str) -> String {
    format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":{result}}}}}")
}

/// `[1700000000.5,"1.25"]`
fn point(out: &mut String, at: i64, value: f64) {
    let (seconds, millis) = (at.div_euclid(1000), at.rem_euclid(1000));
    // Writing into a string does not fail.
    let _ = match millis {
        0 => write!(out, "[{seconds},\"{}\"]", number(value)),
        _ => write!(out, "[{},\"{}\"]", at as f64 / 1000.0, number(value)),
    };
}

/// Rows of a result while they are written: as values of JSON they would take ten times the memory.
#[derive(Default)]
struct Written {
    text: String,
}

impl Written {
    fn row(&mut self, labels: &Labels, name: &str) {
        self.text.push(if self.text.is_empty() { '[' } else { ',' });
        let _ = write!(self.text, "{{\"metric\":{},\"{name}\":", json!(labels));
    }

    fn instant(&mut self, labels: &Labels, (at, value): (i64, f64)) {
        self.row(labels, "value");
        point(&mut self.text, at, value);
        self.text.push('}');
    }

    fn range(&mut self, labels: &Labels, points: &[(i64, f64)]) {
        self.row(labels, "values");
        for (index, (at, value)) in points.iter().enumerate() {
            self.text.push(if index == 0 { '[' } else { ',' });
            point(&mut self.text, *at, *value);
        }
        self.text.push_str(if points.is_empty() { "[]}" } else { "]}" });
    }

    fn answer(mut self, kind: &str) -> Answer {
        self.text.push_str(if self.text.is_empty() { "[]" } else { "]" });
        Answer::bytes(200, "application/json", success(kind, &self.text).into_bytes())
    }
}
