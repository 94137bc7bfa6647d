//! Many rows of x: sixteen rows of the weight are turned, so that a register has four bytes of each, and four
//! bytes of x, repeated, meet all of them.

use super::super::super::LANES;
use super::super::super::block::Target;
use super::super::super::kernel::transpose;
use super::super::{CHAINS, GROUPS, Left, PANEL, ROWS, WORDS, Weight, halves};
use super::{Bytes, Codes, Eight, Four, Words};
use crate::Isa;
use crate::cpu::{Vnni, prefetch};
use std::arch::x86_64::*;
use std::ops::Range;

/// Rows of x that are summed side by side: twice 14 sums of 32 registers.
const HEIGHT: usize = 7;

/// Some rows of the weight, at most a panel, against some rows of x.
pub(in super::super) fn many(
    token: Vnni,
    (left, of_x): (&Left<'_>, Range<usize>),
    weight: &Weight<'_>,
    rows: Range<usize>,
    (scratch, target): (&mut [f32], &Target),
) {
    let (words, scales) = scratch.split_at_mut(left.blocks * WORDS * PANEL);
    let (words, scales) = (words.as_chunks_mut().0, scales.as_chunks_mut().0);
    for group in 0..GROUPS {
        let first = (rows.start + group * ROWS).min(rows.end - 1);
        let sixteen = Rows { weight, first, last: rows.end - 1 };
        sixteen.pack_scales(scales, group);
        match weight.codes {
            // SAFETY: the token proves the features.
            Codes::Four(codes, _) => unsafe { sixteen.pack(Four(codes, token), words, group) },
            // SAFETY: the token proves the features.
            Codes::Eight(codes, _) => unsafe { sixteen.pack(Eight(codes, token), words, group) },
        }
    }
    let panel = Panel { words, scales, left };
    let strips = of_x.len().div_ceil(HEIGHT);
    let height = of_x.len().div_ceil(strips);
    for first in of_x.clone().step_by(height) {
        let height = height.min(of_x.end - first);
        let sums = panel.times(token, first, height);
        for (n, sums) in sums[..height].iter().enumerate() {
            for (group, sums) in sums.iter().enumerate() {
                let row = (rows.start + group * ROWS).min(rows.end);
                target.put(first + n, row, &sums[..ROWS.min(rows.end - row)]);
            }
        }
    }
}

/// Sixteen rows of a weight from `first` on, those beyond `last` being it again.
struct Rows<'a> {
    weight: &'a Weight<'a>,
    first: usize,
    last: usize,
}

impl Rows<'_> {
    fn row(&self, r: usize) -> usize {
        (self.first + r).min(self.last)
    }

    /// Writes the scales as those of a group.
    fn pack_scales(&self, scales: &mut [Words], group: usize) {
        let all = self.weight.blocks;
        for start in (0..all).step_by(LANES) {
            let count = LANES.min(all - start);
            let (mut lines, mut turned) = ([[0.0; LANES]; ROWS], [[0.0; ROWS]; LANES]);
            for (r, line) in lines.iter_mut().enumerate() {
                self.weight.scales(self.row(r), start, &mut line[..count]);
            }
            transpose(Isa::Avx512, &lines, &mut turned);
            for (to, from) in scales[start * GROUPS..].chunks_mut(GROUPS).zip(&turned[..count]) {
                to[group] = *from;
            }
        }
    }

    /// Writes the bytes, turned, as those of a group.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn pack<'a, B: Bytes<'a>>(&self, bytes: B, words: &mut [Words], group: usize) {
        let codes = bytes.codes();
        for (block, to) in words.chunks_exact_mut(WORDS * GROUPS).enumerate() {
            let (mut lines, mut turned) = ([[0.0; LANES]; ROWS], [[0.0; ROWS]; WORDS]);
            for (r, line) in lines.iter_mut().enumerate() {
                let at = self.row(r) * self.weight.blocks + block;
                prefetch(codes, at + ROWS * self.weight.blocks, 1);
                let loaded = bytes.decoded(&codes[at]);
                // SAFETY: sixteen words; the store has no alignment to meet.
                unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), loaded) };
            }
            transpose(Isa::Avx512, &lines, &mut turned);
            for (to, from) in to.chunks_exact_mut(GROUPS).zip(&turned) {
                to[group] = *from;
            }
        }
    }
}

/// Two times sixteen rows of a weight, packed, and what they are multiplied with.
struct Panel<'a> {
    /// (blocks, words, groups).
    words: &'a [Words],
    /// (blocks, groups).
    scales: &'a [Words],
    left: &'a Left<'a>,
}

