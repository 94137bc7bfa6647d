//! `srek generate --schema`: whatever a model that learned nothing says, the text fits.

use crate::command::Room;
use crate::recipe::prepare;
use serde_json::{Value, json};

/// A model of one step, and how it is asked.
fn room() -> Room {
    let room = Room::new();
    prepare(&room);
    room.must("pretrain base.toml --set schedule.steps=1");
    room
}

#[test]
fn a_model_of_one_step_gives_valid_answers_also_in_a_hurry() {
    let room = room();
    let schema = json!({
        "type": "object",
        "properties": {
            "cause": {"enum": ["disk-full", "dns-failure"]},
            "why": {"type": "string"},
            "evidence": {"type": "array", "items": {"enum": ["m1", "l2"]}, "minItems": 1},
        },
        "required": ["cause", "why", "evidence"],
        "additionalProperties": false,
    });
    room.write("schema.json", schema.to_string());
    let valid = jsonschema::validator_for(&schema).expect("a schema");
    for more in
        ["--max-tokens 60", "--max-tokens 200 --deadline 50", "--max-tokens 45 --temperature 1"]
    {
        let ran = room.must(&format!(
            "generate --model runs/base/model --prompt a --schema schema.json {more}"
        ));
        let answer: Value = serde_json::from_str(&ran.stdout).expect(&ran.stdout);
        assert!(valid.is_valid(&answer), "{more}: {answer}");
    }
}

#[test]
fn schemas_that_cannot_be_kept_are_refused() {
    let room = room();
    let cases = [
        (r#"{"type": "obj"#, "", "schema.json: EOF while parsing a string at line 1 column 13"),
        (r#"{"frobnicate": 1}"#, "", "schema #/frobnicate: keyword \"frobnicate\" cannot be kept"),
        (r#"{"type": "object", "required": ["a"]}"#, "--max-tokens 1", "there is room for 1"),
    ];
    for (schema, more, expected) in cases {
        room.write("schema.json", schema);
        let ran = room.srek(&format!(
            "generate --model runs/base/model --prompt a --schema schema.json {more}"
        ));
        assert_eq!(ran.code, Some(2), "{schema}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{schema}: {}", ran.stderr);
    }
}
