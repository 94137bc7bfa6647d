//! The product as plain loops: what every fast path must equal.

use super::kernel::flush;
use super::{BLOCK, LANES, Matrix, Numerics, SEQUENCE, add_lanes, dot_bf16_pairs, ints, tiles};
use crate::Isa;

/// One output: the product of `left`'s row `n` with `right`'s row `m`, both of length K.
///
/// The AVX2 tier keeps denormals in `bf16`, the others flush them (see the module's header), hence
/// `isa`.
pub fn specification(
    isa: Isa,
    numerics: Numerics,
    left: &Matrix<'_>,
    right: &Matrix<'_>,
    n: usize,
    m: usize,
) -> f32 {
    assert_eq!(left.cols(), right.cols(), "gemm: left and right disagree on k");
    let k_count = left.cols();
    let at = |matrix: &Matrix<'_>, row: usize, k: usize| {
        if k < k_count { numerics.round(matrix.get(numerics, row, k)) } else { 0.0 }
    };
    if numerics == Numerics::Int8 {
        return over_bytes(left, right, n, m);
    }
    if tiles::take(isa, numerics, k_count) {
        return over_tiles(k_count, |k| (at(left, n, k), at(right, m, k)));
    }
    let mut sums = [0.0_f32; LANES];
    for block in 0..k_count.div_ceil(BLOCK) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            let first = block * BLOCK + 4 * lane;
            let x = SEQUENCE.map(|s| at(left, n, first + s));
            let w = SEQUENCE.map(|s| at(right, m, first + s));
            if numerics == Numerics::Bf16 && isa != Isa::Avx2 {
                *sum = dot_bf16_pairs(*sum, [x[1], x[0]], [w[1], w[0]]);
                *sum = dot_bf16_pairs(*sum, [x[3], x[2]], [w[3], w[2]]);
            } else {
                for s in 0..4 {
                    *sum = x[s].mul_add(w[s], *sum);
                }
            }
        }
    }
    add_lanes(&sums)
}

/// What `tdpbf16ps` does, block after block (Intel 64 and IA-32 manual, volume 2, TDPBF16PS): two chains
/// from zero, one for the lower elements of the pairs and one for the upper ones.
fn over_tiles(k_count: usize, at: impl Fn(usize) -> (f32, f32)) -> f32 {
    let mut sum = 0.0_f32;
    for first in (0..k_count).step_by(BLOCK) {
        for c in 0..2 {
            let mut chains = [0.0_f32; 2];
            for lane in 0..LANES {
                for (half, chain) in chains.iter_mut().enumerate() {
                    let (x, w) = at(first + 4 * lane + c + 2 * half);
                    *chain = flush(flush(x).mul_add(flush(w), *chain));
                }
            }
            sum = flush(sum + flush(chains[0] + chains[1]));
        }
    }
    sum
}

/// Block after block: x rounded to 8 bits, the weight likewise, an exact sum, one fused multiply-add to one
/// of four sums.
fn over_bytes(left: &Matrix<'_>, right: &Matrix<'_>, n: usize, m: usize) -> f32 {
    let weight = ints::Weight::of(right).expect("a weight in blocks");
    let mut sums = [0.0_f32; 4];
    for block in 0..left.cols() / BLOCK {
        let x: Vec<f32> =
            (0..BLOCK).map(|k| left.get(Numerics::F32, n, block * BLOCK + k)).collect();
        if x.iter().any(|x| !x.is_finite()) {
            return f32::NAN;
        }
        let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let inverse = if largest > 1e-30 { 127.0 / largest } else { 0.0 };
        let whole = x.iter().map(|x| (x * inverse).round_ties_even() as i64);
        let w = weight.block(m, block);
        let dot: i64 =
            whole.enumerate().map(|(k, x)| x * i64::from(w[BLOCK / 2 * (k % 2) + k / 2])).sum();
        let mut scale = [0.0];
        weight.scales(m, block, &mut scale);
        let sum = &mut sums[block % 4];
        *sum = (dot as f32).mul_add(largest / 127.0 * scale[0], *sum);
    }
    (sums[0] + sums[2]) + (sums[1] + sums[3])
}
