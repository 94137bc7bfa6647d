use super::*;
use crate::random::Numbers;
use crate::tokenizer::{After, Tokenizer};
use schemas::{instance, schema};
use std::path::Path;

mod kubernetes;
mod masks;
mod schemas;

/// A small vocabulary with tokens of several characters that cross the borders of JSON.
fn vocabulary() -> (Tokenizer, Arc<Vocabulary>) {
    let text = r#"{"name":"checkout","cause":"deploy","items":[{"kind":"Pod"},{"kind":"Node"}],"ok":true}
        {"severity":"critical","count":12,"parts":["a","b"],"name":"checkout","evidence":[1,2,3]}"#;
    let texts = std::iter::repeat_n(text, 3).map(Ok::<_, Error>);
    let tokenizer = Tokenizer::train_bpe(texts, 400).unwrap();
    let vocabulary = Vocabulary::of(&tokenizer).unwrap();
    (tokenizer, vocabulary)
}

fn grammar(schema: &Value, vocabulary: &Arc<Vocabulary>) -> Arc<Grammar> {
    Grammar::json(schema, vocabulary).unwrap_or_else(|error| panic!("{schema}: {error}"))
}

fn allowed(mask: &[u32], id: u32) -> bool {
    mask[id as usize / 32] >> (id % 32) & 1 == 1
}

/// Follows the mask at random, with `room` tokens; gives the text and whether it was closed.
fn walk(grammar: &Arc<Grammar>, numbers: &mut Numbers, room: usize) -> (String, bool) {
    let mut constraint = Constraint::new(grammar).unwrap();
    let mut ids = constraint.forced().to_vec();
    assert!(ids.len() + constraint.closing().len() <= room, "{room} tokens are too few");
    let mut closed = false;
    while !closed && !constraint.is_complete() {
        let left = room - ids.len();
        assert!(constraint.closing().len() <= left, "the path does not fit");
        let choices: Vec<u32> = match constraint.mask().unwrap() {
            Some(mask) => (0..mask.len() as u32 * 32).filter(|&id| allowed(mask, id)).collect(),
            None => Vec::new(),
        };
        let id = choices.get(numbers.below(choices.len().max(1))).copied();
        if left > 0 && id.is_some_and(|id| constraint.accept(id, left - 1).unwrap()) {
            ids.extend(id);
            ids.extend(constraint.forced());
        } else {
            closed = true;
        }
    }
    ids.extend(constraint.closing());
    assert!(ids.len() <= room);
    let vocabulary = grammar.vocabulary();
    let bytes = ids.iter().flat_map(|&id| vocabulary.token(id).to_vec()).collect();
    (String::from_utf8(bytes).unwrap(), closed)
}

fn check_valid(schema: &Value, validator: &jsonschema::Validator, text: &str) {
    let value: Value =
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{schema}: {text}: {e}"));
    assert!(validator.is_valid(&value), "invalid for {schema}: {text}");
}

/// Walks of many lengths end valid, the shortest possible one included.
fn check_walks(schema: &Value, vocabulary: &Arc<Vocabulary>, numbers: &mut Numbers) {
    let grammar = grammar(schema, vocabulary);
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let start = Constraint::new(&grammar).unwrap();
    let least = start.forced().len() + start.closing().len();
    for more in [0, 1, 7, 30, 120] {
        let (text, _) = walk(&grammar, numbers, least + more);
        check_valid(schema, &validator, &text);
    }
}

/// Whether these tokens can be produced, whatever is forced on the way.
fn possible(grammar: &Arc<Grammar>, ids: &[u32]) -> std::result::Result<(), String> {
    let vocabulary = grammar.vocabulary();
    let whole: Vec<u8> = ids.iter().flat_map(|&id| vocabulary.token(id).to_vec()).collect();
    let mut parser = grammar.parser.deep_clone();
    for (index, &id) in ids.iter().enumerate() {
        let mask = parser.compute_mask().map_err(|error| error.to_string())?;
        if !mask.is_allowed(id) {
            let before: Vec<u8> =
                ids[..index].iter().flat_map(|&id| vocabulary.token(id).to_vec()).collect();
            let (whole, before) =
                (String::from_utf8_lossy(&whole), String::from_utf8_lossy(&before));
            return Err(format!("{whole}\nstuck behind {before}"));
        }
        parser.consume_token(id).map_err(|error| error.to_string())?;
    }
    match parser.is_accepting() {
        true => Ok(()),
        false => Err("not at its end".to_owned()),
    }
}

