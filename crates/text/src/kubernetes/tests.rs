mod commands;
mod real;

use super::*;
use crate::Error;
use serde_json::json;
use std::path::PathBuf;

/// The schema that needs no file; 20 ms.
fn embedded() -> Schema {
    Schema::embedded().expect("the embedded types are a schema")
}

/// A folder of the real data, or `None` with a word about it.
fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        crate::skip::skip(&format!("shared/data/{name} is not there"));
        return None;
    }
    Some(path)
}

fn published() -> Option<Schema> {
    let path = shared("kubernetes/openapi-v2-v1.35.0.json")?;
    Some(Schema::from_file(&path).expect("the published document is a schema"))
}

#[test]
fn the_embedded_schema_has_what_everybody_uses() {
    let schema = embedded();
    assert_eq!(schema.version(), "v1.37");
    assert!(schema.kinds().len() > 90, "{}", schema.kinds().len());
    let deployment = schema.resource("deploy").expect("deploy");
    assert_eq!(deployment.api_version(), "apps/v1");
    assert!(deployment.namespaced && deployment.subresources.contains("scale"));
    let container = schema.type_named("io.k8s.api.core.v1.Container").expect("Container");
    assert!(container.fields["name"].required && !container.fields["image"].required);
    assert_eq!(container.fields["env"].shape.describe(), "list of EnvVar");
    assert_eq!(container.fields["env"].merge_key.as_deref(), Some("name"));
}

#[test]
fn resources_have_all_their_names() {
    let schema = embedded();
    for name in ["pods", "pod", "po", "Pod", "pods.v1"] {
        assert_eq!(schema.resource(name).map(|it| &*it.kind), Some("Pod"), "{name}");
    }
    let cases = [
        ("deployments.apps", "apps/v1"),
        ("deployments.v1.apps", "apps/v1"),
        ("hpa", "autoscaling/v2"),
        ("hpa.v1.autoscaling", "autoscaling/v1"),
        ("events", "v1"),
        ("events.events.k8s.io", "events.k8s.io/v1"),
        ("deviceclasses", "resource.k8s.io/v1"),
    ];
    for (name, api_version) in cases {
        let found = schema.resource(name).map(Kind::api_version);
        assert_eq!(found.as_deref(), Some(api_version), "{name}");
    }
    for name in ["podz", "deployments.batch", "", ".", "pods.v2"] {
        assert!(schema.resource(name).is_none(), "{name}");
    }
}

#[test]
fn the_published_document_and_the_embedded_types_agree() {
    let Some(published) = published() else { return };
    let embedded = embedded();
    // The published document leaves its version to the name of the file.
    assert_eq!(published.version(), "unversioned");
    assert!(published.kinds().len() > 80, "{}", published.kinds().len());
    for kind in published.kinds().iter().filter(|it| it.version == "v1") {
        let twin = embedded.kind(&kind.api_version(), &kind.kind).expect(&kind.kind);
        assert_eq!(
            (&twin.plural, twin.namespaced, &twin.short_names, &twin.type_name),
            (&kind.plural, kind.namespaced, &kind.short_names, &kind.type_name)
        );
        // The document says of this one that it can be watched; servers refuse it.
        if kind.plural != "componentstatuses" {
            assert_eq!(twin.verbs, kind.verbs, "{}", kind.kind);
        }
        assert!(twin.subresources.is_superset(&kind.subresources), "{}", kind.kind);
        let (one, other) =
            (&published.types()[&kind.type_name], &embedded.types()[&twin.type_name]);
        for (name, field) in &one.fields {
            assert_eq!(other.fields[name].shape, field.shape, "{}.{name}", kind.kind);
        }
    }
}

#[test]
fn documents_that_are_no_schema_are_refused() {
    let cases = [
        ("", "not JSON"),
        ("[]", "\"swagger\": \"2.0\""),
        (r#"{"openapi":"3.0.0"}"#, "\"swagger\": \"2.0\""),
        (r#"{"swagger":"2.0"}"#, "\"definitions\""),
        (r#"{"swagger":"2.0","definitions":{}}"#, "\"paths\""),
        (r#"{"swagger":"2.0","definitions":{},"paths":{}}"#, "no kind"),
        (
            r##"{"swagger":"2.0","paths":{},"definitions":{"A":{"properties":{"b":{"$ref":"#/definitions/C"}}}}}"##,
            "definition A.b: \"#/definitions/C\" is not defined",
        ),
    ];
    let directory = tempfile::tempdir().expect("a directory");
    for (text, expected) in cases {
        let path = directory.path().join("openapi.json");
        std::fs::write(&path, text).expect("written");
        let error = Schema::from_file(&path).expect_err(text);
        let said = error.to_string();
        assert!(matches!(error, Error::Kubernetes { .. }), "{text}");
        assert!(said.contains(expected) && said.contains("openapi.json"), "{text}: {said}");
    }
}

#[test]
fn objects_nested_without_end_are_refused() {
    let mut inner = serde_json::json!({ "type": "string" });
    for _ in 0..100 {
        inner = serde_json::json!({ "type": "array", "items": inner });
    }
    let document = serde_json::json!({
        "swagger": "2.0", "paths": {}, "definitions": { "A": { "properties": { "b": inner } } },
    });
    let error = openapi::from_document(&document, "x").expect_err("deep");
    assert!(error.to_string().contains("64 deep"), "{error}");
}

fn problems(findings: &[Finding]) -> Vec<(Problem, &str)> {
    findings.iter().map(|it| (it.problem, it.at.as_str())).collect()
}

fn deployment() -> serde_json::Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web", "labels": { "app": "web" } },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{
                    "name": "web",
                    "image": "web:1",
                    "ports": [{ "containerPort": 80 }],
                    "resources": { "limits": { "cpu": "250m", "memory": "1Gi" } },
                    "livenessProbe": { "httpGet": { "path": "/", "port": "http" } },
                }] },
            },
        },
    })
}

