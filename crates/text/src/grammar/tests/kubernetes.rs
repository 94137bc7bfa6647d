//! Schemas of Kubernetes kinds, out of its own API description.

use super::{
    Constraint, Grammar, Vocabulary, check_instances, check_valid, check_walks, grammar,
    vocabulary, walk,
};
use crate::random::Numbers;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

const KINDS: [&str; 6] = [
    "io.k8s.api.apps.v1.Deployment",
    "io.k8s.api.core.v1.Service",
    "io.k8s.api.core.v1.ConfigMap",
    "io.k8s.api.networking.v1.NetworkPolicy",
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    "io.k8s.api.batch.v1.CronJob",
];

/// The schema of a kind that stands alone: references lead into its own `$defs`, and what OpenAPI
/// says by format is said by schema.
fn standalone(api: &Value, kind: &str) -> Value {
    let mut defs = serde_json::Map::new();
    let mut wanted = vec![kind.to_owned()];
    while let Some(name) = wanted.pop() {
        if !defs.contains_key(&name) {
            let resolved = resolve(&api["definitions"][&name], &mut wanted);
            defs.insert(name, resolved);
        }
    }
    json!({ "$ref": format!("#/$defs/{kind}"), "$defs": defs })
}

fn resolve(schema: &Value, wanted: &mut Vec<String>) -> Value {
    match schema {
        Value::Object(map) => match (map.get("format").and_then(Value::as_str), map.get("type")) {
            (Some("int-or-string"), _) => json!({ "type": ["integer", "string"] }),
            (Some("byte"), _) => json!({ "type": "string", "pattern": "^[A-Za-z0-9+/]*={0,2}$" }),
            _ => {
                map.iter().map(|(key, value)| (key.clone(), keyword(key, value, wanted))).collect()
            }
        },
        other => other.clone(),
    }
}

fn keyword(key: &str, value: &Value, wanted: &mut Vec<String>) -> Value {
    match value {
        Value::String(target) if key == "$ref" => {
            let name = target.trim_start_matches("#/definitions/");
            wanted.push(name.to_owned());
            format!("#/$defs/{name}").into()
        }
        Value::Array(list) => list.iter().map(|item| resolve(item, wanted)).collect(),
        Value::Object(map) if key == "properties" => {
            map.iter().map(|(name, schema)| (name.clone(), resolve(schema, wanted))).collect()
        }
        other => resolve(other, wanted),
    }
}

/// What instances are made of: every reference replaced by what it leads to, and below so many of them
/// only what is required. Texts of a certain form are one of that form.
fn unrolled(schema: &Value, defs: &Value, depth: usize) -> Value {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return unrolled(
            &defs[target.trim_start_matches("#/$defs/")],
            defs,
            depth.saturating_sub(1),
        );
    }
    let kind =
        if schema["type"].is_array() { "integer" } else { schema["type"].as_str().unwrap_or("") };
    match (kind, schema.get("format").and_then(Value::as_str)) {
        ("string", Some(_)) => json!({ "const": "2026-01-02T03:04:05Z" }),
        ("string", None) if schema.get("pattern").is_some() => json!({ "const": "aGk=" }),
        ("array", _) if depth == 0 => json!({ "const": [] }),
        ("array", _) => json!({ "type": kind, "items": unrolled(&schema["items"], defs, depth) }),
        ("object", _) => unrolled_object(schema, defs, depth),
        _ => json!({ "type": kind }),
    }
}

fn unrolled_object(schema: &Value, defs: &Value, depth: usize) -> Value {
    let required = schema.get("required").cloned().unwrap_or_else(|| json!([]));
    let is_required = |name: &String| required.as_array().unwrap().iter().any(|it| it == name);
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let properties: serde_json::Map<_, _> = own
        .filter(|(name, _)| depth > 0 || is_required(name))
        .map(|(name, schema)| (name.clone(), unrolled(schema, defs, depth)))
        .collect();
    let mut object = json!({ "type": "object", "properties": properties, "required": required });
    if let Some(free) = schema.get("additionalProperties").filter(|it| it.is_object()) {
        object["additionalProperties"] = unrolled(free, defs, depth);
    }
    object
}

/// The API description; `None`, and said so, where it is not there.
pub(super) fn api() -> Option<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/kubernetes");
    let Ok(entries) = std::fs::read_dir(&root) else {
        crate::skip::skip(&format!("no {}", root.display()));
        return None;
    };
    let file = entries.map(|entry| entry.unwrap().path());
    let file = file.filter(|path| path.extension().is_some_and(|end| end == "json")).min().unwrap();
    Some(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
}

/// The schema of deployments and a real one.
pub(super) fn deployment(api: &Value) -> (Value, Value) {
    let object = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "labels": { "app": "checkout" }, "name": "checkout" },
        "spec": { "replicas": 3, "selector": { "matchLabels": { "app": "checkout" } },
            "template": { "spec": { "containers": [{ "image": "shop/checkout:7", "name": "main",
                "ports": [{ "containerPort": 8080 }] }] } } } });
    (standalone(api, KINDS[0]), object)
}

#[test]
fn kinds_of_kubernetes_give_valid_objects() {
    let Some(api) = api() else { return };
    let (_, vocabulary) = vocabulary();
    for kind in KINDS {
        check_kind(&api, kind, &vocabulary);
    }
    let (schema, deployment) = deployment(&api);
    let grammar = grammar(&schema, &vocabulary);
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let start = Constraint::new(&grammar).unwrap();
    assert!(start.forced().len() + start.closing().len() <= 2, "every member is optional");
    for seed in 0..10 {
        let (text, _) = walk(&grammar, &mut Numbers::named(&[seed]), 250);
        check_valid(&schema, &validator, &text);
    }
    assert!(validator.is_valid(&deployment));
    let ids = vocabulary.tokens(deployment.to_string().as_bytes());
    super::possible(&grammar, &ids).unwrap();
}

fn check_kind(api: &Value, kind: &str, vocabulary: &Arc<Vocabulary>) {
    let schema = standalone(api, kind);
    let numbers = &mut Numbers::named(&[kind.len() as u64]);
    check_walks(&schema, vocabulary, numbers);
    let shape = unrolled(&schema, &schema["$defs"], 4);
    check_instances((&schema, &shape), vocabulary, numbers);
}

/// Every definition that is a kind.
#[test]
#[ignore = "compiles the schemas of all kinds of Kubernetes"]
fn all_kinds_of_kubernetes_give_valid_objects() {
    let Some(api) = api() else { return };
    let (_, vocabulary) = vocabulary();
    let definitions = api["definitions"].as_object().unwrap();
    let kinds =
        definitions.iter().filter(|(_, it)| it.get("x-kubernetes-group-version-kind").is_some());
    let mut refused = Vec::new();
    let mut count = 0;
    for (kind, _) in kinds {
        match Grammar::json(&standalone(&api, kind), &vocabulary) {
            Ok(_) => check_kind(&api, kind, &vocabulary),
            Err(error) => refused.push(format!("{kind}: {error}")),
        }
        count += 1;
    }
    println!("{count} kinds, {} refused", refused.len());
    assert!(count > 100 && refused.is_empty(), "{refused:#?}");
}
