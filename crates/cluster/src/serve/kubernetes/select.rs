//! Label and field selectors.

use super::resource::Kind;
use super::status::Status;
use crate::serve::request::Params;
use serde_json::Value;

/// Most bytes of a selector, and most requirements in it.
const MOST_BYTES: usize = 16 << 10;
const MOST_REQUIREMENTS: usize = 256;

/// What has to hold of an object.
#[derive(Debug, Default)]
pub(super) struct Selection {
    labels: Vec<Requirement>,
    /// Names of fields, values, and whether they have to be equal.
    fields: Vec<(String, String, bool)>,
}

/// What has to hold of a label.
#[derive(Debug)]
struct Requirement {
    key: String,
    /// One of these; without any, the label only has to be there.
    values: Option<Vec<String>>,
    /// The contrary of that.
    negated: bool,
}

impl Selection {
    /// What the parameters ask for.
    pub(super) fn read(kind: &Kind, params: &Params) -> Result<Self, Status> {
        let mut selection = Self::default();
        if let Some(text) = params.get("labelSelector") {
            selection.labels = labels(text).map_err(|problem| {
                Status::bad(format!("unable to parse requirement of labelSelector: {problem}"))
            })?;
        }
        if let Some(text) = params.get("fieldSelector") {
            check_size(text).map_err(Status::bad)?;
            for part in text.split(',').filter(|part| !part.is_empty()) {
                selection.fields.push(field(kind, part)?);
            }
        }
        Ok(selection)
    }

    /// Whether an object is selected.
    pub(super) fn takes(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|it| it.holds(labels[&it.key].as_str()))
            && self.fields.iter().all(|(name, value, equal)| {
                let found = name.split('.').fold(object, |at, part| &at[part]);
                (found.as_str().unwrap_or_default() == value) == *equal
            })
    }
}

impl Requirement {
    fn holds(&self, label: Option<&str>) -> bool {
        let met = match (&self.values, label) {
            (None, label) => label.is_some(),
            (Some(values), Some(label)) => values.iter().any(|it| it == label),
            (Some(_), None) => false,
        };
        met != self.negated
    }
}

fn check_size(text: &str) -> Result<(), String> {
    if text.len() > MOST_BYTES || text.matches(',').count() >= MOST_REQUIREMENTS {
        return Err("the selector is too long".to_owned());
    }
    Ok(())
}

/// `a=b,c!=d,e in (f,g),h notin (i),j,!k`
fn labels(text: &str) -> Result<Vec<Requirement>, String> {
    check_size(text)?;
    let mut parts = Vec::new();
    let (mut from, mut inside) = (0, false);
    for (at, character) in text.char_indices() {
        match character {
            '(' => inside = true,
            ')' => inside = false,
            ',' if !inside => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts.into_iter().map(requirement).collect()
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let text = text.trim();
    let list = |rest: &str| {
        let inner = rest.trim().strip_prefix('(').and_then(|it| it.strip_suffix(')'));
        let inner = inner.ok_or_else(|| format!("expected values in parentheses: {text:?}"))?;
        Ok::<_, String>(Some(inner.split(',').map(|it| it.trim().to_owned()).collect()))
    };
    let (key, values, negated) = if let Some((key, rest)) = text.split_once(" notin ") {
        (key, list(rest)?, true)
    } else if let Some((key, rest)) = text.split_once(" in ") {
        (key, list(rest)?, false)
    } else if let Some((key, value)) = text.split_once("!=") {
        (key, Some(vec![value.trim().to_owned()]), true)
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (key, Some(vec![value.trim().to_owned()]), false)
    } else if let Some(key) = text.strip_prefix('!') {
        (key, None, true)
    } else {
        (text, None, false)
    };
    let key = key.trim();
    let fits = |it: char| it.is_ascii_alphanumeric() || "-_./".contains(it);
    if key.is_empty() || !key.chars().all(fits) {
        return Err(format!("invalid label key {key:?}"));
    }
    let value = |it: &String| it.chars().all(|it| it.is_ascii_alphanumeric() || "-_.".contains(it));
    if let Some(bad) = values.iter().flatten().find(|it| !value(it)) {
        return Err(format!("invalid label value {bad:?}"));
    }
    Ok(Requirement { key: key.to_owned(), values, negated })
}

fn field(kind: &Kind, text: &str) -> Result<(String, String, bool), Status> {
    let (name, value, equal) = if let Some((name, value)) = text.split_once("!=") {
        (name, value, false)
    } else if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (name, value, true)
    } else {
        return Err(Status::bad(format!("invalid selector: {text:?}; can't understand it")));
    };
    if !is_field(kind, name) {
        return Err(Status::bad(format!("field label not supported: {name}")));
    }
    // A backslash keeps what would end the value.
    Ok((name.to_owned(), value.replace('\\', ""), equal))
}

/// Whether objects of a kind can be selected by a field, as the real server has it.
fn is_field(kind: &Kind, name: &str) -> bool {
    let own: &[&str] = match (kind.group, kind.plural) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "reason",
            "reportingController",
            "type",
        ],
        ("", "nodes") => &["spec.unschedulable"],
        ("apps", "replicasets") => &["status.replicas"],
        ("", "namespaces") => &["status.phase"],
        _ => &[],
    };
    ["metadata.name", "metadata.namespace"].contains(&name) || own.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::super::resource::KINDS;
    use super::*;
    use serde_json::json;

    fn selects(text: &str) -> Result<bool, Status> {
        let mut params = Params::default();
        params.add(text);
        let object = json!({
            "metadata": {"name": "a", "labels": {"app": "cart", "tier": "web"}},
            "status": {"phase": "Running"},
        });
        let pods = KINDS.iter().find(|it| it.plural == "pods").unwrap();
        Ok(Selection::read(pods, &params)?.takes(&object))
    }

    #[test]
    fn selectors_take_what_they_say() {
        let table = [
            ("labelSelector=app%3Dcart", true),
            ("labelSelector=app%3D%3Dcart,tier!%3Dweb", false),
            ("labelSelector=app+in+(a,cart),tier+notin+(db)", true),
            ("labelSelector=app,!gone", true),
            ("labelSelector=gone!%3Dx", true),
            ("labelSelector=gone+in+(x)", false),
            ("fieldSelector=metadata.name%3Da,status.phase!%3DFailed", true),
            ("fieldSelector=metadata.name%3Db", false),
            ("", true),
        ];
        for (text, expected) in table {
            assert_eq!(selects(text).unwrap(), expected, "{text}");
        }
        let long = format!("labelSelector={}", "a,".repeat(10_000));
        for bad in [
            "labelSelector=app+in+cart",
            "labelSelector=a%20b%3Dc",
            "labelSelector=,",
            "labelSelector=a%3Db%3Dc",
            "fieldSelector=spec.containers%3Dx",
            "fieldSelector=status.phase",
            &long,
        ] {
            assert!(selects(bad).is_err(), "{bad}");
        }
    }
}
