//! Manifests against the schema.

use super::finding::{Finding, Problem, suggestion};
use super::path::unknown_field;
use super::schema::{Field, Schema, Shape, short};
use serde_json::{Map, Value};

/// How much of an object has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// A whole object: required fields must be there.
    Whole,
    /// A part of an object: nothing must be there.
    Partial,
    /// A merge patch: objects are merged, lists are replaced.
    Merge,
    /// A strategic patch: objects are merged, and lists with a merge key, too.
    Strategic,
}

impl Schema {
    /// Everything that is wrong with a manifest: unknown kinds and fields, values of a wrong type,
    /// required fields that are missing. The `status` is checked without required fields, because
    /// servers drop it. A list (`kind: List`, `PodList`) is checked item by item.
    pub fn check_manifest(&self, manifest: &Value) -> Vec<Finding> {
        let mut walk = Walk { schema: self, findings: Vec::new() };
        walk.manifest(manifest, "");
        walk.findings
    }

    /// What is wrong with a value of this shape.
    pub(super) fn check_value(&self, value: &Value, shape: &Shape, extent: Extent) -> Vec<Finding> {
        let mut walk = Walk { schema: self, findings: Vec::new() };
        walk.value(value, shape, "", extent);
        walk.findings
    }
}

struct Walk<'a> {
    schema: &'a Schema,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn note(&mut self, problem: Problem, at: &str, message: impl Into<String>) {
        self.findings.push(Finding::new(problem, at, message));
    }

    fn manifest(&mut self, manifest: &Value, at: &str) {
        let Some(object) = manifest.as_object() else {
            return self.note(Problem::WrongType, at, "a manifest is an object");
        };
        let (Some(api_version), Some(kind)) =
            (self.text(object, "apiVersion", at), self.text(object, "kind", at))
        else {
            return;
        };
        if let Some(found) = self.schema.kind(&api_version, &kind) {
            let shape = Shape::Type(found.type_name.clone());
            self.value(manifest, &shape, at, Extent::Whole);
            // Questions to the server have no name, nor have objects that the server names.
            if found.verbs.contains("get") {
                self.name(object, at);
            }
        } else if let Some(items) = self.list(&api_version, &kind, object) {
            for (index, item) in items.iter().enumerate() {
                self.manifest(item, &format!("{at}items[{index}]."));
            }
        } else {
            let message = self.unknown_kind(&api_version, &kind);
            self.note(Problem::UnknownKind, &format!("{at}kind"), message);
        }
    }

    /// The items of a list of known kinds.
    fn list<'a>(
        &self,
        api_version: &str,
        kind: &str,
        object: &'a Map<String, Value>,
    ) -> Option<&'a Vec<Value>> {
        let of = kind.strip_suffix("List")?;
        let known = match of {
            "" => api_version == "v1",
            of => self.schema.kind(api_version, of).is_some(),
        };
        object.get("items").and_then(Value::as_array).filter(|_| known)
    }

    fn unknown_kind(&self, api_version: &str, kind: &str) -> String {
        match self.schema.preferred(kind) {
            Some(other) => {
                format!("{api_version} has no kind {kind:?}, {} has it", other.api_version())
            }
            None => {
                let guess = suggestion(kind, self.schema.kinds().iter().map(|it| it.kind.as_str()));
                format!("{api_version} has no kind {kind:?}{guess}")
            }
        }
    }

    /// A text that every manifest has.
    fn text(&mut self, object: &Map<String, Value>, key: &str, at: &str) -> Option<String> {
        match object.get(key) {
            Some(Value::String(text)) => return Some(text.clone()),
            None | Some(Value::Null) => {
                self.note(Problem::MissingRequired, &format!("{at}{key}"), "every manifest has it");
            }
            Some(_) => self.note(Problem::WrongType, &format!("{at}{key}"), "expected a string"),
        }
        None
    }

    fn name(&mut self, object: &Map<String, Value>, at: &str) {
        let named = |key: &str| {
            let name = object.get("metadata").and_then(|it| it.get(key));
            name.is_some_and(|name| name.as_str().is_none_or(|name| !name.is_empty()))
        };
        if !named("name") && !named("generateName") {
            let message = "an object has a name, or a generateName";
            self.note(Problem::MissingRequired, &format!("{at}metadata.name"), message);
        }
    }

    fn value(&mut self, value: &Value, shape: &Shape, at: &str, extent: Extent) {
        // Nothing is the same as not there.
        if value.is_null() {
            return;
        }
        match (shape, value) {
            (Shape::Type(name), Value::Object(object)) => self.object(object, name, at, extent),
            (Shape::Map(of), Value::Object(object)) => {
                for (key, value) in object {
                    self.value(value, of, &joined(at, key), extent);
                }
            }
            (Shape::List(of), Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, of, &format!("{at}[{index}]"), extent);
                }
            }
            _ if fits(value, shape) => {}
            _ => {
                let message = format!(
                    "expected a value of type {}, found {}",
                    shape.describe(),
                    named(value)
                );
                self.note(Problem::WrongType, at, message);
            }
        }
    }

    fn object(&mut self, object: &Map<String, Value>, name: &str, at: &str, extent: Extent) {
        let Some(found) = self.schema.type_named(name) else { return };
        for (key, value) in object {
            if extent == Extent::Strategic && key.starts_with('$') {
                continue;
            }
            let at = joined(at, key);
            match found.fields.get(key) {
                Some(field) => self.field(value, field, &at, extent),
                None => self.findings.push(unknown_field(name, found, key, &at)),
            }
        }
        if extent != Extent::Whole {
            return;
        }
        let missing = |key: &String| object.get(key).is_none_or(Value::is_null);
        for (key, _) in found.fields.iter().filter(|(key, field)| field.required && missing(key)) {
            let message = format!("{} must have it", short(name));
            self.note(Problem::MissingRequired, &joined(at, key), message);
        }
    }

    fn field(&mut self, value: &Value, field: &Field, at: &str, extent: Extent) {
        if let (false, Some(text)) = (field.values.is_empty(), value.as_str())
            && !field.values.iter().any(|it| it == text)
        {
            let message = format!("expected one of {}, found {text:?}", field.values.join(", "));
            return self.note(Problem::WrongType, at, message);
        }
        let extent = match (&field.shape, extent) {
            (_, Extent::Whole) if at == "status" || at.ends_with("].status") => Extent::Partial,
            (Shape::List(_), Extent::Strategic) if field.merge_key.is_some() => {
                self.merge_keys(value, field, at);
                extent
            }
            // Such a list is replaced as a whole.
            (Shape::List(_), Extent::Merge | Extent::Strategic) => Extent::Whole,
            _ => extent,
        };
        self.value(value, &field.shape, at, extent);
    }

    /// Every element of a merged list says which one it is.
    fn merge_keys(&mut self, value: &Value, field: &Field, at: &str) {
        let Some(key) = &field.merge_key else { return };
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            let known = item.get(key).is_some() || item.get("$patch").is_some();
            if item.is_object() && !known && item.get("$setElementOrder").is_none() {
                let at = format!("{at}[{index}].{key}");
                let message = "a strategic patch finds the element of the list by it";
                self.note(Problem::MissingRequired, &at, message);
            }
        }
    }
}

