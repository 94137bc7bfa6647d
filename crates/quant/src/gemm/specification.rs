//! The product as plain loops: what every fast path must equal.

use super::{BLOCK, LANES, Matrix, Numerics, SEQUENCE, add_lanes, dot_bf16_pairs};
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
