//! The products of bytes that AVX-512 has.

mod few;
mod many;

pub(super) use {few::few, many::many};

use super::super::{BLOCK, LANES};
use super::{Codes, Halves, STEPS, WORDS, inverse};
use crate::cpu::Vnni;
use std::arch::x86_64::*;

/// Sixteen words.
type Words = [f32; LANES];

/// The blocks of a weight, to be decoded to bytes from 0 to 255.
trait Bytes<'a>: Copy {
    /// A block as it is stored.
    type Code: 'a;
    /// All of them.
    fn codes(self) -> &'a [Self::Code];
    /// The bytes.
    fn decoded(self, code: &Self::Code) -> __m512i;
    /// Those of even `k` of two blocks that lie together, and those of odd `k`.
    fn pair(self, codes: [&Self::Code; 2]) -> [__m512i; 2];
}

#[derive(Clone, Copy)]
struct Four<'a>(&'a [[u8; BLOCK / 2]], Vnni);

impl<'a> Bytes<'a> for Four<'a> {
    type Code = [u8; BLOCK / 2];

    #[inline(always)]
    fn codes(self) -> &'a [Self::Code] {
        self.0
    }

    #[inline(always)]
    fn decoded(self, code: &Self::Code) -> __m512i {
        // SAFETY: the token proves AVX-512 F, BW and VBMI.
        unsafe { decoded(code) }
    }

    #[inline(always)]
    fn pair(self, codes: [&Self::Code; 2]) -> [__m512i; 2] {
        // SAFETY: the token proves AVX-512 F, BW and VBMI.
        unsafe { decoded_pair(codes) }
    }
}

#[derive(Clone, Copy)]
struct Eight<'a>(&'a [[i8; BLOCK]], Vnni);

impl<'a> Bytes<'a> for Eight<'a> {
    type Code = [i8; BLOCK];

    #[inline(always)]
    fn codes(self) -> &'a [Self::Code] {
        self.0
    }

    #[inline(always)]
    fn decoded(self, code: &Self::Code) -> __m512i {
        // SAFETY: the token proves AVX-512 F, BW and VBMI.
        unsafe { parted(code) }
    }

    #[inline(always)]
    fn pair(self, [a, b]: [&Self::Code; 2]) -> [__m512i; 2] {
        // SAFETY: the token proves AVX-512 F, BW and VBMI.
        unsafe { parted_pair(a, b) }
    }
}

/// The order of a block: the elements with even `k`, then the others.
#[inline]
#[target_feature(enable = "avx512f")]
fn order() -> __m512i {
    const ORDER: [u8; BLOCK] = {
        let mut order = [0; BLOCK];
        let mut at = 0;
        while at < BLOCK {
            order[at] = (at % 32 * 2 + at / 32) as u8;
            at += 1;
        }
        order
    };
    // SAFETY: sixty-four bytes; the load has no alignment to meet.
    unsafe { _mm512_loadu_si512(ORDER.as_ptr().cast()) }
}

/// The elements with even `k`, then the others, with 128 added.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn parted(codes: &[i8; BLOCK]) -> __m512i {
    // SAFETY: sixty-four bytes; the load has no alignment to meet.
    let codes = unsafe { _mm512_loadu_si512(codes.as_ptr().cast()) };
    _mm512_xor_si512(_mm512_permutexvar_epi8(order(), codes), _mm512_set1_epi8(-128))
}

/// As the plain loops have it.
pub(super) fn whole_numbers(_: Vnni, x: &[f32; BLOCK]) -> (Halves, f32, i32) {
    // SAFETY: the token proves the features.
    unsafe { whole_numbers_of(x) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vnni")]
fn whole_numbers_of(x: &[f32; BLOCK]) -> (Halves, f32, i32) {
    let zero = _mm512_setzero_si512();
    let mut parts = [_mm512_setzero_ps(); BLOCK / LANES];
    let mut largest = zero;
    for (part, x) in parts.iter_mut().zip(x.as_chunks::<LANES>().0) {
        // SAFETY: sixteen words; the load has no alignment to meet.
        *part = unsafe { _mm512_loadu_ps(x.as_ptr()) };
        // Magnitudes are ordered as their bits are.
        largest = _mm512_max_epi32(largest, _mm512_castps_si512(_mm512_abs_ps(*part)));
    }
    let largest = f32::from_bits(_mm512_reduce_max_epi32(largest) as u32);
    let inverse = _mm512_set1_ps(inverse(largest));
    let mut whole = zero;
    for (part, at) in parts.into_iter().zip(0..) {
        let bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(part, inverse)));
        whole = match at {
            0 => _mm512_inserti32x4::<0>(whole, bytes),
            1 => _mm512_inserti32x4::<1>(whole, bytes),
            2 => _mm512_inserti32x4::<2>(whole, bytes),
            _ => _mm512_inserti32x4::<3>(whole, bytes),
        };
    }
    let sum = _mm512_reduce_add_epi32(_mm512_dpbusd_epi32(zero, _mm512_set1_epi8(1), whole));
    let whole = _mm512_permutexvar_epi8(order(), whole);
    let mut halves = [[0.0; WORDS / 2]; 2];
    // SAFETY: sixteen words; the store has no alignment to meet.
    unsafe { _mm512_storeu_si512(halves.as_mut_ptr().cast(), whole) };
    (halves, largest, sum)
}

/// As [`parted`], of two blocks: the elements with even `k` of both, then the others of both.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn parted_pair(a: &[i8; BLOCK], b: &[i8; BLOCK]) -> [__m512i; 2] {
    let (a, b) = (parted(a), parted(b));
    [_mm512_shuffle_i64x2::<0b01_00_01_00>(a, b), _mm512_shuffle_i64x2::<0b11_10_11_10>(a, b)]
}

/// What the codes of NF4 stand for, four times, as a lookup takes six bits.
#[inline]
#[target_feature(enable = "avx512f")]
fn table() -> __m512i {
    const TABLE: [u8; BLOCK] = {
        let mut table = [0; BLOCK];
        let mut at = 0;
        while at < BLOCK {
            table[at] = (STEPS[at % 16] as u8) ^ 128;
            at += 1;
        }
        table
    };
    // SAFETY: sixty-four bytes; the load has no alignment to meet.
    unsafe { _mm512_loadu_si512(TABLE.as_ptr().cast()) }
}

/// Thirty-two bytes.
#[inline]
#[target_feature(enable = "avx")]
fn loaded(codes: &[u8; BLOCK / 2]) -> __m256i {
    // SAFETY: the load has no alignment to meet.
    unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) }
}

/// The upper four bits of all bytes look up their value, then the lower ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn decoded(codes: &[u8; BLOCK / 2]) -> __m512i {
    let shifts = _mm512_setr_epi64(4, 4, 4, 4, 0, 0, 0, 0);
    let index = _mm512_srlv_epi64(_mm512_broadcast_i64x4(loaded(codes)), shifts);
    _mm512_permutexvar_epi8(index, table())
}

/// Of two blocks those of the upper four bits of their bytes, and those of the lower ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn decoded_pair([a, b]: [&[u8; BLOCK / 2]; 2]) -> [__m512i; 2] {
    // They lie side by side, and so this is one load.
    let codes = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(loaded(a)), loaded(b));
    let table = table();
    let upper = _mm512_permutexvar_epi8(_mm512_srli_epi16::<4>(codes), table);
    [upper, _mm512_permutexvar_epi8(codes, table)]
}