#[test]
fn a_right_manifest_has_no_finding() {
    assert_eq!(embedded().check_manifest(&deployment()), []);
}

#[test]
fn every_mistake_in_a_manifest_is_found_where_it_is() {
    use Problem::*;
    let container = "/spec/template/spec/containers/0";
    let cases = [
        ("", "replicas", json!(3), UnknownField, "replicas"),
        ("/spec", "replica", json!(3), UnknownField, "spec.replica"),
        ("/spec", "replicas", json!("3"), WrongType, "spec.replicas"),
        ("/spec", "replicas", json!(3_000_000_000_u64), WrongType, "spec.replicas"),
        ("/spec", "selector", json!(null), MissingRequired, "spec.selector"),
        ("/spec", "paused", json!("yes"), WrongType, "spec.paused"),
        ("/metadata", "name", json!(""), MissingRequired, "metadata.name"),
        ("/metadata/labels", "x", json!(true), WrongType, "metadata.labels.x"),
        ("/metadata", "creationTimestamp", json!("today"), WrongType, "metadata.creationTimestamp"),
        ("", "kind", json!("Deploymnt"), UnknownKind, "kind"),
        ("", "apiVersion", json!("extensions/v1beta1"), UnknownKind, "kind"),
        ("", "apiVersion", json!(1), WrongType, "apiVersion"),
        (container, "name", json!(null), MissingRequired, "spec.template.spec.containers[0].name"),
        (
            container,
            "imagePullPolicy",
            json!("always"),
            WrongType,
            "spec.template.spec.containers[0].imagePullPolicy",
        ),
        (container, "env", json!({ "A": "b" }), WrongType, "spec.template.spec.containers[0].env"),
        (
            "/spec/template/spec/containers/0/resources/limits",
            "cpu",
            json!("2 cores"),
            WrongType,
            "spec.template.spec.containers[0].resources.limits.cpu",
        ),
    ];
    let schema = embedded();
    for (pointer, key, value, problem, at) in cases {
        let mut manifest = deployment();
        let told = format!("{pointer}/{key} = {value}");
        manifest.pointer_mut(pointer).expect("there")[key] = value;
        assert_eq!(problems(&schema.check_manifest(&manifest)), [(problem, at)], "{told}");
    }
}

#[test]
fn lists_and_status_are_taken_as_servers_take_them() {
    let schema = embedded();
    let mut dumped = deployment();
    dumped["status"] = json!({ "conditions": [{}] });
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [dumped, { "kind": "Pod" }] });
    let found = schema.check_manifest(&list);
    assert_eq!(problems(&found), [(Problem::MissingRequired, "items[1].apiVersion")]);
    assert_eq!(schema.check_manifest(&json!([])).len(), 1);
}

#[test]
fn suggestions_name_what_was_meant() {
    let mut manifest = deployment();
    manifest["spec"]["template"]["spec"]["containers"][0]["imagePullpolicy"] = json!("Always");
    let found = embedded().check_manifest(&manifest);
    assert!(found[0].message.contains("did you mean \"imagePullPolicy\"?"), "{}", found[0]);
}

#[test]
fn field_paths_are_followed_to_their_shape() {
    let schema = embedded();
    let right = [
        ("deployment", "spec.template.spec.containers[].image", "string"),
        ("deploy", ".spec.template.spec.containers.image", "string"),
        ("pod", "spec.containers[0].resources.limits.memory", "quantity"),
        ("pod", "spec.containers[*].resources.limits['nvidia.com/gpu']", "quantity"),
        ("pod", r"metadata.annotations.linkerd\.io/inject", "string"),
        ("service", "spec.ports[?(@.name==\"a]b\")].targetPort", "integer or string"),
        ("node", "status.conditions", "list of NodeCondition"),
        ("crd", "spec.versions[].schema.openAPIV3Schema.properties.a.items.b", "any value"),
        ("pod", "", "Pod"),
    ];
    for (kind, path, shape) in right {
        let found = schema.check_field_path(kind, path).map(|it| it.describe());
        assert_eq!(found.as_deref(), Ok(shape), "{kind} {path}");
    }
    let wrong = [
        ("deployment", "spec.containers", Problem::UnknownField),
        ("deployment", "spec.replicas.count", Problem::WrongType),
        ("deployment", "spec[0]", Problem::WrongType),
        ("deployments", "spec..replicas", Problem::Syntax),
        ("deployment", "spec.", Problem::Syntax),
        ("deployment", "spec.template[", Problem::Syntax),
        ("deployment", "spec]", Problem::Syntax),
        ("deplyment", "spec", Problem::UnknownKind),
    ];
    for (kind, path, problem) in wrong {
        let found = schema.check_field_path(kind, path).map_err(|it| it.problem);
        assert_eq!(found, Err(problem), "{kind} {path}");
    }
}

#[test]
fn scalars_have_the_forms_of_go() {
    for text in ["0", "1", "-1.5", "250m", "1Gi", ".5", "1.", "1e3", "1E-2", "2E"] {
        assert!(manifest::is_quantity(text), "{text}");
    }
    for text in ["", "m", "1 Gi", "1gb", "1.2.3", "1GiB", "e3", "1e", "--1", "0x1"] {
        assert!(!manifest::is_quantity(text), "{text}");
    }
}
