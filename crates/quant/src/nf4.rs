//! NF4: four bits a weight, one scale (absmax) per block of 64 weights.
//!
//! The format is that of bitsandbytes, byte for byte. A weight of any shape is flattened row-major;
//! block `b` holds elements `64 b .. 64 b + 64`, the last block may be shorter and blocks may cross
//! rows. Element `2 j` is the high nibble of byte `j`, element `2 j + 1` the low one. A weight is
//! `CODE[nibble] * absmax[block]`: one f32 product, then one rounding to nearest even where the
//! target is narrower. The levels are the normal-float levels of Dettmers et al., "QLoRA" (2023).
//!
//! [`encode`] gives the bits of bitsandbytes 0.50 on a CPU. Its corner cases, kept on purpose: a
//! whole block is multiplied by the reciprocal of its absmax and stores the absmax as it is, the
//! shorter last block is divided by an absmax of at least 1e-38 and stores that; an odd element
//! count leaves the code of zero in the unused nibble.

use half::{bf16, f16};
use rayon::prelude::*;

use crate::Error;
use crate::double_quant;

/// Weights per absmax.
pub const BLOCK: usize = 64;

/// The 16 levels, ascending, by nibble.
pub const CODE: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// `THRESHOLD[k]` lies between levels `k` and `k + 1`; a value above it, strictly, is nearer to the
/// upper one.
pub const THRESHOLD: [f32; 15] = {
    let mut middle = [0.0; 15];
    let mut k = 0;
    while k < 15 {
        middle[k] = (CODE[k] + CODE[k + 1]) / 2.0;
        k += 1;
    }
    middle
};

/// An absmax below this would make the reciprocal infinite. It is below the smallest normal number.
const SMALLEST_DIVISOR: f32 = 1e-38;

/// Elements that one task works on: large enough to hide the cost of handing it out, and a multiple
/// of the block, so that where a task begins changes no bit.
const TASK: usize = 256 * BLOCK;

/// Bytes of codes for `elements` weights.
pub const fn code_bytes(elements: usize) -> usize {
    elements.div_ceil(2)
}

/// Blocks, and so absmax values, of `elements` weights.
pub const fn blocks(elements: usize) -> usize {
    elements.div_ceil(BLOCK)
}

/// A quantized weight where it lies: nothing is copied.
#[derive(Clone, Copy, Debug)]
pub struct Nf4<'a> {
    /// Two weights a byte, [`code_bytes`] of them.
    pub codes: &'a [u8],
    /// One scale per block, [`blocks`] of them.
    pub absmax: Absmax<'a>,
}

impl Nf4<'_> {
    /// Checks every array against the number of weights. Readers call it once, after which no index
    /// into this view can be out of range.
    ///
    /// # Errors
    /// [`Error::Length`] naming the array that does not fit.
    pub fn check(&self, elements: usize) -> Result<(), Error> {
        let blocks = blocks(elements);
        expect_length("codes", self.codes.len(), code_bytes(elements))?;
        expect_length("absmax", self.absmax.len(), blocks)?;
        if let Absmax::Double { nested, .. } = self.absmax {
            expect_length("nested_absmax", nested.len(), double_quant::blocks(blocks))?;
        }
        Ok(())
    }
}

/// The scales of an NF4 weight, plain or quantized once more.
#[derive(Clone, Copy, Debug)]
pub enum Absmax<'a> {
    /// One f32 per block.
    F32(&'a [f32]),
    /// One byte per block; see [`double_quant`].
    Double {
        /// One index into `map` per block.
        q: &'a [u8],
        /// The levels, as stored with the weight.
        map: &'a [f32; 256],
        /// One scale per 256 blocks.
        nested: &'a [f32],
        /// What was subtracted from every absmax before it was quantized.
        offset: f32,
    },
}

impl Absmax<'_> {
    /// The number of blocks.
    pub const fn len(&self) -> usize {
        match self {
            Self::F32(absmax) => absmax.len(),
            Self::Double { q, .. } => q.len(),
        }
    }

    /// Whether there is no block.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The absmax of one block. Panics when there is no such block.
    #[inline]
    pub fn get(&self, block: usize) -> f32 {
        match *self {
            Self::F32(absmax) => absmax[block],
            Self::Double { q, map, nested, offset } => {
                double_quant::level(map[usize::from(q[block])], nested[block / double_quant::BLOCK])
                    + offset
            }
        }
    }

    /// The absmax of blocks `first_block .. first_block + out.len()`. Panics when one is missing.
    pub fn get_into(&self, first_block: usize, out: &mut [f32]) {
        match *self {
            Self::F32(absmax) => {
                out.copy_from_slice(&absmax[first_block..first_block + out.len()]);
            }
            Self::Double { q, map, nested, offset } => {
                let mut first = first_block;
                let mut rest = out;
                while !rest.is_empty() {
                    let count = rest.len().min(double_quant::BLOCK - first % double_quant::BLOCK);
                    let (now, later) = rest.split_at_mut(count);
                    let scale = nested[first / double_quant::BLOCK];
                    for (out, q) in now.iter_mut().zip(&q[first..first + count]) {
                        *out = double_quant::level(map[usize::from(*q)], scale) + offset;
                    }
                    first += count;
                    rest = later;
                }
            }
        }
    }

    /// Asks the cache for the absmax of these blocks, which need not be there.
    pub(crate) fn prefetch(&self, first_block: usize, blocks: usize) {
        match *self {
            Self::F32(absmax) => crate::cpu::prefetch(absmax, first_block, blocks),
            Self::Double { q, .. } => crate::cpu::prefetch(q, first_block, blocks),
        }
    }
}

