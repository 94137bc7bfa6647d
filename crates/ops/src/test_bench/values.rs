//! Random values that depend on nothing but a seed, and comparisons.

use quant::gemm::round_bf16;

/// Word `index` of the stream `seed`: SplitMix64's mixing of their sum.
fn word(seed: u64, index: usize) -> u64 {
    let mut z = (seed << 40).wrapping_add(index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `len` values, uniform between -√3 and √3, so that their variance is 1.
pub(crate) fn random(seed: u64, len: usize) -> Vec<f32> {
    let unit = |index| (word(seed, index) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
    (0..len).map(|index| (3.0_f64.sqrt() * unit(index)) as f32).collect()
}

/// `len` integers below `below`.
pub(crate) fn integers(seed: u64, len: usize, below: usize) -> Vec<u32> {
    (0..len).map(|index| (word(seed, index) % below as u64) as u32).collect()
}

/// `factor` times the values.
pub(crate) fn scaled(factor: f32, values: Vec<f32>) -> Vec<f32> {
    values.into_iter().map(|value| factor * value).collect()
}

/// The values in bf16, as f32.
pub(crate) fn rounded(values: &[f32]) -> Vec<f32> {
    values.iter().map(|&value| round_bf16(value)).collect()
}

/// The values in f64.
pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// `‖got - want‖ / ‖want‖`. A `want` whose mean square is below 10⁻⁶ counts as if it were that large:
/// beside values of about one it is a difference that cancelled, and has no digits of its own.
fn relative_l2(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len(), "different lengths");
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let error = norm(&mut got.iter().zip(want).map(|(&got, want)| f64::from(got) - want));
    let size = norm(&mut want.iter().copied()).max(1e-3 * (want.len() as f64).sqrt());
    if want.is_empty() { 0.0 } else { error / size }
}

/// Asserts that [`relative_l2`] is at most `tolerance`.
pub(crate) fn assert_close(what: &str, got: &[f32], want: &[f64], tolerance: f64) {
    let error = relative_l2(got, want);
    assert!(error <= tolerance, "{what}: relative L2 error {error:.2e}, at most {tolerance:.0e}");
}

/// Asserts equality bit for bit.
pub(crate) fn assert_same_bits(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}: different lengths");
    let differs = got.iter().zip(want).position(|(got, want)| got.to_bits() != want.to_bits());
    if let Some(at) = differs {
        panic!("{what}: element {at} of {} is {:e} and {:e}", got.len(), got[at], want[at]);
    }
}
