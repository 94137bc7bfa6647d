//! Two independent judges of a backward: candle's autograd over elementary operations in f64 (its
//! fused norms, rotations and softmaxes have no gradients), and central differences of a plain-loop
//! f64 restatement of the forward.

use super::values::{random, wide};
use candle_core::{Device, Shape, Tensor, Var};

/// An input whose gradient is wanted.
pub(crate) fn leaf(values: &[f32], shape: impl Into<Shape>) -> Var {
    Var::from_slice(&wide(values), shape, &Device::Cpu).unwrap()
}

/// An input that has none.
pub(crate) fn constant(values: &[f32], shape: impl Into<Shape>) -> Tensor {
    Tensor::from_slice(&wide(values), shape, &Device::Cpu).unwrap()
}

/// The tensor's values, row-major.
pub(crate) fn values_of(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The gradients of `Σ y · dy` by candle's autograd.
pub(crate) fn gradients<const LEAVES: usize>(
    y: &Tensor,
    dy: &[f32],
    leaves: [&Var; LEAVES],
) -> [Vec<f64>; LEAVES] {
    let projection = (y * constant(dy, y.shape())).unwrap().sum_all().unwrap();
    let gradients = projection.backward().unwrap();
    leaves.map(|leaf| values_of(gradients.get(leaf).expect("the leaf takes part")))
}

/// Directions per check.
const DIRECTIONS: u64 = 3;
/// Step of the central differences: its square is far below the tolerance, and f64 leaves it digits.
const STEP: f64 = 1e-5;

/// Asserts that `gradient` is the slope of `f` at `at` in dense random directions, to 10⁻⁵ of the
/// gradient's norm.
pub(crate) fn assert_slopes(what: &str, f: impl Fn(&[f64]) -> f64, at: &[f32], gradient: &[f32]) {
    assert_eq!(at.len(), gradient.len(), "{what}: a gradient of another length");
    let norm = gradient.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
    let least = 1e-3 * (at.len() as f64).sqrt();
    for seed in 0..DIRECTIONS {
        let direction = wide(&random(1000 + seed, at.len()));
        let moved = |step: f64| {
            let point = at.iter().zip(&direction).map(|(&at, u)| f64::from(at) + step * u);
            f(&point.collect::<Vec<_>>())
        };
        let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        let got: f64 = gradient.iter().zip(&direction).map(|(&g, u)| f64::from(g) * u).sum();
        let error = (got - slope).abs() / norm.max(least);
        assert!(error <= 1e-5, "{what}: slope {slope}, by the gradient {got}");
    }
}

/// `x (N,K) · w (M,K)ᵀ` in plain loops.
pub(crate) fn product(x: &[f64], w: &[f64], k: usize) -> Vec<f64> {
    let rows = x.chunks_exact(k);
    let dot = |x: &[f64], w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum();
    rows.flat_map(|x| w.chunks_exact(k).map(move |w| dot(x, w))).collect()
}
