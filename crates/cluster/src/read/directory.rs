//! Which service something belongs to: a pod, an owner, the labels of a metric or a stream.
//!
//! Where Kubernetes was read, a name belongs to a service if Kubernetes says so. Where it was not,
//! the labels themselves say what the services are.

use sre::incident::Service;
use std::collections::{BTreeMap, BTreeSet};

/// Labels that name a service, the surest first. Those after the pod are often about the exporter
/// instead of what is measured.
pub(super) const LABELS: [&str; 18] = [
    "service",
    "app",
    "app_kubernetes_io_name",
    "deployment",
    "statefulset",
    "daemonset",
    "workload",
    "destination_workload",
    "service_name",
    "horizontalpodautoscaler",
    "owner_name",
    "pod",
    "pod_name",
    "persistentvolumeclaim",
    "replicaset",
    "container",
    "job",
    "component",
];

/// Who measures for others: never the service that something is about.
const EXPORTERS: [&str; 13] = [
    "kubelet",
    "kube-state-metrics",
    "node-exporter",
    "cadvisor",
    "prometheus",
    "kubernetes-pods",
    "kubernetes-service-endpoints",
    "kubernetes-nodes",
    "kubernetes-cadvisor",
    "istio-proxy",
    "linkerd-proxy",
    "unknown_service",
    "unknown",
];

/// The services and the names that lead to them.
#[derive(Default)]
pub(super) struct Directory {
    /// The namespace that all of it is in.
    pub(super) namespace: String,
    /// The services by name.
    pub(super) services: BTreeMap<String, Service>,
    /// Whether Kubernetes said what the services are.
    pub(super) is_known: bool,
    /// Pods, owners, claims and labels, to services. A name of several kinds is the same service
    /// almost always; where it is not, what was entered first stays.
    names: BTreeMap<String, String>,
    /// Names of Kubernetes' Services, to the services behind them.
    pub(super) hosts: BTreeMap<String, BTreeSet<String>>,
    /// Who calls whom.
    pub(super) calls: BTreeSet<(String, String)>,
}

impl Directory {
    pub(super) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..Self::default() }
    }

    /// Enters another name of a service.
    pub(super) fn enter(&mut self, name: &str, service: &str) {
        if !name.is_empty() {
            self.names.entry(name.to_owned()).or_insert_with(|| service.to_owned());
        }
    }

    /// The service of this name, which is entered if there is none.
    pub(super) fn service(&mut self, name: &str) -> &mut Service {
        self.enter(name, name);
        let new = || Service { name: name.to_owned(), ..Service::default() };
        self.services.entry(name.to_owned()).or_insert_with(new)
    }

    /// The service that a name of whatever kind belongs to.
    pub(super) fn named(&self, name: &str) -> Option<&str> {
        if let Some(service) = self.names.get(name) {
            return Some(service);
        }
        // A pod that is gone already: its workload's name and one or two words that were generated.
        let owner = workload(name)?;
        self.names.get(owner).map(String::as_str)
    }

    /// The service that labels belong to.
    pub(super) fn of_labels(&self, labels: &BTreeMap<String, String>) -> Option<String> {
        LABELS.iter().find_map(|label| self.of_label(label, labels.get(*label)?))
    }

    /// The service that the value of a label belongs to.
    pub(super) fn of_label(&self, label: &str, value: &str) -> Option<String> {
        if value.is_empty() || value.len() > 253 {
            return None;
        }
        if self.is_known {
            return self.named(value).map(str::to_owned);
        }
        if EXPORTERS.contains(&value) || label == "persistentvolumeclaim" {
            return None;
        }
        match label {
            "pod" | "pod_name" | "replicaset" => Some(workload(value).unwrap_or(value).to_owned()),
            "job" => Some(value.rsplit('/').next().unwrap_or(value).to_owned()),
            _ => Some(value.to_owned()),
        }
    }

    /// Notes that one service calls another.
    pub(super) fn call(&mut self, from: &str, to: &str) {
        if from != to {
            self.calls.insert((from.to_owned(), to.to_owned()));
        }
    }
}

/// The name of the workload that a pod or a ReplicaSet got its name from: without what Kubernetes
/// appended. Generated words have digits and consonants only, so that they spell nothing.
pub(super) fn workload(name: &str) -> Option<&str> {
    let (rest, last) = name.rsplit_once('-')?;
    if last.bytes().all(|byte| byte.is_ascii_digit()) && !last.is_empty() {
        return Some(rest);
    }
    if !is_generated(last) {
        return None;
    }
    match rest.rsplit_once('-') {
        Some((workload, hash)) if is_generated(hash) && hash.len() > 5 => Some(workload),
        _ => Some(rest),
    }
}

fn is_generated(word: &str) -> bool {
    (5..=10).contains(&word.len())
        && word.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn generated_words_are_taken_off() {
        for (name, expected) in [
            ("cart-7d4b9c6f5d-x2vbn", Some("cart")),
            ("order-api-7d4b9c6f5d-x2vbn", Some("order-api")),
            ("cart-7d4b9c6f5d", Some("cart")),
            ("redis-0", Some("redis")),
            ("agent-x2vbn", Some("agent")),
            ("report-28934520", Some("report")),
            ("order-api", None),
            ("cart", None),
            ("cart-", None),
        ] {
            assert_eq!(workload(name), expected, "{name}");
        }
    }

    #[test]
    fn kubernetes_knows_better_than_labels() {
        let measured =
            labels(&[("service", "kubelet"), ("pod", "cart-7d4b9c6f5d-x2vbn"), ("job", "x")]);
        let mut directory = Directory::new("shop");
        assert_eq!(directory.of_labels(&measured).as_deref(), Some("cart"));
        assert_eq!(directory.of_labels(&labels(&[("job", "shop/web")])).as_deref(), Some("web"));
        directory.service("cart-v2");
        directory.enter("cart-7d4b9c6f5d-x2vbn", "cart-v2");
        directory.is_known = true;
        assert_eq!(directory.of_labels(&measured).as_deref(), Some("cart-v2"));
        assert_eq!(directory.of_labels(&labels(&[("job", "shop/web")])), None);
        let gone = labels(&[("pod", "cart-v2-6c6f5d7d4b-x2vbn")]);
        assert_eq!(directory.of_labels(&gone).as_deref(), Some("cart-v2"));
    }
}
