//! Short texts that a schema holds, for closing paths.
//!
//! For every schema within the schema, the shortest text that fits it, as far as that can be read
//! off the schema. References go around in circles, so the texts are found in rounds, like shortest
//! paths: a round uses what the rounds before found, until nothing becomes shorter. Where keywords
//! interact, a text may not fit after all; whoever uses it asks the parser.

use super::closing::by_length;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Longest text that is kept.
const MOST_BYTES: usize = 1 << 15;
/// Bytes of a text that cost as much effort as one schema.
const BYTES_PER_EFFORT: usize = 64;
/// Most rounds; schemas that refer to each other in longer chains keep longer texts, or none.
const MOST_ROUNDS: usize = 32;
/// Deepest nesting that is followed.
const MOST_DEPTH: usize = 64;
/// Schemas that are looked at and texts that are put together for them, all rounds together.
const EFFORT: usize = 1_000_000;
/// Most names and most values that a search tries, and most bytes of either.
const MOST_FRAGMENTS: usize = 4096;
const MOST_FRAGMENT_BYTES: usize = 1 << 22;

/// The shortest texts of a schema.
#[derive(Clone, Debug, Default)]
pub(super) struct Fragments {
    /// Values, the shorter first.
    pub(super) values: Vec<Vec<u8>>,
    /// Required names, in quotes, in the order of their bytes.
    pub(super) names: Vec<Vec<u8>>,
}

impl Fragments {
    /// Those of `schema`; `scalar` gives the shortest text of a string or number schema.
    pub(super) fn of(schema: &Value, scalar: &dyn Fn(&Value) -> Option<Vec<u8>>) -> Self {
        let mut shortest = Shortest {
            root: schema,
            scalar,
            references: BTreeMap::new(),
            scalars: BTreeMap::new(),
            depth: 0,
            effort: EFFORT,
        };
        let mut nodes = Vec::new();
        collect(schema, &mut nodes);
        for _ in 0..MOST_ROUNDS {
            let before = shortest.references.clone();
            for node in &nodes {
                shortest.of(node);
                if let Some(Value::String(reference)) = node.get("$ref") {
                    shortest.follow(reference);
                }
            }
            if shortest.references == before {
                break;
            }
        }
        let values: BTreeSet<Vec<u8>> =
            nodes.iter().filter_map(|node| shortest.of(node)).map(String::into_bytes).collect();
        let names =
            nodes.iter().flat_map(|node| required(node)).map(quoted).map(String::into_bytes);
        let mut names = fewest(by_length(names));
        names.sort();
        Self { values: fewest(by_length(values)), names }
    }
}

/// The first of these texts, as many as a search tries.
fn fewest(texts: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut bytes = 0;
    let fits = |text: &Vec<u8>| {
        bytes += text.len();
        bytes <= MOST_FRAGMENT_BYTES
    };
    texts.into_iter().take(MOST_FRAGMENTS).take_while(fits).collect()
}

/// All schemas within a schema, itself first.
fn collect<'a>(schema: &'a Value, nodes: &mut Vec<&'a Value>) {
    nodes.push(schema);
    let Value::Object(map) = schema else { return };
    for (key, value) in map {
        match (key.as_str(), value) {
            ("items" | "additionalProperties", one) => collect(one, nodes),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(list)) => {
                list.iter().for_each(|schema| collect(schema, nodes));
            }
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(map)) => {
                map.values().for_each(|schema| collect(schema, nodes));
            }
            _ => {}
        }
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(Value::as_str)
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

struct Shortest<'a> {
    root: &'a Value,
    scalar: &'a dyn Fn(&Value) -> Option<Vec<u8>>,
    /// What references lead to, as far as known.
    references: BTreeMap<String, Option<String>>,
    /// Texts of strings and numbers, by their schema.
    scalars: BTreeMap<String, Option<String>>,
    /// Schemas that are being looked at, one within the other: references beside other keywords are
    /// followed here.
    depth: usize,
    /// Schemas that may still be looked at.
    effort: usize,
}