/// Takes every valid instance, in the usual tokens and in single bytes and random pieces. Instances are made
/// of `shape`, which allows no more than `schema` does.
fn check_instances(
    (schema, shape): (&Value, &Value),
    vocabulary: &Arc<Vocabulary>,
    numbers: &mut Numbers,
) {
    let grammar = grammar(schema, vocabulary);
    let validator = jsonschema::draft202012::new(schema).unwrap();
    for _ in 0..3 {
        let value = instance(shape, numbers);
        assert!(validator.is_valid(&value), "the generator: {schema}: {value}");
        let text = value.to_string();
        let usual = vocabulary.tokens(text.as_bytes());
        let pieces: Vec<u32> = {
            let (mut ids, mut rest) = (Vec::new(), text.as_bytes());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(1 + numbers.below(rest.len().min(4)));
                match vocabulary.trie().token_id(piece) {
                    Some(id) => ids.push(id),
                    None => ids.extend(piece.iter().map(|byte| vocabulary.tokens(&[*byte])[0])),
                }
                rest = after;
            }
            ids
        };
        for ids in [usual, pieces] {
            possible(&grammar, &ids).unwrap_or_else(|error| panic!("{schema}: {error}"));
        }
        // What the schema does not take, in one wrong place, is not possible either.
        let wrong = schemas::damaged(&value, numbers);
        if !validator.is_valid(&wrong) {
            let ids = vocabulary.tokens(wrong.to_string().as_bytes());
            assert!(possible(&grammar, &ids).is_err(), "{schema} takes {wrong}");
        }
    }
}

#[test]
fn a_thousand_schemas_take_what_is_valid_and_give_nothing_else() {
    let (_, vocabulary) = vocabulary();
    for seed in 0..1000 {
        let mut numbers = Numbers::named(&[seed, 77]);
        let schema = schema(&mut numbers);
        check_instances((&schema, &schema), &vocabulary, &mut numbers);
        check_walks(&schema, &vocabulary, &mut numbers);
    }
}

/// Schemas whose closing paths need more than closing brackets.
/// In Llama 2's vocabulary most words begin with a space, and single bytes are there twice.
#[test]
fn vocabularies_of_characters_give_valid_texts_too() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/tokenizers");
    let tokenizer = Tokenizer::from_file(&goldens.join("llama2.json")).unwrap();
    let vocabulary = Vocabulary::of(&tokenizer).unwrap();
    for seed in 0..30 {
        let mut numbers = Numbers::named(&[seed, 2]);
        let schema = schema(&mut numbers);
        check_instances((&schema, &schema), &vocabulary, &mut numbers);
        check_walks(&schema, &vocabulary, &mut numbers);
    }
    let ids = vocabulary.tokens(b"the pod");
    assert_eq!(ids, tokenizer.encode_after(After::Text, "the pod").unwrap());
    assert!(ids.len() < 7, "{ids:?}");
}

