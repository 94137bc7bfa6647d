//! Pods, with the states that fit the events of their service.

use super::naming::{address, ended, letters, seconds, uid};
use super::trouble::Waiting;
use super::workloads::{Workload, owner};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A pod on its node.
pub(super) struct Pod {
    pub(super) name: String,
    /// The number among those of its service; those that are not ready come first.
    index: usize,
    node: Option<String>,
}

impl Pod {
    /// The node that it runs on.
    pub(super) fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }
}

impl Workload<'_> {
    /// The pods of the revision that runs: most on the service's node, every third on another.
    pub(super) fn pods(&self, nodes: &[String]) -> Vec<Pod> {
        let home = self.service.node.as_ref();
        let pod = |index: usize| {
            let others: Vec<&String> = nodes.iter().filter(|it| Some(*it) != home).collect();
            let elsewhere = index % 3 == 2 && !others.is_empty() && home.is_some();
            let node = match elsewhere {
                true => Some(others[index % others.len()].clone()),
                false => home.cloned(),
            };
            let name = ended(
                &self.current().name,
                &letters(&[&self.current().name, &index.to_string()], 5),
            );
            Pod { name, index, node }
        };
        (0..self.existing()).map(pod).collect()
    }

    /// The object of a pod; `number` is that among all pods, `host` its node's address.
    pub(super) fn pod(&self, pod: &Pod, number: usize, host: Option<&str>) -> Value {
        let current = self.current();
        let started = self.created(pod);
        let mut metadata = self.metadata("Pod", &pod.name, started);
        metadata["labels"]["pod-template-hash"] = current.hash.clone().into();
        metadata["generateName"] = format!("{}-", current.name).into();
        let set = &current.name;
        metadata["ownerReferences"] =
            json!([owner("ReplicaSet", set, &uid("ReplicaSet", &self.scene.namespace, set))]);
        let mut spec = self.pod_spec(current);
        let mut status = json!({
            "phase": self.phase(pod), "qosClass": "Guaranteed", "startTime": seconds(started),
            "podIP": address("10.2", number), "podIPs": [{"ip": address("10.2", number)}],
            "conditions": self.pod_conditions(pod, started), "containerStatuses": self.containers(pod),
        });
        if let (Some(node), Some(host)) = (&pod.node, host) {
            spec["nodeName"] = node.clone().into();
            status["hostIP"] = host.into();
            status["hostIPs"] = json!([{"ip": host}]);
        }
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status})
    }

    /// The object of the pod that was evicted, if one was.
    pub(super) fn evicted(&self) -> Option<Value> {
        let message = self.trouble.evicted.as_ref()?;
        let current = self.current();
        let name = ended(&current.name, &letters(&[&current.name, "evicted"], 5));
        let mut metadata = self.metadata("Pod", &name, current.created);
        metadata["labels"]["pod-template-hash"] = current.hash.clone().into();
        let mut spec = self.pod_spec(current);
        if let Some(node) = &self.service.node {
            spec["nodeName"] = node.clone().into();
        }
        let status = json!({"phase": "Failed", "reason": "Evicted", "message": message,
                            "startTime": seconds(current.created)});
        Some(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec,
                    "status": status}))
    }

    fn created(&self, pod: &Pod) -> Timestamp {
        let after = SignedDuration::from_secs(5 * pod.index as i64);
        let created = self.current().created;
        created.checked_add(after).unwrap_or(created).min(self.scene.incident.end)
    }

    fn is_unready(&self, pod: &Pod) -> bool {
        let missing = if self.trouble.missing { 0 } else { self.trouble.unready };
        pod.index < missing
    }

    /// Whether the pod is one of those that restart: all that are not ready, or the first.
    fn restarts(&self, pod: &Pod) -> u64 {
        let ill = (self.trouble.unready.max(1)).min(self.existing().max(1));
        if pod.index >= ill {
            return 0;
        }
        // The events count the service's restarts; they are shared out.
        let (all, ill, index) = (self.trouble.restarts, ill as u64, pod.index as u64);
        all / ill + u64::from(index < all % ill)
    }

    fn phase(&self, pod: &Pod) -> &'static str {
        let pulls = self.waiting(pod).is_some_and(|it| it.reason != "CrashLoopBackOff");
        if pulls { "Pending" } else { "Running" }
    }

    fn waiting(&self, pod: &Pod) -> Option<&Waiting> {
        self.trouble.waiting.as_ref().filter(|_| self.is_unready(pod))
    }

    fn pod_conditions(&self, pod: &Pod, started: Timestamp) -> Value {
        let unready = self.is_unready(pod);
        let condition = |kind: &str, good: bool, since: Timestamp| {
            let status = if good { "True" } else { "False" };
            let mut it =
                json!({"type": kind, "status": status, "lastTransitionTime": seconds(since)});
            if !good {
                let names = if self.trouble.proxy.is_some() { "proxy" } else { "app" };
                it["reason"] = "ContainersNotReady".into();
                it["message"] = format!("containers with unready status: [{names}]").into();
            }
            it
        };
        // An incident that was noticed after the pod came: it was ready before.
        let since = if unready { started.max(self.scene.incident.start) } else { started };
        json!([
            condition("Initialized", true, started),
            condition("Ready", !unready, since),
            condition("ContainersReady", !unready, since),
            condition("PodScheduled", true, started),
        ])
    }

    fn containers(&self, pod: &Pod) -> Value {
        let unready = self.is_unready(pod);
        let image = self.image(self.current());
        let proxy = self.trouble.proxy.as_ref();
        let restarts = self.restarts(pod);
        // Where the proxy is what fails, the app beside it runs.
        let own = if proxy.is_some() { (false, 0) } else { (unready, restarts) };
        let mut all = vec![self.container_status("app", &image, (own, self.waiting(pod)), pod)];
        if let Some(waiting) = proxy {
            let image = "registry.example/proxy:1.0.0";
            let state = ((unready, restarts), Some(waiting).filter(|_| unready));
            all.push(self.container_status("proxy", image, state, pod));
        }
        all.into()
    }

    fn container_status(
        &self,
        name: &str,
        image: &str,
        ((unready, restarts), waiting): ((bool, u64), Option<&Waiting>),
        pod: &Pod,
    ) -> Value {
        let created = self.created(pod);
        let started = self.trouble.last.filter(|_| restarts > 0).unwrap_or(created).max(created);
        let state = match waiting {
            Some(it) => json!({"waiting": {"reason": it.reason, "message": it.message}}),
            None => json!({"running": {"startedAt": seconds(started)}}),
        };
        let mut status = json!({
            "name": name, "image": image, "imageID": "", "ready": !unready, "started": waiting.is_none(),
            "restartCount": restarts, "state": state, "lastState": {},
        });
        if restarts > 0 {
            let (reason, code) =
                if self.trouble.killed { ("OOMKilled", 137) } else { ("Error", 1) };
            status["lastState"] = json!({"terminated": {
                "reason": reason, "exitCode": code, "startedAt": seconds(created),
                "finishedAt": seconds(started),
            }});
        }
        if waiting.is_none_or(|it| it.reason == "CrashLoopBackOff") {
            status["containerID"] =
                format!("containerd://{}", letters(&[&pod.name, name], 12)).into();
        }
        status
    }
}
