//! Words of AVX-512 with its products of pairs of bf16.

use super::super::kernel::Format;
use super::super::kernel::x86::multiply_add_pairs;
use super::super::{BLOCK, LANES, Numerics};
use super::{Block, Words};
use crate::Isa;
use crate::cpu::Avx512;
use crate::nf4::CODE;
use half::bf16;
use std::arch::x86_64::*;

/// What words of AVX-512 share, whatever they hold: a register has sixteen of them.
macro_rules! registers {
    () => {
        type Lanes = __m512;

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
        fn add(self, a: __m512, b: __m512) -> __m512 {
            // SAFETY: the token proves AVX-512 F.
            unsafe { _mm512_add_ps(a, b) }
        }
    };
}
pub(super) use registers;

/// Two bf16 per word, as AVX-512 computes with them.
#[derive(Clone, Copy)]
pub(crate) struct FastPairs(pub(crate) Avx512);

impl Words for FastPairs {
    const FORMAT: Format = Format::Pairs;
    const SUMS: usize = 16;
    registers!();

    #[inline(always)]
    fn dot(self, sum: __m512, x: __m512, w: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512 BF16.
        unsafe { multiply_add_pairs(sum, x, w) }
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
        // SAFETY: the token proves AVX-512 F, BW and BF16.
        unsafe { arrange(source, out) }
    }

    #[inline(always)]
    fn of_halves(self, source: &[bf16; BLOCK]) -> Block<Self> {
        // SAFETY: the token proves AVX-512 F and BW.
        self.padded(unsafe { of_halves(source) })
    }

    #[inline(always)]
    fn of_codes(self, _: Isa, _: Numerics, codes: &[u8; BLOCK / 2], absmax: f32) -> Block<Self> {
        // SAFETY: the token proves AVX-512 F, BW and BF16.
        self.padded(unsafe { of_codes(codes, absmax) })
    }

    #[inline(always)]
    fn of_bytes(self, _: Numerics, codes: &[i8; BLOCK], scale: f32) -> Block<Self> {
        // SAFETY: the token proves AVX-512 F, BW and BF16.
        self.padded(unsafe { of_bytes(codes, scale) })
    }
}

impl FastPairs {
    /// The words of two lines of 32 codes, lower and upper, with their absmax: of the even rows, and
    /// of the odd ones.
    #[inline(always)]
    pub(in super::super) fn of_code_lines(
        self,
        codes: [&[u8; BLOCK / 4]; 2],
        absmax: [f32; 2],
    ) -> [[f32; LANES]; 2] {
        // SAFETY: the token proves AVX-512 F, BW, VL and BF16.
        unsafe { of_code_lines(codes, absmax) }.map(|words| self.store(words))
    }

    /// The words of two lines of 32 codes of 8 bits with their scales: of the first sixteen rows, and
    /// of the others.
    #[inline(always)]
    pub(in super::super) fn of_byte_lines(
        self,
        codes: [&[i8; BLOCK / 2]; 2],
        scales: [f32; 2],
    ) -> [[f32; LANES]; 2] {
        // SAFETY: the token proves AVX-512 F, BW, VL and BF16.
        unsafe { of_byte_lines(codes, scales) }.map(|words| self.store(words))
    }

    /// The words of two blocks of NF4 that follow each other.
    #[inline(always)]
    pub(in super::super) fn of_two_blocks(
        self,
        codes: &[[u8; BLOCK / 2]; 2],
        absmax: &[f32; 2],
        out: &mut [f32; BLOCK],
    ) {
        // SAFETY: the token proves AVX-512 F, BW and BF16.
        unsafe { of_two_blocks(codes, absmax, out) }
    }

    /// The words of two lines of 32 values: of the first sixteen rows, and of the others.
    #[inline(always)]
    pub(in super::super) fn of_lines(self, lines: [&[f32; BLOCK / 2]; 2]) -> [[f32; LANES]; 2] {
        // SAFETY: the token proves AVX-512 F, BW and BF16.
        unsafe { of_lines(lines) }.map(|words| self.store(words))
    }

