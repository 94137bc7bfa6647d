//! Twenty steps against PyTorch, transformers and PEFT, `f32` numerics, over every base.

use crate::bench::{Bench, goldens};
use model::Checkpoint;
use std::path::Path;

const VARIANTS: [&str; 5] = ["plain", "scaled", "plain_tied", "scaled_tied", "narrow"];
const BASES: [(&str, &str); 3] = [("f32", "as-stored"), ("nf4", "nf4"), ("nf4_dq", "nf4-dq")];
/// Largest relative difference of a loss, a norm, and (as L2) an adapter.
const TOLERANCE: f64 = 1e-4;

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
}

/// Relative L2 distance of all tensors of two adapters together.
fn distance(found: &Path, expected: &Path, shapes: &[(String, Vec<usize>)]) -> f64 {
    let open = |path| Checkpoint::open_files(path, &["adapter_model.safetensors".into()]).unwrap();
    let (found, expected) = (open(found), open(expected));
    let (mut difference, mut total) = (0.0, 0.0);
    for (name, shape) in shapes {
        let values = |from: &Checkpoint| from.tensor(name, shape).unwrap().to_f32().unwrap();
        for (a, b) in values(&found).into_iter().zip(values(&expected)) {
            difference += (f64::from(a) - f64::from(b)).powi(2);
            total += f64::from(b).powi(2);
        }
    }
    assert_eq!(expected.names().count(), shapes.len(), "every tensor was compared");
    (difference / total).sqrt()
}

/// The names and shapes of the adapter over all seven projections with rank 4.
fn shapes(config: &model::Config) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    for layer in 0..config.layers {
        for projection in model::lora::Projection::ALL {
            let [out, inner] = projection.shape(config);
            let name = |letter| model::lora::tensor_name(layer, projection, letter);
            shapes.push((name('A'), vec![4, inner]));
            shapes.push((name('B'), vec![out, 4]));
        }
    }
    shapes
}

fn compare(variant: &str, base: &str, kind: &str) {
    let golden = goldens().join(variant);
    let text = std::fs::read_to_string(golden.join("golden.json")).unwrap();
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let config = model::Config::read(&golden.join("model")).unwrap();
    let lines = std::fs::read_to_string(golden.join("batches.jsonl")).unwrap();
    let bench = Bench::new(&lines, config.vocab as u32, 24);
    let adapter = golden.join("adapter");
    let recipe = bench.recipe(
        variant,
        &format!("adapter = {adapter:?}\nbase = {kind:?}\nnumerics = \"f32\""),
        &format!(
            "order = \"file\"\n[batch]\ntokens = 64\ndocuments = 2\n\
             [schedule]\nsteps = 20\nlearning_rate = 1e-3\ndecay = \"constant\"\n\
             [optimizer]\nweight_decay = 0.01\nmax_grad_norm = {:?}\n",
            reference["max_grad_norm"].as_f64().unwrap()
        ),
    );
    let recorder = bench.fresh(&recipe, "run");
    let curve = &reference["curve"][base];
    let (losses, norms) = (numbers(&curve["loss"]), numbers(&curve["grad_norm"]));
    assert_eq!((recorder.steps.len(), losses.len()), (20, 20));
    let mut worst = 0.0_f64;
    for (step, (loss, norm)) in recorder.steps.iter().zip(losses.iter().zip(&norms)) {
        for (found, expected) in [(step.loss, loss), (step.grad_norm, norm)] {
            let relative = (found - expected).abs() / expected;
            worst = worst.max(relative);
            let at = step.step;
            assert!(relative <= TOLERANCE, "{variant} {base} step {at}: {found} is not {expected}");
        }
    }
    let finals = golden.join(format!("final_{base}"));
    let adapter = distance(&bench.path("run/adapter"), &finals, &shapes(&config));
    println!("{variant} {base}: curve {worst:.2e}, adapter {adapter:.2e}");
    assert!(adapter <= TOLERANCE, "{variant} {base}: the adapter is {adapter} away");
}

#[test]
fn twenty_steps_equal_pytorch() {
    for variant in VARIANTS {
        for (base, kind) in BASES {
            compare(variant, base, kind);
        }
    }
}
