//! The weights that products of few rows read, a block of 64 at a time.

use super::super::operand::Values;
#[cfg(target_arch = "x86_64")]
use super::super::words::x86::FastPairs;
use super::super::words::{Block, Words};
use super::super::{BLOCK, Dense, Matrix, Numerics, Side};
use super::quads::{self, Quad};
use crate::Isa;
use crate::cpu::prefetch;

/// Weights that are read a block of 64 at a time.
pub(in super::super) trait Source {
    /// A row.
    type Line<'l>: Line
    where
        Self: 'l;
    /// The blocks of a row.
    fn line(&self, row: usize) -> Self::Line<'_>;
    /// Writes the scales of a row's blocks from `first` on, where there are such.
    fn scales(&self, _row: usize, _first: usize, _out: &mut [f32]) {}
    /// Writes the scales of so many blocks of up to four rows, from one on, where there are such.
    #[inline(always)]
    fn quads(&self, rows: &[usize], (first, count): (usize, usize), out: &mut [Quad]) {
        quads::write((rows.len(), count), out, |row, at, out| {
            self.scales(rows[row], first + at, out);
        });
    }
    /// Asks for the scales of a row, which need not be there.
    fn scales_ahead(&self, _row: usize) {}
    /// Writes the words of as many blocks of a row as there are scales.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn blocks(&self, words: FastPairs, row: usize, first: usize, scales: &[f32], out: &mut [f32]) {
        let line = self.line(row);
        let out = out.chunks_exact_mut(FastPairs::FORMAT.words());
        for ((block, &scale), out) in (first..).zip(scales).zip(out) {
            words.store_block(line.block(words, block, scale), out);
        }
    }
    /// Bytes of a block.
    fn block_bytes(&self) -> usize {
        BLOCK
    }
    /// Asks for so many blocks of a row, which need not be there.
    fn ahead(&self, _row: usize, _first: usize, _count: usize) {}
}

/// A row's blocks, or four of them.
pub(in super::super) trait Line: Copy {
    /// The words of a block, whose scale is given.
    fn block<W: Words>(self, words: W, at: usize, scale: f32) -> Block<W>;
    /// Writes these words side by side.
    #[inline(always)]
    fn store<W: Words>(self, words: W, at: usize, scale: f32, out: &mut [f32]) {
        words.store_block(self.block(words, at, scale), out);
    }
    /// Of a row's blocks the `at`th four.
    fn four(self, at: usize) -> Self;
}

/// A block as it is stored.
trait Stored: Copy {
    /// Its words.
    fn words<W: Words>(&self, words: W, on: (Isa, Numerics), scale: f32) -> Block<W>;
    /// Writes them side by side.
    #[inline(always)]
    fn store<W: Words>(&self, words: W, on: (Isa, Numerics), scale: f32, out: &mut [f32]) {
        words.store_block(self.words(words, on, scale), out);
    }
}

impl Stored for [u8; BLOCK / 2] {
    #[inline(always)]
    fn words<W: Words>(&self, words: W, (isa, numerics): (Isa, Numerics), scale: f32) -> Block<W> {
        words.of_codes(isa, numerics, self, scale)
    }
}

impl Stored for [i8; BLOCK] {
    #[inline(always)]
    fn words<W: Words>(&self, words: W, (_, numerics): (Isa, Numerics), scale: f32) -> Block<W> {
        words.of_bytes(numerics, self, scale)
    }
}

impl Stored for [f32; BLOCK] {
    #[inline(always)]
    fn words<W: Words>(&self, words: W, (_, numerics): (Isa, Numerics), _: f32) -> Block<W> {
        words.of_values(numerics, self)
    }

    #[inline(always)]
    fn store<W: Words>(&self, words: W, (_, numerics): (Isa, Numerics), _: f32, out: &mut [f32]) {
        words.arrange(numerics, self, out);
    }
}

impl Stored for [half::bf16; BLOCK] {
    #[inline(always)]
    fn words<W: Words>(&self, words: W, _: (Isa, Numerics), _: f32) -> Block<W> {
        words.of_halves(self)
    }
}

/// Blocks that lie side by side.
#[derive(Clone, Copy)]
struct Neighbours<'a, B>((Isa, Numerics), &'a [B]);

impl<B: Stored> Line for Neighbours<'_, B> {
    #[inline(always)]
    fn block<W: Words>(self, words: W, at: usize, scale: f32) -> Block<W> {
        self.1[at].words(words, self.0, scale)
    }

    #[inline(always)]
    fn store<W: Words>(self, words: W, at: usize, scale: f32, out: &mut [f32]) {
        self.1[at].store(words, self.0, scale, out);
    }

    #[inline(always)]
    fn four(self, at: usize) -> Self {
        Self(self.0, &self.1.as_chunks::<{ quads::SIDE }>().0[at])
    }
}

/// Blocks of NF4.
struct Codes<'a> {
    on: (Isa, Numerics),
    codes: &'a [[u8; BLOCK / 2]],
    absmax: quads::Reader<'a>,
    blocks: usize,
}

impl<'a> Source for Codes<'a> {
    type Line<'l>
        = Neighbours<'a, [u8; BLOCK / 2]>
    where
        Self: 'l;

