//! Double quantization: the absmax values of an NF4 weight in one byte each.
//!
//! The mean of all absmax values is subtracted (`offset`), the rest is quantized in blocks of 256 to
//! the signed dynamic 8-bit levels of Dettmers et al., "8-bit optimizers" (2021), with one f32 scale
//! per block (`nested`). Decoding is two f32 operations, each rounded, never a fused one:
//! `map[q] * nested[i / 256]`, then `+ offset`. 8 bits + 32 / 256 bits a block of 64 weights are
//! 0.127 bits a weight in place of 0.5.
//!
//! [`encode`] gives the bits of bitsandbytes 0.50 on a CPU (torch with one thread, see `mean`). It
//! finds the level over a grid of 65536 points in -1 ..= 1: a value is first moved to the nearest
//! grid point, so the levels below 1e-5 are seldom chosen. The CUDA version searches exactly; both
//! decode alike.

use std::sync::LazyLock;

use rayon::prelude::*;

use crate::Error;

/// Absmax values per nested scale.
pub const BLOCK: usize = 256;

/// The grid on which a level is looked up has this many steps between -1 and 1.
const GRID: f32 = 65535.0;

/// The number of nested scales for `absmax` values.
pub const fn blocks(absmax: usize) -> usize {
    absmax.div_ceil(BLOCK)
}

/// The 256 signed dynamic levels, ascending.
///
/// Decade `i` of seven (`10^(i - 6)`, the last is 1) holds `2^i` levels of each sign: the middles of
/// equal parts of 0.1 ..= 1 times the decade. Zero and one complete the map. The operations and
/// their roundings to f32 are those of the original.
pub fn map() -> &'static [f32; 256] {
    static MAP: LazyLock<[f32; 256]> = LazyLock::new(|| {
        const DECADE: [f32; 7] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];
        let mut map = [0.0; 256];
        map[255] = 1.0;
        // Level 127 is zero; decade i fills 2^i places on either side of those already filled.
        for (i, decade) in DECADE.iter().enumerate() {
            let parts = 1 << i;
            for k in 0..parts {
                let level = decade * ((edge(k, parts) + edge(k + 1, parts)) / 2.0);
                map[127 + parts + k] = level;
                map[127 - parts - k] = -level;
            }
        }
        map
    });
    &MAP
}

/// Edge `k` of 0.1 ..= 1 cut into `parts`, counted from the nearer end with one rounding, as torch
/// does it.
fn edge(k: usize, parts: usize) -> f32 {
    let step = (1.0f32 - 0.1) / parts as f32;
    if k < parts.div_ceil(2) {
        step.mul_add(k as f32, 0.1)
    } else {
        (-step).mul_add((parts - k) as f32, 1.0)
    }
}

/// One quantized value without its offset. A call of its own keeps the product apart from the sum
/// that follows: each is rounded.
#[inline]
pub(crate) fn level(map: f32, nested: f32) -> f32 {
    map * nested
}

/// Quantizes `absmax` into `q` (one byte each) and `nested` (one scale per [`BLOCK`]) and gives the
/// offset. The same bits for any number of threads.
///
/// Panics unless `q` is as long as `absmax` and `nested` has [`blocks`] entries.
///
/// # Errors
/// [`Error::NotFinite`] naming the first NaN or infinity; [`Error::AbsmaxRange`] where the values are
/// finite but their sum, or the distance of one to the mean, is not.
pub fn encode(absmax: &[f32], q: &mut [u8], nested: &mut [f32]) -> Result<f32, Error> {
    assert_eq!(q.len(), absmax.len(), "q must hold one byte per absmax");
    assert_eq!(nested.len(), blocks(absmax.len()), "nested must hold one scale per 256 absmax");
    if let Some(index) = absmax.iter().position(|value| !value.is_finite()) {
        return Err(Error::NotFinite { index, value: absmax[index] });
    }
    if absmax.is_empty() {
        return Ok(0.0);
    }
    let offset = mean(absmax);
    if !offset.is_finite() {
        return Err(Error::AbsmaxRange { count: absmax.len() });
    }
    let middles = middles();
    let nested_scales = &mut *nested;
    absmax
        .par_chunks(BLOCK)
        .zip(q.par_chunks_mut(BLOCK))
        .zip(nested_scales)
        .with_min_len(64)
        .for_each(|((absmax, q), nested)| {
            let largest = absmax.iter().fold(0.0f32, |m, value| m.max((value - offset).abs()));
            *nested = largest;
            if largest == 0.0 {
                q.fill(0);
                return;
            }
            let reciprocal = 1.0 / largest;
            for (q, value) in q.iter_mut().zip(absmax) {
                *q = nearest((value - offset) * reciprocal, middles);
            }
        });
    if nested.iter().any(|scale| !scale.is_finite()) {
        return Err(Error::AbsmaxRange { count: absmax.len() });
    }
    Ok(offset)
}

