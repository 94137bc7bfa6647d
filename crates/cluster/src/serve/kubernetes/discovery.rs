//! What can be asked for, in the documents that clients look at first. The aggregated form that newer clients
//! ask for is not given; they take this one instead.

use super::resource::{KINDS, Kind};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The document of a path, if it is one of discovery.
pub(super) fn document(path: &[&str]) -> Option<Value> {
    match path {
        [] => Some(root()),
        ["version"] => Some(version()),
        ["api"] => Some(json!({
            "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [],
        })),
        ["apis"] => Some(json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups().into_iter().map(|(name, at)| group(name, at)).collect::<Vec<_>>(),
        })),
        ["api", version] => resources("", version),
        ["apis", name] => {
            let found = groups().into_iter().find(|(it, _)| it == name)?;
            let mut group = group(found.0, found.1);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            Some(group)
        }
        ["apis", group, version] if !group.is_empty() => resources(group, version),
        _ => None,
    }
}

/// The groups but the core, each with its one version.
pub(super) fn groups() -> BTreeSet<(&'static str, &'static str)> {
    KINDS.iter().filter(|it| !it.group.is_empty()).map(|it| (it.group, it.version)).collect()
}

fn root() -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for (group, version) in groups() {
        paths.extend([format!("/apis/{group}"), format!("/apis/{group}/{version}")]);
    }
    paths.extend(
        ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            .map(String::from),
    );
    json!({"paths": paths})
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.0+srek-lab", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
    })
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resources(group: &str, version: &str) -> Option<Value> {
    let own = KINDS.iter().filter(|it| it.group == group && it.version == version);
    let mut rows: Vec<Value> = own.map(row).collect();
    let api_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    if rows.is_empty() {
        return None;
    }
    if group.is_empty() {
        rows.push(json!({
            "name": "pods/log", "singularName": "", "namespaced": true, "kind": "Pod", "verbs": ["get"],
        }));
    }
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": rows,
    }))
}

fn row(kind: &Kind) -> Value {
    let mut row = json!({
        "name": kind.plural, "singularName": kind.kind.to_ascii_lowercase(),
        "namespaced": kind.namespaced, "kind": kind.kind, "verbs": ["get", "list", "watch"],
    });
    if !kind.short.is_empty() {
        row["shortNames"] = json!(kind.short);
    }
    if kind.of_all {
        row["categories"] = json!(["all"]);
    }
    row
}
