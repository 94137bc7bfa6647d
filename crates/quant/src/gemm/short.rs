//! Products whose K fits one block of 64, such as LoRA's way up from the rank: here adding the sixteen
//! running sums would cost more than making them, so sixteen outputs are made side by side instead.
//!
//! The order of summation is the documented one: each lane's four multiply-adds in sequence, then the
//! lanes pairwise. Lanes beyond K are zero; adding them is adding +0 once.

use super::block::{Mode, Output};
use super::kernel::Format;
use super::{BLOCK, LANES, Matrix, Numerics};
use crate::Isa;
use rayon::prelude::*;

/// Outputs made side by side.
const WIDTH: usize = 16;
/// Rows of `left` in one task.
const ROWS: usize = 8;

/// Whether this path takes the product. Pairs of bf16 stay with the tiles.
pub(super) fn fits(format: Format, k: usize) -> bool {
    format == Format::Singles && (1..=BLOCK).contains(&k)
}

/// Lanes that have an element, as a power of two so that they pair up.
fn lanes(k: usize) -> usize {
    k.div_ceil(4).next_power_of_two()
}

/// Words of scratch: `right`, transposed.
pub(super) fn workspace(m: usize, k: usize) -> usize {
    m.next_multiple_of(WIDTH) * 4 * lanes(k)
}

/// `out = scale · left · rightᵀ`, or added, for K up to 64.
pub(super) fn product(
    isa: Isa,
    numerics: Numerics,
    operands: [&Matrix<'_>; 2],
    out: Output<'_>,
    words: &mut [f32],
) {
    let [left, right] = operands;
    let lanes = lanes(left.cols());
    let group_words = WIDTH * 4 * lanes;
    let groups = &mut words[..workspace(right.rows(), left.cols())];
    groups.par_chunks_mut(group_words).enumerate().for_each(|(group, out)| {
        pack(isa, numerics, right, group * WIDTH, out);
    });
    let groups = &*groups;
    let rows = (left.rows() - 1) * out.stride + right.rows();
    out.values[..rows].par_chunks_mut(ROWS * out.stride).enumerate().for_each(|(task, values)| {
        for (row, values) in values.chunks_mut(out.stride).enumerate() {
            let values = &mut values[..right.rows()];
            let mut x = [0.0; BLOCK];
            left.block(isa, numerics, task * ROWS + row, 0, &mut x);
            row_product(isa, lanes, &x, groups, Row { values, scale: out.scale, mode: out.mode });
        }
    });
}

/// A row of the output.
struct Row<'a> {
    values: &'a mut [f32],
    scale: f32,
    mode: Mode,
}

/// Sixteen rows of `right` from `first` on, transposed: for each lane its four elements in sequence,
/// for each element the sixteen rows. Rows beyond M are zero.
fn pack(isa: Isa, numerics: Numerics, right: &Matrix<'_>, first: usize, out: &mut [f32]) {
    let mut block = [0.0; BLOCK];
    for row in 0..WIDTH {
        if first + row < right.rows() {
            right.block(isa, numerics, first + row, 0, &mut block);
        } else {
            block.fill(0.0);
        }
        for (at, out) in out.chunks_exact_mut(WIDTH).enumerate() {
            out[row] = block[at % 4 * LANES + at / 4];
        }
    }
}

crate::per_tier! {
    /// One row against every group.
    fn row_product(lanes: usize, x: &[f32; BLOCK], groups: &[f32], out: Row<'_>) {
        for (group, values) in
            groups.chunks_exact(WIDTH * 4 * lanes).zip(out.values.chunks_mut(WIDTH))
        {
            for (value, sum) in values.iter_mut().zip(side_by_side(lanes, x, group)) {
                let product = out.scale * sum;
                *value = match out.mode {
                    Mode::Overwrite => product,
                    Mode::Add => *value + product,
                };
            }
        }
    }
}

/// One row of `left` against sixteen of `right`.
#[inline(always)]
fn side_by_side(lanes: usize, x: &[f32; BLOCK], group: &[f32]) -> [f32; WIDTH] {
    let mut sums = [[0.0_f32; WIDTH]; LANES];
    for (lane, w) in group.chunks_exact(4 * WIDTH).take(lanes).enumerate() {
        let mut sum = [0.0_f32; WIDTH];
        for (c, w) in w.as_chunks::<WIDTH>().0.iter().enumerate() {
            let x = x[c * LANES + lane];
            for i in 0..WIDTH {
                sum[i] = x.mul_add(w[i], sum[i]);
            }
        }
        if lanes < LANES {
            sum.iter_mut().for_each(|sum| *sum += 0.0);
        }
        sums[lane] = sum;
    }
    let mut width = lanes / 2;
    while width > 0 {
        let (low, high) = sums.split_at_mut(width);
        for (low, high) in low.iter_mut().zip(high) {
            low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        }
        width /= 2;
    }
    sums[0]
}
