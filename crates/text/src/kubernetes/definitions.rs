//! From the definitions of an OpenAPI or JSON schema document to types.

use super::names;
use super::schema::{Field, Shape, Type, short};
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Objects may be described this deep inside of each other without a name of their own.
const DEPTH_LIMIT: usize = 64;

/// The definitions of a document, being read.
pub(super) struct Definitions<'a> {
    definitions: &'a Map<String, Value>,
    from: &'a str,
    types: BTreeMap<String, Type>,
}

impl<'a> Definitions<'a> {
    /// `from` names the document in errors.
    pub(super) fn new(definitions: &'a Map<String, Value>, from: &'a str) -> Self {
        Self { definitions, from, types: BTreeMap::new() }
    }

    /// All objects with fields, by name. Objects that are described in place get the name of
    /// where they stand.
    pub(super) fn types(mut self) -> Result<BTreeMap<String, Type>> {
        for (name, definition) in self.definitions {
            if has_fields(definition) {
                let read = self.object(name, definition, 0)?;
                self.types.insert(name.clone(), read);
            }
        }
        Ok(self.types)
    }

    fn wrong(&self, at: &str, problem: &str) -> Error {
        Error::Kubernetes {
            from: self.from.to_owned(),
            problem: format!("definition {at}: {problem}"),
        }
    }

    fn object(&mut self, name: &str, definition: &Value, depth: usize) -> Result<Type> {
        if depth > DEPTH_LIMIT {
            return Err(self.wrong(name, "objects stand more than 64 deep in each other"));
        }
        let required: Vec<&str> = definition["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut fields = BTreeMap::new();
        for (field, property) in definition["properties"].as_object().into_iter().flatten() {
            let shape = self.shape(&format!("{name}.{field}"), property, depth)?;
            let description = text(property, "description");
            let mut values = strings(&property["enum"]);
            if values.is_empty() {
                values = names::values(short(name), field);
            }
            let read = Field {
                merge_key: merge_key(property, &shape),
                required: required.contains(&field.as_str()),
                description,
                shape,
                values,
            };
            fields.insert(field.clone(), read);
        }
        Ok(Type { description: text(definition, "description"), fields })
    }

    fn shape(&mut self, at: &str, property: &Value, depth: usize) -> Result<Shape> {
        if depth > DEPTH_LIMIT {
            return Err(self.wrong(at, "lists and maps stand more than 64 deep in each other"));
        }
        if let Some([only]) = property["allOf"].as_array().map(Vec::as_slice) {
            return self.shape(at, only, depth + 1);
        }
        if let Some(reference) = property["$ref"].as_str() {
            return self.referenced(at, reference);
        }
        if has_fields(property) {
            let inner = self.object(at, property, depth + 1)?;
            self.types.insert(at.to_owned(), inner);
            return Ok(Shape::Type(at.to_owned()));
        }
        let inside = |this: &mut Self, key: &str| -> Result<Box<Shape>> {
            Ok(Box::new(match &property[key] {
                inner if inner.is_object() => this.shape(at, inner, depth + 1)?,
                _ => Shape::Any,
            }))
        };
        match property["type"].as_str() {
            Some("array") => Ok(Shape::List(inside(self, "items")?)),
            Some("object") if property["additionalProperties"].is_object() => {
                Ok(Shape::Map(inside(self, "additionalProperties")?))
            }
            _ => Ok(scalar(property)),
        }
    }

    /// The shape behind a reference: a type, or what a definition without fields stands for.
    fn referenced(&self, at: &str, reference: &str) -> Result<Shape> {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        let Some(definition) = self.definitions.get(name) else {
            return Err(self.wrong(at, &format!("{reference:?} is not defined")));
        };
        Ok(match short(name) {
            "JSON" => Shape::Any,
            "Quantity" => Shape::Quantity,
            "IntOrString" => Shape::IntOrString,
            _ if has_fields(definition) => Shape::Type(name.to_owned()),
            _ => scalar(definition),
        })
    }
}

fn has_fields(definition: &Value) -> bool {
    definition["properties"].as_object().is_some_and(|fields| !fields.is_empty())
        && definition["x-kubernetes-preserve-unknown-fields"] != true
}

/// The shape of a value without fields, items or keys.
fn scalar(property: &Value) -> Shape {
    if property["x-kubernetes-int-or-string"] == true {
        return Shape::IntOrString;
    }
    match (property["type"].as_str(), property["format"].as_str()) {
        (Some("boolean"), _) => Shape::Boolean,
        (Some("integer"), Some("int32")) => Shape::Integer(32),
        (Some("integer"), _) => Shape::Integer(64),
        (Some("number"), _) => Shape::Number,
        (Some("string"), Some("byte")) => Shape::Bytes,
        (Some("string"), Some("date-time")) => Shape::Time,
        (Some("string"), Some("int-or-string")) => Shape::IntOrString,
        (Some("string"), _) => Shape::String,
        (Some("object"), _) => Shape::Object,
        _ => Shape::Any,
    }
}

/// The key by which a strategic patch merges a list, where it merges it.
fn merge_key(property: &Value, shape: &Shape) -> Option<String> {
    let declared = property["x-kubernetes-patch-merge-key"].as_str();
    let silent = property["x-kubernetes-list-type"].is_null();
    match (declared, shape) {
        (Some(key), _) => Some(key.to_owned()),
        (None, Shape::List(of)) if silent => {
            of.type_name().and_then(|of| names::merge_key(short(of)))
        }
        _ => None,
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