    /// As [`FastPairs::of_lines`], of values that are rounded.
    #[inline(always)]
    pub(in super::super) fn of_half_lines(
        self,
        lines: [&[bf16; BLOCK / 2]; 2],
    ) -> [[f32; LANES]; 2] {
        // SAFETY: the token proves AVX-512 F, BW and BF16.
        unsafe { of_half_lines(lines) }.map(|words| self.store(words))
    }

    #[inline(always)]
    fn padded(self, [first, second]: [__m512i; 2]) -> Block<Self> {
        // SAFETY: the token proves AVX-512 F.
        let words = [first, second].map(|words| unsafe { _mm512_castsi512_ps(words) });
        [words[0], words[1], self.zero(), self.zero()]
    }
}

/// The sixteen values of a block, rounded, by code, and once more, as a lookup takes five bits. Denormal
/// products become zero here already: `vdpbf16ps` would take them for zero.
#[target_feature(enable = "avx512f,avx512bf16")]
fn table(absmax: f32) -> __m512i {
    // SAFETY: sixteen values; the load has no alignment to meet.
    let code = unsafe { _mm512_loadu_ps(CODE.as_ptr()) };
    let values = _mm512_mul_ps(code, _mm512_set1_ps(absmax));
    let values = _mm512_cvtne2ps_pbh(values, values);
    // SAFETY: both types are 512 bits, and every bit pattern is a value of either.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(values) }
}

/// A byte is a word: its upper code belongs to the element 4i or 4i + 2, its lower one to the
/// element behind it.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn of_codes(codes: &[u8; BLOCK / 2], absmax: f32) -> [__m512i; 2] {
    // SAFETY: thirty-two bytes; the load has no alignment to meet.
    let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
    let codes = _mm512_cvtepu8_epi16(codes);
    let upper = _mm512_srli_epi16(codes, 4);
    let table = table(absmax);
    [_mm512_permutexvar_epi16(upper, table), _mm512_permutexvar_epi16(codes, table)]
}

/// As [`of_codes`]; the values of the second block stand in the upper half of the table.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn of_two_blocks(codes: &[[u8; BLOCK / 2]; 2], absmax: &[f32; 2], out: &mut [f32; BLOCK]) {
    // SAFETY: sixteen values; the load has no alignment to meet.
    let code = unsafe { _mm512_loadu_ps(CODE.as_ptr()) };
    let [first, second] = absmax.map(|absmax| _mm512_mul_ps(code, _mm512_set1_ps(absmax)));
    let table = _mm512_cvtne2ps_pbh(second, first);
    // SAFETY: both types are 512 bits, and every bit pattern is a value of either.
    let table = unsafe { std::mem::transmute::<__m512bh, __m512i>(table) };
    let words = |block: usize| {
        // SAFETY: thirty-two bytes; the load has no alignment to meet.
        _mm512_cvtepu8_epi16(unsafe { _mm256_loadu_si256(codes[block].as_ptr().cast()) })
    };
    let (first, second) = (words(0), words(1));
    let (low, upper_half) = (_mm512_set1_epi16(15), _mm512_set1_epi16(16));
    let indices = [
        _mm512_srli_epi16(first, 4),
        _mm512_and_si512(first, low),
        _mm512_or_si512(_mm512_srli_epi16(second, 4), upper_half),
        _mm512_or_si512(_mm512_and_si512(second, low), upper_half),
    ];
    for (index, out) in indices.into_iter().zip(out.as_chunks_mut::<LANES>().0) {
        let values = _mm512_permutexvar_epi16(index, table);
        // SAFETY: sixteen words; the store has no alignment to meet.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), values) };
    }
}

