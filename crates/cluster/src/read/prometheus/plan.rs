//! Which queries are asked: of every metric that may say something, a good one for its type.

use super::super::Run;
use super::super::directory::{Directory, LABELS};
use super::answer::Labels;
use super::names::{Names, STATUS};
use sre::signal::Signal;
use std::collections::BTreeSet;

/// Metrics about the process that measures, not about what it does.
const NOISE: [&str; 9] = [
    "go_",
    "python_",
    "promhttp_",
    "scrape_",
    "prometheus_",
    "otel_scope",
    "target_",
    "ALERTS",
    "node_uname",
];
/// Ends of names that measure nothing by themselves.
const EMPTY: [&str; 5] = ["_info", "_created", "_labels", "_annotations", "_start_time_seconds"];
/// What of kube-state-metrics is asked for: the rest repeats what Kubernetes' own API says.
const STATE: [&str; 3] = ["replicas", "restarts", "quota"];
/// A word in the name of what is used, and the one in the name of its limit.
const LIMITS: [(&str, &str); 9] = [
    ("used", "capacity"),
    ("used", "limit"),
    ("used", "max"),
    ("_used", ""),
    ("open", "max"),
    ("active", "max"),
    ("current", "max"),
    ("usage", "limit"),
    ("in_use", "max"),
];

/// How the values of several pods become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    Sum,
    Mean,
    Max,
}

impl Fold {
    /// The values at each place, folded.
    pub(super) fn of(self, grids: &[Vec<Option<f64>>]) -> Vec<Option<f64>> {
        let places = grids.iter().map(Vec::len).max().unwrap_or(0);
        let at = |place: usize| {
            let values: Vec<f64> = grids.iter().filter_map(|it| *it.get(place)?).collect();
            let sum = || values.iter().sum::<f64>();
            let folded = match self {
                _ if values.is_empty() => return None,
                Self::Sum => sum(),
                Self::Mean => sum() / values.len() as f64,
                Self::Max => values.iter().copied().fold(f64::MIN, f64::max),
            };
            Some(folded).filter(|it| it.is_finite())
        };
        (0..places).map(at).collect()
    }

    /// The aggregation of Prometheus that does the same.
    fn word(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Mean => "avg",
            Self::Max => "max",
        }
    }
}

/// One query.
pub(super) struct Query {
    /// What the series is called: the metric's own name, and what was done to it.
    pub(super) name: String,
    pub(super) text: String,
    /// The label that tells services apart in its answer.
    pub(super) key: String,
    pub(super) fold: Fold,
    /// The query for its limit.
    pub(super) limit: Option<String>,
}

/// All queries, the most telling first.
pub(super) struct Plan {
    pub(super) queries: Vec<Query>,
}

/// What stands in the queries of one metric.
struct Metric<'a> {
    name: &'a str,
    key: &'static str,
    namespace: &'a str,
    /// More conditions, each with a comma before it.
    more: String,
    rate: i64,
}

impl Plan {
    /// The queries for these metrics.
    pub(super) fn new(names: &Names, directory: &Directory, run: &mut Run<'_>) -> Self {
        let limits: BTreeSet<String> =
            names.metrics.keys().filter_map(|it| limit(it, names)).collect();
        let wanted = |name: &&String| is_wanted(name, names) && !limits.contains(*name);
        let mut metrics: Vec<&String> = names.metrics.keys().filter(wanted).collect();
        // Sorted by name already, and the sort is stable.
        metrics.sort_by_key(|name| (Signal::of(name).is_none(), name.starts_with("process_")));
        let most = run.ask.limits.metrics;
        if metrics.len() > most {
            run.cut.push(format!("{most} of {} metrics were asked for", metrics.len()));
            metrics.truncate(most);
        }
        let mut queries = Vec::new();
        let mut homeless = 0;
        for name in metrics {
            let labels = &names.metrics[name];
            let Some(key) = key(labels, directory) else {
                homeless += 1;
                continue;
            };
            let (namespace, rate) = (directory.namespace.as_str(), run.window.rate_seconds());
            let metric = Metric { name, key, namespace, more: conditions(name, labels), rate };
            queries.extend(metric.queries(names, labels));
        }
        if homeless > 0 {
            run.cut.push(format!("{homeless} metrics have no label that names a service"));
        }
        Self { queries }
    }
}

fn is_wanted(name: &str, names: &Names) -> bool {
    if NOISE.iter().any(|it| name.starts_with(it)) || EMPTY.iter().any(|it| name.ends_with(it)) {
        return false;
    }
    if name.starts_with("kube_") {
        return STATE.iter().any(|it| name.contains(it));
    }
    // The sum of a histogram says nothing without its count, and its quantile says more.
    let is_sum = name.strip_suffix("_sum").is_some_and(|base| names.has(&format!("{base}_count")));
    // Only what was throttled of it says something.
    !is_sum && name != "container_cpu_cfs_periods_total"
}

