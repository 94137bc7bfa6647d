//! The services of a namespace: its workloads, with everything that belongs to each.

use super::super::directory::{Directory, workload};
use super::Objects;
use super::objects::{Container, Pod, PodSpec, Texts};
use super::quantity::amount;
use std::collections::BTreeMap;

/// Labels of pods that name what they are part of.
pub(super) const NAMES: [&str; 4] = ["app", "app.kubernetes.io/name", "k8s-app", "service"];

/// Enters the workloads, and what leads to them.
pub(super) fn enter(objects: &Objects, directory: &mut Directory) {
    for (kind, it) in &objects.workloads {
        let replicas = match *kind {
            "DaemonSet" => it.status.desired_number_scheduled,
            _ => it.spec.replicas,
        };
        let (memory, cpu) = limits(&it.spec.template.spec);
        let service = directory.service(&it.metadata.name);
        service.replicas = service.replicas.max(replicas);
        service.memory_limit_mib = service.memory_limit_mib.max(memory);
        service.cpu_limit_millicores = service.cpu_limit_millicores.max(cpu);
    }
    for it in &objects.replica_sets {
        if let Some(owner) = it.metadata.controller() {
            directory.enter(&it.metadata.name, &owner.name);
        }
    }
    for pod in &objects.pods {
        pod_of(pod, directory);
    }
    for it in &objects.autoscalers {
        let target = &it.spec.scale_target_ref.name;
        if let Some(service) = directory.services.get_mut(target) {
            service.max_replicas = service.max_replicas.max(it.spec.max_replicas);
            directory.enter(&it.metadata.name, target);
        }
    }
    hosts(objects, directory);
    labels(objects, directory);
    nodes(objects, directory);
}

/// Enters a pod under its workload; one that nothing manages is a service of its own.
fn pod_of(pod: &Pod, directory: &mut Directory) {
    let name = &pod.metadata.name;
    let owner = match pod.metadata.controller() {
        None => name.clone(),
        Some(owner) => match owner.kind.as_str() {
            "ReplicaSet" | "Job" => match directory.named(&owner.name) {
                Some(service) => service.to_owned(),
                None => workload(&owner.name).unwrap_or(&owner.name).to_owned(),
            },
            _ => owner.name.clone(),
        },
    };
    let is_new = !directory.services.contains_key(&owner);
    let service = directory.service(&owner);
    if is_new {
        (service.memory_limit_mib, service.cpu_limit_millicores) = limits(&pod.spec);
    }
    directory.enter(name, &owner);
    for claim in pod.spec.volumes.iter().filter_map(|it| it.persistent_volume_claim.as_ref()) {
        directory.enter(&claim.claim_name, &owner);
    }
}

/// Memory in MiB and CPU in thousandths, of the container that may have most.
fn limits(pod: &PodSpec) -> (Option<u64>, Option<u64>) {
    let most = |name: &str, unit: f64| {
        let of = |container: &Container| amount(container.resources.limits.get(name)?);
        let limits = pod.containers.iter().filter_map(of).map(|it| (it / unit).round() as u64);
        limits.filter(|it| *it > 0).max()
    };
    (most("memory", 1024.0 * 1024.0), most("cpu", 1e-3))
}

/// Enters the Services of Kubernetes under the workloads that they select.
fn hosts(objects: &Objects, directory: &mut Directory) {
    for it in &objects.services {
        let selector = &it.spec.selector;
        let selects = |labels: &Texts| {
            !selector.is_empty()
                && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        let name = &it.metadata.name;
        let mut behind: Vec<String> = Vec::new();
        for (_, workload) in &objects.workloads {
            if selects(&workload.spec.template.metadata.labels) {
                behind.push(workload.metadata.name.clone());
            }
        }
        for pod in &objects.pods {
            if selects(&pod.metadata.labels) {
                behind.extend(directory.named(&pod.metadata.name).map(str::to_owned));
            }
        }
        behind.sort();
        behind.dedup();
        // One that selects several is about none of them in particular.
        if let [only] = behind.as_slice() {
            directory.enter(name, only);
        }
        directory.hosts.insert(name.clone(), behind.into_iter().collect());
    }
}

/// Enters the values of labels that name one workload only.
fn labels(objects: &Objects, directory: &mut Directory) {
    let mut named: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, it) in &objects.workloads {
        let labels = &it.spec.template.metadata.labels;
        for value in NAMES.iter().filter_map(|name| labels.get(*name)) {
            named.entry(value).or_default().push(&it.metadata.name);
        }
    }
    for (value, mut workloads) in named {
        workloads.dedup();
        if let [only] = workloads.as_slice() {
            directory.enter(value, only);
        }
    }
}

/// The node that most pods of a service run on.
fn nodes(objects: &Objects, directory: &mut Directory) {
    let mut counts: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for pod in objects.pods.iter().filter(|pod| pod.status.phase != "Succeeded") {
        let service = directory.named(&pod.metadata.name);
        let node = pod.spec.node_name.as_deref().filter(|node| !node.is_empty());
        if let (Some(service), Some(node)) = (service, node) {
            *counts.entry(service.to_owned()).or_default().entry(node).or_default() += 1;
        }
    }
    for (service, nodes) in counts {
        // Of several the first by name.
        let most = nodes.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)));
        if let (Some((node, _)), Some(service)) = (most, directory.services.get_mut(&service)) {
            service.node = Some((*node).to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_before_two_workloads_is_neither_of_them() {
        let workload = |name: &str, app: &str| {
            let template = json!({"metadata": {"labels": {"app": app}}});
            let it = json!({"metadata": {"name": name}, "spec": {"template": template}});
            ("Deployment", serde_json::from_value(it).unwrap())
        };
        let service = |name: &str, selector: serde_json::Value| {
            let it = json!({"metadata": {"name": name}, "spec": {"selector": selector}});
            serde_json::from_value(it).unwrap()
        };
        let objects = Objects {
            workloads: vec![
                workload("web-v1", "web"),
                workload("web-v2", "web"),
                workload("cart", "basket"),
            ],
            services: vec![
                service("web", json!({"app": "web"})),
                service("cart-svc", json!({"app": "basket"})),
                service("outside", json!(null)),
            ],
            ..Objects::default()
        };
        let mut directory = Directory::new("shop");
        enter(&objects, &mut directory);
        assert_eq!(directory.named("web"), None);
        assert_eq!(directory.hosts["web"].len(), 2);
        assert_eq!(directory.named("cart-svc"), Some("cart"));
        assert_eq!(directory.named("basket"), Some("cart"));
        assert!(directory.hosts["outside"].is_empty());
    }
}
