//! Reads a namespace from the API of Kubernetes.
//!
//! Objects are read as the few fields that are looked at (`objects`), page by page (`api`); a kind
//! that may not be read is missing, and the rest goes on.

use super::assemble::Found;
use super::directory::Directory;
use super::{KubernetesSource, Run, Source};
use api::Api;
use objects::{Autoscaler, EventObject, Node, Object, Pod, ReplicaSet, ServiceObject, Workload};
use serde::de::DeserializeOwned;

mod api;
mod calls;
mod changes;
mod events;
mod logs;
mod objects;
mod quantity;
mod workloads;

/// Everything of a namespace that is looked at.
#[derive(Default)]
struct Objects {
    /// Deployments, StatefulSets and DaemonSets with their kinds.
    workloads: Vec<(&'static str, Workload)>,
    replica_sets: Vec<ReplicaSet>,
    pods: Vec<Pod>,
    services: Vec<ServiceObject>,
    autoscalers: Vec<Autoscaler>,
    nodes: Vec<Node>,
    events: Vec<EventObject>,
    /// Without their contents.
    config_maps: Vec<Object>,
}

/// A cluster that answered, for what else is asked of it.
pub(super) struct Cluster {
    api: Api,
    objects: Objects,
}

/// Kinds that are listed.
const KINDS: usize = 10;

/// Reads the namespace into the directory; `None` where the cluster cannot be asked.
pub(super) fn read(
    source: &KubernetesSource,
    run: &mut Run<'_>,
    directory: &mut Directory,
    found: &mut Found,
) -> Option<Cluster> {
    let api = match Api::new(source, run) {
        Ok(api) => api,
        Err(why) => {
            run.missing(Source::Kubernetes, "the cluster", why);
            return None;
        }
    };
    let mut lister = Lister {
        api: &api,
        run,
        namespace: &directory.namespace,
        done: 0,
        answered: 0,
        unasked: Vec::new(),
    };
    let objects = lister.objects();
    if !lister.unasked.is_empty() {
        let what = lister.unasked.join(", ");
        lister.run.missing(
            Source::Kubernetes,
            what,
            "not asked for, as the cluster does not answer",
        );
    }
    if lister.answered == 0 {
        return None;
    }
    found.is_answered = true;
    directory.is_known = !objects.workloads.is_empty() || !objects.pods.is_empty();
    workloads::enter(&objects, directory);
    calls::enter(&objects, directory);
    found.events.extend(events::of(&objects, directory, run));
    found.changes.extend(changes::of(&objects, directory, &run.window));
    Some(Cluster { api, objects })
}

/// Lists one kind after the other.
struct Lister<'a, 'b> {
    api: &'a Api,
    run: &'a mut Run<'b>,
    namespace: &'a str,
    done: usize,
    answered: usize,
    /// Kinds that there was no point in asking for.
    unasked: Vec<String>,
}

impl Lister<'_, '_> {
    fn objects(&mut self) -> Objects {
        let mut objects = Objects::default();
        for (kind, plural) in [
            ("Deployment", "deployments"),
            ("StatefulSet", "statefulsets"),
            ("DaemonSet", "daemonsets"),
        ] {
            let all: Vec<Workload> = self.list("apis/apps/v1", plural);
            objects.workloads.extend(all.into_iter().map(|it| (kind, it)));
        }
        objects.replica_sets = self.list("apis/apps/v1", "replicasets");
        objects.pods = self.list("api/v1", "pods");
        objects.services = self.list("api/v1", "services");
        objects.autoscalers = self.list("apis/autoscaling/v2", "horizontalpodautoscalers");
        objects.events = self.list("api/v1", "events");
        objects.config_maps = self.list("api/v1", "configmaps");
        let mut nodes: Vec<Node> = self.list("api/v1", "nodes");
        nodes.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        objects.nodes = nodes;
        objects
    }

    fn list<T: DeserializeOwned>(&mut self, group: &str, plural: &str) -> Vec<T> {
        self.run.step(Source::Kubernetes, plural, (self.done, KINDS));
        self.done += 1;
        if self.api.is_down() {
            self.unasked.push(plural.to_owned());
            return Vec::new();
        }
        // Nodes belong to no namespace.
        let path = match plural {
            "nodes" => format!("/{group}/{plural}"),
            _ => format!("/{group}/namespaces/{}/{plural}", self.namespace),
        };
        let most = self.run.ask.limits.objects;
        match self.api.list(&path, plural == "configmaps", most) {
            Ok(page) => {
                self.answered += 1;
                if page.is_cut {
                    self.run.cut.push(format!("the first {most} {plural} were read"));
                }
                if page.unreadable > 0 {
                    let why = format!("{} of them have another form", page.unreadable);
                    self.run.missing(Source::Kubernetes, plural, why);
                }
                page.items
            }
            Err(why) => {
                self.run.missing(Source::Kubernetes, plural, why);
                Vec::new()
            }
        }
    }
}