/// The metric that holds the limit of another.
fn limit(name: &str, names: &Names) -> Option<String> {
    let ends = ["_limit", "_max", "_capacity"].iter().map(|end| format!("{name}{end}"));
    let words = LIMITS.iter().filter(|(word, _)| name.contains(word));
    let words = words.map(|(word, limit)| name.replace(word, limit));
    ends.chain(words).find(|it| it != name && names.has(it))
}

/// The first label that tells the services of nearly all series, else the one that tells most.
fn key(labels: &BTreeSet<Labels>, directory: &Directory) -> Option<&'static str> {
    let told = |label: &str| {
        let of = |it: &&Labels| {
            it.get(label).and_then(|value| directory.of_label(label, value)).is_some()
        };
        labels.iter().filter(of).count()
    };
    let counts: Vec<(&'static str, usize)> =
        LABELS.iter().map(|label| (*label, told(label))).collect();
    let nearly = counts.iter().find(|(_, count)| count * 10 >= labels.len() * 8 && *count > 0);
    let most =
        || counts.iter().rev().max_by_key(|(_, count)| *count).filter(|(_, count)| *count > 0);
    nearly.or_else(most).map(|(label, _)| *label)
}

/// What keeps the same thing from being counted twice.
fn conditions(name: &str, labels: &BTreeSet<Labels>) -> String {
    let has = |label: &str| labels.iter().any(|it| it.get(label).is_some_and(|it| !it.is_empty()));
    let mut more = String::new();
    if name.starts_with("container_") && has("container") {
        // cAdvisor also has a row for the whole pod, and one for its pause container.
        more.push_str(",container!=\"\",container!=\"POD\"");
    }
    if has("reporter") {
        // Meshes count a request where it leaves and where it arrives.
        more.push_str(",reporter=\"destination\"");
    }
    let quantile = |it: &Labels| it.get("quantile").and_then(|it| it.parse::<f64>().ok());
    let highest = labels
        .iter()
        .filter_map(quantile)
        .filter(|it| *it < 1.0)
        .fold(None, |most, it| Some(it.max(most.unwrap_or(it))));
    if let Some(highest) = highest {
        more.push_str(&format!(",quantile=\"{highest}\""));
    }
    more
}

impl Metric<'_> {
    fn queries(&self, names: &Names, labels: &BTreeSet<Labels>) -> Vec<Query> {
        let name = self.name;
        if let Some(base) = name.strip_suffix("_bucket") {
            return vec![self.quantile(base)];
        }
        if name == "container_cpu_cfs_throttled_periods_total"
            && names.has("container_cpu_cfs_periods_total")
        {
            return vec![self.throttling()];
        }
        let base = name.strip_suffix("_count");
        let is_part = base.is_some_and(|it| {
            names.has(&format!("{it}_bucket")) || names.has(&format!("{it}_sum"))
        });
        // What a recording rule has made is not a counter any more, whatever it is called.
        let is_counter = match names.type_of(name) {
            Some("counter") => true,
            Some("gauge") => false,
            _ => is_part || (name.ends_with("_total") && !name.contains(':')),
        };
        match (is_counter, base.filter(|_| is_part)) {
            (true, Some(base)) => {
                self.counters(&format!("{}_requests", without_unit(base)), labels)
            }
            (true, None) => self.counters(name, labels),
            (false, _) => vec![self.gauge(names)],
        }
    }

    fn selector(&self, name: &str, more: &str) -> String {
        format!("{{__name__=\"{name}\",namespace=\"{}\"{}{more}}}", self.namespace, self.more)
    }

    fn query(&self, name: String, fold: Fold, inner: &str) -> Query {
        let text = format!("{} by ({}) ({inner})", fold.word(), self.key);
        Query { name, text, key: self.key.to_owned(), fold, limit: None }
    }

    /// Rates of a counter, of all and of what failed.
    fn counters(&self, shown: &str, labels: &BTreeSet<Labels>) -> Vec<Query> {
        let signal = Signal::of(self.name);
        // Of what is rare, how often it happened reads better than a rate.
        let rare = matches!(signal, Some(Signal::Restarts | Signal::Leader));
        let function = if rare { "increase" } else { "rate" };
        let of =
            |more: &str| format!("{function}({}[{}s])", self.selector(self.name, more), self.rate);
        let mut all = self.query(format!("{shown}:{function}"), Fold::Sum, &of(""));
        if signal == Some(Signal::Cpu) && self.key == "pod" {
            // A limit holds for every pod, so the pod that uses most is what counts.
            all.fold = Fold::Max;
        }
        let mut queries = vec![all];
        let is_status = |it: &&Labels, label: &str| {
            it.get(label).is_some_and(|value| {
                value.len() == 3 && value.starts_with(['1', '2', '3', '4', '5'])
            })
        };
        let status = STATUS.iter().find(|label| labels.iter().any(|it| is_status(&it, label)));
        if let Some(label) = status {
            let failed = of(&format!(",{label}=~\"5..\""));
            queries.push(self.query(format!("{shown}:5xx"), Fold::Sum, &failed));
        }
        queries
    }

    fn gauge(&self, names: &Names) -> Query {
        use Signal::{Connections, Disk, Memory, OpenFiles, Queue, Quota, Waiting};
        let limit = limit(self.name, names);
        let fills = [Connections, Disk, Memory, OpenFiles, Queue, Quota, Waiting];
        let fills = Signal::of(self.name).is_some_and(|it| fills.contains(&it));
        let fold = if limit.is_some() || fills { Fold::Max } else { Fold::Mean };
        // The parts of a pod are added before pods are compared.
        let inner = match self.key == "pod" && self.name.starts_with("container_memory_") {
            true => format!("sum by (pod) ({})", self.selector(self.name, "")),
            false => self.selector(self.name, ""),
        };
        let mut query = self.query(self.name.to_owned(), fold, &inner);
        query.limit = limit.map(|it| format!("max by ({}) ({})", self.key, self.selector(&it, "")));
        query
    }

    fn quantile(&self, base: &str) -> Query {
        let rate = format!("rate({}[{}s])", self.selector(self.name, ""), self.rate);
        let text = format!("histogram_quantile(0.95, sum by (le, {}) ({rate}))", self.key);
        let name = format!("{base}:p95");
        Query { name, text, key: self.key.to_owned(), fold: Fold::Max, limit: None }
    }

    /// The share of periods in which the CPU limit held a pod back.
    fn throttling(&self) -> Query {
        let of = |name: &str| {
            format!("sum by ({}) (rate({}[{}s]))", self.key, self.selector(name, ""), self.rate)
        };
        let text = format!("{} / {}", of(self.name), of("container_cpu_cfs_periods_total"));
        let name = format!("{}:ratio", self.name);
        Query { name, text, key: self.key.to_owned(), fold: Fold::Max, limit: None }
    }
}