/// Quantizes `values` (flattened row-major, f32; bf16 and f16 weights are widened first, which is
/// exact) into `codes` and `absmax`, on all threads of the current pool, with the same bits for any
/// number of them.
///
/// Panics unless `codes` has [`code_bytes`] and `absmax` [`blocks`] entries.
///
/// # Errors
/// [`Error::NotFinite`] naming the first NaN or infinity; the outputs are then partly written.
pub fn encode(values: &[f32], codes: &mut [u8], absmax: &mut [f32]) -> Result<(), Error> {
    assert_eq!(codes.len(), code_bytes(values.len()), "codes must hold two weights a byte");
    assert_eq!(absmax.len(), blocks(values.len()), "absmax must hold one scale per block");
    // Of several bad elements the first is named, whichever thread comes first.
    let bad = (values.par_chunks(TASK), codes.par_chunks_mut(TASK / 2))
        .into_par_iter()
        .zip(absmax.par_chunks_mut(TASK / BLOCK))
        .enumerate()
        .filter_map(|(task, ((values, codes), absmax))| {
            encode_task(values, codes, absmax).map(|index| task * TASK + index)
        })
        .min();
    bad.map_or(Ok(()), |index| Err(Error::NotFinite { index, value: values[index] }))
}

/// Decodes to f32: one product, no further rounding.
///
/// `codes`, `absmax` and `out` as in [`encode`]; panics when the lengths do not fit.
pub fn decode_f32(codes: &[u8], absmax: &[f32], out: &mut [f32]) {
    decode(codes, absmax, out, |value| value);
}

/// Decodes to bf16: the f32 product rounded once, to nearest even.
///
/// `codes`, `absmax` and `out` as in [`encode`]; panics when the lengths do not fit.
pub fn decode_bf16(codes: &[u8], absmax: &[f32], out: &mut [bf16]) {
    decode(codes, absmax, out, bf16::from_f32);
}

/// Decodes to f16: the f32 product rounded once, to nearest even; a product beyond 65504 becomes
/// infinite.
///
/// `codes`, `absmax` and `out` as in [`encode`]; panics when the lengths do not fit.
pub fn decode_f16(codes: &[u8], absmax: &[f32], out: &mut [f16]) {
    decode(codes, absmax, out, f16::from_f32);
}

fn decode<T: Send>(
    codes: &[u8],
    absmax: &[f32],
    out: &mut [T],
    round: impl Fn(f32) -> T + Send + Sync,
) {
    assert_eq!(codes.len(), code_bytes(out.len()), "codes must hold two weights a byte");
    assert_eq!(absmax.len(), blocks(out.len()), "absmax must hold one scale per block");
    let blocks = out.par_chunks_mut(BLOCK).zip(codes.par_chunks(BLOCK / 2)).zip(absmax);
    blocks.with_min_len(TASK / BLOCK).for_each(|((out, codes), &absmax)| {
        for (pair, &byte) in out.chunks_mut(2).zip(codes) {
            pair[0] = round(CODE[usize::from(byte >> 4)] * absmax);
            if let Some(low) = pair.get_mut(1) {
                *low = round(CODE[usize::from(byte & 15)] * absmax);
            }
        }
    });
}

/// Encodes the whole blocks of one task and the shorter one that may follow. Gives the position of
/// the first value that is not finite.
fn encode_task(values: &[f32], codes: &mut [u8], absmax: &mut [f32]) -> Option<usize> {
    let blocks = values.chunks(BLOCK).zip(codes.chunks_mut(BLOCK / 2)).zip(absmax);
    for (block, ((values, codes), absmax)) in blocks.enumerate() {
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Some(block * BLOCK + index);
        }
        let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let divisor = largest.max(SMALLEST_DIVISOR);
        if values.len() == BLOCK {
            *absmax = largest;
            let reciprocal = 1.0 / divisor;
            pack(values, codes, |value| value * reciprocal);
        } else {
            *absmax = divisor;
            pack(values, codes, |value| value / divisor);
        }
    }
    None
}

/// Packs one block whose values `scale` brings into -1 ..= 1. What rounding leaves outside of that
/// range needs no clamp: it is beyond the last threshold either way.
fn pack(values: &[f32], codes: &mut [u8], scale: impl Fn(f32) -> f32) {
    for (pair, byte) in values.chunks(2).zip(codes) {
        let high = nearest(scale(pair[0]));
        let low = pair.get(1).map_or(nearest(0.0), |&value| nearest(scale(value)));
        *byte = high << 4 | low;
    }
}

/// The code of a scaled value: how many thresholds lie below it, found in four halvings.
#[inline]
fn nearest(scaled: f32) -> u8 {
    let mut code = 0;
    for step in [8, 4, 2, 1] {
        if scaled > THRESHOLD[code + step - 1] {
            code += step;
        }
    }
    code as u8
}

fn expect_length(array: &'static str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected { Ok(()) } else { Err(Error::Length { array, expected, found }) }
}

#[cfg(test)]
mod tests;