/// Decodes into `out`: the absmax of each block, the offset added.
///
/// Panics unless `q` and `out` are equally long and `nested` has [`blocks`] entries.
pub fn decode(q: &[u8], map: &[f32; 256], nested: &[f32], offset: f32, out: &mut [f32]) {
    assert_eq!(q.len(), out.len(), "q must hold one byte per absmax");
    assert_eq!(nested.len(), blocks(out.len()), "nested must hold one scale per 256 absmax");
    for ((q, out), nested) in q.chunks(BLOCK).zip(out.chunks_mut(BLOCK)).zip(nested) {
        for (q, out) in q.iter().zip(out) {
            *out = level(map[usize::from(*q)], *nested) + offset;
        }
    }
}

/// `middles()[k]` lies between levels `k` and `k + 1`.
fn middles() -> &'static [f32; 255] {
    static MIDDLES: LazyLock<[f32; 255]> =
        LazyLock::new(|| std::array::from_fn(|k| 0.5 * (map()[k] + map()[k + 1])));
    &MIDDLES
}

/// The code of a scaled value: its grid point, then how many middles lie below that point.
fn nearest(scaled: f32, middles: &[f32; 255]) -> u8 {
    // A block whose scale is too small for a reciprocal gives infinities, and 0 times infinity.
    let scaled = if scaled.is_nan() { -1.0 } else { scaled.clamp(-1.0, 1.0) };
    let point = ((scaled + 1.0) * 0.5).mul_add(GRID, 0.5).floor();
    let value = 2.0 * point / GRID - 1.0;
    middles.partition_point(|middle| *middle < value) as u8
}

/// The mean in f32, summed in the order in which torch 2.9 sums a contiguous slice with one thread
/// on x86-64 with AVX2 (several threads split slices of 32768 values and more, in other places).
///
/// The slice is cut into rows of 32 (four vectors of eight lanes) that are added column by column,
/// through four levels of partial sums: after `2^p` rows a level is added to the next one and
/// cleared. Then come the vectors that fill no row, the four vectors of a row, the values that fill
/// no vector, and the eight lanes.
fn mean(values: &[f32]) -> f32 {
    const VECTORS: usize = 4;
    let lanes = if values.len() < 8 { 1 } else { 8 };
    let (vectors, rest) = values.split_at(values.len() / lanes * lanes);
    let (rows, extra) = vectors.split_at(vectors.len() / (VECTORS * lanes) * VECTORS * lanes);
    let mut column = sum_rows(rows, VECTORS * lanes);
    for vector in extra.chunks_exact(lanes) {
        add(&mut column, vector);
    }
    let (first, others) = column.split_at_mut(lanes);
    for vector in others[..(VECTORS - 1) * lanes].chunks_exact(lanes) {
        add(first, vector);
    }
    rest.iter().chain(&*first).fold(0.0, |sum, value| sum + value) / values.len() as f32
}

/// The columns of `rows`, `width` values each, summed through four levels.
fn sum_rows(rows: &[f32], width: usize) -> [f32; 32] {
    const LEVELS: usize = 4;
    let mut level = [[0.0; 32]; LEVELS];
    let count = rows.len() / width;
    let power = (count.next_power_of_two().trailing_zeros() / LEVELS as u32).max(4);
    let mask = (1usize << power) - 1;
    for (done, row) in (1..).zip(rows.chunks_exact(width)) {
        add(&mut level[0], row);
        for upper in 1..LEVELS {
            // Level `upper - 1` is full when its digit of the row count, in base 2^power, is zero.
            if done >> ((upper as u32 - 1) * power) & mask != 0 {
                break;
            }
            let full = std::mem::replace(&mut level[upper - 1], [0.0; 32]);
            add(&mut level[upper], &full);
        }
    }
    let [mut sum, upper @ ..] = level;
    for level in &upper {
        add(&mut sum, level);
    }
    sum
}

fn add(sum: &mut [f32], values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += value;
    }
}

#[cfg(test)]
mod tests;
