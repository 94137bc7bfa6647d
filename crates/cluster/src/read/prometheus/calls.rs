//! Who calls whom, as meshes and traces count it.

use super::super::directory::Directory;
use super::super::{Run, Source};
use super::Prometheus;

/// Metrics of Istio, of Tempo's service graphs and of Linkerd, with the labels of both ends.
const SOURCES: [(&str, &str, &str); 3] = [
    ("istio_requests_total", "source_workload", "destination_workload"),
    ("traces_service_graph_request_total", "client", "server"),
    ("request_total", "deployment", "dst_deployment"),
];
/// Labels that say in which namespace an end is.
const NAMESPACES: [&str; 5] = [
    "source_workload_namespace",
    "destination_workload_namespace",
    "dst_namespace",
    "client_k8s_namespace_name",
    "server_k8s_namespace_name",
];

/// Enters the calls.
pub(super) fn read(server: &Prometheus, directory: &mut Directory, run: &mut Run<'_>) {
    let seconds = server.window.end - server.window.from;
    for (name, from, to) in SOURCES {
        run.step(Source::Prometheus, name, (0, 1));
        let query = format!(
            "sum by ({from}, {to}, {}) (increase({{__name__=\"{name}\",{to}!=\"\"}}[{seconds}s]))",
            NAMESPACES.join(", ")
        );
        let rows = match server.instant(&query, server.window.end) {
            Ok(rows) => rows,
            Err(trouble) => {
                run.missing(Source::Prometheus, format!("calls of {name}"), trouble.why);
                continue;
            }
        };
        for row in rows {
            let here = NAMESPACES.iter().filter_map(|it| row.metric.get(*it));
            let is_here = here.into_iter().all(|it| *it == server.namespace || it.is_empty());
            let is_used = row.values().iter().any(|(_, count)| *count > 0.0);
            let end = |label: &str| {
                // Names without a namespace count only where Kubernetes knows them.
                let value = row.metric.get(label)?;
                let is_sure = directory.is_known || name != SOURCES[1].0;
                directory.of_label(label, value).filter(|_| is_sure)
            };
            if let (true, true, Some(from), Some(to)) = (is_here, is_used, end(from), end(to)) {
                directory.call(&from, &to);
            }
        }
    }
}
