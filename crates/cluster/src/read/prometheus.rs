//! Reads metrics and alerts from the HTTP API of Prometheus, without being told what there is.
//!
//! Which metrics the namespace has is asked first (`names`), then by which label each is told apart,
//! then what each did (`plan` has the queries). A metric that cannot be read is missing; the rest goes
//! on. [`super::assemble`] decides which series are kept.

use super::assemble::{Found, Measured};
use super::directory::Directory;
use super::http::{Remote, Trouble};
use super::window::Window;
use super::{HttpSource, Result, Run, Source};
use answer::{Labels, Row};
use plan::{Fold, Plan, Query};
use std::collections::{BTreeMap, BTreeSet};

mod alerts;
mod answer;
mod calls;
mod names;
mod plan;

/// Queries that are under way at the same time.
const TOGETHER: usize = 4;
/// Metrics whose failure is told by name.
const NAMED: usize = 3;

/// The server and what is asked of it.
struct Prometheus {
    remote: Remote,
    namespace: String,
    window: Window,
}

/// Reads the metrics and alerts of the namespace.
pub(super) fn read(
    source: &HttpSource,
    run: &mut Run<'_>,
    directory: &mut Directory,
    found: &mut Found,
) -> Result<()> {
    let remote = Remote::new(source, run)?;
    let server = Prometheus { remote, namespace: run.ask.namespace.clone(), window: run.window };
    run.step(Source::Prometheus, "names of metrics", (0, 1));
    let Some(names) = names::read(&server, run) else { return Ok(()) };
    found.is_answered = true;
    names::container_limits(&server, &names, directory);
    let plan = Plan::new(&names, directory, run);
    found.series = series(&server, &plan, directory, run);
    if !server.remote.is_down() {
        calls::read(&server, directory, run);
        found.alert = alerts::read(&server, directory, run);
    }
    for warning in server.remote.warnings() {
        run.missing(Source::Prometheus, "a part of some answers", warning);
    }
    Ok(())
}

/// What every metric of the plan did.
fn series(
    server: &Prometheus,
    plan: &Plan,
    directory: &Directory,
    run: &mut Run<'_>,
) -> Vec<Measured> {
    let mut series = Vec::new();
    let mut failed: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut done = 0;
    for some in plan.queries.chunks(TOGETHER) {
        run.step(Source::Prometheus, &some[0].name, (done, plan.queries.len()));
        for (query, answer) in some.iter().zip(together(server, some)) {
            done += 1;
            match answer {
                Ok((rows, limits)) => {
                    let limits =
                        by_service(&limits, (&query.key, Fold::Max), directory, &server.window);
                    let measured =
                        by_service(&rows, (&query.key, query.fold), directory, &server.window);
                    series.extend(measured.into_iter().map(|(service, values)| {
                        let last = |values: &Vec<Option<f64>>| {
                            values.iter().rev().flatten().next().copied()
                        };
                        let limit = limits.get(&service).and_then(last);
                        let limit = limit.or_else(|| container_limit(query, &service, directory));
                        Measured { service, name: query.name.clone(), limit, values }
                    }));
                }
                Err(trouble) => failed.entry(trouble.why).or_default().push(&query.name),
            }
        }
    }
    for (why, names) in failed {
        let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let what = match names.len() {
            0..=NAMED => shown,
            count => format!("{count} metrics ({shown}, …)"),
        };
        run.missing(Source::Prometheus, what, why);
    }
    series
}

type Answer = std::result::Result<(Vec<Row>, Vec<Row>), Trouble>;

/// Asks several queries at once; the answers are in the order of the queries.
fn together(server: &Prometheus, queries: &[Query]) -> Vec<Answer> {
    let one = |query: &Query| -> Answer {
        let rows = server.range(&query.text)?;
        // Without its limit a series is still one.
        let limits = query.limit.as_ref().map(|limit| server.range(limit).unwrap_or_default());
        Ok((rows, limits.unwrap_or_default()))
    };
    std::thread::scope(|scope| {
        let asked: Vec<_> = queries.iter().map(|query| scope.spawn(move || one(query))).collect();
        let panicked = || Err(Trouble::new("the query could not be made"));
        asked.into_iter().map(|it| it.join().unwrap_or_else(|_| panicked())).collect()
    })
}

/// The rows on the grid, those of a service folded into one.
fn by_service(
    rows: &[Row],
    (key, fold): (&str, Fold),
    directory: &Directory,
    window: &Window,
) -> BTreeMap<String, Vec<Option<f64>>> {
    let mut grids: BTreeMap<String, Vec<Vec<Option<f64>>>> = BTreeMap::new();
    for row in rows {
        let value = row.metric.get(key).map(String::as_str).unwrap_or_default();
        let grid = window.resample(&row.values());
        if let Some(service) = directory.of_label(key, value)
            && grid.iter().flatten().nth(1).is_some()
        {
            grids.entry(service).or_default().push(grid);
        }
    }
    grids.into_iter().map(|(service, grids)| (service, fold.of(&grids))).collect()
}

/// The limit of a container, for what containers are measured by.
fn container_limit(query: &Query, service: &str, directory: &Directory) -> Option<f64> {
    let service = directory.services.get(service)?;
    let memory = ["working_set", "memory_rss", "memory_usage"];
    if !query.name.starts_with("container_") {
        return None;
    }
    if memory.iter().any(|word| query.name.contains(word)) {
        return service.memory_limit_mib.map(|mib| mib as f64 * 1024.0 * 1024.0);
    }
    let is_cpu = query.name.starts_with("container_cpu_usage_seconds");
    service.cpu_limit_millicores.filter(|_| is_cpu).map(|thousandths| thousandths as f64 / 1000.0)
}

impl Prometheus {
    /// What a query gave over the whole time.
    fn range(&self, query: &str) -> std::result::Result<Vec<Row>, Trouble> {
        let [start, end, step] =
            [self.window.from, self.window.last(), self.window.step].map(|it| it.to_string());
        let parameters = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
        answer::result(&self.remote, "/api/v1/query_range", &parameters)
    }

    /// What a query gives at a time.
    fn instant(&self, query: &str, time: i64) -> std::result::Result<Vec<Row>, Trouble> {
        let time = time.to_string();
        answer::result(&self.remote, "/api/v1/query", &[("query", query), ("time", &time)])
    }
}

/// Labels of rows, each set once.
fn label_sets(rows: Vec<Row>) -> BTreeSet<Labels> {
    rows.into_iter().map(|row| row.metric).collect()
}
