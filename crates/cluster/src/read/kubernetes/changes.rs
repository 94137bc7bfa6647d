//! What was changed: revisions of Deployments, other writes to workloads, ConfigMaps, and what an
//! autoscaler did.

use super::super::directory::Directory;
use super::super::window::Window;
use super::Objects;
use super::objects::{Container, Meta, PodSpec, ReplicaSet, Workload};
use super::workloads::NAMES;
use jiff::Timestamp;
use sre::incident::Change;
use std::collections::{BTreeMap, BTreeSet};

const REVISION: &str = "deployment.kubernetes.io/revision";
const CAUSE: &str = "kubernetes.io/change-cause";
/// Who writes because somebody else did.
const CONTROLLERS: [&str; 4] =
    ["kube-controller-manager", "kube-scheduler", "kubelet", "cluster-autoscaler"];
/// Most characters of a name of an image or of a cause.
const MOST: usize = 120;

/// The changes, without ids and in no particular order.
pub(super) fn of(objects: &Objects, directory: &Directory, window: &Window) -> Vec<Change> {
    let mut changes = revisions(objects, window);
    changes.extend(writes(objects, window));
    changes.extend(config_maps(objects, directory, window));
    changes.extend(autoscaled(objects, directory, window));
    changes
}

fn change(service: &str, time: Timestamp, message: String) -> Change {
    Change { id: String::new(), service: service.to_owned(), time, message }
}

/// Every revision of a Deployment that was made in the time that is read.
fn revisions(objects: &Objects, window: &Window) -> Vec<Change> {
    let mut of_owner: BTreeMap<&str, Vec<(u64, &ReplicaSet)>> = BTreeMap::new();
    for set in &objects.replica_sets {
        let revision = set.metadata.annotations.get(REVISION).and_then(|it| it.parse().ok());
        if let (Some(owner), Some(revision)) = (set.metadata.controller(), revision) {
            of_owner.entry(&owner.name).or_default().push((revision, set));
        }
    }
    let mut changes = Vec::new();
    for (owner, mut sets) in of_owner {
        sets.sort_by_key(|(revision, set)| (*revision, set.metadata.name.as_str()));
        let mut last: Option<&ReplicaSet> = None;
        for (revision, set) in sets {
            let made = set.metadata.creation_timestamp.0;
            // A ReplicaSet that is older than the one before it is taken up again: a rollback. When
            // that was, the one who wrote its revision tells.
            let older = last.and_then(|it| it.metadata.creation_timestamp.0);
            let is_back = made < older;
            let time = if is_back { written(&set.metadata).or(older) } else { made };
            if let Some(time) = time.filter(|time| window.is_read(*time)) {
                let message = revised((revision, is_back), last, set);
                changes.push(change(owner, time, message));
            }
            last = Some(set);
        }
    }
    changes
}

/// When the annotations of an object were last written by a controller.
fn written(meta: &Meta) -> Option<Timestamp> {
    let writes = meta.managed_fields.iter().filter(|it| it.subresource.is_empty());
    writes.filter_map(|it| it.time.0).max()
}

fn revised(
    (revision, is_back): (u64, bool),
    last: Option<&ReplicaSet>,
    set: &ReplicaSet,
) -> String {
    let mut parts = match last {
        None => vec!["created".to_owned()],
        Some(last) => differences(&last.spec.template.spec, &set.spec.template.spec),
    };
    if parts.is_empty() {
        parts.push("restarted or changed in something else".to_owned());
    }
    let how = if is_back { "rollback, revision" } else { "revision" };
    parts.push(format!("{how} {revision}"));
    if let Some(cause) = set.metadata.annotations.get(CAUSE) {
        parts.push(format!("cause: {}", sre::incident::plain(cause, MOST)));
    }
    parts.join("; ")
}

