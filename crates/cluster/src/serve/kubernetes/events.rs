//! Events of the core, and the same events as `events.k8s.io` has them.

use super::changes::{self, Sort};
use super::naming::{ended, hash, seconds, uid};
use super::trouble::last_time;
use super::workloads::Workload;
use crate::serve::prepare::Scene;
use jiff::Timestamp;
use serde_json::{Value, json};
use sre::incident::{Change, Event, EventKind};

/// Who reports what.
const REPORTERS: [(&str, &str); 11] = [
    ("Scheduled", "default-scheduler"),
    ("ScalingReplicaSet", "deployment-controller"),
    ("FailedCreate", "replicaset-controller"),
    ("ScalingLimited", "horizontal-pod-autoscaler"),
    ("SuccessfulRescale", "horizontal-pod-autoscaler"),
    ("NodeNotReady", "node-controller"),
    ("TaintManagerEviction", "taint-eviction-controller"),
    ("Completed", "job-controller"),
    ("LeaderElection", "leader-election"),
    ("OOMKilling", "kernel-monitor"),
    ("Updated", "external-secrets"),
];

/// What an event says.
struct Said<'a> {
    /// What it is named after, besides its object.
    id: &'a str,
    kind: EventKind,
    reason: &'a str,
    message: String,
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

/// The events of a service: those of the incident, and those that its changes leave.
pub(super) fn of(workload: &Workload<'_>, first_pod: Option<&str>) -> Vec<Value> {
    let scene = workload.scene;
    let name = &workload.service.name;
    let own = scene.incident.events.iter().filter(|event| event.service == *name);
    let reported = own.map(|event| {
        let said = Said {
            id: &event.id,
            kind: event.kind,
            reason: &event.reason,
            message: event.message.clone(),
            count: event.count,
            first: event.time,
            last: last_time(event, scene),
        };
        said.object(scene, &about(workload, event, first_pod))
    });
    let changed = scene.incident.changes.iter().filter(|change| change.service == *name);
    reported.chain(changed.filter_map(|change| of_change(workload, change))).collect()
}

/// The kind, API version and name of what an event is about.
fn about(
    workload: &Workload<'_>,
    event: &Event,
    first_pod: Option<&str>,
) -> (&'static str, &'static str, String) {
    let name = workload.service.name.clone();
    match event.reason.as_str() {
        "ScalingReplicaSet" => ("Deployment", "apps/v1", name),
        "ScalingLimited" | "SuccessfulRescale" => {
            ("HorizontalPodAutoscaler", "autoscaling/v2", name)
        }
        "FailedCreate" => ("ReplicaSet", "apps/v1", workload.current().name.clone()),
        "LeaderElection" => ("Lease", "coordination.k8s.io/v1", name),
        "Completed" => {
            ("Job", "batch/v1", ended(&name, &format!("{:08}", hash(&[&event.id]) % 100_000_000)))
        }
        _ => match first_pod {
            Some(pod) => ("Pod", "v1", pod.to_owned()),
            None => ("Deployment", "apps/v1", name),
        },
    }
}

fn of_change(workload: &Workload<'_>, change: &Change) -> Option<Value> {
    let name = &workload.service.name;
    let (reason, message, about) = match changes::sort(change) {
        Sort::Scaling => {
            let (old, new) = changes::moved(&change.message, changes::is_number);
            let count = |text: &str| text.parse::<u64>().unwrap_or(0);
            let new = new.unwrap_or_else(|| workload.replicas().to_string());
            let down = old.as_ref().is_some_and(|old| count(old) > count(&new));
            let from = old.map(|old| format!(" from {old}")).unwrap_or_default();
            let way = if down { "down" } else { "up" };
            let set = &workload.current().name;
            let message = format!("Scaled {way} replica set {set} to {new}{from}");
            ("ScalingReplicaSet", message, ("Deployment", "apps/v1", name.clone()))
        }
        Sort::Credentials => {
            let secret = ended(name, "credentials");
            ("Updated", change.message.clone(), ("Secret", "v1", secret))
        }
        _ => return None,
    };
    let (first, last) = (change.time, change.time);
    let kind = EventKind::Normal;
    let said = Said { id: &change.id, kind, reason, message, count: 1, first, last };
    Some(said.object(workload.scene, &about))
}

impl Said<'_> {
    fn object(&self, scene: &Scene, (kind, api_version, about): &(&str, &str, String)) -> Value {
        let namespace = &scene.namespace;
        let ending = format!("{:016x}", hash(&[self.id, about]));
        let name = format!("{about}.{ending}");
        let id = uid("Event", namespace, &name);
        let reporter = REPORTERS.iter().find(|(reason, _)| *reason == self.reason);
        let reporter = reporter.map_or("kubelet", |(_, reporter)| reporter);
        let kind_of_event = match self.kind {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        };
        let (first, last) = (seconds(self.first), seconds(self.last));
        json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": name, "namespace": namespace, "uid": id, "creationTimestamp": first},
            "involvedObject": {
                "kind": kind, "apiVersion": api_version, "namespace": namespace, "name": about,
                "uid": uid(kind, namespace, about),
            },
            "type": kind_of_event, "reason": self.reason, "message": self.message,
            // Numbers of Kubernetes have 32 bits.
            "count": self.count.min(i32::MAX as u64), "firstTimestamp": first, "lastTimestamp": last,
            "source": {"component": reporter}, "reportingComponent": reporter, "reportingInstance": "",
        })
    }
}

/// An event of the core as `events.k8s.io` has it.
pub(super) fn newer(event: &Value) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": event["metadata"],
        "eventTime": null, "regarding": event["involvedObject"], "type": event["type"],
        "reason": event["reason"], "note": event["message"],
        "reportingController": event["reportingComponent"], "reportingInstance": "",
        "deprecatedCount": event["count"], "deprecatedFirstTimestamp": event["firstTimestamp"],
        "deprecatedLastTimestamp": event["lastTimestamp"], "deprecatedSource": event["source"],
    })
}
