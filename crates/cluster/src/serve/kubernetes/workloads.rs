//! Deployments and ReplicaSets: what each service runs as, and what it ran as before each rollout.

use super::changes::{self, Made, Sort};
use super::naming::{letters, seconds, uid};
use super::trouble::Trouble;
use crate::serve::prepare::Scene;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sre::incident::{Change, Service};

/// How long before the telemetry begins a service was first rolled out.
const OLD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The port of every service.
pub(super) const PORT: u16 = 8080;

/// A service with everything that its objects are made of.
pub(super) struct Workload<'a> {
    pub(super) scene: &'a Scene,
    pub(super) service: &'a Service,
    pub(super) trouble: Trouble,
    /// Oldest first; the last one runs.
    pub(super) revisions: Vec<Revision<'a>>,
}

/// What a service runs, or ran, as.
pub(super) struct Revision<'a> {
    pub(super) number: usize,
    pub(super) created: Timestamp,
    pub(super) made: Made,
    /// The change that led to it.
    pub(super) cause: Option<&'a Change>,
    /// The name of its ReplicaSet, and the hash in it.
    pub(super) name: String,
    pub(super) hash: String,
}

impl<'a> Workload<'a> {
    /// Of a service.
    pub(super) fn new(scene: &'a Scene, service: &'a Service) -> Self {
        let trouble = Trouble::of(scene, service);
        Self { scene, service, trouble, revisions: revisions(scene, service) }
    }