impl Panel<'_> {
    /// The products with so many rows of x from `first` on; the others are zero.
    fn times(&self, token: Vnni, first: usize, height: usize) -> [[Words; GROUPS]; HEIGHT] {
        assert!(first + height <= self.left.n, "int8: rows of x");
        assert!(self.words.len() >= self.left.blocks * WORDS * GROUPS, "int8: panel");
        assert!(self.scales.len() >= self.left.blocks * GROUPS, "int8: scales");
        let mut sums = [[[0.0; LANES]; GROUPS]; HEIGHT];
        macro_rules! by_height {
            ($($l:literal)*) => {
                match height {
                    $($l => {
                        let sums = sums.first_chunk_mut().expect("at most as many as there are");
                        // SAFETY: the token proves the features, and the bounds are those above.
                        unsafe { self.tile::<$l>(token, first, sums) }
                    })*
                    l => unreachable!("no tile of {l} rows"),
                }
            };
        }
        by_height!(1 2 3 4 5 6 7);
        sums
    }

    /// # Safety
    /// L rows of x from `first` on are there, and of the panel all blocks.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn tile<const L: usize>(&self, _: Vnni, first: usize, sums: &mut [[Words; GROUPS]; L]) {
        let left = self.left;
        let mut chains = [[[_mm512_setzero_ps(); GROUPS]; L]; CHAINS];
        for (chain, sum) in chains.iter_mut().enumerate() {
            for block in (chain..left.blocks).step_by(CHAINS) {
                // SAFETY: the caller's promise, and the block is there.
                *sum = unsafe { self.add_block(first, block, *sum) };
            }
        }
        for l in 0..L {
            for g in 0..GROUPS {
                let [a, b, c, d] = [0, 1, 2, 3].map(|chain: usize| chains[chain][l][g]);
                let sum = _mm512_add_ps(_mm512_add_ps(a, c), _mm512_add_ps(b, d));
                // SAFETY: sixteen words; the store has no alignment to meet.
                unsafe { _mm512_storeu_ps(sums[l][g].as_mut_ptr(), sum) };
            }
        }
    }

    /// # Safety
    /// As for [`Panel::tile`], and the block is there.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn add_block<const L: usize>(
        &self,
        first: usize,
        block: usize,
        mut sum: [[__m512; GROUPS]; L],
    ) -> [[__m512; GROUPS]; L] {
        let Panel { words, scales, left } = self;
        let at = first * left.blocks + block;
        let mut dots = [[_mm512_setzero_si512(); GROUPS]; L];
        for (l, dots) in dots.iter_mut().enumerate() {
            // SAFETY: row `first + l` is there.
            let start = unsafe { left.starts.get_unchecked(at + l * left.blocks) };
            *dots = [_mm512_set1_epi32(start.to_bits() as i32); GROUPS];
        }
        let halves = halves(block, left.blocks);
        let row = first * left.blocks * WORDS;
        for word in 0..WORDS {
            let x_at = row + halves[word / (WORDS / 2)] + word % (WORDS / 2);
            let mut w = [_mm512_setzero_si512(); GROUPS];
            for (g, w) in w.iter_mut().enumerate() {
                // SAFETY: the panel has all words of the blocks.
                let from = unsafe { words.get_unchecked((block * WORDS + word) * GROUPS + g) };
                // SAFETY: sixteen words; the load has no alignment to meet.
                *w = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
            }
            for (l, dots) in dots.iter_mut().enumerate() {
                // SAFETY: row `first + l` is there.
                let x = unsafe { left.words.get_unchecked(x_at + l * left.blocks * WORDS) };
                let x = _mm512_set1_epi32(x.to_bits() as i32);
                for (dot, w) in dots.iter_mut().zip(w) {
                    *dot = _mm512_dpbusd_epi32(*dot, w, x);
                }
            }
        }
        for g in 0..GROUPS {
            // SAFETY: there are scales for all blocks.
            let from = unsafe { scales.get_unchecked(block * GROUPS + g) };
            // SAFETY: sixteen words; the load has no alignment to meet.
            let scale = unsafe { _mm512_loadu_ps(from.as_ptr()) };
            for l in 0..L {
                // SAFETY: row `first + l` is there.
                let x = unsafe { left.scales.get_unchecked(at + l * left.blocks) };
                let scale = _mm512_mul_ps(_mm512_set1_ps(*x), scale);
                sum[l][g] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[l][g]), scale, sum[l][g]);
            }
        }
        sum
    }
}
