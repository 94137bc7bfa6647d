//! Products in `int8`: x in 8 bits times weights in 8 bits, summed exactly within a block of 64.
//!
//! A block of x is `q · s` with `s = max|x| / 127` and `q` the nearest whole numbers. A block of NF4 is
//! `c · absmax / 127` with `c` the nearest whole numbers of 127 times the code's values; one of 8 bits is as
//! it is stored. `specification` states the rest in loops. What is not finite in x makes its outputs NaN.
//!
//! Within a block the elements with even `k` lie before those with odd ones, as the upper and the lower halves
//! of bytes of NF4 do; sums of whole numbers have no order. Of x, two blocks lie together: the even elements of
//! both, then the odd ones of both; a last block may be alone.
//!
//! AVX-512 multiplies unsigned with signed bytes. So 128 is added to what comes of the weights, and for each
//! block 128 times the sum of `q` is where the sum of products begins.

#[cfg(test)]
pub(super) mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::block::{Output, Scratch, Target, Workspace};
use super::{BLOCK, LANES, Matrix, Side, skinny};
use crate::Isa;
use crate::cpu::Vnni;
#[cfg(target_arch = "x86_64")]
use crate::cpu::prefetch;
use crate::nf4::{Absmax, CODE};
use crate::per_tier;
use rayon::prelude::*;
use std::ops::Range;

/// Words of a block of x.
const WORDS: usize = BLOCK / 4;
/// Rows of a weight that lie side by side in a register.
const ROWS: usize = LANES;
/// Such groups in a task's panel.
const GROUPS: usize = 2;
/// Rows of a task's panel.
const PANEL: usize = GROUPS * ROWS;
/// Running sums of an output: a block adds to the one of its number modulo this.
pub(super) const CHAINS: usize = 4;
/// Rows of x that plain loops serve with a block once it is decoded.
const STRIP: usize = 8;
/// The largest whole number.
const LARGEST: f32 = 127.0;
/// Blocks of x with nothing above this are zero.
const TINY: f32 = 1e-30;

/// The sixteen values of NF4 in steps of 1/127.
pub(super) const STEPS: [i8; 16] = {
    let mut steps = [0; 16];
    let mut code = 0;
    while code < 16 {
        let half = if CODE[code] < 0.0 { -0.5 } else { 0.5 };
        steps[code] = (CODE[code] * LARGEST + half) as i8;
        code += 1;
    }
    steps
};

/// An output of its running sums.
#[inline(always)]
pub(super) fn together([a, b, c, d]: [f32; CHAINS]) -> f32 {
    (a + c) + (b + d)
}

/// A weight with a scale for every 64 neighbours in `k`.
#[derive(Clone, Copy)]
pub(super) struct Weight<'a> {
    codes: Codes<'a>,
    /// Blocks of a row.
    blocks: usize,
}

#[derive(Clone, Copy)]
enum Codes<'a> {
    Four(&'a [[u8; BLOCK / 2]], Absmax<'a>),
    Eight(&'a [[i8; BLOCK]], &'a [f32]),
}

impl<'a> Weight<'a> {
    /// The weight, where it is one of these.
    pub(super) fn of(matrix: &Matrix<'a>) -> Option<Self> {
        let (codes, inner) = match *matrix {
            Matrix::Nf4 { weight, inner, side: Side::In, .. } => {
                (Codes::Four(weight.codes.as_chunks().0, weight.absmax), inner)
            }
            Matrix::Q8 { codes, scales, inner, side: Side::In, .. } => {
                (Codes::Eight(codes.as_chunks().0, scales), inner)
            }
            _ => return None,
        };
        inner.is_multiple_of(BLOCK).then_some(Self { codes, blocks: inner / BLOCK })
    }

    /// The whole numbers of a block, those of even `k` first.
    #[inline(always)]
    pub(super) fn block(&self, row: usize, block: usize) -> [i8; BLOCK] {
        let at = row * self.blocks + block;
        let mut out = [0; BLOCK];
        let (even, odd) = out.split_at_mut(BLOCK / 2);
        let pairs = even.iter_mut().zip(odd);
        match self.codes {
            Codes::Eight(codes, _) => {
                for ((even, odd), pair) in pairs.zip(codes[at].as_chunks::<2>().0) {
                    [*even, *odd] = *pair;
                }
            }
            Codes::Four(codes, _) => {
                for ((even, odd), byte) in pairs.zip(&codes[at]) {
                    [*even, *odd] = [byte >> 4, byte & 15].map(|code| STEPS[usize::from(code)]);
                }
            }
        }
        out
    }

    /// What one step is in blocks of a row from `first` on.
    #[inline(always)]
    pub(super) fn scales(&self, row: usize, first: usize, out: &mut [f32]) {
        let at = row * self.blocks + first;
        match self.codes {
            Codes::Eight(_, scales) => out.copy_from_slice(&scales[at..][..out.len()]),
            Codes::Four(_, absmax) => {
                absmax.get_into(at, out);
                out.iter_mut().for_each(|scale| *scale *= 1.0 / LARGEST);
            }
        }
    }

