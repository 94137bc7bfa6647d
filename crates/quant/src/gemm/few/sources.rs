//! The weights that products of few rows read, a block of 64 at a time.

use super::super::operand::Values;
#[cfg(target_arch = "x86_64")]
use super::super::words::x86::FastPairs;
use super::super::words::{Block, Words};
use super::super::{BLOCK, Dense, Matrix, Numerics, Side};
use crate::Isa;
use crate::cpu::prefetch;
use crate::nf4::Nf4;

/// Weights that are read a block of 64 at a time.
pub(in super::super) trait Source {
    /// Writes the scales of a row's blocks from `first` on, where there are such.
    fn scales(&self, _row: usize, _first: usize, _out: &mut [f32]) {}
    /// Asks for the scales of a row, which need not be there.
    fn scales_ahead(&self, _row: usize) {}
    /// The words of a block, whose scale is given.
    fn block<W: Words>(&self, words: W, row: usize, block: usize, scale: f32) -> Block<W>;
    /// Writes the words of as many blocks of a row as there are scales.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn blocks(&self, words: FastPairs, row: usize, first: usize, scales: &[f32], out: &mut [f32]) {
        let out = out.chunks_exact_mut(FastPairs::FORMAT.words());
        for ((block, &scale), out) in (first..).zip(scales).zip(out) {
            words.store_block(self.block(words, row, block, scale), out);
        }
    }
    /// Bytes of a block.
    fn block_bytes(&self) -> usize {
        BLOCK
    }
    /// Asks for so many blocks of a row, which need not be there.
    fn ahead(&self, _row: usize, _first: usize, _count: usize) {}
}

/// Blocks of NF4.
struct Codes<'a> {
    isa: Isa,
    numerics: Numerics,
    weight: Nf4<'a>,
    codes: &'a [[u8; BLOCK / 2]],
    blocks: usize,
}

impl Source for Codes<'_> {
    #[inline(always)]
    fn scales(&self, row: usize, first: usize, out: &mut [f32]) {
        self.weight.absmax.get_into(row * self.blocks + first, out);
    }

    #[inline(always)]
    fn scales_ahead(&self, row: usize) {
        self.weight.absmax.prefetch(row * self.blocks, self.blocks);
    }

    #[inline(always)]
    fn block<W: Words>(&self, words: W, row: usize, block: usize, scale: f32) -> Block<W> {
        let codes = &self.codes[row * self.blocks + block];
        words.of_codes(self.isa, self.numerics, codes, scale)
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn blocks(&self, words: FastPairs, row: usize, first: usize, scales: &[f32], out: &mut [f32]) {
        let codes = &self.codes[row * self.blocks + first..][..scales.len()];
        let (twos, last) = codes.as_chunks::<2>();
        let (of_twos, of_last) = scales.as_chunks::<2>();
        let (out, rest) = out.split_at_mut(twos.len() * BLOCK);
        for ((codes, scales), out) in twos.iter().zip(of_twos).zip(out.as_chunks_mut().0) {
            words.of_two_blocks(codes, scales, out);
        }
        for (codes, &scale) in last.iter().zip(of_last) {
            let block = words.of_codes(self.isa, self.numerics, codes, scale);
            words.store_block(block, &mut rest[..FastPairs::FORMAT.words()]);
        }
    }

    #[inline(always)]
    fn block_bytes(&self) -> usize {
        BLOCK / 2
    }

    #[inline(always)]
    fn ahead(&self, row: usize, first: usize, count: usize) {
        prefetch(self.codes, row * self.blocks + first, count);
    }
}

/// Blocks of 8 bits.
struct Bytes<'a> {
    numerics: Numerics,
    codes: &'a [[i8; BLOCK]],
    scales: &'a [f32],
    blocks: usize,
}

