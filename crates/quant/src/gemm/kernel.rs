//! Strips: running sums of a few rows of `left` against the rows of a panel of `right`, in tiles of registers.
//!
//! Panels hold 4-byte words. In the [`Format::Singles`] layout a word is an f32 and a block of 64 `k`
//! is four groups of 16 lanes (as [`arrange`] leaves them); in [`Format::Pairs`] a word holds two bf16 and a block is two groups:
//! first `(4i, 4i+2)`, then `(4i+1, 4i+3)`, the lower element in the lower half.

use super::{BLOCK, LANES, Numerics, add_lanes};
use crate::Isa;
use crate::cpu::{Avx2, Avx512};

/// How a panel stores the elements of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One f32 per word.
    Singles,
    /// Two bf16 per word.
    Pairs,
}

impl Format {
    /// The layout that the tier's kernel of these numerics reads.
    pub(super) fn of(isa: Isa, numerics: Numerics) -> Format {
        match (isa, numerics) {
            (Isa::Scalar | Isa::Avx512 | Isa::Amx, Numerics::Bf16) => Format::Pairs,
            _ => Format::Singles,
        }
    }

    /// Words per block of 64 `k`.
    pub(super) const fn words(self) -> usize {
        match self {
            Format::Singles => BLOCK,
            Format::Pairs => BLOCK / 2,
        }
    }

    /// Most words of a row in a panel: sums are read and written once for each panel, so where one spans `k` never.
    /// All of `right` in a panel is a quarter of a megabyte, which the second-level cache of processors without AVX-512
    /// holds, and half of one in pairs, whose processors have more of it.
    pub(super) const fn panel_words(self) -> usize {
        match self {
            Format::Singles => 2048,
            Format::Pairs => 4096,
        }
    }

    /// Stores a block that [`Matrix::block`](super::Matrix) wrote.
    #[inline(always)]
    pub(super) fn store(self, block: &[f32; BLOCK], out: &mut [f32]) {
        match self {
            Format::Singles => out.copy_from_slice(block),
            Format::Pairs => {
                for (pair, words) in out.chunks_exact_mut(LANES).enumerate() {
                    let (odd, even) =
                        (&block[2 * pair * LANES..], &block[(2 * pair + 1) * LANES..]);
                    for (lane, word) in words.iter_mut().enumerate() {
                        let low = even[lane].to_bits() >> 16;
                        let high = odd[lane].to_bits() & 0xffff_0000;
                        *word = f32::from_bits(high | low);
                    }
                }
            }
        }
    }
}

/// Most rows of `right` in a panel, and so of neighbouring outputs that a strip makes: half a block, so that lines of
/// NF4 are read in whole bytes.
pub(super) const RIGHT: usize = 32;

/// Most rows of `left` in a strip, any tier.
pub(super) const LEFT: usize = 6;

/// Rows of `left` in a strip of this tier.
pub(super) fn left_rows(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 | Isa::Amx => LEFT,
        Isa::Scalar | Isa::Avx2 => 3,
    }
}

/// A few rows of `left` against all rows of a panel of `right`.
pub(super) struct Strip<'a> {
    /// Panel of `left`: rows of `words` words, `stride` apart; they went through [`arrange`].
    pub(super) left: &'a [f32],
    /// Panel of `right`, likewise.
    pub(super) right: &'a [f32],
    /// Words from a row to the next, of either panel.
    pub(super) stride: usize,
    /// Words to sum; a multiple of 16.
    pub(super) words: usize,
    /// Rows of `left` and of `right`.
    pub(super) rows: [usize; 2],
    /// Running sums, sixteen each: row `n` of `left` with row `m` of `right` is the `n * rows[1] + m`-th.
    pub(super) sums: &'a mut [f32],
    /// Whether the sums start at zero: what `sums` holds is not read.
    pub(super) is_first: bool,
    /// Where the sums end: outputs are made of them, and `sums` is not written.
    pub(super) out: Option<&'a mut [[f32; RIGHT]; LEFT]>,
}

impl Strip<'_> {
    fn check(&self) {
        let [l, r] = self.rows;
        assert!(self.words.is_multiple_of(LANES) && self.words <= self.stride, "gemm: strip width");
        assert!((1..=LEFT).contains(&l) && (1..=RIGHT).contains(&r), "gemm: strip");
        assert!(self.left.len() >= (l - 1) * self.stride + self.words, "gemm: left panel");
        assert!(self.right.len() >= (r - 1) * self.stride + self.words, "gemm: right panel");
        let is_kept = !self.is_first || self.out.is_none();
        assert!(!is_kept || self.sums.len() >= l * r * LANES, "gemm: running sums");
    }
}

