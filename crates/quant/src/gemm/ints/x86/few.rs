//! Few rows of x: four blocks of each are multiplied with those of four rows of the weight, two blocks to a
//! register, and the eight registers of sums are added up into one.

use super::super::super::FEW;
use super::super::super::block::Target;
use super::super::super::few::rows_ahead;
use super::super::{CHAINS, Left, WORDS, Weight};
use super::{Bytes, Codes, Eight, Four};
use crate::cpu::{Vnni, prefetch};
use std::arch::x86_64::*;
use std::ops::Range;

/// Rows of a weight, and blocks of them, that are multiplied at a time: the blocks are one for each running
/// sum, and so sums of four rows fill a register.
const SIDE: usize = CHAINS;

/// Some rows of the weight against a few rows of x; of scratch, the scales of four rows.
pub(in super::super) fn few(
    token: Vnni,
    left: &Left<'_>,
    weight: &Weight<'_>,
    rows: Range<usize>,
    (scratch, target): (&mut [f32], &Target),
) {
    match weight.codes {
        Codes::Four(codes, _) => {
            Stretch { bytes: Four(codes, token), left, weight, rows, target }.run(scratch);
        }
        Codes::Eight(codes, _) => {
            Stretch { bytes: Eight(codes, token), left, weight, rows, target }.run(scratch);
        }
    }
}

/// Some rows of a weight.
struct Stretch<'s, B> {
    bytes: B,
    left: &'s Left<'s>,
    weight: &'s Weight<'s>,
    rows: Range<usize>,
    target: &'s Target,
}

impl<'a, B: Bytes<'a>> Stretch<'_, B> {
    fn run(&self, scratch: &mut [f32]) {
        // What is decoded for a single row of x stays in registers.
        match self.left.n {
            // SAFETY: whoever made `bytes` had the token, which proves the features.
            1 => unsafe { self.times::<1>(scratch) },
            // SAFETY: as above.
            _ => unsafe { self.times::<FEW>(scratch) },
        }
    }

    /// The products with up to N rows of x.
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
    fn times<const N: usize>(&self, scratch: &mut [f32]) {
        let Stretch { bytes, left, weight, rows, target } = self;
        let (codes, blocks) = (bytes.codes(), left.blocks);
        let scales = &mut scratch[..SIDE * blocks];
        let ahead = rows_ahead(SIDE, blocks * size_of::<B::Code>());
        for first in rows.clone().step_by(SIDE) {
            // The last rows are few: then the very last one is made several times, and written once.
            let row = |r: usize| (first + r).min(rows.end - 1);
            for (r, scales) in scales.chunks_exact_mut(blocks).enumerate() {
                weight.scales(row(r), 0, scales);
                weight.scales_ahead(first + ahead + r);
            }
            let lines: [_; SIDE] = std::array::from_fn(|r| &codes[row(r) * blocks..][..blocks]);
            let four = FourRows { bytes: *bytes, lines, scales, left };
            let mut sums = [_mm512_setzero_ps(); N];
            for start in (0..blocks).step_by(SIDE) {
                for r in 0..SIDE {
                    prefetch(codes, (first + ahead + r) * blocks + start, SIDE);
                }
                match blocks - start {
                    1 => four.add::<N, 1>(start, &mut sums),
                    2 => four.add::<N, 2>(start, &mut sums),
                    3 => four.add::<N, 3>(start, &mut sums),
                    _ => four.add::<N, SIDE>(start, &mut sums),
                }
            }
            for (n, sum) in sums.into_iter().enumerate().take(left.n) {
                // Of a row the sums 0 and 2, 1 and 3, and then both.
                let halves = _mm512_add_ps(sum, _mm512_permute_ps::<0b01_00_11_10>(sum));
                let sum = _mm512_add_ps(halves, _mm512_permute_ps::<0b10_11_00_01>(halves));
                let mut lanes = [0.0; SIDE * SIDE];
                // SAFETY: sixteen words; the store has no alignment to meet.
                unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), sum) };
                let out = [lanes[0], lanes[4], lanes[8], lanes[12]];
                target.put(n, first, &out[..SIDE.min(rows.end - first)]);
            }
        }
    }
}

/// Four rows of a weight with their scales, row by row.
struct FourRows<'s, 'a, B: Bytes<'a>> {
    bytes: B,
    lines: [&'s [B::Code]; SIDE],
    scales: &'s [f32],
    left: &'s Left<'s>,
}

