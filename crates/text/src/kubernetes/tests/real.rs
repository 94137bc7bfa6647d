//! What the judge says about material that others wrote: it must be right about every piece.

use super::*;
use std::collections::BTreeMap;
use std::path::Path;

/// All files below with this ending, in hidden folders, too.
fn below(directory: &Path, ending: &str, into: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        match path.is_dir() {
            true => below(&path, ending, into),
            false if path.extension().is_some_and(|it| it == ending) => into.push(path),
            false => {}
        }
    }
}

#[test]
fn the_manifests_of_the_policies_are_judged_right() {
    let (Some(directory), Some(schema)) = (shared("kyverno-policies"), published()) else { return };
    let mut paths = Vec::new();
    below(&directory, "yaml", &mut paths);
    let (mut judged, mut clean) = (0, 0);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("text");
        let documents: Vec<serde_json::Value> =
            serde_saphyr::from_multiple(&text).expect("the policies are YAML");
        for document in documents.iter().filter(|it| it["kind"].is_string()) {
            let group = document["apiVersion"].as_str().unwrap_or_default();
            if group.contains("kyverno.io") {
                continue;
            }
            judged += 1;
            let findings = schema.check_manifest(document);
            clean += usize::from(findings.is_empty());
            for finding in findings {
                let short = path.strip_prefix(&directory).expect("below").display();
                let name = &document["metadata"]["name"];
                found.entry(finding.to_string()).or_default().push(format!("{short} {name}"));
            }
        }
    }
    // Looked at one by one: versions of the API that are gone, and a field of containers that a
    // pod's own security context does not have.
    let rejected: Vec<(&str, usize)> =
        found.iter().map(|(finding, places)| (finding.as_str(), places.len())).collect();
    let field = "unknown field: spec.securityContext.allowPrivilegeEscalation: PodSecurityContext \
                 has no field \"allowPrivilegeEscalation\"";
    let gone = |version: &str, kind: &str, group: &str| {
        format!("unknown kind: kind: {group}/{version} has no kind {kind:?}, {group}/v1 has it")
    };
    let flow = "flowcontrol.apiserver.k8s.io";
    let expected = [
        (field, 3),
        (&*gone("v1beta1", "CronJob", "batch"), 3),
        (&*gone("v1beta2", "FlowSchema", flow), 3),
        (&*gone("v1beta3", "FlowSchema", flow), 2),
    ];
    assert_eq!(rejected, expected);
    assert_eq!((judged, clean), (3009, 2998));
}

/// The commands of a runbook: those in listings that begin with kubectl.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut listed = false;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("```") {
            listed = !listed;
            continue;
        }
        let line = line.trim();
        let bare = line.strip_prefix("$ ").unwrap_or(line);
        if !listed || !bare.starts_with("kubectl ") {
            continue;
        }
        let mut command = bare.to_owned();
        while command.ends_with('\\') {
            let Some(next) = lines.next() else { break };
            command = format!("{command}\n{next}");
        }
        found.push(command);
    }
    found
}

#[test]
fn the_commands_of_the_runbooks_are_judged_right() {
    let (Some(directory), Some(schema)) = (shared("runbooks"), published()) else { return };
    let mut paths = Vec::new();
    below(&directory, "md", &mut paths);
    let (mut judged, mut clean, mut rejected) = (0, 0, Vec::new());
    for path in paths {
        for command in commands(&std::fs::read_to_string(&path).expect("text")) {
            judged += 1;
            let findings = schema.check_command(&command, Form::Written);
            clean += usize::from(findings.is_empty());
            rejected.extend(findings.iter().map(ToString::to_string));
        }
    }
    // Looked at one by one: a command of another tool, a selector beside a name, and twice a
    // command that does not say what it runs.
    rejected.sort();
    let expected = [
        "missing required: COMMAND: what is to be run stands behind --",
        "missing required: COMMAND: what is to be run stands behind --",
        "syntax: etcd: logs are chosen by name or by selector, not by both",
        "unknown verb: rsh: kubectl has no command \"rsh\"",
    ];
    assert_eq!(rejected, expected);
    assert_eq!((judged, clean), (36, 32));
}