    /// The revision that runs.
    pub(super) fn current(&self) -> &Revision<'a> {
        // There is always the first one.
        &self.revisions[self.revisions.len() - 1]
    }

    /// Replicas that are wanted.
    pub(super) fn replicas(&self) -> usize {
        // More than anybody lists would only take memory.
        usize::try_from(self.service.replicas.unwrap_or(1)).unwrap_or(usize::MAX).min(1_000)
    }

    /// Pods that exist.
    pub(super) fn existing(&self) -> usize {
        let missing = if self.trouble.missing { self.trouble.unready } else { 0 };
        self.replicas().saturating_sub(missing)
    }

    /// Those of them that are ready.
    pub(super) fn ready(&self) -> usize {
        self.replicas().saturating_sub(self.trouble.unready)
    }

    /// The labels that select the service's pods.
    pub(super) fn labels(&self) -> Value {
        json!({"app": self.service.name, "app.kubernetes.io/name": self.service.name})
    }

    /// The pods' template in a revision.
    pub(super) fn template(&self, revision: &Revision<'_>) -> Value {
        let mut labels = self.labels();
        labels["pod-template-hash"] = revision.hash.clone().into();
        json!({"metadata": {"labels": labels}, "spec": self.pod_spec(revision)})
    }

    /// The specification of a pod, without its node.
    pub(super) fn pod_spec(&self, revision: &Revision<'_>) -> Value {
        let mut containers = vec![self.container(revision)];
        if self.trouble.proxy.is_some() {
            containers.push(json!({"name": "proxy", "image": "registry.example/proxy:1.0.0"}));
        }
        json!({"containers": containers, "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
               "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler"})
    }

    /// What it calls stands in its environment, which is how one learns the call graph without a mesh.
    fn container(&self, revision: &Revision<'_>) -> Value {
        let service = self.service;
        let address = |callee: &String| {
            let name = callee.to_ascii_uppercase().replace('-', "_");
            json!({"name": format!("{name}_ADDR"), "value": format!("{callee}:{PORT}")})
        };
        let env: Vec<Value> = service.calls.iter().map(address).collect();
        let mut limits = json!({});
        for (name, value) in [("memory", &revision.made.memory), ("cpu", &revision.made.cpu)] {
            if let Some(value) = value {
                limits[name] = value.clone().into();
            }
        }
        let probe = json!({
            "httpGet": {"path": "/ready", "port": PORT, "scheme": "HTTP"}, "periodSeconds": 10,
            "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3,
        });
        let mut container = json!({
            "name": "app", "image": self.image(revision), "env": env, "readinessProbe": probe,
            "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
            "imagePullPolicy": "IfNotPresent",
        });
        if limits != json!({}) {
            container["resources"] = json!({"limits": limits, "requests": limits});
        }
        container
    }

    /// The image of a revision.
    pub(super) fn image(&self, revision: &Revision<'_>) -> String {
        let version = revision.made.version.as_deref().unwrap_or("1.0.0");
        format!("registry.example/{}:{version}", self.service.name)
    }

    /// Metadata of an object of this service.
    pub(super) fn metadata(&self, kind: &str, name: &str, created: Timestamp) -> Value {
        let namespace = &self.scene.namespace;
        json!({
            "name": name, "namespace": namespace, "uid": uid(kind, namespace, name),
            "creationTimestamp": seconds(created), "labels": self.labels(),
        })
    }

    /// What is kept in the Deployment of a change that is kept there.
    fn managed(&self) -> Vec<Value> {
        let changes = self.scene.incident.changes.iter();
        let own = changes.filter(|change| change.service == self.service.name);
        let kept =
            |change: &&Change| [Sort::Scaling, Sort::Rollout].contains(&changes::sort(change));
        let field = |change: &Change| {
            let mut field = managed(change.time, "apps/v1");
            if changes::sort(change) == Sort::Scaling {
                field["subresource"] = "scale".into();
            }
            field
        };
        own.filter(kept).map(field).collect()
    }

    /// The Deployment.
    pub(super) fn deployment(&self) -> Value {
        let current = self.current();
        let mut metadata =
            self.metadata("Deployment", &self.service.name, self.revisions[0].created);
        metadata["generation"] = self.revisions.len().into();
        metadata["annotations"] = annotations(current);
        let managed = self.managed();
        if !managed.is_empty() {
            metadata["managedFields"] = managed.into();
        }
        let (wanted, existing, ready) = (self.replicas(), self.existing(), self.ready());
        let mut status = json!({
            "observedGeneration": self.revisions.len(), "replicas": existing,
            "updatedReplicas": existing, "conditions": self.conditions(),
        });
        // What is zero is left out, as the real server does it.
        let counts = [
            ("readyReplicas", ready),
            ("availableReplicas", ready),
            ("unavailableReplicas", wanted.saturating_sub(ready)),
        ];
        for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            status[name] = count.into();
        }
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {
                "replicas": wanted, "selector": {"matchLabels": {"app": self.service.name}},
                "template": self.template(current), "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600, "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
                },
            },
            "status": status,
        })
    }

    fn conditions(&self) -> Value {
        let since = seconds(self.current().created);
        let condition = |kind: &str, good: bool, (reason, message): (&str, &str)| {
            let status = if good { "True" } else { "False" };
            json!({"type": kind, "status": status, "reason": reason, "message": message,
                   "lastTransitionTime": since, "lastUpdateTime": since})
        };
        let enough = self.ready() * 4 >= self.replicas() * 3;
        let available = match enough {
            true => ("MinimumReplicasAvailable", "Deployment has minimum availability."),
            false => {
                ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
            }
        };
        let progress =
            format!("ReplicaSet \"{}\" has successfully progressed.", self.current().name);
        let mut conditions = vec![
            condition("Available", enough, available),
            condition("Progressing", true, ("NewReplicaSetAvailable", &progress)),
        ];
        if self.trouble.missing {
            let failure = ("FailedCreate", "pods could not be created");
            conditions.push(condition("ReplicaFailure", true, failure));
        }
        conditions.into()
    }

    /// The ReplicaSets, oldest first.
    pub(super) fn replica_sets(&self) -> Vec<Value> {
        self.revisions.iter().map(|revision| self.replica_set(revision)).collect()
    }

    fn replica_set(&self, revision: &Revision<'_>) -> Value {
        let runs = revision.number == self.current().number;
        let count = |count: usize| if runs { count } else { 0 };
        let mut metadata = self.metadata("ReplicaSet", &revision.name, revision.created);
        metadata["annotations"] = annotations(revision);
        metadata["labels"]["pod-template-hash"] = revision.hash.clone().into();
        metadata["generation"] = 1.into();
        let name = &self.service.name;
        metadata["ownerReferences"] =
            json!([owner("Deployment", name, &uid("Deployment", &self.scene.namespace, name))]);
        let (existing, ready) = (count(self.existing()), count(self.ready()));
        let mut status = json!({"observedGeneration": 1, "replicas": existing});
        if existing > 0 {
            status["fullyLabeledReplicas"] = existing.into();
        }
        if ready > 0 {
            status["readyReplicas"] = ready.into();
            status["availableReplicas"] = ready.into();
        }
        let selector = json!({"app": name, "pod-template-hash": revision.hash});
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata,
            "spec": {"replicas": count(self.replicas()), "selector": {"matchLabels": selector},
                     "template": self.template(revision)},
            "status": status,
        })
    }
}