    #[inline(always)]
    fn line(&self, row: usize) -> Self::Line<'_> {
        let codes = &self.codes[row * self.blocks..][..self.blocks];
        Neighbours(self.on, codes)
    }

    #[inline(always)]
    fn scales(&self, row: usize, first: usize, out: &mut [f32]) {
        self.absmax.neighbours(row * self.blocks + first, out);
    }

    #[inline(always)]
    fn quads(&self, rows: &[usize], (first, count): (usize, usize), out: &mut [Quad]) {
        let start = |r: usize| rows[r.min(rows.len() - 1)] * self.blocks + first;
        let starts = [start(0), start(1), start(2), start(3)];
        self.absmax.write((&starts[..rows.len()], count), 1.0, out);
    }

    #[inline(always)]
    fn scales_ahead(&self, row: usize) {
        self.absmax.ahead(row * self.blocks, self.blocks);
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
            let block = codes.words(words, self.on, scale);
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
    on: (Isa, Numerics),
    codes: &'a [[i8; BLOCK]],
    scales: &'a [f32],
    blocks: usize,
}

impl<'a> Source for Bytes<'a> {
    type Line<'l>
        = Neighbours<'a, [i8; BLOCK]>
    where
        Self: 'l;

    #[inline(always)]
    fn line(&self, row: usize) -> Self::Line<'_> {
        Neighbours(self.on, &self.codes[row * self.blocks..][..self.blocks])
    }

    #[inline(always)]
    fn scales(&self, row: usize, first: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.scales[row * self.blocks + first..][..out.len()]);
    }

    #[inline(always)]
    fn scales_ahead(&self, row: usize) {
        prefetch(self.scales, row * self.blocks, self.blocks);
    }

    #[inline(always)]
    fn ahead(&self, row: usize, first: usize, count: usize) {
        prefetch(self.codes, row * self.blocks + first, count);
    }
}

/// Dense f32 in whole blocks.
struct Floats<'a> {
    on: (Isa, Numerics),
    values: &'a [f32],
    blocks: usize,
    stride: usize,
}

impl<'a> Source for Floats<'a> {
    type Line<'l>
        = Neighbours<'a, [f32; BLOCK]>
    where
        Self: 'l;

    #[inline(always)]
    fn line(&self, row: usize) -> Self::Line<'_> {
        let values = self.values[row * self.stride..].as_chunks().0;
        Neighbours(self.on, &values[..self.blocks])
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
    on: (Isa, Numerics),
    values: &'a [half::bf16],
    blocks: usize,
    stride: usize,
}

impl<'a> Source for Halves<'a> {
    type Line<'l>
        = Neighbours<'a, [half::bf16; BLOCK]>
    where
        Self: 'l;

    #[inline(always)]
    fn line(&self, row: usize) -> Self::Line<'_> {
        let values = self.values[row * self.stride..].as_chunks().0;
        Neighbours(self.on, &values[..self.blocks])
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

/// The blocks of a row from one on.
#[derive(Clone, Copy)]
struct LineOfOther<'l, 'a>(&'l Other<'a>, usize, usize);

impl Line for LineOfOther<'_, '_> {
    #[inline(always)]
    fn block<W: Words>(self, words: W, at: usize, _: f32) -> Block<W> {
        let Self(Other { isa, numerics, weight }, row, first) = self;
        if let Some(values) = weight.padded(row, first + at) {
            return words.of_values(*numerics, &values);
        }
        let mut values = [0.0; BLOCK];
        weight.block(*isa, *numerics, row, first + at, &mut values);
        words.of_block(&values)
    }

    #[inline(always)]
    fn store<W: Words>(self, words: W, at: usize, scale: f32, out: &mut [f32]) {
        let Self(Other { numerics, weight, .. }, row, first) = self;
        match weight.padded(row, first + at) {
            Some(values) => words.arrange(*numerics, &values, out),
            None => words.store_block(self.block(words, at, scale), out),
        }
    }

    #[inline(always)]
    fn four(self, at: usize) -> Self {
        Self(self.0, self.1, self.2 + quads::SIDE * at)
    }
}

impl<'a> Source for Other<'a> {
    type Line<'l>
        = LineOfOther<'l, 'a>
    where
        Self: 'l;

    #[inline(always)]
    fn line(&self, row: usize) -> LineOfOther<'_, 'a> {
        LineOfOther(self, row, 0)
    }
}

/// What is done with the source of a weight, whichever it is.
pub(in super::super) trait Visit {
    fn visit<S: Source>(self, source: &S);
}

/// Finds the source of the weight.
#[inline(always)]
pub(in super::super) fn visit<V: Visit>(on: (Isa, Numerics), weight: &Matrix<'_>, visitor: V) {
    match *weight {
        Matrix::Nf4 { weight, inner, side: Side::In, .. } if inner.is_multiple_of(BLOCK) => {
            let (codes, blocks) = (weight.codes.as_chunks().0, inner / BLOCK);
            let absmax = quads::Reader::of(on.0, weight.absmax, blocks);
            visitor.visit(&Codes { on, codes, absmax, blocks });
        }
        Matrix::Q8 { codes, scales, inner, side: Side::In, .. } if inner.is_multiple_of(BLOCK) => {
            let (codes, blocks) = (codes.as_chunks().0, inner / BLOCK);
            visitor.visit(&Bytes { on, codes, scales, blocks });
        }
        Matrix::Dense(Dense {
            values: Values::F32(values),
            cols,
            row_stride: stride,
            col_stride: 1,
            ..
        }) if cols.is_multiple_of(BLOCK) => {
            visitor.visit(&Floats { on, values, blocks: cols / BLOCK, stride });
        }
        Matrix::Dense(Dense {
            values: Values::Bf16(values),
            cols,
            row_stride: stride,
            col_stride: 1,
            ..
        }) if cols.is_multiple_of(BLOCK) => {
            visitor.visit(&Halves { on, values, blocks: cols / BLOCK, stride });
        }
        _ => visitor.visit(&Other { isa: on.0, numerics: on.1, weight }),
    }
}