impl Shortest<'_> {
    fn of(&mut self, schema: &Value) -> Option<String> {
        let Value::Object(map) = schema else {
            return (schema == &Value::Bool(true)).then(|| "0".to_owned());
        };
        if self.depth == MOST_DEPTH || self.effort == 0 {
            return None;
        }
        self.depth += 1;
        let text = self.of_map(map).filter(|text| text.len() <= MOST_BYTES);
        let bytes = text.as_ref().map_or(0, String::len);
        self.effort = self.effort.saturating_sub(1 + bytes / BYTES_PER_EFFORT);
        self.depth -= 1;
        text
    }

    fn of_map(&mut self, map: &Map<String, Value>) -> Option<String> {
        if let Some(value) = map.get("const") {
            return Some(value.to_string());
        }
        if let Some(Value::Array(values)) = map.get("enum") {
            return shorter(values.iter().map(Value::to_string));
        }
        if let Some(Value::String(reference)) = map.get("$ref") {
            if !narrows(map) {
                return self.references.get(reference).cloned().flatten();
            }
            let target = self.root.pointer(reference.trim_start_matches('#'))?;
            return self.merged(map, "$ref", std::slice::from_ref(target));
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            let Some(Value::Array(list)) = map.get(key) else { continue };
            if key == "allOf" {
                return self.merged(map, key, list);
            }
            let options: Vec<Option<String>> = list
                .iter()
                .map(|option| self.merged(map, key, std::slice::from_ref(option)))
                .collect();
            return shorter(options.into_iter().flatten());
        }
        let types: Vec<&str> = match map.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => vec!["number", "string"],
        };
        let texts: Vec<Option<String>> =
            types.into_iter().map(|name| self.of_type(name, map)).collect();
        shorter(texts.into_iter().flatten())
    }

    /// The schema with these ones in place of the keyword that names them: members and required
    /// names together, of other keywords the last.
    fn merged(&mut self, map: &Map<String, Value>, key: &str, list: &[Value]) -> Option<String> {
        let mut merged = map.clone();
        merged.shift_remove(key);
        if list.len() == 1 && !narrows(&merged) {
            return self.of(&list[0]);
        }
        for schema in list {
            merge(&mut merged, schema.as_object()?);
        }
        self.of_map(&merged)
    }

    /// Looks up what a reference leads to, with what is known of other references.
    fn follow(&mut self, reference: &str) {
        let pointer = reference.trim_start_matches('#');
        let root = self.root;
        let found = root.pointer(pointer).and_then(|target| self.of(target));
        let known = self.references.entry(reference.to_owned()).or_default();
        let better = match (&*known, &found) {
            (Some(known), Some(found)) => found.len() < known.len(),
            (None, found) => found.is_some(),
            (Some(_), None) => false,
        };
        if better {
            *known = found;
        }
    }

    fn of_type(&mut self, name: &str, map: &Map<String, Value>) -> Option<String> {
        match name {
            "null" => Some("null".to_owned()),
            "boolean" => Some("true".to_owned()),
            "array" => self.of_array(map),
            "object" => self.of_object(map),
            _ => self.of_scalar(name, map),
        }
    }

    fn of_array(&mut self, map: &Map<String, Value>) -> Option<String> {
        let least = map.get("minItems").and_then(Value::as_u64).unwrap_or(0) as usize;
        let first = map.get("prefixItems").and_then(Value::as_array).cloned().unwrap_or_default();
        let rest = map.get("items").cloned().unwrap_or(Value::Bool(true));
        if least > MOST_BYTES {
            return None;
        }
        let tail = if least > first.len() { self.of(&rest) } else { None };
        let mut items = Vec::with_capacity(least);
        for index in 0..least {
            items.push(match first.get(index) {
                Some(schema) => self.of(schema)?,
                None => tail.clone()?,
            });
        }
        Some(format!("[{}]", items.join(",")))
    }

    fn of_object(&mut self, map: &Map<String, Value>) -> Option<String> {
        let schema = Value::Object(map.clone());
        let needed: Vec<&str> = required(&schema).collect();
        let empty = Map::new();
        let properties = map.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let other = map.get("additionalProperties").unwrap_or(&Value::Bool(true));
        let named = properties.iter().map(|(name, schema)| (name.as_str(), schema));
        let named = named.filter(|(name, _)| needed.contains(name));
        let unnamed = needed.iter().filter(|name| !properties.contains_key(**name));
        let mut members = Vec::new();
        for (name, schema) in named.chain(unnamed.map(|name| (*name, other))) {
            members.push(format!("{}:{}", quoted(name), self.of(schema)?));
        }
        Some(format!("{{{}}}", members.join(",")))
    }

    fn of_scalar(&mut self, name: &str, map: &Map<String, Value>) -> Option<String> {
        let keywords = match name {
            "string" => &["minLength", "maxLength", "pattern", "format"][..],
            _ => &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
        };
        let mut leaf = Map::new();
        leaf.insert("type".to_owned(), name.into());
        let narrowing = map.iter().filter(|(key, _)| keywords.contains(&key.as_str()));
        leaf.extend(narrowing.map(|(key, value)| (key.clone(), value.clone())));
        if leaf.len() == 1 {
            return Some(if name == "string" { "\"\"" } else { "0" }.to_owned());
        }
        let leaf = Value::Object(leaf);
        let known = self.scalars.get(&leaf.to_string());
        if let Some(known) = known {
            return known.clone();
        }
        let found = (self.scalar)(&leaf).and_then(|text| String::from_utf8(text).ok());
        self.scalars.insert(leaf.to_string(), found.clone());
        found
    }
}

/// Whether a keyword beside a reference says more about what fits.
fn narrows(map: &Map<String, Value>) -> bool {
    const NOTES: [&str; 5] = ["$ref", "title", "description", "default", "$defs"];
    map.keys().any(|key| !NOTES.contains(&key.as_str()))
}

fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(map)), Value::Object(more)) => {
                map.extend(more.iter().map(|(name, schema)| (name.clone(), schema.clone())));
            }
            (Some(Value::Array(list)), Value::Array(more)) if key == "required" => {
                list.extend(more.iter().cloned());
            }
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The shortest, of equally short ones the first in the order of bytes.
fn shorter(texts: impl IntoIterator<Item = String>) -> Option<String> {
    texts.into_iter().min_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)))
}