/// The bytes of both lines take turns as words; the values of the upper line stand in the upper half
/// of the table.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
#[inline]
fn of_code_lines(codes: [&[u8; BLOCK / 4]; 2], absmax: [f32; 2]) -> [__m512; 2] {
    let [low, high] = codes.map(|codes| {
        // SAFETY: sixteen bytes; the load has no alignment to meet.
        unsafe { _mm_loadu_si128(codes.as_ptr().cast()) }
    });
    let bytes = _mm256_set_m128i(_mm_unpackhi_epi8(low, high), _mm_unpacklo_epi8(low, high));
    let words = _mm512_cvtepu8_epi16(bytes);
    // SAFETY: sixteen values; the load has no alignment to meet.
    let code = unsafe { _mm512_loadu_ps(CODE.as_ptr()) };
    let [low, high] = absmax.map(|absmax| _mm512_mul_ps(code, _mm512_set1_ps(absmax)));
    let table = _mm512_cvtne2ps_pbh(high, low);
    // SAFETY: both types are 512 bits, and every bit pattern is a value of either.
    let table = unsafe { std::mem::transmute::<__m512bh, __m512i>(table) };
    let upper_half = _mm512_set1_epi32(16 << 16);
    let look_up = |index: __m512i| {
        let index = _mm512_or_si512(index, upper_half);
        _mm512_castsi512_ps(_mm512_permutexvar_epi16(index, table))
    };
    let lower = _mm512_and_si512(words, _mm512_set1_epi16(15));
    [look_up(_mm512_srli_epi16(words, 4)), look_up(lower)]
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
#[inline]
fn of_byte_lines(codes: [&[i8; BLOCK / 2]; 2], scales: [f32; 2]) -> [__m512; 2] {
    let interleaved = interleaved();
    let half = |at: usize| {
        let part = |line: usize| {
            let codes = codes[line][at..].first_chunk::<LANES>().expect("half a line");
            // SAFETY: sixteen bytes; the load has no alignment to meet.
            let codes = unsafe { _mm_loadu_si128(codes.as_ptr().cast()) };
            let values = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
            _mm512_mul_ps(values, _mm512_set1_ps(scales[line]))
        };
        let both = _mm512_cvtne2ps_pbh(part(1), part(0));
        // SAFETY: both types are 512 bits, and every bit pattern is a value of either.
        let both = unsafe { std::mem::transmute::<__m512bh, __m512i>(both) };
        _mm512_castsi512_ps(_mm512_permutexvar_epi16(interleaved, both))
    };
    [half(0), half(LANES)]
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
#[inline]
fn of_lines(lines: [&[f32; BLOCK / 2]; 2]) -> [__m512; 2] {
    let interleaved = interleaved();
    let half = |at: usize| {
        let part = |line: usize| {
            let values = lines[line][at..].first_chunk::<LANES>().expect("half a line");
            // SAFETY: sixteen values; the load has no alignment to meet.
            unsafe { _mm512_loadu_ps(values.as_ptr()) }
        };
        let both = _mm512_cvtne2ps_pbh(part(1), part(0));
        // SAFETY: both types are 512 bits, and every bit pattern is a value of either.
        let both = unsafe { std::mem::transmute::<__m512bh, __m512i>(both) };
        _mm512_castsi512_ps(_mm512_permutexvar_epi16(interleaved, both))
    };
    [half(0), half(LANES)]
}

#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
#[inline]
fn of_half_lines([low, high]: [&[bf16; BLOCK / 2]; 2]) -> [__m512; 2] {
    // SAFETY: thirty-two halves; the load has no alignment to meet.
    let low = unsafe { _mm512_loadu_si512(low.as_ptr().cast()) };
    // SAFETY: thirty-two halves; the load has no alignment to meet.
    let high = unsafe { _mm512_loadu_si512(high.as_ptr().cast()) };
    let first = _mm512_permutex2var_epi16(low, taking_turns(0), high);
    let second = _mm512_permutex2var_epi16(low, taking_turns(LANES as i16), high);
    [_mm512_castsi512_ps(first), _mm512_castsi512_ps(second)]
}

/// The numbers from `first` on, each followed by itself plus 32.
#[target_feature(enable = "avx512f,avx512bw")]
fn taking_turns(first: i16) -> __m512i {
    let mut numbers = [0_i16; BLOCK / 2];
    for (at, number) in numbers.iter_mut().enumerate() {
        *number = first + (at / 2) as i16 + 32 * (at % 2) as i16;
    }
    // SAFETY: thirty-two numbers; the load has no alignment to meet.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}

/// Elements 4i and 4i + 2, and those behind them, of rounded values that lie side by side.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn of_halves(source: &[bf16; BLOCK]) -> [__m512i; 2] {
    let half = |at: usize| {
        let source = source[at..].first_chunk::<{ BLOCK / 2 }>().expect("a half");
        // SAFETY: thirty-two halves; the load has no alignment to meet.
        unsafe { _mm512_loadu_si512(source.as_ptr().cast()) }
    };
    let (low, high) = (half(0), half(BLOCK / 2));
    let even = every_other(0);
    let odd = _mm512_add_epi16(even, _mm512_set1_epi16(1));
    [even, odd].map(|at| _mm512_permutex2var_epi16(low, at, high))
}

/// The numbers 0, 2, 4, … 62.
#[target_feature(enable = "avx512f,avx512bw")]
fn every_other(first: i16) -> __m512i {
    let mut numbers = [0_i16; BLOCK / 2];
    for (at, number) in numbers.iter_mut().enumerate() {
        *number = first + 2 * at as i16;
    }
    // SAFETY: thirty-two numbers; the load has no alignment to meet.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
}

/// Lane `i` has the codes of its four elements; each is widened, scaled and rounded, then those of
/// a word are joined. A code is widened in the upper bits of its lane, as a mask is cheaper than a shift back.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn of_bytes(codes: &[i8; BLOCK], scale: f32) -> [__m512i; 2] {
    // SAFETY: sixty-four bytes; the load has no alignment to meet.
    let codes = unsafe { _mm512_loadu_si512(codes.as_ptr().cast()) };
    let upper = _mm512_set1_epi32(0xff << 24);
    let widened = |codes: __m512i| _mm512_cvtepi32_ps(_mm512_and_si512(codes, upper));
    let mut values = [
        widened(_mm512_slli_epi32(codes, 24)),
        widened(_mm512_slli_epi32(codes, 16)),
        widened(_mm512_slli_epi32(codes, 8)),
        widened(codes),
    ];
    // The power of two changes no bit of a product, unless a scale is too small for it.
    const UNIT: f32 = 1.0 / (1 << 24) as f32;
    let is_small = scale.abs() < f32::MIN_POSITIVE / UNIT;
    for value in &mut values {
        if is_small {
            *value = _mm512_mul_ps(*value, _mm512_set1_ps(UNIT));
        }
        *value = _mm512_mul_ps(*value, _mm512_set1_ps(if is_small { scale } else { scale * UNIT }));
    }
    let interleaved = interleaved();
    let pair = |low: __m512, high: __m512| {
        let both = _mm512_cvtne2ps_pbh(high, low);
        // SAFETY: both types are 512 bits, and every bit pattern is a value of either.
        let both = unsafe { std::mem::transmute::<__m512bh, __m512i>(both) };
        _mm512_permutexvar_epi16(interleaved, both)
    };
    [pair(values[0], values[2]), pair(values[1], values[3])]
}

/// The numbers 0, 16, 1, 17, … 15, 31.
#[target_feature(enable = "avx512f,avx512bw")]
fn interleaved() -> __m512i {
    let mut numbers = [0_i16; BLOCK / 2];
    for (at, number) in numbers.iter_mut().enumerate() {
        *number = (at / 2 + LANES * (at % 2)) as i16;
    }
    // SAFETY: thirty-two numbers; the load has no alignment to meet.
    unsafe { _mm512_loadu_si512(numbers.as_ptr().cast()) }
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

/// Lane `i` has the elements `4i` and `4i + 2` in its first word, the two behind them in its second.
/// Denormals become zero here already: `vdpbf16ps` would take them for zero.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn arrange(source: &[f32; BLOCK], out: &mut [f32; 2 * LANES]) {
    let half = |at: usize| {
        let part = |at: usize| {
            let values = source[at..].first_chunk::<LANES>().expect("a quarter");
            // SAFETY: sixteen values; the load has no alignment to meet.
            unsafe { _mm512_loadu_ps(values.as_ptr()) }
        };
        let both = _mm512_cvtne2ps_pbh(part(at + LANES), part(at));
        // SAFETY: both types are 512 bits, and every bit pattern is a value of either.
        unsafe { std::mem::transmute::<__m512bh, __m512i>(both) }
    };
    let (low, high) = (half(0), half(BLOCK / 2));
    let even = every_other(0);
    let odd = _mm512_add_epi16(even, _mm512_set1_epi16(1));
    for (at, out) in [even, odd].into_iter().zip(out.as_chunks_mut::<LANES>().0) {
        let words = _mm512_permutex2var_epi16(low, at, high);
        // SAFETY: sixteen words; the store has no alignment to meet.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), words) };
    }
}
