//! Few rows of x: four blocks of each are multiplied with those of four rows of the weight, two blocks to a
//! register, and the eight registers of sums are added up into one.

use super::super::super::FEW;
use super::super::super::block::Target;
use super::super::super::few::Streams;
use super::super::super::few::quads::{self, Quad, Reader};
use super::super::{CHAINS, LARGEST, Left, Row, WORDS, Weight};
use super::{Bytes, Codes, Eight, Four};
use crate::Isa;
use crate::cpu::{Vnni, prefetch};
use std::arch::x86_64::*;
use std::ops::Range;

/// Rows of a weight, and blocks of them, that are multiplied at a time: the blocks are one for each running
/// sum, and so sums of four rows fill a register.
const SIDE: usize = CHAINS;

/// Some rows of the weight against a few rows of x; in scratch, the scales of four rows.
pub(in super::super) fn few(
    token: Vnni,
    left: &Left<'_>,
    weight: &Weight<'_>,
    rows: Range<usize>,
    (scratch, target): (&mut [f32], &Target),
) {
    match weight.codes {
        Codes::Four(codes, absmax) => {
            let absmax = Some(Reader::of(Isa::Avx512, absmax, left.blocks));
            Stretch { bytes: Four(codes, token), absmax, left, weight, rows, target }.run(scratch);
        }
        Codes::Eight(codes, _) => {
            let bytes = Eight(codes, token);
            Stretch { bytes, absmax: None, left, weight, rows, target }.run(scratch);
        }
    }
}

/// Some rows of a weight.
struct Stretch<'s, B> {
    bytes: B,
    /// That of NF4; codes of 8 bits have a scale for every block.
    absmax: Option<Reader<'s>>,
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
        let Stretch { bytes, absmax, left, weight, rows, target } = self;
        let (codes, blocks) = (bytes.codes(), left.blocks);
        let scales = &mut scratch.as_chunks_mut().0[..blocks.div_ceil(SIDE)];
        let x: [Row<'_>; N] = std::array::from_fn(|n| left.row(n.min(left.n - 1)));
        let streams = Streams::of(rows, SIDE, blocks * size_of::<B::Code>());
        for at in 0..streams.length {
            let row = |r: usize| streams.row(r, at);
            let four = [row(0), row(1), row(2), row(3)];
            match absmax {
                Some(absmax) => {
                    let starts = four.map(|row| row * blocks);
                    absmax.write((&starts, blocks), 1.0 / LARGEST, scales);
                }
                None => quads::write((SIDE, blocks), scales, |r, first, out| {
                    weight.scales(four[r], first, out);
                }),
            }
            for row in four {
                weight.scales_ahead(row + streams.ahead);
            }
            let codes = |r: usize| &codes[row(r) * blocks..][..blocks];
            let lines = Lines {
                bytes: *bytes,
                codes: [codes(0), codes(1), codes(2), codes(3)],
                scales,
                ahead: streams.ahead * blocks,
            };
            let mut sums = [_mm512_setzero_ps(); N];
            lines.times(&x[..left.n], &mut sums);
            for (n, sum) in sums.into_iter().enumerate().take(left.n) {
                // Of a row the sums 0 and 2, 1 and 3, and then both.
                let halves = _mm512_add_ps(sum, _mm512_permute_ps::<0b01_00_11_10>(sum));
                let sum = _mm512_add_ps(halves, _mm512_permute_ps::<0b10_11_00_01>(halves));
                let mut lanes = [0.0; SIDE * SIDE];
                // SAFETY: sixteen words; the store has no alignment to meet.
                unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), sum) };
                let out = [lanes[0], lanes[4], lanes[8], lanes[12]];
                streams.put(target, n, at, &out);
            }
        }
    }
}

/// Four rows of a weight.
struct Lines<'s, 'a, B: Bytes<'a>> {
    bytes: B,
    codes: [&'s [B::Code]; SIDE],
    scales: &'s [Quad],
    /// How many blocks ahead of those that are used others are asked for.
    ahead: usize,
}

impl<'a, B: Bytes<'a>> Lines<'_, 'a, B> {
    /// Adds all blocks to the sums of the four rows, for each row of x.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
    fn times<const N: usize>(&self, x: &[Row<'_>], sums: &mut [__m512; N]) {
        let blocks = self.codes[0].len();
        for at in 0..blocks / SIDE {
            for codes in self.codes {
                prefetch(codes, at * SIDE + self.ahead, SIDE);
            }
            self.add::<N, SIDE>(x, [0, at], sums);
        }
        let whole = blocks / SIDE * SIDE;
        match blocks - whole {
            1 => self.add::<N, 1>(x, [whole, 0], sums),
            2 => self.add::<N, 2>(x, [whole, 0], sums),
            3 => self.add::<N, 3>(x, [whole, 0], sums),
            _ => {}
        }
    }

    /// Adds C blocks to the sums: the `at`th C blocks behind the `first` ones.
    #[inline]
    #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
    fn add<const N: usize, const C: usize>(
        &self,
        x: &[Row<'_>],
        [first, at]: [usize; 2],
        sums: &mut [__m512; N],
    ) {
        // Loops, since what maps an array would be compiled without the instructions.
        let zero = _mm512_setzero_si512();
        let mut w = [[[zero; 2]; SIDE]; SIDE / 2];
        for (r, codes) in self.codes.into_iter().enumerate() {
            let codes: &[_; C] = &codes[first..].as_chunks().0[at];
            for (pair, w) in w.iter_mut().enumerate() {
                match codes[(2 * pair).min(C)..] {
                    [ref a, ref b, ..] => w[r] = self.bytes.pair([a, b]),
                    [ref alone] => w[r] = parts(self.bytes.decoded(alone)),
                    [] => {}
                }
            }
        }
        let of = |scales: &[f32]| four::<C>(&scales[first..].as_chunks().0[at]);
        let scales = &self.scales[first / SIDE + at];
        // SAFETY: sixteen words; the load has no alignment to meet.
        let scales = unsafe { _mm512_loadu_ps(scales.as_ptr()) };
        for (x, sum) in x.iter().zip(sums) {
            let words: &[_; C] = &x.words[first..].as_chunks().0[at];
            let mut sums_of_pairs = [zero; SIDE / 2];
            for (pair, (sums, w)) in sums_of_pairs.iter_mut().zip(&w).enumerate() {
                let [x_even, x_odd] = match words[(2 * pair).min(C)..] {
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
            let starts = _mm_castps_si128(of(x.starts));
            let dots = _mm512_add_epi32(dots, _mm512_broadcast_i32x4(starts));
            let scales = _mm512_mul_ps(_mm512_broadcast_f32x4(of(x.scales)), scales);
            *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), scales, *sum);
        }
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

/// C words, and zeros behind them.
#[inline]
#[target_feature(enable = "avx2")]
fn four<const C: usize>(words: &[f32; C]) -> __m128 {
    let mut four = [0.0; SIDE];
    four[..C].copy_from_slice(words);
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
