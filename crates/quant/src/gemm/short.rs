//! Products whose K fits one block of 64, such as LoRA's way up from the rank: here adding the sixteen
//! running sums would cost more than making them, so sixteen outputs are made side by side instead.
//!
//! The order of summation is the documented one: each lane's multiply-adds in sequence, then the
//! lanes pairwise. Lanes beyond K are zero; adding them is adding +0 once.

use super::block::{Mode, Output, finish};
use super::kernel::Format;
use super::words::per_words;
use super::{BLOCK, LANES, Matrix, Numerics};
use crate::Isa;
use rayon::prelude::*;

/// Outputs made side by side.
const WIDTH: usize = LANES;
/// Rows of `left` in one task.
const ROWS: usize = 8;

/// Whether this path takes the product.
pub(super) fn fits(k: usize) -> bool {
    (1..=BLOCK).contains(&k)
}

/// Lanes that have an element, as a power of two so that they pair up.
fn lanes(k: usize) -> usize {
    k.div_ceil(4).next_power_of_two()
}

/// Words of scratch: `right`, transposed.
pub(super) fn workspace(format: Format, m: usize, k: usize) -> usize {
    m.next_multiple_of(WIDTH) * format.words() / LANES * lanes(k)
}

/// `out = scale · left · rightᵀ`, or added, for K up to 64.
pub(super) fn product(
    (isa, numerics): (Isa, Numerics),
    [left, right]: [&Matrix<'_>; 2],
    out: Output<'_>,
    words: &mut [f32],
) {
    let (format, lanes) = (Format::of(isa, numerics), lanes(left.cols()));
    let groups = &mut words[..workspace(format, right.rows(), left.cols())];
    let group_words = workspace(format, WIDTH, left.cols());
    groups.par_chunks_mut(group_words).enumerate().for_each(|(group, out)| {
        pack(isa, numerics, right, group * WIDTH, out);
    });
    let groups = &*groups;
    let rows = (left.rows() - 1) * out.stride + right.rows();
    out.values[..rows].par_chunks_mut(ROWS * out.stride).enumerate().for_each(|(task, values)| {
        for (row, values) in values.chunks_mut(out.stride).enumerate() {
            let values = &mut values[..right.rows()];
            let (mut x, mut stored) = ([0.0; BLOCK], [0.0; BLOCK]);
            left.block(isa, numerics, task * ROWS + row, 0, &mut x);
            format.store(&x, &mut stored[..format.words()]);
            let out = Row { values, scale: out.scale, mode: out.mode };
            match lanes {
                1 => row_product::<1>(isa, format, &stored, groups, out),
                2 => row_product::<2>(isa, format, &stored, groups, out),
                4 => row_product::<4>(isa, format, &stored, groups, out),
                8 => row_product::<8>(isa, format, &stored, groups, out),
                _ => row_product::<16>(isa, format, &stored, groups, out),
            }
        }
    });
}

/// A row of the output.
struct Row<'a> {
    values: &'a mut [f32],
    scale: f32,
    mode: Mode,
}

/// Sixteen rows of `right` from `first` on, transposed: for each lane its words in sequence, for each
/// word the sixteen rows. Rows beyond M are zero.
fn pack(isa: Isa, numerics: Numerics, right: &Matrix<'_>, first: usize, out: &mut [f32]) {
    let format = Format::of(isa, numerics);
    let per_lane = format.words() / LANES;
    let mut blocks = [[0.0; BLOCK]; WIDTH];
    let count = WIDTH.min(right.rows() - first);
    right.blocks(isa, numerics, (first, 0), &mut blocks[..count]);
    for (row, block) in blocks.iter().enumerate() {
        let mut words = [0.0; BLOCK];
        format.store(block, &mut words[..format.words()]);
        for (at, out) in out.chunks_exact_mut(WIDTH).enumerate() {
            out[row] = words[at % per_lane * LANES + at / per_lane];
        }
    }
}

/// One row of `left` against all of `right`, with L lanes that have elements.
fn row_product<const L: usize>(
    isa: Isa,
    format: Format,
    x: &[f32; BLOCK],
    groups: &[f32],
    out: Row<'_>,
) {
    per_words! {
        fn row<W, L>(words, x: &[f32; BLOCK], groups: &[f32], out: Row<'_>) {
            let (groups, rest) = groups.as_chunks::<WIDTH>();
            debug_assert!(rest.is_empty());
            let groups = groups.chunks_exact(W::PER_LANE * L);
            for (group, values) in groups.zip(out.values.chunks_mut(WIDTH)) {
                let mut sums = [words.zero(); L];
                for lane in 0..L {
                    for c in 0..W::PER_LANE {
                        let x = words.splat(x[c * LANES + lane]);
                        let w = words.load(&group[lane * W::PER_LANE + c]);
                        sums[lane] = words.dot(sums[lane], x, w);
                    }
                    if L < LANES {
                        sums[lane] = words.add(sums[lane], words.zero());
                    }
                }
                let mut width = L / 2;
                while width > 0 {
                    for lane in 0..width {
                        sums[lane] = words.add(sums[lane], sums[lane + width]);
                    }
                    width /= 2;
                }
                finish(&words.store(sums[0]), values, (out.scale, out.mode));
            }
        }
    }
    row::<L>(isa, format, x, groups, out);
}
