//! Eight bits a weight, one f32 scale per block of 64: for an output head or an embedding.
//!
//! Layout: two arrays. `codes` holds one i8 per weight, flattened row-major, -127 ..= 127 (-128 is
//! never written); `scales` holds one f32 per 64 codes, the last block may be shorter. A file keeps
//! them as two tensors, little-endian, the scales as 4 bytes each. A weight is `code * scale`.
//! 8.5 bits a weight.
//!
//! `scale = absmax / 127` and `code = x / scale` rounded half to even. So the largest error is half a
//! step, `absmax / 254`, but for f32 rounding: see [`max_error`].

use rayon::prelude::*;

use crate::Error;

/// Weights per scale.
pub const BLOCK: usize = 64;

/// The largest code. Symmetric: the negative of a weight has the negative code.
const LARGEST: f32 = 127.0;

/// Elements that one task works on.
const TASK: usize = 256 * BLOCK;

/// The number of scales for `elements` weights.
pub const fn blocks(elements: usize) -> usize {
    elements.div_ceil(BLOCK)
}

/// An upper bound of the error of any weight in a block with this absmax: half a step, the three
/// roundings to f32 on the way, and, where the scale is a denormal number, its own coarse rounding
/// 127 times.
pub fn max_error(absmax: f32) -> f32 {
    absmax / 254.0 * (1.0 + 1.0 / 16384.0) + 128.0 * f32::from_bits(1)
}

/// Quantizes `values` (flattened row-major, f32) into `codes` and `scales`, on all threads of the
/// current pool, with the same bits for any number of them.
///
/// Panics unless `codes` is as long as `values` and `scales` has [`blocks`] entries.
///
/// # Errors
/// [`Error::NotFinite`] naming the first NaN or infinity; the outputs are then partly written.
pub fn encode(values: &[f32], codes: &mut [i8], scales: &mut [f32]) -> Result<(), Error> {
    assert_eq!(codes.len(), values.len(), "codes must hold one byte per weight");
    assert_eq!(scales.len(), blocks(values.len()), "scales must hold one scale per block");
    let bad = (values.par_chunks(TASK), codes.par_chunks_mut(TASK))
        .into_par_iter()
        .zip(scales.par_chunks_mut(TASK / BLOCK))
        .enumerate()
        .filter_map(|(task, ((values, codes), scales))| {
            encode_task(values, codes, scales).map(|index| task * TASK + index)
        })
        .min();
    bad.map_or(Ok(()), |index| Err(Error::NotFinite { index, value: values[index] }))
}

/// Decodes to f32: one product per weight.
///
/// Panics unless `codes` is as long as `out` and `scales` has [`blocks`] entries.
pub fn decode(codes: &[i8], scales: &[f32], out: &mut [f32]) {
    assert_eq!(codes.len(), out.len(), "codes must hold one byte per weight");
    assert_eq!(scales.len(), blocks(out.len()), "scales must hold one scale per block");
    let blocks = out.par_chunks_mut(BLOCK).zip(codes.par_chunks(BLOCK)).zip(scales);
    blocks.with_min_len(TASK / BLOCK).for_each(|((out, codes), scale)| {
        for (out, code) in out.iter_mut().zip(codes) {
            *out = f32::from(*code) * scale;
        }
    });
}

/// Encodes the blocks of one task. Gives the position of the first value that is not finite.
fn encode_task(values: &[f32], codes: &mut [i8], scales: &mut [f32]) -> Option<usize> {
    let blocks = values.chunks(BLOCK).zip(codes.chunks_mut(BLOCK)).zip(scales);
    for (block, ((values, codes), scale)) in blocks.enumerate() {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Some(block * BLOCK + index);
        }
        let absmax = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        *scale = absmax / LARGEST;
        if *scale == 0.0 {
            // All zero, or so near to zero that the scale is: the error stays within the bound.
            codes.fill(0);
            continue;
        }
        for (code, value) in codes.iter_mut().zip(values) {
            // A denormal scale may be rounded down so far that the quotient exceeds 127.
            *code = round((value / *scale).clamp(-LARGEST, LARGEST)) as i8;
        }
    }
    None
}

/// Rounds half to even, for magnitudes below 2^22: around 1.5 * 2^23 floats are the integers, so the
/// addition rounds. Unlike `round_ties_even` this needs no instruction beyond x86-64's first.
#[inline]
fn round(value: f32) -> i32 {
    const INTEGERS: f32 = 12_582_912.0;
    ((value + INTEGERS) - INTEGERS) as i32
}

#[cfg(test)]
mod tests;
