//! The schema of the kinds that are served, as OpenAPI, made of the types that the program carries.
//!
//! Version 3 has a document for each group, which `kubectl explain` reads; version 2 is one document of JSON.
//! Paths are there as far as clients look for kinds in them. Patching is one of them, although it is refused:
//! by the parameter `fieldValidation` there `kubectl apply --dry-run=client` sees that the server validates,
//! and does not ask for version 2 in a binary form.

use super::discovery;
use super::resource::{KINDS, Kind};
use crate::serve::answer::Answer;
use k8s_openapi::api::{
    apps::v1 as apps, autoscaling::v2 as autoscaling, batch::v1 as batch,
    coordination::v1 as coordination, core::v1 as core, discovery::v1 as slices,
    events::v1 as events, networking::v1 as networking,
};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Where schemas stand in a document of version 3, and where in one of version 2.
const THIRD: &str = "#/components/schemas/";
const SECOND: &str = "#/definitions/";

/// All schemas, those of kinds with their group, version and kind.
pub(super) fn definitions() -> Value {
    let mut generator = SchemaGenerator::new(SchemaSettings::openapi3());
    let mut named: Vec<(&str, &str, String)> = Vec::new();
    add::<core::Namespace>(&mut generator, &mut named);
    add::<core::Node>(&mut generator, &mut named);
    add::<core::Pod>(&mut generator, &mut named);
    add::<core::Service>(&mut generator, &mut named);
    add::<core::ConfigMap>(&mut generator, &mut named);
    add::<core::Event>(&mut generator, &mut named);
    add::<core::Secret>(&mut generator, &mut named);
    add::<core::ResourceQuota>(&mut generator, &mut named);
    add::<apps::Deployment>(&mut generator, &mut named);
    add::<apps::ReplicaSet>(&mut generator, &mut named);
    add::<apps::DaemonSet>(&mut generator, &mut named);
    add::<apps::StatefulSet>(&mut generator, &mut named);
    add::<autoscaling::HorizontalPodAutoscaler>(&mut generator, &mut named);
    add::<batch::CronJob>(&mut generator, &mut named);
    add::<batch::Job>(&mut generator, &mut named);
    add::<coordination::Lease>(&mut generator, &mut named);
    add::<slices::EndpointSlice>(&mut generator, &mut named);
    add::<events::Event>(&mut generator, &mut named);
    add::<networking::NetworkPolicy>(&mut generator, &mut named);
    add::<networking::Ingress>(&mut generator, &mut named);
    let mut all = Value::Object(generator.take_definitions(true));
    for (group, kind, name) in named {
        let known = KINDS.iter().find(|it| it.group == group && it.kind == kind);
        if let (Some(known), Some(schema)) = (known, all.get_mut(&name)) {
            schema["x-kubernetes-group-version-kind"] = json!([gvk(known)]);
        }
    }
    all
}

fn add<T>(generator: &mut SchemaGenerator, named: &mut Vec<(&'static str, &'static str, String)>)
where
    T: k8s_openapi::Resource + JsonSchema,
{
    generator.subschema_for::<T>();
    named.push((T::GROUP, T::KIND, T::schema_name().into_owned()));
}

fn gvk(kind: &Kind) -> Value {
    json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
}

/// The groups that there are documents of.
pub(super) fn index() -> Value {
    let mut paths = Map::new();
    let mut add = |path: String| {
        let url = json!({"serverRelativeURL": format!("/openapi/v3/{path}")});
        paths.insert(path, url);
    };
    add("api/v1".to_owned());
    for (group, version) in discovery::groups() {
        add(format!("apis/{group}/{version}"));
    }
    json!({"paths": paths})
}

/// The document of a group, in version 3.
pub(super) fn third(definitions: &Value, group: &str, version: &str) -> Option<Value> {
    let own: Vec<&Kind> =
        KINDS.iter().filter(|it| it.group == group && it.version == version).collect();
    if own.is_empty() {
        return None;
    }
    let paths = paths(
        &own,
        |reference| json!({"content": {"application/json": {"schema": reference}}}),
        THIRD,
    );
    Some(json!({
        "openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": definitions},
    }))
}

/// The one document of version 2.
pub(super) fn second(definitions: &Value) -> Answer {
    let all: Vec<&Kind> = KINDS.iter().collect();
    let paths = paths(&all, |reference| json!({"schema": reference}), SECOND);
    let document = json!({
        "swagger": "2.0", "info": info(), "paths": paths, "definitions": definitions,
    });
    let text = document.to_string().replace(THIRD, SECOND);
    Answer::bytes(200, "application/json", text.into_bytes())
}

fn info() -> Value {
    json!({"title": "Kubernetes, as far as the lab serves it", "version": "v1.33.0"})
}

fn paths(kinds: &[&Kind], body: fn(Value) -> Value, stem: &str) -> Value {
    let mut paths = Map::new();
    for kind in kinds {
        let root = match kind.group {
            "" => "/api/v1".to_owned(),
            group => format!("/apis/{group}/{}", kind.version),
        };
        let place = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
        let name = schema_name(kind);
        let mut answer = body(json!({"$ref": format!("{stem}{name}")}));
        answer["description"] = "OK".into();
        let operation = |action: &str| {
            json!({
                "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk(kind),
                "responses": {"200": answer},
            })
        };
        let mut patch = operation("patch");
        patch["parameters"] = json!([{"name": "fieldValidation", "in": "query"}]);
        let list = json!({"get": operation("list")});
        let one = json!({"get": operation("get"), "patch": patch});
        paths.insert(format!("{root}/{place}{}", kind.plural), list);
        paths.insert(format!("{root}/{place}{}/{{name}}", kind.plural), one);
    }
    paths.into()
}

/// What the schema of a kind is called.
fn schema_name(kind: &Kind) -> String {
    let group = match kind.group {
        "" => "core",
        group => group.split('.').next().unwrap_or(group),
    };
    format!("io.k8s.api.{group}.{}.{}", kind.version, kind.kind)
}
