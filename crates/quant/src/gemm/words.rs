//! Sixteen words at a time, in the layouts of the panels: what the kernels for skinny products
//! compute with. A value of a layout's type proves that its instructions are there.

use super::kernel::{Format, dot_bf16_pairs, halves};
use super::operand::{reorder, rounded, scaled, table};
use super::{BLOCK, LANES, Numerics, SEQUENCE, decode, round_bf16};
use crate::Isa;
use half::bf16;

/// The words of a block of 64 `k`; what a layout has no words for is zero.
pub(super) type Block<W> = [<W as Words>::Lanes; 4];

/// Arithmetic of one layout on one tier.
pub(super) trait Words: Copy {
    /// Sixteen words.
    type Lanes: Copy;
    /// The layout.
    const FORMAT: Format;
    /// Words that a lane has in a block of 64 `k`.
    const PER_LANE: usize = Self::FORMAT.words() / LANES;
    /// Running sums that fit into the registers, in sixteens.
    const SUMS: usize;

    fn zero(self) -> Self::Lanes;
    fn load(self, words: &[f32; LANES]) -> Self::Lanes;
    fn splat(self, word: f32) -> Self::Lanes;
    fn store(self, lanes: Self::Lanes) -> [f32; LANES];
    /// `sum + x w`, for pairs the upper product first.
    fn dot(self, sum: Self::Lanes, x: Self::Lanes, w: Self::Lanes) -> Self::Lanes;
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// Sixteen neighbours at each of the `PER_LANE` places in `k` of a word: `rows[s]` belongs to
    /// element `4i + s` of a lane. What lane `i` has in its word `c`.
    fn join(self, numerics: Numerics, rows: &[[f32; LANES]; 4], c: usize) -> Self::Lanes;
    /// The words of 64 neighbours in `k`, in the order of summation.
    fn arrange(self, numerics: Numerics, source: &[f32; BLOCK], out: &mut [f32]);

    /// The words of a block in the order of summation, rounded.
    #[inline(always)]
    fn of_block(self, block: &[f32; BLOCK]) -> Block<Self> {
        let mut stored = [0.0; BLOCK];
        Self::FORMAT.store(block, &mut stored[..Self::FORMAT.words()]);
        self.loaded(&stored)
    }

    /// Words that lie side by side.
    #[inline(always)]
    fn loaded(self, stored: &[f32; BLOCK]) -> Block<Self> {
        let mut words = [self.zero(); 4];
        for (words, stored) in words.iter_mut().zip(stored.as_chunks().0).take(Self::PER_LANE) {
            *words = self.load(stored);
        }
        words
    }

    /// Writes the words of a block side by side.
    #[inline(always)]
    fn store_block(self, block: Block<Self>, out: &mut [f32]) {
        for (out, words) in out.as_chunks_mut().0.iter_mut().zip(block) {
            *out = self.store(words);
        }
    }

    /// The words of 64 neighbours in `k`.
    #[inline(always)]
    fn of_values(self, numerics: Numerics, source: &[f32; BLOCK]) -> Block<Self> {
        let mut stored = [0.0; BLOCK];
        self.arrange(numerics, source, &mut stored[..Self::FORMAT.words()]);
        self.loaded(&stored)
    }

    /// Likewise of values that are stored rounded.
    #[inline(always)]
    fn of_halves(self, source: &[bf16; BLOCK]) -> Block<Self> {
        let mut values = [0.0; BLOCK];
        for (value, half) in values.iter_mut().zip(source) {
            *value = f32::from_bits(u32::from(half.to_bits()) << 16);
        }
        self.of_values(Numerics::F32, &values)
    }

    /// Likewise of 64 codes of NF4 with this absmax.
    #[inline(always)]
    fn of_codes(
        self,
        isa: Isa,
        numerics: Numerics,
        codes: &[u8; BLOCK / 2],
        absmax: f32,
    ) -> Block<Self> {
        let mut block = [0.0; BLOCK];
        decode::block(isa, codes, &table(numerics, absmax), &mut block);
        self.of_block(&block)
    }

    /// Likewise of 64 codes of 8 bits with this scale.
    #[inline(always)]
    fn of_bytes(self, numerics: Numerics, codes: &[i8; BLOCK], scale: f32) -> Block<Self> {
        let mut values = [0.0; BLOCK];
        scaled(codes, scale, &mut values);
        self.of_values(numerics, &values)
    }
}

/// One f32 per word, in plain loops.
#[derive(Clone, Copy)]
pub(super) struct Singles;

/// Two bf16 per word, in plain loops.
#[derive(Clone, Copy)]
pub(super) struct Pairs;

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    for (lane, out) in out.iter_mut().enumerate() {
        *out = f(lane);
    }
    out
}

impl Words for Singles {
    type Lanes = [f32; LANES];
    const FORMAT: Format = Format::Singles;
    const SUMS: usize = 4;

    #[inline(always)]
    fn zero(self) -> [f32; LANES] {
        [0.0; LANES]
    }

    #[inline(always)]
    fn load(self, words: &[f32; LANES]) -> [f32; LANES] {
        *words
    }

    #[inline(always)]
    fn splat(self, word: f32) -> [f32; LANES] {
        [word; LANES]
    }