/// What differs between two templates. Values of settings are not told: they may be secrets.
fn differences(old: &PodSpec, new: &PodSpec) -> Vec<String> {
    let mut parts = Vec::new();
    for container in new.all_containers() {
        let name = sre::incident::plain(&container.name, MOST);
        let Some(before) = old.all_containers().find(|it| it.name == container.name) else {
            parts.push(format!("container {name} added"));
            continue;
        };
        if before.image != container.image {
            let [from, to] =
                [&before.image, &container.image].map(|it| sre::incident::plain(it, MOST));
            parts.push(format!("image of {name} changed from {from} to {to}"));
        }
        let settings = settings(before, container);
        if !settings.is_empty() {
            parts.push(format!("settings of {name} changed: {}", settings.join(", ")));
        }
        if before.command != container.command || before.args != container.args {
            parts.push(format!("arguments of {name} changed"));
        }
        parts.extend(limits(before, container));
    }
    for gone in old.all_containers() {
        if !new.all_containers().any(|it| it.name == gone.name) {
            parts.push(format!("container {} removed", sre::incident::plain(&gone.name, MOST)));
        }
    }
    parts
}

/// The names of the settings that differ.
fn settings(old: &Container, new: &Container) -> Vec<String> {
    let of = |it: &Container| -> BTreeMap<String, String> {
        it.env
            .iter()
            .map(|it| (it.name.clone(), format!("{:?} {:?}", it.value, it.value_from)))
            .collect()
    };
    let (old, new) = (of(old), of(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differ = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    differ.take(8).map(|name| sre::incident::plain(name, 60)).collect()
}

fn limits(old: &Container, new: &Container) -> Vec<String> {
    let of = |it: &Container, name: &str| match it.resources.limits.get(name) {
        Some(serde_json::Value::String(text)) => sre::incident::plain(text, 20),
        Some(serde_json::Value::Number(number)) => number.to_string(),
        _ => "none".to_owned(),
    };
    let mut parts = Vec::new();
    for name in ["memory", "cpu"] {
        let (from, to) = (of(old, name), of(new, name));
        if from != to {
            let container = sre::incident::plain(&new.name, MOST);
            parts.push(format!("{name} limit of {container} changed from {from} to {to}"));
        }
    }
    parts
}

/// Who scaled a workload by hand, and who wrote to one that keeps no ReplicaSets.
fn writes(objects: &Objects, window: &Window) -> Vec<Change> {
    let mut changes = Vec::new();
    for (kind, it) in &objects.workloads {
        for write in &it.metadata.managed_fields {
            let Some(time) = write.time.0.filter(|time| window.is_read(*time)) else { continue };
            let by = sre::incident::plain(&write.manager, MOST);
            if CONTROLLERS.contains(&write.manager.as_str()) {
                continue;
            }
            let message = match (write.subresource.as_str(), *kind) {
                ("scale", _) => match it.spec.replicas {
                    Some(replicas) => format!("scaled by {by}, now {replicas} replicas"),
                    None => format!("scaled by {by}"),
                },
                ("", "StatefulSet" | "DaemonSet") => format!("{kind} changed by {by}"),
                _ => continue,
            };
            changes.push(change(&it.metadata.name, time, message));
        }
    }
    changes
}

/// ConfigMaps that were written, told of the workloads that use them.
fn config_maps(objects: &Objects, directory: &Directory, window: &Window) -> Vec<Change> {
    let mut changes = Vec::new();
    for it in &objects.config_maps {
        let name = &it.metadata.name;
        let last = it
            .metadata
            .managed_fields
            .iter()
            .filter(|write| !CONTROLLERS.contains(&write.manager.as_str()));
        let last = last.filter_map(|write| Some((write.time.0?, &write.manager))).max();
        let Some((time, by)) = last.filter(|(time, _)| window.is_read(*time)) else { continue };
        let uses =
            |it: &&(&str, Workload)| it.1.spec.template.spec.config_maps().any(|used| used == name);
        let users = objects.workloads.iter().filter(uses).map(|(_, it)| it.metadata.name.as_str());
        let mut users: Vec<&str> = users.collect();
        if users.is_empty() {
            // Some programs read theirs by themselves; then its labels say whose it is.
            let labelled = |label: &&str| directory.named(it.metadata.labels.get(*label)?);
            users.extend(NAMES.iter().find_map(labelled));
        }
        let message = format!("ConfigMap {name} changed by {}", sre::incident::plain(by, MOST));
        changes.extend(users.into_iter().map(|user| change(user, time, message.clone())));
    }
    changes
}

/// What autoscalers did, which they tell as events only.
fn autoscaled(objects: &Objects, directory: &Directory, window: &Window) -> Vec<Change> {
    let mut changes = Vec::new();
    for it in objects.events.iter().filter(|it| it.reason == "SuccessfulRescale") {
        let time = it.last_timestamp.0.or(it.event_time.0).filter(|time| window.is_read(*time));
        if let (Some(time), Some(service)) = (time, directory.named(&it.involved_object.name)) {
            changes.push(change(service, time, format!("autoscaler: {}", it.message)));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(image: &str, level: &str, memory: &str) -> PodSpec {
        serde_json::from_value(json!({"containers": [{
            "name": "app", "image": image, "env": [{"name": "PASSWORD", "value": level}],
            "resources": {"limits": {"memory": memory}},
        }]}))
        .unwrap()
    }

    #[test]
    fn what_differs_is_told_without_values_of_settings() {
        let (old, new) =
            (pod("shop/cart:1.4", "sesame", "512Mi"), pod("shop/cart:1.5", "other", "256Mi"));
        let expected = [
            "image of app changed from shop/cart:1.4 to shop/cart:1.5",
            "settings of app changed: PASSWORD",
            "memory limit of app changed from 512Mi to 256Mi",
        ];
        assert_eq!(differences(&old, &new), expected);
        assert!(differences(&old, &old).is_empty());
        let none = PodSpec::default();
        assert_eq!(differences(&none, &old), ["container app added"]);
        assert_eq!(differences(&old, &none), ["container app removed"]);
    }

    fn set(revision: &str, image: &str, made: &str, written: &str) -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {
                "name": format!("cart-{revision}"), "creationTimestamp": made,
                "annotations": {REVISION: revision},
                "ownerReferences": [{"kind": "Deployment", "name": "cart", "controller": true}],
                "managedFields": [{"manager": "kube-controller-manager", "time": written}],
            },
            "spec": {"template": {"spec": pod_json(image)}},
        }))
        .unwrap()
    }

    fn pod_json(image: &str) -> serde_json::Value {
        json!({"containers": [{"name": "app", "image": image}]})
    }

    #[test]
    fn revisions_in_the_time_are_told_and_rollbacks_are_known() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
        let (start, end) = (time("2026-03-01T10:00:00Z"), time("2026-03-01T10:15:00Z"));
        let window = Window { from: start - 3600, start, end, step: 15 };
        let old = "2026-02-01T00:00:00Z";
        // Somebody went back: the ReplicaSet that was revision 3 is revision 5 now.
        let replica_sets = vec![
            set("5", "cart:1", old, "2026-03-01T10:05:00Z"),
            set("4", "cart:2", "2026-03-01T09:30:00Z", "2026-03-01T10:06:00Z"),
            set("2", "cart:0", "2026-01-01T00:00:00Z", old),
        ];
        let objects = Objects { replica_sets, ..Objects::default() };
        let told: Vec<_> = revisions(&objects, &window)
            .into_iter()
            .map(|it| (it.time.to_string(), it.message))
            .collect();
        let expected = [
            ("2026-03-01T09:30:00Z", "image of app changed from cart:0 to cart:2; revision 4"),
            (
                "2026-03-01T10:05:00Z",
                "image of app changed from cart:2 to cart:1; rollback, revision 5",
            ),
        ];
        assert_eq!(told, expected.map(|(time, message)| (time.to_owned(), message.to_owned())));
    }
}
