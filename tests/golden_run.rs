//! `srek train --adapter-init` over given batches in file order: the losses and the adapter after
//! twenty steps are those of PyTorch, transformers and PEFT.

use crate::command::{Room, golden};
use crate::logits::tensor;
use safetensors::SafeTensors;
use std::path::Path;

/// Greatest relative difference.
const TOLERANCE: f64 = 1e-4;

const RECIPE: &str = r#"
[model]
directory = "MODEL"
base = "BASE"
numerics = "f32"
[data]
directory = "set"
order = "file"
[batch]
tokens = 128
documents = 2
[schedule]
steps = 20
learning_rate = 1e-3
decay = "constant"
[optimizer]
weight_decay = 0.01
max_grad_norm = NORM
"#;

fn json(path: &Path) -> serde_json::Value {
    let bytes = std::fs::read(path).expect("file");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn assert_follows(variant: &str, base: &str, key: &str) {
    let (room, golden) = (Room::new(), golden(variant));
    let expected = json(&golden.join("golden.json"));
    let batches = golden.join("batches.jsonl");
    let config = json(&golden.join("model/config.json"));
    let vocab = &config["vocab_size"];
    room.must(&format!(
        "data build --input {} --vocab-size {vocab} --context 64 --out set",
        batches.display()
    ));
    let recipe = RECIPE
        .replace("MODEL", &golden.join("model").display().to_string())
        .replace("BASE", base)
        .replace("NORM", &format!("{:?}", expected["max_grad_norm"].as_f64().expect("a norm")));
    room.write("run.toml", recipe);
    let adapter = golden.join("adapter");
    room.must(&format!("train run.toml --adapter-init {} --out run", adapter.display()));

    let curve = expected["curve"][key]["loss"].as_array().expect("a curve");
    let log = std::fs::read_to_string(room.path("run/log.jsonl")).expect("log");
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines.len(), curve.len()), (20, 20));
    for (line, expected) in lines.iter().zip(curve) {
        let (loss, expected) = (line["loss"].as_f64(), expected.as_f64());
        let (loss, expected) = (loss.expect("a loss"), expected.expect("a loss"));
        let relative = (loss - expected).abs() / expected;
        assert!(relative <= TOLERANCE, "{variant} {key} step {}: {relative}", line["step"]);
    }
    assert_near(
        &room.path("run/adapter/adapter_model.safetensors"),
        &golden.join(format!("final_{key}/adapter_model.safetensors")),
    );
}

/// Compares two adapters: all values together, relative in the L2 norm.
fn assert_near(found: &Path, expected: &Path) {
    let bytes = std::fs::read(expected).expect("adapter");
    let names: Vec<String> = SafeTensors::deserialize(&bytes)
        .expect("safetensors")
        .names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let (mut difference, mut whole) = (0.0, 0.0);
    for name in &names {
        let ((found, shape), (expected, expected_shape)) =
            (tensor(found, name), tensor(expected, name));
        assert_eq!(shape, expected_shape, "{name}");
        for (a, b) in found.iter().zip(&expected) {
            difference += f64::from(a - b).powi(2);
            whole += f64::from(*b).powi(2);
        }
    }
    let relative = (difference / whole).sqrt();
    assert!(names.len() > 10 && relative <= TOLERANCE, "{relative} over {}", names.len());
}

#[test]
fn twenty_steps_are_those_of_pytorch() {
    for (base, key) in [("as-stored", "f32"), ("nf4", "nf4"), ("nf4-dq", "nf4_dq")] {
        assert_follows("plain", base, key);
    }
    assert_follows("scaled_tied", "nf4-dq", "nf4_dq");
    assert_follows("narrow", "nf4", "nf4");
}
