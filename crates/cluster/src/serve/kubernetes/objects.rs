//! All objects of a scene.

use super::changes::{self, Sort};
use super::events;
use super::naming::{address, ended, seconds, uid};
use super::resource::KINDS;
use super::trouble::last;
use super::workloads::{PORT, Workload, managed};
use crate::serve::prepare::Scene;
use jiff::SignedDuration;
use serde_json::{Value, json};
use sre::incident::Change;
use sre::signal::Signal;
use std::collections::BTreeSet;

/// How old namespaces and nodes are when the telemetry begins.
const AGE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// The objects of each of [`KINDS`], and the version of all.
pub(super) fn all(scene: &Scene) -> (Vec<Vec<Value>>, u64) {
    let mut found: Vec<Value> = Vec::new();
    let nodes = nodes(scene);
    let workloads: Vec<Workload<'_>> =
        scene.incident.services.iter().map(|service| Workload::new(scene, service)).collect();
    found.extend(
        ["default", &scene.namespace]
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|name| namespace(scene, name)),
    );
    found.extend(nodes.iter().enumerate().map(|it| node(scene, &workloads, it)));
    let mut pods = 0;
    for (number, workload) in workloads.iter().enumerate() {
        let own = workload.pods(&nodes);
        for pod in &own {
            let object = workload.pod(pod, pods, pod.host(&nodes).as_deref());
            found.push(object);
            pods += 1;
        }
        found.extend(workload.evicted());
        found.push(workload.deployment());
        found.extend(workload.replica_sets());
        found.push(service(workload, number));
        found.push(settings(workload));
        found.extend(autoscaler(workload));
        let reported = events::of(workload, own.first().map(|pod| pod.name.as_str()));
        found.extend(reported.iter().map(events::newer));
        found.extend(reported);
    }
    found.extend(scene.incident.changes.iter().filter_map(|change| of_change(scene, change)));
    sorted(found)
}

/// The objects by kind, in order, each with its version.
fn sorted(found: Vec<Value>) -> (Vec<Vec<Value>>, u64) {
    let mut all: Vec<Vec<Value>> = KINDS.iter().map(|_| Vec::new()).collect();
    for object in found {
        let fits = |kind: &super::Kind| {
            object["kind"] == *kind.kind && object["apiVersion"] == *kind.api_version()
        };
        if let Some(index) = KINDS.iter().position(fits) {
            all[index].push(object);
        }
    }
    let mut version = 1_000;
    for objects in &mut all {
        let text =
            |it: &Value, name: &str| it["metadata"][name].as_str().unwrap_or_default().to_owned();
        objects.sort_by_cached_key(|it| (text(it, "namespace"), text(it, "name")));
        for object in objects {
            version += 1;
            object["metadata"]["resourceVersion"] = version.to_string().into();
        }
    }
    (all, version)
}

fn nodes(scene: &Scene) -> Vec<String> {
    let named = scene.incident.services.iter().filter_map(|service| service.node.clone());
    named.collect::<BTreeSet<_>>().into_iter().collect()
}

fn namespace(scene: &Scene, name: &str) -> Value {
    let created = scene.first.checked_sub(AGE).unwrap_or(scene.first);
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "uid": uid("Namespace", "", name), "creationTimestamp": seconds(created),
                     "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
    })
}

/// The address of a node.
pub(super) fn node_address(number: usize) -> String {
    address("10.0", number)
}

impl super::pods::Pod {
    /// The address of its node.
    fn host(&self, nodes: &[String]) -> Option<String> {
        let node = self.node()?;
        nodes.iter().position(|it| it == node).map(node_address)
    }
}

fn node(scene: &Scene, workloads: &[Workload<'_>], (number, name): (usize, &String)) -> Value {
    let created = scene.first.checked_sub(AGE).unwrap_or(scene.first);
    let mut here = workloads.iter().filter(|it| it.service.node.as_ref() == Some(name));
    let lost = here.clone().any(|it| it.trouble.node_lost);
    let full = here.any(|it| it.trouble.evicted.is_some());
    let condition = |kind: &str, status: &str, (reason, message): (&str, &str)| {
        let wrong = (kind == "Ready") != (status == "True");
        let since = if wrong { scene.incident.start } else { created };
        json!({"type": kind, "status": status, "reason": reason, "message": message,
               "lastTransitionTime": seconds(since), "lastHeartbeatTime": seconds(scene.incident.end)})
    };
    let ready = match lost {
        true => ("Unknown", ("NodeStatusUnknown", "Kubelet stopped posting node status.")),
        false => ("True", ("KubeletReady", "kubelet is posting ready status")),
    };
    let disk = match full {
        true => ("True", ("KubeletHasDiskPressure", "kubelet has disk pressure")),
        false => ("False", ("KubeletHasNoDiskPressure", "kubelet has no disk pressure")),
    };
    let memory = ("KubeletHasSufficientMemory", "kubelet has sufficient memory available");
    let room =
        json!({"cpu": "16", "memory": "65536Mi", "pods": "110", "ephemeral-storage": "100Gi"});
    let mut spec = json!({"podCIDR": format!("10.2.{}.0/24", number & 0xff)});
    if lost {
        spec["taints"] = json!([{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute",
                                 "timeAdded": seconds(scene.incident.start)}]);
    }
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name, "uid": uid("Node", "", name), "creationTimestamp": seconds(created),
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
                       "kubernetes.io/arch": "amd64"},
        },
        "spec": spec,
        "status": {
            "capacity": room, "allocatable": room,
            "conditions": [condition("MemoryPressure", "False", memory),
                           condition("DiskPressure", disk.0, disk.1),
                           condition("Ready", ready.0, ready.1)],
            "addresses": [{"type": "InternalIP", "address": node_address(number)},
                          {"type": "Hostname", "address": name}],
            "nodeInfo": {
                "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "6.1.0",
                "osImage": "Debian GNU/Linux 12", "containerRuntimeVersion": "containerd://1.7.0",
                "kubeletVersion": "v1.33.0", "kubeProxyVersion": "", "operatingSystem": "linux",
                "architecture": "amd64",
            },
        },
    })
}

