//! Sixteen words at a time, in the layouts of the panels: what the kernels for skinny products
//! compute with. A value of a layout's type proves that its instructions are there.

use super::kernel::{Format, dot_bf16_pairs, halves};
use super::operand::{reorder, rounded};
use super::{BLOCK, LANES, Numerics, SEQUENCE, decode, round_bf16};
use crate::Isa;

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
    /// Likewise of 64 codes of NF4, whose values are in a table.
    fn decode(self, isa: Isa, codes: &[u8; BLOCK / 2], table: &[f32; 16], out: &mut [f32]) {
        let mut block = [0.0; BLOCK];
        decode::block(isa, codes, table, &mut block);
        Self::FORMAT.store(&block, out);
    }
}

/// One f32 per word, in plain loops, with so many sixteens of running sums.
#[derive(Clone, Copy)]
pub(super) struct Singles<const SUMS: usize>;

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

impl<const SUMS: usize> Words for Singles<SUMS> {
    type Lanes = [f32; LANES];
    const FORMAT: Format = Format::Singles;
    const SUMS: usize = SUMS;

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
pub(super) mod x86 {
    use super::super::kernel::Format;
    use super::super::kernel::x86::multiply_add_pairs;
    use super::super::{BLOCK, LANES, Numerics};
    use super::Words;
    use crate::Isa;
    use crate::cpu::Avx512;
    use std::arch::x86_64::*;

    /// Two bf16 per word, as AVX-512 computes with them.
    #[derive(Clone, Copy)]
    pub(crate) struct FastPairs(pub(crate) Avx512);

    impl Words for FastPairs {
        type Lanes = __m512;
        const FORMAT: Format = Format::Pairs;
        const SUMS: usize = 16;

        #[inline(always)]
        fn zero(self) -> __m512 {
            // SAFETY: the token proves AVX-512 F; so below.
            unsafe { _mm512_setzero_ps() }
        }

        #[inline(always)]
        fn load(self, words: &[f32; LANES]) -> __m512 {
            // SAFETY: sixteen words; the load has no alignment to meet.
            unsafe { _mm512_loadu_ps(words.as_ptr()) }
        }

        #[inline(always)]
        fn splat(self, word: f32) -> __m512 {
            // SAFETY: the token proves AVX-512 F.
            unsafe { _mm512_set1_ps(word) }
        }

        #[inline(always)]
        fn store(self, lanes: __m512) -> [f32; LANES] {
            // SAFETY: both types are 512 bits, and every bit pattern is a value of either.
            unsafe { std::mem::transmute::<__m512, [f32; LANES]>(lanes) }
        }

        #[inline(always)]
        fn dot(self, sum: __m512, x: __m512, w: __m512) -> __m512 {
            // SAFETY: the token proves AVX-512 BF16.
            unsafe { multiply_add_pairs(sum, x, w) }
        }

        #[inline(always)]
        fn add(self, a: __m512, b: __m512) -> __m512 {
            // SAFETY: the token proves AVX-512 F.
            unsafe { _mm512_add_ps(a, b) }
        }

        #[inline(always)]
        fn join(self, _: Numerics, rows: &[[f32; LANES]; 4], c: usize) -> __m512 {
            let [high, low] = if c == 0 { [2, 0] } else { [3, 1] };
            // SAFETY: the token proves AVX-512 F.
            unsafe { join(self.load(&rows[low]), self.load(&rows[high])) }
        }

        #[inline(always)]
        fn arrange(self, _: Numerics, source: &[f32; BLOCK], out: &mut [f32]) {
            let out = out.first_chunk_mut::<{ 2 * LANES }>().expect("the words of a block");
            // SAFETY: the token proves AVX-512 F.
            unsafe { arrange(source, out) }
        }

        #[inline(always)]
        fn decode(self, _: Isa, codes: &[u8; BLOCK / 2], table: &[f32; 16], out: &mut [f32]) {
            let out = out.first_chunk_mut::<{ 2 * LANES }>().expect("the words of a block");
            // SAFETY: the token proves AVX-512 F.
            unsafe { decode(codes, table, out) }
        }
    }

    /// [`round_bf16`](super::round_bf16) of sixteen values; the lower halves are zero.
    #[target_feature(enable = "avx512f")]
    fn rounded(values: __m512) -> __m512i {
        let bits = _mm512_castps_si512(values);
        let odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
        let up = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
        // What is not a number stays so and becomes quiet.
        let nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
        let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
        let chosen = _mm512_mask_blend_epi32(nan, up, quiet);
        _mm512_and_si512(chosen, _mm512_set1_epi32(0xffff_0000_u32 as i32))
    }