/// A name without the words that make it look like a time.
fn without_unit(base: &str) -> String {
    let words = base.split('_').filter(|word| {
        !["duration", "latency", "time", "seconds", "milliseconds", "ms"].contains(word)
    });
    words.collect::<Vec<_>>().join("_").trim_end_matches("_request").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_pods_are_folded_where_there_are_any() {
        let grids = [vec![Some(1.0), None, Some(3.0)], vec![Some(5.0), None, None]];
        assert_eq!(Fold::Sum.of(&grids), [Some(6.0), None, Some(3.0)]);
        assert_eq!(Fold::Mean.of(&grids), [Some(3.0), None, Some(3.0)]);
        assert_eq!(Fold::Max.of(&grids), [Some(5.0), None, Some(3.0)]);
    }

    #[test]
    fn limits_are_found_by_their_names() {
        let mut names = Names::default();
        for name in [
            "kubelet_volume_stats_used_bytes",
            "kubelet_volume_stats_capacity_bytes",
            "process_open_fds",
            "process_max_fds",
            "jvm_memory_used_bytes",
            "queue_depth",
            "queue_depth_limit",
        ] {
            names.metrics.insert(name.to_owned(), BTreeSet::new());
        }
        let of = |name: &str| limit(name, &names);
        assert_eq!(
            of("kubelet_volume_stats_used_bytes").as_deref(),
            Some("kubelet_volume_stats_capacity_bytes")
        );
        assert_eq!(of("process_open_fds").as_deref(), Some("process_max_fds"));
        assert_eq!(of("queue_depth").as_deref(), Some("queue_depth_limit"));
        assert_eq!(of("jvm_memory_used_bytes"), None);
        assert_eq!(of("process_max_fds"), None);
        // What a recording rule made of a part is no part.
        assert!(is_wanted("container_cpu_cfs_throttled_periods:ratio", &names));
        assert!(!is_wanted("container_cpu_cfs_periods_total", &names));
    }

    #[test]
    fn names_of_series_keep_what_they_measure() {
        for (name, signal) in [
            ("http_server_request_duration_seconds:p95", Signal::Latency),
            ("istio_requests_total:5xx", Signal::Errors),
            ("container_cpu_cfs_throttled_periods_total:ratio", Signal::Throttling),
            ("kube_pod_container_status_restarts_total:increase", Signal::Restarts),
            ("container_cpu_usage_seconds_total:rate", Signal::Cpu),
        ] {
            assert_eq!(Signal::of(name), Some(signal), "{name}");
        }
        let requests =
            format!("{}_requests:rate", without_unit("http_server_request_duration_seconds"));
        assert_eq!(Signal::of(&requests), Some(Signal::Requests), "{requests}");
    }
}