    #[inline(always)]
    fn store(self, lanes: [f32; LANES]) -> [f32; LANES] {
        lanes
    }

    #[inline(always)]
    fn dot(self, mut sum: [f32; LANES], x: [f32; LANES], w: [f32; LANES]) -> [f32; LANES] {
        for i in 0..LANES {
            sum[i] = x[i].mul_add(w[i], sum[i]);
        }
        sum
    }

    #[inline(always)]
    fn add(self, mut a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        for i in 0..LANES {
            a[i] += b[i];
        }
        a
    }

    #[inline(always)]
    fn join(self, numerics: Numerics, rows: &[[f32; LANES]; 4], c: usize) -> [f32; LANES] {
        rounded(numerics, &rows[SEQUENCE[c]])
    }

    #[inline(always)]
    fn arrange(self, numerics: Numerics, source: &[f32; BLOCK], out: &mut [f32]) {
        reorder(numerics, source, out.first_chunk_mut().expect("the words of a block"));
    }
}

impl Words for Pairs {
    type Lanes = [f32; LANES];
    const FORMAT: Format = Format::Pairs;
    const SUMS: usize = 4;

    fn zero(self) -> [f32; LANES] {
        [0.0; LANES]
    }

    fn load(self, words: &[f32; LANES]) -> [f32; LANES] {
        *words
    }

    fn splat(self, word: f32) -> [f32; LANES] {
        [word; LANES]
    }

    fn store(self, lanes: [f32; LANES]) -> [f32; LANES] {
        lanes
    }

    fn dot(self, sum: [f32; LANES], x: [f32; LANES], w: [f32; LANES]) -> [f32; LANES] {
        each(|i| dot_bf16_pairs(sum[i], halves(x[i]), halves(w[i])))
    }

    fn add(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        each(|i| a[i] + b[i])
    }

    fn join(self, _: Numerics, rows: &[[f32; LANES]; 4], c: usize) -> [f32; LANES] {
        each(|i| pair(rows[SEQUENCE[2 * c + 1]][i], rows[SEQUENCE[2 * c]][i]))
    }

    fn arrange(self, _: Numerics, source: &[f32; BLOCK], out: &mut [f32]) {
        for c in 0..2 {
            for lane in 0..LANES {
                let [high, low] =
                    [SEQUENCE[2 * c], SEQUENCE[2 * c + 1]].map(|s| source[4 * lane + s]);
                out[c * LANES + lane] = pair(low, high);
            }
        }
    }
}

/// Two values, rounded, in a word.
fn pair(low: f32, high: f32) -> f32 {
    let [low, high] = [low, high].map(|value| round_bf16(value).to_bits());
    f32::from_bits(high | low >> 16)
}

#[cfg(target_arch = "x86_64")]
pub(super) mod singles;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

/// Defines a function over a layout whose body is compiled for every tier and layout, and chosen at
/// run time. The layout is the body's first argument. It may have one constant.
macro_rules! per_words {
    (
        $(#[$meta:meta])*
        fn $name:ident<$W:ident $(, $L:ident)?>($words:ident, $($arg:ident : $ty:ty),* $(,)?) $body:block
    ) => {
        $(#[$meta])*
        fn $name$(<const $L: usize>)?(
            isa: $crate::Isa,
            format: super::kernel::Format,
            $($arg: $ty),*
        ) {
            use super::kernel::Format;
            use super::words::{Pairs, Singles, Words};
            use $crate::Isa;

            #[inline(always)]
            fn plain<$W: Words $(, const $L: usize)?>($words: $W, $($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2$(<const $L: usize>)?($($arg: $ty),*) {
                plain::<_ $(, $L)?>(Singles, $($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512$(<const $L: usize>)?(token: $crate::cpu::Avx512, $($arg: $ty),*) {
                plain::<_ $(, $L)?>(super::words::singles::FastSingles(token), $($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(
                enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"
            )]
            fn avx512_pairs$(<const $L: usize>)?(token: $crate::cpu::Avx512, $($arg: $ty),*) {
                plain::<_ $(, $L)?>(super::words::x86::FastPairs(token), $($arg),*)
            }

            match (isa, format) {
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx512 | Isa::Amx, Format::Pairs) => {
                    let token = $crate::cpu::Avx512::detect();
                    let token = token.expect("avx512 was chosen but not detected");
                    // SAFETY: the token proves that the features are present.
                    unsafe { avx512_pairs$(::<$L>)?(token, $($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx512 | Isa::Amx, Format::Singles) => {
                    let token = $crate::cpu::Avx512::detect();
                    let token = token.expect("avx512 was chosen but not detected");
                    // SAFETY: the token proves that the features are present.
                    unsafe { avx512$(::<$L>)?(token, $($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx2, _) => {
                    assert!(Isa::Avx2.available(), "avx2 was chosen but not detected");
                    // SAFETY: the line above proves that the features are present.
                    unsafe { avx2$(::<$L>)?($($arg),*) }
                }
                (_, Format::Singles) => plain::<_ $(, $L)?>(Singles, $($arg),*),
                (_, Format::Pairs) => plain::<_ $(, $L)?>(Pairs, $($arg),*),
            }
        }
    };
}
pub(super) use per_words;
