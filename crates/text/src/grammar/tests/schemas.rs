//! Schemas at random, and instances of them.

use crate::random::Numbers;
use serde_json::{Map, Value, json};

const WORDS: [&str; 8] = ["name", "cause", "items", "count", "ok", "kind", "é", "a b\"c"];
const PATTERNS: [(&str, &str); 4] = [
    ("^[a-z]+$", "checkout"),
    ("^v[0-9]{1,3}(\\.[0-9]+)?$", "v12.7"),
    ("^(Pod|Node)$", "Node"),
    ("^[A-Z][a-z0-9-]{2,5}$", "Api-9"),
];

fn one<T: Clone>(list: &[T], numbers: &mut Numbers) -> T {
    list[numbers.below(list.len())].clone()
}

/// A schema whose root is an object or an array.
pub(super) fn schema(numbers: &mut Numbers) -> Value {
    if numbers.below(4) == 0 { array(numbers, 3) } else { object(numbers, 3) }
}

fn any(numbers: &mut Numbers, depth: usize) -> Value {
    match numbers.below(if depth == 0 { 6 } else { 10 }) {
        0 => text(numbers),
        1 => number(numbers),
        2 => json!({ "type": "boolean" }),
        3 => json!({ "enum": values(numbers) }),
        4 => json!({ "const": one(&values(numbers), numbers) }),
        5 => json!({ "type": ["string", "null"], "maxLength": 1 + numbers.below(8) }),
        6 => array(numbers, depth - 1),
        7 => json!({ "anyOf": [any(numbers, depth - 1), any(numbers, depth - 1)] }),
        _ => object(numbers, depth - 1),
    }
}

fn values(numbers: &mut Numbers) -> Vec<Value> {
    let all = [
        json!("Pod"),
        json!("Node"),
        json!("Po"),
        json!(12),
        json!(-3),
        json!(null),
        json!(true),
        json!("\n\"q\""),
        json!(0.5),
        json!([1, "x"]),
        json!({ "k": 1 }),
    ];
    (0..1 + numbers.below(4)).map(|_| one(&all, numbers)).collect::<Vec<_>>().into_iter().fold(
        Vec::new(),
        |mut list, value| {
            if !list.contains(&value) {
                list.push(value);
            }
            list
        },
    )
}

fn text(numbers: &mut Numbers) -> Value {
    let least = numbers.below(4);
    match numbers.below(5) {
        0 => json!({ "type": "string" }),
        1 => json!({ "type": "string", "minLength": least }),
        2 => json!({ "type": "string", "minLength": least, "maxLength": least + numbers.below(6) }),
        3 => json!({ "type": "string", "format": "date" }),
        _ => json!({ "type": "string", "pattern": one(&PATTERNS, numbers).0 }),
    }
}

fn number(numbers: &mut Numbers) -> Value {
    let least = numbers.below(2000) as i64 - 1000;
    let most = least + numbers.below(500) as i64;
    match numbers.below(6) {
        0 => json!({ "type": "integer" }),
        1 => json!({ "type": "integer", "minimum": least }),
        2 => json!({ "type": "integer", "minimum": least, "maximum": most }),
        3 => json!({ "type": "number", "minimum": least, "exclusiveMaximum": most + 1 }),
        4 => json!({ "type": "integer", "multipleOf": 1 + numbers.below(9) }),
        _ => json!({ "type": "number" }),
    }
}

fn array(numbers: &mut Numbers, depth: usize) -> Value {
    let least = numbers.below(3);
    match numbers.below(3) {
        0 => json!({ "type": "array", "items": any(numbers, depth) }),
        1 => json!({ "type": "array", "items": any(numbers, depth), "minItems": least,
                     "maxItems": least + numbers.below(3) }),
        _ => json!({ "type": "array", "prefixItems": [any(numbers, depth), any(numbers, depth)],
                     "items": false, "minItems": numbers.below(3) }),
    }
}

fn object(numbers: &mut Numbers, depth: usize) -> Value {
    let mut words = WORDS;
    numbers.shuffle(&mut words);
    let mut properties = Map::new();
    let mut required = Vec::new();
    for name in &words[..numbers.below(5)] {
        properties.insert((*name).to_owned(), any(numbers, depth));
        if numbers.below(2) == 0 {
            required.push(*name);
        }
    }
    let mut schema = json!({ "type": "object", "properties": properties, "required": required });
    match numbers.below(4) {
        0 => {}
        1 => schema["additionalProperties"] = any(numbers, 0),
        _ => schema["additionalProperties"] = json!(false),
    }
    schema
}

