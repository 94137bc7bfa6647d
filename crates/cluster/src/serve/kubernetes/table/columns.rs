//! The columns of each kind, as the real server prints them.

use super::super::resource::Kind;
use jiff::Timestamp;
use serde_json::{Value, json};

/// A column.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Shown with `-o wide` only.
    pub(super) wide: bool,
    /// What stands in it, for an object, at a time.
    pub(super) cell: fn(&Value, i64) -> Value,
}

impl Column {
    /// The type of its cells.
    pub(super) fn kind(&self) -> &'static str {
        const NUMBERS: [&str; 9] = [
            "Up-to-date",
            "Available",
            "Desired",
            "Current",
            "Data",
            "MinPods",
            "MaxPods",
            "Replicas",
            "Count",
        ];
        if NUMBERS.contains(&self.name) { "integer" } else { "string" }
    }
}

const fn column(name: &'static str, cell: fn(&Value, i64) -> Value) -> Column {
    Column { name, wide: false, cell }
}

const fn wide(name: &'static str, cell: fn(&Value, i64) -> Value) -> Column {
    Column { name, wide: true, cell }
}

const NAME: Column = column("Name", |it, _| it["metadata"]["name"].clone());
const AGE: Column = column("Age", |it, now| age(&it["metadata"]["creationTimestamp"], now));
const CONTAINERS: Column = wide("Containers", |it, _| containers(it, "name"));
const IMAGES: Column = wide("Images", |it, _| containers(it, "image"));
const SELECTOR: Column = wide("Selector", |it, _| labels(&it["spec"]["selector"]["matchLabels"]));

static PODS: [Column; 9] = [
    NAME,
    column("Ready", |it, _| {
        let ready = statuses(it).filter(|it| it["ready"] == true).count();
        let all = it["spec"]["containers"].as_array().map_or(0, Vec::len);
        format!("{ready}/{all}").into()
    }),
    column("Status", |it, _| pod_status(it).into()),
    column("Restarts", restarts),
    AGE,
    wide("IP", |it, _| or_none(&it["status"]["podIP"])),
    wide("Node", |it, _| or_none(&it["spec"]["nodeName"])),
    wide("Nominated Node", |_, _| "<none>".into()),
    wide("Readiness Gates", |_, _| "<none>".into()),
];

