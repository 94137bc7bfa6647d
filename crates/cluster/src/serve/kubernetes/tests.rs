//! Objects of many simulated incidents: that they are what the API says they are, and say what the incident
//! says.

use super::*;
use crate::serve::prepare::prepare;
use crate::serve::{Options, Served};
use jiff::Timestamp;
use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v2 as autoscaling, core::v1 as core, events::v1 as events,
    networking::v1 as networking,
};
use lab::{Part, Settings};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;

fn options() -> Options {
    Options {
        address: ([127, 0, 0, 1], 0).into(),
        namespace: "shop".to_owned(),
        end: Timestamp::from_second(1_800_000_000).unwrap(),
        speed: 60.0,
        token: None,
    }
}

fn scene(part: Part, number: u64) -> Scene {
    let simulated = lab::incident(&Settings::new(7, part), number);
    prepare(&simulated.incident, &options()).unwrap()
}

fn of<'a>(objects: &'a [Vec<Value>], group: &str, plural: &str) -> &'a [Value] {
    let index = KINDS.iter().position(|it| it.group == group && it.plural == plural);
    &objects[index.unwrap()]
}

/// Every field of the object is one of the type, with a value that the type takes.
fn is_of<T: DeserializeOwned + Serialize>(objects: &[Value]) {
    for object in objects {
        let read: T = serde_json::from_value(object.clone())
            .unwrap_or_else(|error| panic!("{error}: {object:#}"));
        let mut written = serde_json::to_value(read).unwrap();
        let mut object = object.clone();
        for value in [&mut written, &mut object] {
            normal(value);
        }
        assert_eq!(written, object);
    }
}

/// Times with or without a fraction of zeros are the same, and nothing is what is not there.
fn normal(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, it| !it.is_null() && *it != json!({}));
            map.values_mut().for_each(normal);
        }
        Value::Array(list) => list.iter_mut().for_each(normal),
        Value::String(text) if text.ends_with("Z") => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *text = time.to_string();
            }
        }
        _ => {}
    }
}

#[test]
fn objects_are_of_the_types_of_the_api() {
    for part in [Part::Train, Part::Test] {
        for number in 0..40 {
            let (all, _) = objects::all(&scene(part, number));
            is_of::<core::Namespace>(of(&all, "", "namespaces"));
            is_of::<core::Node>(of(&all, "", "nodes"));
            is_of::<core::Pod>(of(&all, "", "pods"));
            is_of::<core::Service>(of(&all, "", "services"));
            is_of::<core::ConfigMap>(of(&all, "", "configmaps"));
            is_of::<core::Event>(of(&all, "", "events"));
            is_of::<apps::Deployment>(of(&all, "apps", "deployments"));
            is_of::<apps::ReplicaSet>(of(&all, "apps", "replicasets"));
            is_of::<autoscaling::HorizontalPodAutoscaler>(of(
                &all,
                "autoscaling",
                "horizontalpodautoscalers",
            ));
            is_of::<events::Event>(of(&all, "events.k8s.io", "events"));
            is_of::<networking::NetworkPolicy>(of(&all, "networking.k8s.io", "networkpolicies"));
        }
    }
}

#[test]
fn names_are_unique_and_everything_of_the_incident_is_there() {
    for number in 0..40 {
        let scene = scene(Part::Train, number);
        let (all, _) = objects::all(&scene);
        for objects in &all {
            let names: BTreeSet<String> =
                objects.iter().map(|it| it["metadata"]["name"].to_string()).collect();
            assert_eq!(names.len(), objects.len());
        }
        let text = serde_json::to_string(&all).unwrap();
        let events = of(&all, "", "events");
        for event in &scene.incident.events {
            let found = events.iter().any(|it| {
                it["reason"] == *event.reason
                    && it["message"] == *event.message
                    && it["count"] == event.count
            });
            assert!(found, "{event:?}");
        }
        for change in &scene.incident.changes {
            let message = serde_json::to_string(&change.message).unwrap();
            let kept = text.contains(&message) || changes::sort(change) == changes::Sort::Scaling;
            assert!(kept && text.contains(&naming::seconds(change.time)), "{change:?}");
        }
        for service in &scene.incident.services {
            let pods = of(&all, "", "pods").iter();
            let mut own = pods.filter(|it| it["metadata"]["labels"]["app"] == *service.name);
            let Some(pod) = own.next() else { continue };
            let env = &pod["spec"]["containers"][0]["env"];
            assert_eq!(env.as_array().unwrap().len(), service.calls.len());
        }
    }
}

/// States of pods that some incident shows.
#[test]
fn pods_are_in_the_states_that_events_tell_of() {
    let mut seen = BTreeSet::new();
    for number in 0..300 {
        let scene = scene(Part::Train, number);
        let (all, _) = objects::all(&scene);
        for pod in of(&all, "", "pods") {
            for status in pod["status"]["containerStatuses"].as_array().into_iter().flatten() {
                let texts = [
                    &status["state"]["waiting"]["reason"],
                    &status["lastState"]["terminated"]["reason"],
                ];
                seen.extend(texts.into_iter().filter_map(Value::as_str).map(str::to_owned));
                let restarts = status["restartCount"].as_u64().unwrap();
                assert_eq!(restarts > 0, status["lastState"]["terminated"].is_object());
            }
            seen.extend(pod["status"]["reason"].as_str().map(str::to_owned));
        }
    }
    for state in ["CrashLoopBackOff", "ImagePullBackOff", "OOMKilled", "Error", "Evicted"] {
        assert!(seen.contains(state), "no {state} in {seen:?}");
    }
}

#[test]
fn the_schema_holds_the_kinds_and_no_reference_leads_nowhere() {
    let all = openapi::definitions();
    let document = openapi::third(&all, "apps", "v1").unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1) {
        let target = reference.split('"').next().unwrap();
        let name = target.rsplit('/').next().unwrap();
        assert!(schemas.contains_key(name), "{target}");
    }
    for kind in &KINDS {
        let mine = json!([{"group": kind.group, "version": kind.version, "kind": kind.kind}]);
        let found = schemas.values().any(|it| it["x-kubernetes-group-version-kind"] == mine);
        assert!(found, "{kind:?}");
    }
    assert!(openapi::third(&all, "apps", "v2").is_none());
}

#[test]
fn the_same_options_give_the_same_bytes() {
    let simulated = lab::incident(&Settings::new(3, Part::Test), 1);
    let ask = |path: &str| {
        let served = Served::start(&simulated.incident, options()).unwrap();
        let url = format!("http://{}{path}", served.address());
        ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap()
    };
    for path in [
        "/api/v1/pods",
        "/api/v1/events",
        "/loki/api/v1/query_range?query=%7Blevel%3D%22error%22%7D",
    ] {
        assert_eq!(ask(path), ask(path), "{path}");
    }
}