/// An entry of `managedFields` that says when something was changed.
pub(super) fn managed(time: Timestamp, api_version: &str) -> Value {
    json!({"manager": "kubectl-edit", "operation": "Update", "apiVersion": api_version,
           "time": seconds(time), "fieldsType": "FieldsV1", "fieldsV1": {}})
}

/// A reference to the object that another one belongs to.
pub(super) fn owner(kind: &str, name: &str, id: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": id, "controller": true,
           "blockOwnerDeletion": true})
}

fn annotations(revision: &Revision<'_>) -> Value {
    let mut all = json!({"deployment.kubernetes.io/revision": revision.number.to_string()});
    if let Some(change) = revision.cause {
        all["kubernetes.io/change-cause"] = change.message.clone().into();
    }
    all
}

fn revisions<'a>(scene: &'a Scene, service: &'a Service) -> Vec<Revision<'a>> {
    let incident = &scene.incident;
    let own = incident.changes.iter().filter(|change| change.service == service.name);
    let mut rollouts: Vec<&Change> =
        own.filter(|change| changes::sort(change) == Sort::Rollout).collect();
    rollouts.sort_by_key(|change| change.time);
    // From what runs back to what ran first.
    let mut made = Made {
        version: version(scene, service, &rollouts),
        memory: service.memory_limit_mib.map(|it| format!("{it}Mi")),
        cpu: service.cpu_limit_millicores.map(|it| format!("{it}m")),
    };
    let mut all = Vec::new();
    for (index, change) in rollouts.iter().enumerate().rev() {
        let before = made.before(&change.message);
        all.push(revision(service, (index + 2, change.time), made, Some(*change)));
        made = before;
    }
    let old = scene.first.checked_sub(OLD).unwrap_or(scene.first);
    all.push(revision(service, (1, old), made, None));
    all.reverse();
    all
}

fn revision<'a>(
    service: &Service,
    (number, created): (usize, Timestamp),
    made: Made,
    cause: Option<&'a Change>,
) -> Revision<'a> {
    let hash = letters(&[&service.name, &number.to_string()], 10);
    let name = super::naming::ended(&service.name, &hash);
    Revision { number, created, made, cause, name, hash }
}

/// The version that runs: of the last rollout that names one, or of an event about an image.
fn version(scene: &Scene, service: &Service, rollouts: &[&Change]) -> Option<String> {
    let named = |change: &&Change| changes::moved(&change.message, changes::is_version).1;
    rollouts.iter().rev().find_map(named).or_else(|| {
        let own = scene.incident.events.iter().filter(|event| event.service == service.name);
        let image = format!("/{}:", service.name);
        own.filter_map(|event| event.message.split_once(&image)).find_map(|(_, rest)| {
            let word = rest.split(['"', ' ']).next().unwrap_or_default();
            changes::is_version(word).then(|| word.to_owned())
        })
    })
}