    #[target_feature(enable = "avx512f")]
    fn join(low: __m512, high: __m512) -> __m512 {
        let low = _mm512_srli_epi32(rounded(low), 16);
        _mm512_castsi512_ps(_mm512_or_si512(rounded(high), low))
    }

    /// Two lookups for each word, the lower one in a table of upper halves moved down. Lane `i` has
    /// its four codes in the little-endian word `i`.
    #[target_feature(enable = "avx512f")]
    fn decode(codes: &[u8; BLOCK / 2], table: &[f32; 16], out: &mut [f32; 2 * LANES]) {
        // SAFETY: thirty-two bytes; the load has no alignment to meet.
        let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
        let codes = _mm512_cvtepu16_epi32(codes);
        // SAFETY: sixteen values; the load has no alignment to meet.
        let high = unsafe { _mm512_loadu_si512(table.as_ptr().cast()) };
        let low = _mm512_srli_epi32(high, 16);
        let look_up = |high_at: __m512i, low_at: __m512i| {
            let high = _mm512_permutexvar_epi32(high_at, high);
            _mm512_or_si512(high, _mm512_permutexvar_epi32(low_at, low))
        };
        let [third, first] = [_mm512_srli_epi32(codes, 12), _mm512_srli_epi32(codes, 4)];
        let words = [look_up(third, first), look_up(_mm512_srli_epi32(codes, 8), codes)];
        for (out, words) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(words) {
            // SAFETY: sixteen words; the store has no alignment to meet.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), words) };
        }
    }

    /// Lane `i` has the elements `4i` and `4i + 2` in its first word, the two behind them in its
    /// second: within each 128 bits the upper two are laid over the lower two, then words of all
    /// four registers are gathered.
    #[target_feature(enable = "avx512f")]
    fn arrange(source: &[f32; BLOCK], out: &mut [f32; 2 * LANES]) {
        let words = |at: usize| {
            let values = source[at * LANES..].first_chunk::<LANES>().expect("a quarter");
            // SAFETY: sixteen values; the load has no alignment to meet.
            let values = rounded(unsafe { _mm512_loadu_ps(values.as_ptr()) });
            let high = _mm512_shuffle_epi32(values, 0b_11_10_11_10);
            _mm512_or_si512(high, _mm512_srli_epi32(values, 16))
        };
        let lanes = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
        let first = _mm512_permutex2var_epi64(words(0), lanes, words(1));
        let second = _mm512_permutex2var_epi64(words(2), lanes, words(3));
        let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        let odd = _mm512_or_si512(even, _mm512_set1_epi32(1));
        for (index, out) in [even, odd].into_iter().zip(out.as_chunks_mut::<LANES>().0) {
            let words = _mm512_permutex2var_epi32(first, index, second);
            // SAFETY: sixteen words; the store has no alignment to meet.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), words) };
        }
    }
}

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
                plain::<_ $(, $L)?>(Singles::<4>, $($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512$(<const $L: usize>)?($($arg: $ty),*) {
                plain::<_ $(, $L)?>(Singles::<16>, $($arg),*)
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
                (Isa::Avx512, Format::Pairs) => {
                    let token = $crate::cpu::Avx512::detect();
                    let token = token.expect("avx512 was chosen but not detected");
                    // SAFETY: the token proves that the features are present.
                    unsafe { avx512_pairs$(::<$L>)?(token, $($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx512, Format::Singles) => {
                    assert!(Isa::Avx512.available(), "avx512 was chosen but not detected");
                    // SAFETY: the line above proves that the features are present.
                    unsafe { avx512$(::<$L>)?($($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                (Isa::Avx2, _) => {
                    assert!(Isa::Avx2.available(), "avx2 was chosen but not detected");
                    // SAFETY: the line above proves that the features are present.
                    unsafe { avx2$(::<$L>)?($($arg),*) }
                }
                (_, Format::Singles) => plain::<_ $(, $L)?>(Singles::<4>, $($arg),*),
                (_, Format::Pairs) => plain::<_ $(, $L)?>(Pairs, $($arg),*),
            }
        }
    };
}
pub(super) use per_words;
