//! `srek logits` against what PyTorch, transformers, PEFT and bitsandbytes compute.

use crate::command::{Room, golden};
use safetensors::{Dtype, SafeTensors};
use std::path::Path;

const VARIANTS: [&str; 5] = ["plain", "scaled", "plain_tied", "scaled_tied", "narrow"];

/// Greatest difference in f32, relative to the greatest logit.
const TOLERANCE: f32 = 1e-4;

/// Values and shape of a tensor, widened to f32.
pub(crate) fn tensor(file: &Path, name: &str) -> (Vec<f32>, Vec<usize>) {
    let bytes = std::fs::read(file).expect("file");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let view = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    let words = |size: usize| view.data().chunks_exact(size);
    let values = match view.dtype() {
        Dtype::F32 => words(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::BF16 => words(2).map(|b| f32::from_le_bytes([0, 0, b[0], b[1]])).collect(),
        other => panic!("{name} is {other:?}"),
    };
    (values, view.shape().to_vec())
}

/// Greatest difference, relative to the greatest value of `expected`.
pub(crate) fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let most = found.iter().zip(expected).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(scale > 0.0 && found.iter().all(|value| value.is_finite()));
    most / scale
}

/// The logits that `srek` computes for a variant's first batch.
fn logits(room: &Room, variant: &str, more: &str) -> (Vec<f32>, Vec<usize>) {
    let golden = golden(variant);
    let adapters = more.replace("GOLDEN", &golden.display().to_string());
    let ids = golden.join("ids.json");
    room.must(&format!(
        "logits --model {} --ids {} --out logits.safetensors {adapters}",
        golden.join("model").display(),
        ids.display()
    ));
    tensor(&room.path("logits.safetensors"), "logits")
}

#[test]
fn logits_in_f32_are_those_of_pytorch_over_every_base() {
    let room = Room::new();
    let cases = [
        ("f32", "--quant none"),
        ("nf4", "--quant nf4"),
        ("nf4_dq", "--quant nf4-dq"),
        ("f32.adapter", "--quant none --adapter GOLDEN/adapter"),
        ("nf4.adapter", "--quant nf4 --adapter GOLDEN/adapter"),
        ("nf4_dq.adapter", "--quant nf4-dq --adapter GOLDEN/adapter"),
        ("nf4.mixed", "--quant nf4 --adapter GOLDEN/adapter_mixed"),
    ];
    for variant in VARIANTS {
        for (key, arguments) in cases {
            let file = golden(variant).join("golden.safetensors");
            let (expected, shape) = tensor(&file, &format!("{key}.logits"));
            let (found, found_shape) =
                logits(&room, variant, &format!("--numerics f32 {arguments}"));
            assert_eq!(found_shape, shape, "{variant} {key}");
            let distance = distance(&found, &expected);
            assert!(distance <= TOLERANCE, "{variant} {key}: {distance}");
        }
    }
}

#[test]
fn logits_in_bf16_are_as_near_to_f32_as_those_of_pytorch() {
    let room = Room::new();
    for variant in VARIANTS {
        let file = golden(variant).join("golden.safetensors");
        let (exact, _) = tensor(&file, "f32.adapter.logits");
        let (theirs, _) = tensor(&file, "bf16.f32.adapter.logits");
        let arguments = "--numerics bf16 --adapter GOLDEN/adapter";
        let (ours, _) = logits(&room, variant, arguments);
        let (ours, theirs) = (distance(&ours, &exact), distance(&theirs, &exact));
        // PyTorch rounds every activation, this program only what enters a product.
        assert!(ours <= 1.5 * theirs, "{variant}: {ours} against {theirs}");
    }
}

#[test]
fn logits_do_not_depend_on_threads() {
    let room = Room::new();
    let one = logits(&room, "plain", "--quant nf4-dq --threads 1");
    let two = logits(&room, "plain", "--quant nf4-dq --threads 2");
    assert!(one.0.iter().zip(&two.0).all(|(a, b)| a.to_bits() == b.to_bits()));
}

#[test]
fn ids_are_checked() {
    let room = Room::new();
    let model = golden("plain").join("model");
    let try_ids = |text: &str| {
        let ids = room.write("ids.json", text);
        room.srek(&format!(
            "logits --model {} --ids {} --out out.safetensors",
            model.display(),
            ids.display()
        ))
    };
    try_ids("[[1,2],[3]]").fails(
        2,
        r"
error: DIR/ids.json: list 1 has 1 ids, list 0 has 2
hint: all lists have the same length
",
    );
    try_ids("[[1,128]]").fails(
        2,
        r"
error: DIR/ids.json: id 1 of list 0 is 128, outside of the vocabulary of 128
",
    );
    try_ids("[]").fails(
        2,
        r"
error: DIR/ids.json: there is no token id
",
    );
    try_ids("[[1,-2]]").fails(
        2,
        r"
error: DIR/ids.json: invalid value: integer `-2`, expected u32 at line 1 column 6
hint: expected a JSON list of lists of token ids
",
    );
    assert!(!room.path("out.safetensors").exists());
}

/// The effect of `int8` on a trained model, which `srek doctor` tells.
#[test]
fn int8_is_close_to_bf16_and_not_the_same() {
    let room = Room::new();
    let model = crate::command::root().join("models/sre-tiny");
    let json = room.must(&format!("doctor --model {} --json", model.display())).json();
    let number = |field: &str| json["int8"][field].as_f64().expect("a number");
    let divergence = number("divergence");
    assert!(divergence > 1e-9 && divergence < 0.01, "{json}");
    assert!(number("agreement") >= 0.9, "{json}");
}