#[test]
fn closing_paths_fill_in_what_is_required() {
    let (_, vocabulary) = vocabulary();
    let condition = json!({ "anyOf": [
        { "type": "object", "properties": { "kind": { "const": "or" },
            "all": { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/condition" } } },
          "required": ["kind", "all"], "additionalProperties": false },
        { "type": "object", "properties": { "kind": { "const": "metric" }, "name": { "type": "string" } },
          "required": ["kind", "name"], "additionalProperties": false } ] });
    let schemas = [
        (json!({ "type": "string" }), r#""""#),
        (json!({ "type": "string", "minLength": 3 }), r#""aaa""#),
        (json!({ "type": "string", "pattern": "^[a-z]{2}-[0-9]+$" }), r#""aa-0""#),
        (
            json!({ "type": "array", "items": { "type": "integer", "minimum": 17 }, "minItems": 2 }),
            "[17,17]",
        ),
        (
            json!({ "type": "array", "items": { "enum": ["abc", "de", "f"] }, "minItems": 1 }),
            r#"["f"]"#,
        ),
        (
            json!({ "type": "object", "properties": {
            "a": { "type": "string" }, "b": { "type": "number", "exclusiveMinimum": 0 }, "c": { "type": "null" } },
            "required": ["b"] }),
            r#"{"b":1}"#,
        ),
        (
            json!({ "type": "object", "required": ["z"], "additionalProperties": { "type": "boolean" } }),
            r#"{"z":true}"#,
        ),
        (
            json!({ "$ref": "#/$defs/condition", "$defs": { "condition": condition } }),
            // Not the shortest: `{"kind":"` is forced, and "or" is the shorter string.
            r#"{"kind":"or","all":[{"kind":"metric","name":""}]}"#,
        ),
        (
            json!({ "type": "object", "allOf": [
            { "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] },
            { "type": "object", "properties": { "b": { "type": "integer" } }, "required": ["b"] } ] }),
            r#"{"a":0,"b":0}"#,
        ),
    ];
    for (schema, shortest) in schemas {
        let start = Constraint::new(&grammar(&schema, &vocabulary)).unwrap();
        let ids = [start.forced(), start.closing()].concat();
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| vocabulary.token(id).to_vec()).collect();
        assert_eq!(String::from_utf8(bytes).unwrap(), shortest, "{schema}");
        for seed in 0..10 {
            check_walks(&schema, &vocabulary, &mut Numbers::named(&[seed]));
        }
    }
}

/// Numbers without bounds, nesting without bounds, and strings end in time.
#[test]
fn what_has_no_bounds_stays_readable() {
    let (_, vocabulary) = vocabulary();
    for schema in [json!({ "type": "object" }), json!({ "type": "array", "items": true })] {
        let (grammar, validator) =
            (grammar(&schema, &vocabulary), jsonschema::draft202012::new(&schema).unwrap());
        for seed in 0..20 {
            let (text, _) = walk(&grammar, &mut Numbers::named(&[seed]), 400);
            check_valid(&schema, &validator, &text);
        }
        // Always the deepest choice.
        for open in ["[", "{\"a\":", "9", "e9"] {
            let mut constraint = Constraint::new(&grammar).unwrap();
            let mut text: Vec<u8> =
                constraint.forced().iter().flat_map(|&id| vocabulary.token(id).to_vec()).collect();
            'walk: for _ in 0..300 {
                for byte in open.bytes().chain(*b"[{\"9") {
                    let id = vocabulary.tokens(&[byte])[0];
                    if !constraint.mask().unwrap().is_some_and(|mask| allowed(mask, id)) {
                        continue;
                    }
                    if constraint.accept(id, 1000).unwrap() {
                        text.push(byte);
                        for &id in constraint.forced() {
                            text.extend(vocabulary.token(id));
                        }
                        continue 'walk;
                    }
                    break 'walk;
                }
                break;
            }
            for &id in constraint.closing() {
                text.extend(vocabulary.token(id));
            }
            check_valid(&schema, &validator, &String::from_utf8(text).unwrap());
        }
    }
}

#[test]
fn schemas_that_cannot_be_kept_are_refused_by_place() {
    let (_, vocabulary) = vocabulary();
    let object = |key: &str, value: Value| json!({ "type": "object", "properties": { "a": { key: value } } });
    let cases = [
        (
            object("uniqueItems", json!(true)),
            "schema #/properties/a/uniqueItems: keyword \"uniqueItems\" cannot be kept token by token",
        ),
        (
            object("not", json!({})),
            "schema #/properties/a/not: keyword \"not\" cannot be kept token by token",
        ),
        (
            object("nullable", json!(true)),
            "schema #/properties/a/nullable: keyword \"nullable\" cannot be kept token by token",
        ),
        (
            object("x-guidance", json!({})),
            "schema #/properties/a/x-guidance: would change how the schema is read",
        ),
        (
            object("items", json!([true])),
            "schema #/properties/a/items: is a list\nhint: the list of draft 2020-12 is prefixItems",
        ),
        (
            object("$ref", json!("other.json#/a")),
            "schema #/properties/a/$ref: expected \"#\" or a place in this schema such as \"#/$defs/name\", without escapes",
        ),
        (
            object("$ref", json!("#/$defs/b")),
            "schema #/properties/a: $ref is \"#/$defs/b\", where no schema stands",
        ),
        (
            object("minProperties", json!(1)),
            "schema #/properties/a/minProperties: expected at most as many as there are required names, or additionalProperties false",
        ),
        (
            object("const", json!("\u{1b}[2J")),
            "schema #/properties/a/const: expected no control characters",
        ),
        (
            object("type", json!("text")),
            "schema #/properties/a/type: expected a type's name or a list of them",
        ),
        (
            json!({ "$schema": "http://json-schema.org/draft-07/schema#" }),
            "schema #/$schema: expected \"https://json-schema.org/draft/2020-12/schema\"",
        ),
        (
            json!({ "type": "integer" }),
            "schema #: the whole may be a number, true, false or null, whose end cannot be told\nhint: \
             make it an object, an array or a string",
        ),
        (
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "type": "object", "required": ["a"], "properties": { "a": { "$ref": "#/$defs/a" } } } } }),
            "schema #: what it forces is endless or too complex\nhint: look for definitions that never end",
        ),
    ];
    for (schema, expected) in cases {
        let error = Grammar::json(&schema, &vocabulary).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    for schema in [
        json!({ "type": "string", "format": "color" }),
        json!({ "type": "object", "oneOf": [{ "type": "object" }, { "type": "object", "required": ["a"] }] }),
        json!({ "type": "string", "minLength": 2, "maxLength": 1 }),
        json!({ "type": "string", "pattern": "(a)\\1" }),
        json!({ "type": "array", "minItems": 1_000_000_000 }),
    ] {
        let error = Grammar::json(&schema, &vocabulary).unwrap_err();
        assert!(matches!(error, Error::Schema { .. }), "{schema}: {error}");
    }
    let mut deep = json!({ "type": "string" });
    for _ in 0..200 {
        deep = json!({ "type": "array", "items": deep });
    }
    assert!(
        Grammar::json(&deep, &vocabulary)
            .unwrap_err()
            .to_string()
            .ends_with("nested deeper than 64")
    );
}

#[test]
fn what_takes_long_to_end_is_found() {
    let (_, vocabulary) = vocabulary();
    let names: Vec<String> = (0..250).map(|index| format!("member-number-{index:04}")).collect();
    let many: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!({ "type": "boolean" }))).collect();
    let mut numbers = Numbers::named(&[11]);
    for schema in [
        json!({ "type": "string", "minLength": 900 }),
        json!({ "type": "string", "minLength": 400, "maxLength": 401 }),
        json!({ "type": "string", "pattern": "^.*a.{8}$" }),
        json!({ "type": "string", "pattern": "^[äöü]{40}$" }),
        json!({ "type": "object", "properties": many, "required": names }),
    ] {
        check_walks(&schema, &vocabulary, &mut numbers);
    }
    // What may exist and was not found is told from what does not.
    let given_up = "the search for a text that fits it was given up\nhint: look for patterns";
    for (schema, expected) in [
        (json!({ "type": "string", "minLength": 5000 }), given_up),
        (json!({ "type": "string", "pattern": "^.*a.{14}$" }), given_up),
        (json!({ "type": "string", "pattern": "(a" }), "regex parse error: (a; unclosed group"),
        (json!({ "type": "string", "minLength": 2, "maxLength": 1 }), "Unsatisfiable schema: minL"),
    ] {
        let error = Grammar::json(&schema, &vocabulary).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// A second spelling of a name must not get around its schema.
#[test]
fn names_have_one_spelling() {
    let (_, vocabulary) = vocabulary();
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    let grammar = grammar(&schema, &vocabulary);
    for (text, fits) in [
        (r#"{"a":1,"b":"x"}"#, true),
        (r#"{"\u0061":"x"}"#, false),
        (r#"{"a":"x"}"#, false),
        (r#"{"b":"\u001b"}"#, false),
        (r#"{ "a":1}"#, false),
    ] {
        assert_eq!(possible(&grammar, &vocabulary.tokens(text.as_bytes())).is_ok(), fits, "{text}");
    }
}

/// Names and single choices come without being asked for.
#[test]
fn what_cannot_be_otherwise_is_forced() {
    let (tokenizer, vocabulary) = vocabulary();
    let schema = json!({ "type": "object", "additionalProperties": false, "required": ["name", "severity"],
        "properties": { "name": { "type": "string" }, "severity": { "enum": ["critical", "low"] } } });
    let mut constraint = Constraint::new(&grammar(&schema, &vocabulary)).unwrap();
    let mut text = tokenizer.decode(constraint.forced());
    assert!(r#"{"name":""#.starts_with(&text) && text.len() >= 6, "{text}");
    let whole = r#"{"name":"x","severity":"low"}"#;
    let mut asked = 0;
    while !constraint.is_complete() {
        let next = whole[text.len()..].chars().next().unwrap();
        let id = vocabulary.tokens(next.to_string().as_bytes())[0];
        assert!(allowed(constraint.mask().unwrap().unwrap(), id), "{text}");
        assert!(constraint.accept(id, 100).unwrap());
        text.push(next);
        text.push_str(&tokenizer.decode(constraint.forced()));
        asked += 1;
    }
    assert_eq!(text, whole);
    assert!(asked <= 8, "{asked} of {} characters were asked for", whole.len());
}