fn service(workload: &Workload<'_>, number: usize) -> Value {
    let address = address("10.96", number);
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": workload.metadata("Service", &workload.service.name, workload.revisions[0].created),
        "spec": {
            "type": "ClusterIP", "clusterIP": address, "clusterIPs": [address],
            "selector": {"app": workload.service.name}, "sessionAffinity": "None",
            "ports": [{"name": "http", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
        },
        "status": {"loadBalancer": {}},
    })
}

fn settings(workload: &Workload<'_>) -> Value {
    let name = ended(&workload.service.name, "settings");
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": workload.metadata("ConfigMap", &name, workload.revisions[0].created),
        "data": {"PORT": PORT.to_string()},
    })
}

fn autoscaler(workload: &Workload<'_>) -> Option<Value> {
    let (service, scene) = (workload.service, workload.scene);
    let most = service.max_replicas?.max(1);
    let fewest = service.replicas.unwrap_or(1).clamp(1, most);
    let wanted = last(scene, &service.name, Signal::Wanted).map(|it| it.round().max(0.0) as u64);
    let wanted = wanted.unwrap_or(fewest).clamp(fewest, most);
    let since = seconds(workload.revisions[0].created);
    let condition = |kind: &str, good: bool, reason: &str| {
        let status = if good { "True" } else { "False" };
        json!({"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": since})
    };
    let capped = workload.trouble.capped;
    let limited = if capped { "TooManyReplicas" } else { "DesiredWithinRange" };
    Some(json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": workload.metadata(
            "HorizontalPodAutoscaler", &service.name, workload.revisions[0].created),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name},
            "minReplicas": fewest, "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
        },
        "status": {
            "currentReplicas": workload.existing(), "desiredReplicas": wanted,
            "conditions": [condition("AbleToScale", true, "ReadyForNewScale"),
                           condition("ScalingActive", true, "ValidMetricFound"),
                           condition("ScalingLimited", capped, limited)],
            "currentMetrics": [],
        },
    }))
}

/// The object that keeps a change that no workload keeps.
fn of_change(scene: &Scene, change: &Change) -> Option<Value> {
    let sort = changes::sort(change);
    let (kind, api_version, stem) = match sort {
        Sort::Policy => ("NetworkPolicy", "networking.k8s.io/v1", "policy"),
        Sort::Dashboard => ("ConfigMap", "v1", "dashboard"),
        Sort::Settings => ("ConfigMap", "v1", "settings"),
        Sort::Rollout | Sort::Scaling | Sort::Credentials => return None,
    };
    let ending: String = change.id.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = ended(&change.service, &format!("{stem}-{}", ending.to_ascii_lowercase()));
    let created = scene.first.checked_sub(AGE).unwrap_or(scene.first);
    // A policy was not there before; settings were, and were changed.
    let created = if sort == Sort::Policy { change.time } else { created };
    let mut metadata = json!({
        "name": name, "namespace": scene.namespace, "uid": uid(kind, &scene.namespace, &name),
        "creationTimestamp": seconds(created),
        "labels": {"app": change.service, "app.kubernetes.io/name": change.service},
        "annotations": {"kubernetes.io/change-cause": change.message},
        "managedFields": [managed(change.time, api_version)],
    });
    if sort == Sort::Dashboard {
        metadata["labels"]["grafana_dashboard"] = "1".into();
    }
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
    match sort {
        Sort::Policy => {
            object["spec"] = json!({
                "podSelector": {"matchLabels": {"app": change.service}}, "policyTypes": ["Ingress"],
            });
        }
        _ => object["data"] = json!({"change": change.message}),
    }
    Some(object)
}
