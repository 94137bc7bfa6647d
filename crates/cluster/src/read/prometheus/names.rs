//! Which metrics the namespace has, of which type, and with which labels.

use super::super::directory::{Directory, LABELS};
use super::super::{Run, Source};
use super::answer::{self, Labels};
use super::{Prometheus, label_sets};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Most names that are looked at.
const MOST: usize = 4_000;
/// Names of one question for labels: the address of a request has a limit, too.
const AT_ONCE: usize = 40;
/// Labels that are asked for beside those of services.
const OTHERS: [&str; 3] = ["quantile", "reporter", "namespace"];
/// Labels that hold the status of an answer.
pub(super) const STATUS: [&str; 6] = [
    "response_code",
    "status",
    "code",
    "status_code",
    "http_status_code",
    "http_response_status_code",
];

/// The metrics of a namespace.
#[derive(Default)]
pub(super) struct Names {
    /// Each with what its labels are.
    pub(super) metrics: BTreeMap<String, BTreeSet<Labels>>,
    /// Types, as far as they are told.
    types: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn has(&self, name: &str) -> bool {
        self.metrics.contains_key(name)
    }

    /// The type that the server tells: of a counter it may be told without `_total`.
    pub(super) fn type_of(&self, name: &str) -> Option<&str> {
        let base = || self.types.get(name.strip_suffix("_total")?);
        self.types.get(name).or_else(base).map(String::as_str)
    }
}

/// The metrics of the namespace; `None` where they cannot be had.
pub(super) fn read(server: &Prometheus, run: &mut Run<'_>) -> Option<Names> {
    let selector = format!("{{namespace=\"{}\"}}", server.namespace);
    let [start, end] = [server.window.from, server.window.end].map(|it| it.to_string());
    let query = [("match[]", selector.as_str()), ("start", &start), ("end", &end)];
    let path = "/api/v1/label/__name__/values";
    let all: Vec<String> = match answer::data(&server.remote, path, &query) {
        Ok(names) => names,
        Err(trouble) => {
            run.missing(Source::Prometheus, "metrics", trouble.why);
            return None;
        }
    };
    let count = all.len();
    let mut known: Vec<String> = all.into_iter().filter(|name| is_name(name)).collect();
    known.sort();
    known.dedup();
    known.truncate(MOST);
    if known.len() < count {
        run.cut.push(format!("{} of {count} names of metrics were looked at", known.len()));
    }
    let types = types(server).unwrap_or_else(|why| {
        run.missing(Source::Prometheus, "types of metrics", why);
        BTreeMap::new()
    });
    let mut names = Names { metrics: BTreeMap::new(), types };
    let wanted: Vec<String> = known.into_iter().filter(|it| !it.ends_with("_created")).collect();
    for some in wanted.chunks(AT_ONCE) {
        labels(server, run, (some, &mut names.metrics));
    }
    Some(names)
}

/// Whether a name can stand in a query; those with quotes and the like are nobody's.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_:.".contains(&byte);
    (1..=180).contains(&name.len()) && name.bytes().all(fits)
}

fn types(server: &Prometheus) -> Result<BTreeMap<String, String>, String> {
    #[derive(Deserialize)]
    struct Told {
        r#type: String,
    }
    let query = [("limit_per_metric", "1")];
    let told: BTreeMap<String, Vec<Told>> =
        answer::data(&server.remote, "/api/v1/metadata", &query).map_err(|it| it.why)?;
    let first = |(name, told): (String, Vec<Told>)| Some((name, told.into_iter().next()?.r#type));
    Ok(told.into_iter().filter_map(first).collect())
}

/// Asks for the labels of some metrics: at the end of the time, and at the start of the incident for
/// what had stopped by then.
fn labels(
    server: &Prometheus,
    run: &mut Run<'_>,
    (names, found): (&[String], &mut BTreeMap<String, BTreeSet<Labels>>),
) {
    let mut wanted: Vec<&String> = names.iter().collect();
    for time in [server.window.end, server.window.start, server.window.from + 300] {
        if wanted.is_empty() {
            return;
        }
        let any = wanted.iter().map(|it| it.replace('.', "\\\\.")).collect::<Vec<_>>().join("|");
        let keys =
            LABELS.iter().chain(&OTHERS).chain(&STATUS).copied().collect::<Vec<_>>().join(", ");
        let query = format!(
            "count by (__name__, {keys}) ({{__name__=~\"{any}\",namespace=\"{}\"}})",
            server.namespace
        );
        match server.instant(&query, time) {
            Err(trouble) if trouble.is_refusal && names.len() > 1 => {
                // One metric with too many series costs itself, not the others.
                let (first, second) = names.split_at(names.len() / 2);
                labels(server, run, (first, &mut *found));
                labels(server, run, (second, found));
                return;
            }
            Err(trouble) => {
                let what = match wanted.as_slice() {
                    [one] => format!("labels of {one}"),
                    [first, ..] => format!("labels of {} metrics ({first}, …)", wanted.len()),
                    [] => return,
                };
                run.missing(Source::Prometheus, what, trouble.why);
                return;
            }
            Ok(rows) => {
                for mut labels in label_sets(rows) {
                    if let Some(name) = labels.remove("__name__") {
                        found.entry(name).or_default().insert(labels);
                    }
                }
            }
        }
        wanted.retain(|name| !found.contains_key(*name));
    }
}

/// Enters the limits of containers from kube-state-metrics, where Kubernetes did not tell them.
pub(super) fn container_limits(server: &Prometheus, names: &Names, directory: &mut Directory) {
    const NAME: &str = "kube_pod_container_resource_limits";
    if directory.is_known || !names.has(NAME) {
        return;
    }
    for resource in ["memory", "cpu"] {
        let query = format!(
            "max by (pod) ({{__name__=\"{NAME}\",namespace=\"{}\",resource=\"{resource}\"}})",
            server.namespace
        );
        // What it fails of is told with the metrics themselves.
        for row in server.instant(&query, server.window.end).unwrap_or_default() {
            let value = row.values().first().map_or(f64::NAN, |it| it.1);
            let Some(service) = directory.of_labels(&row.metric).filter(|_| value > 0.0) else {
                continue;
            };
            let service = directory.service(&service);
            match resource {
                "memory" => service.memory_limit_mib = Some((value / 1_048_576.0).round() as u64),
                _ => service.cpu_limit_millicores = Some((value * 1e3).round() as u64),
            }
        }
    }
}