    /// Asks for the scales of a row, which need not be there.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn scales_ahead(&self, row: usize) {
        let at = row * self.blocks;
        match self.codes {
            Codes::Eight(_, scales) => prefetch(scales, at, self.blocks),
            Codes::Four(_, absmax) => absmax.prefetch(at, self.blocks),
        }
    }
}

/// Words of `n` rows of x with `k` values, arranged.
pub(super) fn left_words(n: usize, k: usize) -> usize {
    (n * k.div_ceil(BLOCK) * (WORDS + 2)).next_multiple_of(LANES)
}

/// Words of a task: a panel of the weight with its scales.
fn panel_words(k: usize) -> usize {
    k.div_ceil(BLOCK) * (WORDS + 1) * PANEL
}

/// Words of scratch of [`product`].
pub(super) fn workspace([n, _, k]: [usize; 3], threads: usize) -> usize {
    left_words(n, k) + threads * panel_words(k)
}

/// Rows of x, arranged.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    /// (N, blocks, `WORDS`): four whole numbers to a word, in the places of [`halves`].
    words: &'a [f32],
    /// (N, blocks): what one step is.
    scales: &'a [f32],
    /// (N, blocks): the bits of -128 times the sum of the whole numbers.
    starts: &'a [f32],
    n: usize,
    blocks: usize,
}

impl<'a> Left<'a> {
    /// What [`arrange`] wrote for `n` rows.
    pub(super) fn of(words: &'a [f32], n: usize, k: usize) -> Self {
        let blocks = k / BLOCK;
        let (words, rest) = words.split_at(n * blocks * WORDS);
        let (scales, rest) = rest.split_at(n * blocks);
        Self { words, scales, starts: &rest[..n * blocks], n, blocks }
    }

    /// A row.
    fn row(&self, row: usize) -> Row<'a> {
        let [first, blocks] = [row * self.blocks, self.blocks];
        Row {
            words: &self.words.as_chunks().0[first..][..blocks],
            scales: &self.scales[first..][..blocks],
            starts: &self.starts[first..][..blocks],
        }
    }

    /// The words of a block: of even `k`, and of odd ones.
    #[inline(always)]
    fn block(&self, row: usize, block: usize) -> [&'a [f32; WORDS / 2]; 2] {
        let row = &self.words[row * self.blocks * WORDS..][..self.blocks * WORDS];
        halves(block, self.blocks).map(|at| row[at..].first_chunk().expect("half a block"))
    }
}

/// A row of x: for each block what [`Left`] has.
#[derive(Clone, Copy)]
struct Row<'a> {
    words: &'a [[f32; WORDS]],
    scales: &'a [f32],
    starts: &'a [f32],
}

/// Where the words with even `k` of a block begin in its row, and those with odd ones.
#[inline(always)]
fn halves(block: usize, blocks: usize) -> [usize; 2] {
    let is_alone = block + 1 == blocks && blocks % 2 == 1;
    let even = block / 2 * 2 * WORDS + block % 2 * WORDS / 2;
    [even, even + if is_alone { WORDS / 2 } else { WORDS }]
}

/// Arranges `n` rows of `k` values that are `stride` apart, on all threads.
pub(super) fn arrange(isa: Isa, x: &[f32], [n, k, stride]: [usize; 3], out: &mut [f32]) {
    let blocks = k / BLOCK;
    let (words, rest) = out.split_at_mut(n * blocks * WORDS);
    let (scales, rest) = rest.split_at_mut(n * blocks);
    let rows = words.par_chunks_mut(blocks * WORDS).zip(scales.par_chunks_mut(blocks));
    let rows = rows.zip(rest[..n * blocks].par_chunks_mut(blocks));
    rows.enumerate().for_each(|(row, ((words, scales), starts))| {
        arrange_row(isa, &x[row * stride..][..k], Vnni::of(isa), words, scales, starts);
    });
}

per_tier! {
    /// A row of x, arranged: its words, and for each block what one step is and where its sum begins.
    fn arrange_row(
        x: &[f32],
        vnni: Option<Vnni>,
        words: &mut [f32],
        scales: &mut [f32],
        starts: &mut [f32],
    ) {
        let blocks = scales.len();
        let out = scales.iter_mut().zip(starts);
        for (block, (x, (scale, start))) in x.as_chunks::<BLOCK>().0.iter().zip(out).enumerate() {
            let (whole, largest, sum) = match vnni {
                #[cfg(target_arch = "x86_64")]
                Some(token) => x86::whole_numbers(token, x),
                _ => whole_numbers(x),
            };
            for (at, part) in halves(block, blocks).into_iter().zip(whole) {
                words[at..][..WORDS / 2].copy_from_slice(&part);
            }
            *scale = largest / LARGEST;
            *start = f32::from_bits((-128 * sum) as u32);
        }
    }
}

/// Four bytes to a word: the elements with even `k`, and the others.
type Halves = [[f32; WORDS / 2]; 2];