fn joined(at: &str, key: &str) -> String {
    match at {
        "" => key.to_owned(),
        at if at.ends_with('.') => format!("{at}{key}"),
        at => format!("{at}.{key}"),
    }
}

fn fits(value: &Value, shape: &Shape) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Boolean => value.is_boolean(),
        Shape::Integer(32) => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        Shape::Integer(_) => value.as_i64().is_some(),
        Shape::Number => value.is_number(),
        Shape::String => value.is_string(),
        Shape::Bytes => value.as_str().is_some_and(is_base64),
        Shape::Time => value.as_str().is_some_and(is_time),
        Shape::Quantity => value.is_number() || value.as_str().is_some_and(is_quantity),
        Shape::IntOrString => value.is_string() || value.as_i64().is_some(),
        Shape::Object => value.is_object(),
        Shape::List(_) | Shape::Map(_) | Shape::Type(_) => false,
    }
}

fn named(value: &Value) -> String {
    const SHOWN: usize = 40;
    let text = value.to_string();
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(_) if text.chars().count() > SHOWN => "a string".to_owned(),
        _ => text,
    }
}

/// An amount: a decimal number with a sign, followed by a suffix or an exponent.
pub(super) fn is_quantity(text: &str) -> bool {
    const SUFFIXES: [&str; 16] =
        ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = digits.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    let exponent = || {
        let power = suffix.strip_prefix(['e', 'E'])?;
        Some(power.parse::<i32>().is_ok())
    };
    number.bytes().any(|it| it.is_ascii_digit())
        && number.matches('.').count() <= 1
        && (SUFFIXES.contains(&suffix) || exponent() == Some(true))
}

/// Base64 with padding, as Go decodes it: line breaks are passed over.
fn is_base64(text: &str) -> bool {
    let text: Vec<u8> = text.bytes().filter(|it| !matches!(it, b'\n' | b'\r')).collect();
    let data = text.iter().rev().skip_while(|&&it| it == b'=').count();
    text.len().is_multiple_of(4)
        && text.len() - data <= 2
        && text[..data].iter().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/'))
}

/// The form of RFC 3339: `2026-01-31T12:00:00Z`, with a fraction or another offset if need be.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| {
        bytes.get(from..to).is_some_and(|it| it.iter().all(u8::is_ascii_digit))
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let parts = [(0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19)];
    if !parts.iter().all(|&(from, to)| digits(from, to))
        || !marks.iter().all(|&(at, mark)| bytes[at] == mark)
    {
        return false;
    }
    let rest = text[19..].strip_prefix('.').map_or(&text[19..], |fraction| {
        fraction.trim_start_matches(|it: char| it.is_ascii_digit())
    });
    let offset = |sign: char| {
        rest.strip_prefix(sign).is_some_and(|it| it.len() == 5 && it.as_bytes()[2] == b':')
    };
    rest == "Z" || offset('+') || offset('-')
}