/// A value that fits, its members in the order of the schema.
pub(super) fn instance(schema: &Value, numbers: &mut Numbers) -> Value {
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    for key in ["enum", "anyOf"] {
        if let Some(Value::Array(list)) = schema.get(key) {
            let chosen = one(list, numbers);
            return if key == "enum" { chosen } else { instance(&chosen, numbers) };
        }
    }
    let count = |key: &str| schema.get(key).and_then(Value::as_u64).map(|count| count as usize);
    match schema["type"].as_str() {
        Some("boolean") => json!(numbers.below(2) == 0),
        Some("integer" | "number") => number_of(schema, numbers),
        Some("array") => {
            let least = count("minItems").unwrap_or(0);
            let first = schema.get("prefixItems").and_then(Value::as_array);
            let most = first.map(Vec::len).or(count("maxItems")).unwrap_or(least + 3);
            let item = |index: usize| first.map_or(&schema["items"], |list| &list[index]);
            let length = least + numbers.below(most - least + 1);
            (0..length).map(|index| instance(item(index), numbers)).collect()
        }
        Some("object") => object_of(schema, numbers),
        _ if schema["type"].is_array() && numbers.below(2) == 0 => Value::Null,
        _ => text_of(schema, numbers),
    }
}

fn number_of(schema: &Value, numbers: &mut Numbers) -> Value {
    let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
    let least = bound("minimum").unwrap_or(-500);
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|most| most - 1));
    let most = most.unwrap_or(least + 1000);
    let step = bound("multipleOf").unwrap_or(1);
    let value = least + numbers.below((most - least + 1) as usize) as i64;
    let whole = value / step * step;
    if schema["type"] == "number" && whole >= 0 && numbers.below(2) == 0 {
        return json!(whole as f64 + 0.25);
    }
    json!(whole)
}

fn text_of(schema: &Value, numbers: &mut Numbers) -> Value {
    if let Some(pattern) = schema.get("pattern") {
        return PATTERNS.iter().find(|it| pattern == it.0).unwrap().1.into();
    }
    if schema.get("format").is_some() {
        return "2024-02-29".into();
    }
    let count = |key: &str| schema.get(key).and_then(Value::as_u64).map(|count| count as usize);
    let least = count("minLength").unwrap_or(0);
    let length = least + numbers.below(count("maxLength").unwrap_or(least + 9) - least + 1);
    let letters =
        ['a', 'Z', ' ', '"', '\\', '\n', '\t', 'é', '日', '🦀', '/', '{', ']', '\u{8}', '0'];
    (0..length).map(|_| one(&letters, numbers)).collect::<String>().into()
}

fn object_of(schema: &Value, numbers: &mut Numbers) -> Value {
    let mut members = Map::new();
    let required = schema["required"].as_array().unwrap();
    for (name, schema) in schema["properties"].as_object().unwrap() {
        if required.iter().any(|it| it == name) || numbers.below(2) == 0 {
            members.insert(name.clone(), instance(schema, numbers));
        }
    }
    let free = match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => return Value::Object(members),
        Some(other) => instance(other, numbers),
        None => json!({ "x": [null, { "y": -1.5 }] }),
    };
    for name in &["other", "ok2"][..numbers.below(3)] {
        members.insert((*name).to_owned(), free.clone());
    }
    Value::Object(members)
}

/// The value with one place changed.
pub(super) fn damaged(value: &Value, numbers: &mut Numbers) -> Value {
    let mut value = value.clone();
    match &mut value {
        Value::Object(map) if !map.is_empty() => {
            let name = one(&map.keys().cloned().collect::<Vec<_>>(), numbers);
            match numbers.below(3) {
                0 => _ = map.shift_remove(&name),
                1 => map[&name] = json!("no such value, and a long one"),
                _ => map[&name] = damaged(&map[&name], numbers),
            }
        }
        Value::Array(list) if !list.is_empty() => {
            let index = numbers.below(list.len());
            match numbers.below(2) {
                0 => _ = list.remove(index),
                _ => list[index] = damaged(&list[index], numbers),
            }
        }
        Value::Number(number) => value = json!(number.as_f64().unwrap() + 1e5 + 0.125),
        Value::String(text) => text.push_str("!!!!!!!!!!!!!!!"),
        _ => value = json!([value]),
    }
    value
}