impl Source for Bytes<'_> {
    #[inline(always)]
    fn scales(&self, row: usize, first: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.scales[row * self.blocks + first..][..out.len()]);
    }

    #[inline(always)]
    fn scales_ahead(&self, row: usize) {
        prefetch(self.scales, row * self.blocks, self.blocks);
    }

    #[inline(always)]
    fn block<W: Words>(&self, words: W, row: usize, block: usize, scale: f32) -> Block<W> {
        words.of_bytes(self.numerics, &self.codes[row * self.blocks + block], scale)
    }

    #[inline(always)]
    fn ahead(&self, row: usize, first: usize, count: usize) {
        prefetch(self.codes, row * self.blocks + first, count);
    }
}

/// Dense f32 in whole blocks.
struct Floats<'a> {
    numerics: Numerics,
    values: &'a [f32],
    stride: usize,
}

impl Source for Floats<'_> {
    #[inline(always)]
    fn block<W: Words>(&self, words: W, row: usize, block: usize, _: f32) -> Block<W> {
        let values = self.values[row * self.stride + block * BLOCK..].first_chunk();
        words.of_values(self.numerics, values.expect("whole blocks"))
    }

    #[inline(always)]
    fn block_bytes(&self) -> usize {
        BLOCK * size_of::<f32>()
    }

    #[inline(always)]
    fn ahead(&self, row: usize, first: usize, count: usize) {
        prefetch(self.values, row * self.stride + first * BLOCK, count * BLOCK);
    }
}

/// Dense bf16 in whole blocks.
struct Halves<'a> {
    values: &'a [half::bf16],
    stride: usize,
}

impl Source for Halves<'_> {
    #[inline(always)]
    fn block<W: Words>(&self, words: W, row: usize, block: usize, _: f32) -> Block<W> {
        let values = self.values[row * self.stride + block * BLOCK..].first_chunk();
        words.of_halves(values.expect("whole blocks"))
    }

    #[inline(always)]
    fn block_bytes(&self) -> usize {
        BLOCK * size_of::<half::bf16>()
    }

    #[inline(always)]
    fn ahead(&self, row: usize, first: usize, count: usize) {
        prefetch(self.values, row * self.stride + first * BLOCK, count * BLOCK);
    }
}

/// Anything else.
struct Other<'a> {
    isa: Isa,
    numerics: Numerics,
    weight: &'a Matrix<'a>,
}

impl Source for Other<'_> {
    #[inline(always)]
    fn block<W: Words>(&self, words: W, row: usize, block: usize, _: f32) -> Block<W> {
        let mut values = [0.0; BLOCK];
        self.weight.block(self.isa, self.numerics, row, block, &mut values);
        words.of_block(&values)
    }
}

/// What is done with the source of a weight, whichever it is.
pub(in super::super) trait Visit {
    fn visit<S: Source>(self, source: &S);
}

/// Finds the source of the weight.
#[inline(always)]
pub(in super::super) fn visit<V: Visit>(
    (isa, numerics): (Isa, Numerics),
    weight: &Matrix<'_>,
    visitor: V,
) {
    match *weight {
        Matrix::Nf4 { weight, inner, side: Side::In, .. } if inner.is_multiple_of(BLOCK) => {
            let (codes, blocks) = (weight.codes.as_chunks().0, inner / BLOCK);
            visitor.visit(&Codes { isa, numerics, weight, codes, blocks });
        }
        Matrix::Q8 { codes, scales, inner, side: Side::In, .. } if inner.is_multiple_of(BLOCK) => {
            let (codes, blocks) = (codes.as_chunks().0, inner / BLOCK);
            visitor.visit(&Bytes { numerics, codes, scales, blocks });
        }
        Matrix::Dense(Dense {
            values: Values::F32(values),
            cols,
            row_stride: stride,
            col_stride: 1,
            ..
        }) if cols.is_multiple_of(BLOCK) => visitor.visit(&Floats { numerics, values, stride }),
        Matrix::Dense(Dense {
            values: Values::Bf16(values),
            cols,
            row_stride: stride,
            col_stride: 1,
            ..
        }) if cols.is_multiple_of(BLOCK) => visitor.visit(&Halves { values, stride }),
        _ => visitor.visit(&Other { isa, numerics, weight }),
    }
}