/// Lays packed rows of `words` words out as the tier's strips read them. AVX2 sums eight lanes at a time: the lower
/// eight of all sixteen come first.
pub(super) fn arrange(isa: Isa, rows: &mut [f32], stride: usize, words: usize) {
    const HALF: usize = LANES / 2;
    if isa != Isa::Avx2 {
        return;
    }
    let mut upper = [0.0; Format::Singles.panel_words() / 2];
    let upper = &mut upper[..words / 2];
    for row in rows.chunks_exact_mut(stride) {
        for (at, upper) in upper.as_chunks_mut::<HALF>().0.iter_mut().enumerate() {
            upper.copy_from_slice(&row[at * LANES + HALF..][..HALF]);
            row.copy_within(at * LANES..at * LANES + HALF, at * HALF);
        }
        row[words / 2..words].copy_from_slice(upper);
    }
}

/// Chooses the compiled body for the rows of `left`.
macro_rules! by_rows {
    ($strip:expr, [$($l:literal)*], $body:ident) => {
        match $strip.rows[0] {
            // SAFETY: the tier's features were detected, and `Strip::check` proved the bounds.
            $($l => unsafe { x86::$body::<$l>($strip) },)*
            l => unreachable!("no strip of {l} rows"),
        }
    };
}

/// Continues the running sums of a strip, and makes outputs of them where they end.
pub(super) fn sum(isa: Isa, format: Format, strip: &mut Strip<'_>) {
    strip.check();
    match isa {
        Isa::Scalar => scalar(format, strip),
        Isa::Avx2 => {
            Avx2::detect().expect("avx2 was chosen but not detected");
            by_rows!(strip, [1 2 3], avx2)
        }
        Isa::Avx512 | Isa::Amx => {
            Avx512::detect().expect("avx512 was chosen but not detected");
            match format {
                Format::Singles => by_rows!(strip, [1 2 3 4 5 6], avx512_singles),
                Format::Pairs => by_rows!(strip, [1 2 3 4 5 6], avx512_pairs),
            }
        }
    }
}

/// Adds the lanes of four outputs, each as [`add_lanes`] does.
pub(super) fn add_four(isa: Isa, sums: &[[f32; LANES]; 4]) -> [f32; 4] {
    match isa {
        Isa::Scalar => sums.each_ref().map(add_lanes),
        Isa::Avx2 | Isa::Avx512 | Isa::Amx => {
            Avx2::detect().expect("avx2 was chosen but not detected");
            // SAFETY: AVX2 was detected.
            unsafe { x86::add_four(sums) }
        }
    }
}

/// `rows[j][i] = lines[i][j]`.
pub(super) fn transpose<const I: usize, const J: usize>(
    isa: Isa,
    lines: &[[f32; J]; I],
    rows: &mut [[f32; I]; J],
) {
    match isa {
        Isa::Scalar => {
            for (j, row) in rows.iter_mut().enumerate() {
                for (value, line) in row.iter_mut().zip(lines) {
                    *value = line[j];
                }
            }
        }
        Isa::Avx2 | Isa::Avx512 | Isa::Amx => {
            Avx2::detect().expect("avx2 was chosen but not detected");
            // SAFETY: AVX2 was detected.
            unsafe { x86::transpose(lines, rows) }
        }
    }
}

fn scalar(format: Format, strip: &mut Strip<'_>) {
    let &mut Strip { left, right, stride, words, rows: [l, r], is_first, .. } = strip;
    for n in 0..l {
        for m in 0..r {
            let mut sum = match is_first {
                true => [0.0; LANES],
                false => strip.sums.as_chunks::<LANES>().0[n * r + m],
            };
            let x = left[n * stride..][..words].as_chunks::<LANES>().0;
            let w = right[m * stride..][..words].as_chunks::<LANES>().0;
            for (x, w) in x.iter().zip(w) {
                for lane in 0..LANES {
                    sum[lane] = match format {
                        Format::Singles => x[lane].mul_add(w[lane], sum[lane]),
                        Format::Pairs => {
                            dot_bf16_pairs(sum[lane], halves(x[lane]), halves(w[lane]))
                        }
                    };
                }
            }
            match &mut strip.out {
                Some(out) => out[n][m] = add_lanes(&sum),
                None => strip.sums.as_chunks_mut::<LANES>().0[n * r + m] = sum,
            }
        }
    }
}

/// The lower and the upper bf16 of a word.
pub(super) fn halves(word: f32) -> [f32; 2] {
    let bits = word.to_bits();
    [f32::from_bits(bits << 16), f32::from_bits(bits & 0xffff_0000)]
}

/// A denormal as a zero of its sign.
pub(super) fn flush(value: f32) -> f32 {
    if value.is_subnormal() { 0.0_f32.copysign(value) } else { value }
}

/// One lane of `vdpbf16ps`: `sum + x[1] w[1]`, then `+ x[0] w[0]`, each step fused and rounded to
/// nearest even; denormal inputs and results are flushed to zeros of their sign (Intel 64 and IA-32
/// manual, volume 2, VDPBF16PS; the control register is not consulted).
pub fn dot_bf16_pairs(sum: f32, x: [f32; 2], w: [f32; 2]) -> f32 {
    let step = |sum: f32, x: f32, w: f32| flush(flush(x).mul_add(flush(w), sum));
    step(step(flush(sum), x[1], w[1]), x[0], w[0])
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86;