/// The whole numbers of a block, its largest magnitude and the sum of the numbers.
#[inline(always)]
fn whole_numbers(x: &[f32; BLOCK]) -> (Halves, f32, i32) {
    /// Added to a number below 2^22, it leaves the nearest whole one, ties to even, in the lowest bits.
    const WHOLE: f32 = 12_582_912.0;
    // Magnitudes are ordered as their bits are, and what is not finite is above all others.
    let largest = x.iter().fold(0, |largest, value| largest.max(value.to_bits() & 0x7fff_ffff));
    let largest = f32::from_bits(largest);
    let inverse = inverse(largest);
    let mut whole = [[0_i8; BLOCK / 2]; 2];
    for (at, pair) in x.as_chunks::<2>().0.iter().enumerate() {
        for (whole, value) in whole.iter_mut().zip(pair) {
            whole[at] = (value * inverse + WHOLE).to_bits() as i8;
        }
    }
    let sum = whole.as_flattened().iter().map(|&whole| i32::from(whole)).sum();
    let mut halves = [[0.0; WORDS / 2]; 2];
    for (word, four) in halves.as_flattened_mut().iter_mut().zip(whole.as_flattened().as_chunks().0)
    {
        *word = f32::from_bits(u32::from_le_bytes(four.map(|whole| whole as u8)));
    }
    (halves, largest, sum)
}

/// The factor that makes whole numbers of a block with this largest magnitude.
#[inline(always)]
fn inverse(largest: f32) -> f32 {
    if largest > TINY { LARGEST / largest } else { 0.0 }
}

/// `out = scale · left · rightᵀ`, or added, for more than a few rows.
pub(super) fn product(
    isa: Isa,
    [left, right]: [&Matrix<'_>; 2],
    out: Output<'_>,
    workspace: Workspace<'_>,
) {
    let (x, stride) = skinny::rows(left).expect("int8: x lies in rows");
    let weight = Weight::of(right).expect("int8: a weight of 4 or 8 bits in whole blocks");
    let (n, m, k) = (left.rows(), right.rows(), left.cols());
    let (words, rest) = workspace.words.split_at_mut(left_words(n, k));
    arrange(isa, x, [n, k, stride], words);
    let left = Left::of(words, n, k);
    let scratch = Scratch::new(rest, panel_words(k), workspace.threads);
    let target = out.target();
    // Where panels are few, rows of x are shared out, too.
    let across = m.div_ceil(PANEL);
    let height = n.div_ceil((2 * workspace.threads).div_ceil(across)).max(STRIP);
    let down = n.div_ceil(height);
    (0..across * down).into_par_iter().for_each(|task| {
        let first = task / down * PANEL;
        let rows = first..(first + PANEL).min(m);
        let first = task % down * height;
        let of_x = first..(first + height).min(n);
        scratch.with(|panel| match Vnni::of(isa) {
            #[cfg(target_arch = "x86_64")]
            Some(token) => x86::many(token, (&left, of_x), &weight, rows, (panel, &target)),
            _ => plain(isa, &left, of_x, &weight, rows, &target),
        });
    });
}

/// Some rows of a weight against a few rows of x; there is scratch for the scales of four rows.
pub(super) fn few(
    isa: Isa,
    left: &Left<'_>,
    weight: &Weight<'_>,
    rows: Range<usize>,
    (scratch, target): (&mut [f32], &Target),
) {
    match Vnni::of(isa) {
        #[cfg(target_arch = "x86_64")]
        Some(token) => x86::few(token, left, weight, rows, (scratch, target)),
        _ => plain(isa, left, 0..left.n, weight, rows, target),
    }
}

per_tier! {
    fn plain(
        left: &Left<'_>,
        of_x: Range<usize>,
        weight: &Weight<'_>,
        rows: Range<usize>,
        target: &Target,
    ) {
        for row in rows {
            for first in of_x.clone().step_by(STRIP) {
                let mut sums = [[0.0_f32; CHAINS]; STRIP];
                let sums = &mut sums[..STRIP.min(of_x.end - first)];
                for block in 0..left.blocks {
                    let w = weight.block(row, block);
                    let mut scale = [0.0];
                    weight.scales(row, block, &mut scale);
                    for (n, sum) in sums.iter_mut().enumerate() {
                        let at = (first + n) * left.blocks + block;
                        let mut dot = 0;
                        let x = left.block(first + n, block);
                        for (word, w) in x.into_iter().flatten().zip(w.as_chunks::<4>().0) {
                            for (x, &w) in word.to_bits().to_le_bytes().into_iter().zip(w) {
                                dot += i32::from(x as i8) * i32::from(w);
                            }
                        }
                        let sum = &mut sum[block % CHAINS];
                        *sum = (dot as f32).mul_add(left.scales[at] * scale[0], *sum);
                    }
                }
                for (n, sum) in sums.iter().enumerate() {
                    target.put(first + n, row, &[together(*sum)]);
                }
            }
        }
    }
}
