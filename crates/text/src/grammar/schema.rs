//! What a schema must be before it is compiled: known keywords with meanings that can be kept.
//!
//! The library behind skips what it does not know, as the standard has it, and where two drafts
//! differ it guesses. Here both are errors that name the place.

use super::position::MOST_NUMBER;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Deepest nesting of a schema.
const MOST_DEPTH: usize = 64;
/// Most schemas within a schema.
const MOST_NODES: usize = 20_000;
/// The largest integer up to which f64, in which bounds are compared, has every integer.
const MOST_EXACT: f64 = 9_007_199_254_740_991.0;
/// The draft whose meanings are kept.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Keywords that say nothing about what fits. `format` narrows strings only.
const NOTES: [&str; 8] = [
    "title",
    "description",
    "default",
    "examples",
    "$comment",
    "deprecated",
    "readOnly",
    "writeOnly",
];
/// Keywords whose value is a schema.
const ONE: [&str; 2] = ["items", "additionalProperties"];
/// Keywords whose value is a list of schemas.
const LISTS: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
/// Keywords whose value is a map of schemas.
const MAPS: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
/// Keywords whose value is a count.
const COUNTS: [&str; 6] =
    ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];
/// Keywords whose value is a number.
const BOUNDS: [&str; 5] =
    ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// Refuses a schema that could not be kept to the letter.
///
/// # Errors
/// [`Error::Schema`], at the first such place.
pub(super) fn check(schema: &Value) -> Result<()> {
    let mut walk = Walk { references: Vec::new(), places: BTreeSet::new() };
    walk.schema(schema, &Place { pointer: String::new(), depth: 0 })?;
    for (place, target) in &walk.references {
        if !walk.places.contains(target) {
            return Err(wrong(place, format!("$ref is \"#{target}\", where no schema stands")));
        }
    }
    Ok(())
}

/// Where the walk is.
struct Place {
    /// A JSON pointer.
    pointer: String,
    depth: usize,
}

impl Place {
    fn below(&self, key: &str) -> Place {
        let escaped = key.replace('~', "~0").replace('/', "~1");
        Place { pointer: format!("{}/{escaped}", self.pointer), depth: self.depth + 1 }
    }
}

struct Walk {
    /// Pointers of references and of what they name.
    references: Vec<(String, String)>,
    /// Pointers of all schemas.
    places: BTreeSet<String>,
}

impl Walk {
    fn schema(&mut self, schema: &Value, place: &Place) -> Result<()> {
        let pointer = &place.pointer;
        if place.depth > MOST_DEPTH {
            return Err(wrong(pointer, format!("nested deeper than {MOST_DEPTH}")));
        }
        self.places.insert(pointer.clone());
        if self.places.len() > MOST_NODES {
            return Err(wrong("", format!("more than {MOST_NODES} schemas")));
        }
        match schema {
            Value::Bool(_) => Ok(()),
            Value::Object(map) => {
                for (key, value) in map {
                    self.keyword(key, value, place)?;
                }
                check_counted_names(map, pointer)
            }
            _ => Err(wrong(pointer, "expected a schema: an object, true or false")),
        }
    }

    fn keyword(&mut self, key: &str, value: &Value, place: &Place) -> Result<()> {
        let at = place.below(key);
        let pointer = &at.pointer;
        match key {
            _ if NOTES.contains(&key) => Ok(()),
            "x-guidance" => Err(wrong(pointer, "would change how the schema is read")),
            _ if key.starts_with("x-") => Ok(()),
            "items" if value.is_array() => {
                Err(wrong(pointer, "is a list\nhint: the list of draft 2020-12 is prefixItems"))
            }
            _ if ONE.contains(&key) => self.schema(value, &at),
            _ if LISTS.contains(&key) => self.list(value, &at),
            _ if MAPS.contains(&key) => self.map(value, &at),
            _ if COUNTS.contains(&key) => check_that(value.is_u64(), pointer, "a count"),
            _ if BOUNDS.contains(&key) => check_bound(key, value, pointer),
            "$ref" => self.reference(value, place, pointer),
            "$schema" => check_that(is_draft(value), pointer, &format!("{DRAFT:?}")),
            "$id" => check_that(place.depth == 0, pointer, "at the root, or not at all"),
            "const" => check_value(value, pointer),
            "enum" => {
                let values = value.as_array().filter(|values| !values.is_empty());
                let values = values.ok_or_else(|| wrong(pointer, "expected a list of values"))?;
                values.iter().try_for_each(|value| check_value(value, pointer))
            }
            "type" => check_types(value, pointer),
            "required" => {
                let names =
                    value.as_array().is_some_and(|names| names.iter().all(Value::is_string));
                check_that(names, pointer, "a list of names")?;
                check_value(value, pointer)
            }
            "pattern" | "format" => check_that(value.is_string(), pointer, "a string"),
            "uniqueItems" if value == &Value::Bool(false) => Ok(()),
            _ => Err(wrong(pointer, format!("keyword {key:?} cannot be kept token by token"))),
        }
    }