static DEPLOYMENTS: [Column; 8] = [
    NAME,
    column("Ready", |it, _| {
        let ready = number(&it["status"]["readyReplicas"]);
        format!("{ready}/{}", number(&it["spec"]["replicas"])).into()
    }),
    column("Up-to-date", |it, _| number(&it["status"]["updatedReplicas"]).into()),
    column("Available", |it, _| number(&it["status"]["availableReplicas"]).into()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

static REPLICA_SETS: [Column; 8] = [
    NAME,
    column("Desired", |it, _| number(&it["spec"]["replicas"]).into()),
    column("Current", |it, _| number(&it["status"]["replicas"]).into()),
    column("Ready", |it, _| number(&it["status"]["readyReplicas"]).into()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

static SERVICES: [Column; 7] = [
    NAME,
    column("Type", |it, _| it["spec"]["type"].clone()),
    column("Cluster-IP", |it, _| it["spec"]["clusterIP"].clone()),
    column("External-IP", |_, _| "<none>".into()),
    column("Port(s)", |it, _| {
        let ports = it["spec"]["ports"].as_array().into_iter().flatten();
        let ports = ports.map(|it| format!("{}/{}", it["port"], text(&it["protocol"])));
        ports.collect::<Vec<_>>().join(",").into()
    }),
    AGE,
    wide("Selector", |it, _| labels(&it["spec"]["selector"])),
];

static NODES: [Column; 10] = [
    NAME,
    column("Status", |it, _| {
        let conditions = it["status"]["conditions"].as_array().into_iter().flatten();
        let mut ready = conditions.filter(|it| it["type"] == "Ready");
        let good = ready.any(|it| it["status"] == "True");
        if good { "Ready" } else { "NotReady" }.into()
    }),
    column("Roles", |_, _| "<none>".into()),
    AGE,
    column("Version", |it, _| it["status"]["nodeInfo"]["kubeletVersion"].clone()),
    wide("Internal-IP", |it, _| it["status"]["addresses"][0]["address"].clone()),
    wide("External-IP", |_, _| "<none>".into()),
    wide("OS-Image", |it, _| it["status"]["nodeInfo"]["osImage"].clone()),
    wide("Kernel-Version", |it, _| it["status"]["nodeInfo"]["kernelVersion"].clone()),
    wide("Container-Runtime", |it, _| it["status"]["nodeInfo"]["containerRuntimeVersion"].clone()),
];

static EVENTS: [Column; 8] = [
    column("Last Seen", |it, now| age(&it["lastTimestamp"], now)),
    column("Type", |it, _| it["type"].clone()),
    column("Reason", |it, _| it["reason"].clone()),
    column("Object", |it, _| object(&it["involvedObject"])),
    wide("Source", |it, _| it["source"]["component"].clone()),
    column("Message", |it, _| text(&it["message"]).trim().into()),
    wide("Count", |it, _| it["count"].clone()),
    wide("Name", |it, _| it["metadata"]["name"].clone()),
];

static NEWER_EVENTS: [Column; 5] = [
    column("Last Seen", |it, now| age(&it["deprecatedLastTimestamp"], now)),
    column("Type", |it, _| it["type"].clone()),
    column("Reason", |it, _| it["reason"].clone()),
    column("Object", |it, _| object(&it["regarding"])),
    column("Message", |it, _| text(&it["note"]).trim().into()),
];

static CONFIG_MAPS: [Column; 3] = [
    NAME,
    column("Data", |it, _| it["data"].as_object().map_or(0, serde_json::Map::len).into()),
    AGE,
];

static NAMESPACES: [Column; 3] =
    [NAME, column("Status", |it, _| it["status"]["phase"].clone()), AGE];

static AUTOSCALERS: [Column; 7] = [
    NAME,
    column("Reference", |it, _| {
        let target = &it["spec"]["scaleTargetRef"];
        format!("{}/{}", text(&target["kind"]), text(&target["name"])).into()
    }),
    column("Targets", |_, _| "cpu: <unknown>/80%".into()),
    column("MinPods", |it, _| number(&it["spec"]["minReplicas"]).into()),
    column("MaxPods", |it, _| number(&it["spec"]["maxReplicas"]).into()),
    column("Replicas", |it, _| number(&it["status"]["currentReplicas"]).into()),
    AGE,
];

static POLICIES: [Column; 3] =
    [NAME, column("Pod-Selector", |it, _| labels(&it["spec"]["podSelector"]["matchLabels"])), AGE];

static OTHERS: [Column; 2] = [NAME, AGE];

/// The columns of a kind.
pub(super) fn of(kind: &Kind) -> &'static [Column] {
    match (kind.group, kind.plural) {
        ("", "pods") => &PODS,
        ("", "services") => &SERVICES,
        ("", "nodes") => &NODES,
        ("", "events") => &EVENTS,
        ("", "configmaps") => &CONFIG_MAPS,
        ("", "namespaces") => &NAMESPACES,
        ("events.k8s.io", "events") => &NEWER_EVENTS,
        ("apps", "deployments") => &DEPLOYMENTS,
        ("apps", "replicasets") => &REPLICA_SETS,
        ("autoscaling", _) => &AUTOSCALERS,
        ("networking.k8s.io", "networkpolicies") => &POLICIES,
        _ => &OTHERS,
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn or_none(value: &Value) -> Value {
    value.as_str().unwrap_or("<none>").into()
}

fn object(reference: &Value) -> Value {
    let kind = text(&reference["kind"]).to_ascii_lowercase();
    format!("{kind}/{}", text(&reference["name"])).into()
}

fn labels(value: &Value) -> Value {
    let pairs = value.as_object().into_iter().flatten();
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", text(value))).collect();
    if pairs.is_empty() { "<none>".into() } else { pairs.join(",").into() }
}

fn containers(object: &Value, field: &str) -> Value {
    let all = object["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    all.map(|it| text(&it[field])).collect::<Vec<_>>().join(",").into()
}

fn statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    pod["status"]["containerStatuses"].as_array().into_iter().flatten()
}

/// What is wrong with a pod, or its phase.
fn pod_status(pod: &Value) -> &str {
    let mut shown = pod["status"]["reason"].as_str().unwrap_or(text(&pod["status"]["phase"]));
    for status in statuses(pod) {
        if let Some(reason) = status["state"]["waiting"]["reason"].as_str() {
            shown = reason;
        }
    }
    shown
}

/// `5 (3m ago)`
fn restarts(pod: &Value, now: i64) -> Value {
    let count: u64 = statuses(pod).map(|it| number(&it["restartCount"])).sum();
    let ends = statuses(pod).map(|it| &it["lastState"]["terminated"]["finishedAt"]);
    match ends.filter(|it| it.is_string()).max_by_key(|it| text(it)) {
        Some(last) if count > 0 => format!("{count} ({} ago)", text(&age(last, now))).into(),
        _ => count.to_string().into(),
    }
}

/// How long ago a time is, as `kubectl` says it.
fn age(time: &Value, now: i64) -> Value {
    match text(time).parse::<Timestamp>() {
        Ok(time) => json!(duration(now - time.as_second())),
        Err(_) => "<unknown>".into(),
    }
}

fn duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |(large, unit): (i64, &str), (small, part): (i64, &str)| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{part}"),
    };
    match seconds {
        ..0 => "<invalid>".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two((minutes, "m"), (seconds % 60, "s")),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two((hours, "h"), (minutes % 60, "m")),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two((days, "d"), (hours % 24, "h")),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two((days / 365, "y"), (days % 365, "d")),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_those_of_kubectl() {
        let table = [
            (-1, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (599, "9m59s"),
            (3_601, "60m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (90_000, "25h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (63_072_000 + 86_400, "2y1d"),
        ];
        for (seconds, shown) in table {
            assert_eq!(duration(seconds), shown, "{seconds}");
        }
    }

    #[test]
    fn a_pod_says_what_is_wrong_with_it() {
        let pod = json!({
            "spec": {"containers": [{}, {}]},
            "status": {"phase": "Running", "containerStatuses": [
                {"ready": true, "restartCount": 0, "state": {"running": {}}},
                {"ready": false, "restartCount": 5, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                 "lastState": {"terminated": {"finishedAt": "1970-01-01T00:00:00Z"}}},
            ]},
        });
        let cells: Vec<Value> = PODS[1..4].iter().map(|column| (column.cell)(&pod, 180)).collect();
        assert_eq!(cells, [json!("1/2"), json!("CrashLoopBackOff"), json!("5 (3m ago)")]);
        let evicted = json!({"spec": {"containers": [{}]}, "status": {"phase": "Failed", "reason": "Evicted"}});
        assert_eq!((PODS[2].cell)(&evicted, 0), json!("Evicted"));
    }
}