impl<'a, B: Bytes<'a>> FourRows<'_, 'a, B> {
    /// Adds C blocks from `start` on to the sums of the four rows, for each row of x.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
    fn add<const N: usize, const C: usize>(&self, start: usize, sums: &mut [__m512; N]) {
        let FourRows { bytes, lines, left, .. } = self;
        // Loops, since what maps an array would be compiled without the instructions.
        let zero = _mm512_setzero_si512();
        let mut w = [[[zero; 2]; SIDE]; SIDE / 2];
        for (r, line) in lines.iter().enumerate() {
            let codes: &[_; C] = line[start..].first_chunk().expect("blocks of a row");
            for (pair, w) in w.iter_mut().enumerate() {
                match codes[(2 * pair).min(C)..] {
                    [ref a, ref b, ..] => w[r] = bytes.pair([a, b]),
                    [ref alone] => w[r] = parts(bytes.decoded(alone)),
                    [] => {}
                }
            }
        }
        let mut scales = _mm512_castps128_ps512(self.scales::<C>(0, start));
        scales = _mm512_insertf32x4::<1>(scales, self.scales::<C>(1, start));
        scales = _mm512_insertf32x4::<2>(scales, self.scales::<C>(2, start));
        scales = _mm512_insertf32x4::<3>(scales, self.scales::<C>(3, start));
        for (n, sum) in sums.iter_mut().enumerate().take(left.n) {
            let at = n * left.blocks + start;
            let x: &[[f32; WORDS]; C] =
                left.words[at * WORDS..].as_chunks().0.first_chunk().expect("blocks of x");
            let mut sums_of_pairs = [zero; SIDE / 2];
            for (pair, (sums, w)) in sums_of_pairs.iter_mut().zip(&w).enumerate() {
                let [x_even, x_odd] = match x[(2 * pair).min(C)..] {
                    [ref even, ref odd, ..] => [sixteen(even), sixteen(odd)],
                    [ref alone] => parts(sixteen(alone)),
                    [] => continue,
                };
                let mut rows = [zero; SIDE];
                for (row, &[even, odd]) in rows.iter_mut().zip(w) {
                    let dot = _mm512_dpbusd_epi32(zero, even, x_even);
                    *row = _mm512_dpbusd_epi32(dot, odd, x_odd);
                }
                *sums = summed(rows);
            }
            let dots = quarters(sums_of_pairs[0], sums_of_pairs[1]);
            // By block and row; scales are by row and block.
            let turned = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let dots = _mm512_permutexvar_epi32(turned, dots);
            let starts = _mm_castps_si128(loaded::<C>(&left.starts[at..]));
            let dots = _mm512_add_epi32(dots, _mm512_broadcast_i32x4(starts));
            let x_scales = _mm512_broadcast_f32x4(loaded::<C>(&left.scales[at..]));
            let scales = _mm512_mul_ps(x_scales, scales);
            *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), scales, *sum);
        }
    }

    /// The scales of C blocks of a row.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn scales<const C: usize>(&self, row: usize, start: usize) -> __m128 {
        loaded::<C>(&self.scales[row * self.left.blocks + start..])
    }
}

/// Sixteen words of x.
#[inline]
#[target_feature(enable = "avx512f")]
fn sixteen(x: &[f32; WORDS]) -> __m512i {
    // SAFETY: sixteen words; the load has no alignment to meet.
    unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
}

/// The lower and the upper half of a register, each with zeros above.
#[inline]
#[target_feature(enable = "avx512f")]
fn parts(block: __m512i) -> [__m512i; 2] {
    let halves = [_mm512_castsi512_si256(block), _mm512_extracti64x4_epi64::<1>(block)];
    [_mm512_zextsi256_si512(halves[0]), _mm512_zextsi256_si512(halves[1])]
}

/// The first C words, and zeros behind them.
#[inline]
#[target_feature(enable = "avx2")]
fn loaded<const C: usize>(from: &[f32]) -> __m128 {
    let mut four = [0.0; SIDE];
    match from.first_chunk::<SIDE>() {
        Some(from) if C == SIDE => four = *from,
        _ => four[..C].copy_from_slice(&from[..C]),
    }
    // SAFETY: four words; the load has no alignment to meet.
    unsafe { _mm_loadu_ps(four.as_ptr()) }
}

/// The sums of four registers within each quarter, side by side in it.
#[inline]
#[target_feature(enable = "avx512f")]
fn summed([a, b, c, d]: [__m512i; SIDE]) -> __m512i {
    let two = |a, b| _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (ab, cd) = (two(a, b), two(c, d));
    _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd))
}

/// The sums of neighbouring quarters: of `a`, then of `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters(a: __m512i, b: __m512i) -> __m512i {
    let even = _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
    _mm512_add_epi32(even, _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b))
}