    fn list(&mut self, value: &Value, place: &Place) -> Result<()> {
        let list = value.as_array().filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| wrong(&place.pointer, "expected a list of schemas"))?;
        for (index, schema) in list.iter().enumerate() {
            self.schema(schema, &place.below(&index.to_string()))?;
        }
        Ok(())
    }

    fn map(&mut self, value: &Value, place: &Place) -> Result<()> {
        let map = value.as_object();
        let map = map.ok_or_else(|| wrong(&place.pointer, "expected a map of schemas"))?;
        for (name, schema) in map {
            check_text(name, &place.pointer)?;
            self.schema(schema, &place.below(name))?;
        }
        Ok(())
    }

    fn reference(&mut self, value: &Value, place: &Place, pointer: &str) -> Result<()> {
        let expected = "\"#\" or a place in this schema such as \"#/$defs/name\", without escapes";
        let target = value.as_str().and_then(|text| text.strip_prefix('#'));
        let plain = |target: &&str| {
            target.is_empty()
                || target.len() > 1 && target.starts_with('/') && !target.contains(['~', '%'])
        };
        match target.filter(plain) {
            Some(target) => {
                self.references.push((place.pointer.clone(), target.to_owned()));
                Ok(())
            }
            None => check_that(false, pointer, expected),
        }
    }
}

/// A name that the schema leaves open could come twice and count once.
fn check_counted_names(map: &Map<String, Value>, pointer: &str) -> Result<()> {
    let least = map.get("minProperties").and_then(Value::as_u64).unwrap_or(0);
    let required = map.get("required").and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let closed = map.get("additionalProperties") == Some(&Value::Bool(false))
        && !map.contains_key("patternProperties");
    check_that(
        least <= required || closed,
        &format!("{pointer}/minProperties"),
        "at most as many as there are required names, or additionalProperties false",
    )
}

fn is_draft(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim_end_matches('#') == DRAFT)
}

fn check_types(value: &Value, pointer: &str) -> Result<()> {
    let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    let good = match value {
        Value::Array(types) => !types.is_empty() && types.iter().all(known),
        one => known(one),
    };
    check_that(good, pointer, "a type's name or a list of them")
}

fn check_bound(key: &str, value: &Value, pointer: &str) -> Result<()> {
    let exact = value.as_f64().filter(|value| value.abs() <= MOST_EXACT);
    let exact = exact.filter(|&value| key != "multipleOf" || value > 0.0);
    check_that(exact.is_some(), pointer, "a number of at most 2^53 - 1, above 0 for multipleOf")
}

/// A value that can be written: numbers are compared as f64, strings have one spelling.
fn check_value(value: &Value, pointer: &str) -> Result<()> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::Number(number) => {
            let exact = number.as_f64().is_some_and(|value| value.abs() <= MOST_EXACT);
            let text = number.to_string();
            let plain = exact && !text.contains('e') && text.len() <= MOST_NUMBER;
            check_that(plain, pointer, "numbers of at most 18 characters and 2^53 - 1")
        }
        Value::String(text) => check_text(text, pointer),
        Value::Array(values) => values.iter().try_for_each(|value| check_value(value, pointer)),
        Value::Object(map) => map.iter().try_for_each(|(name, value)| {
            check_text(name, pointer)?;
            check_value(value, pointer)
        }),
    }
}

fn check_text(text: &str, pointer: &str) -> Result<()> {
    let plain =
        |c: char| matches!(c, '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' | ' '..) && c != '\u{7f}';
    check_that(text.chars().all(plain), pointer, "no control characters")
}

fn check_that(good: bool, pointer: &str, expected: &str) -> Result<()> {
    match good {
        true => Ok(()),
        false => Err(wrong(pointer, format!("expected {expected}"))),
    }
}

fn wrong(pointer: &str, problem: impl Into<String>) -> Error {
    Error::Schema { pointer: pointer.to_owned(), problem: problem.into() }
}
