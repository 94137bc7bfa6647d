//! Sixteen-entry table lookups: NF4 codes to f32, in the order of summation or in stored order.
//!
//! On AVX2 a lookup is two permutations of eight and a blend by the code's high bit; on AVX-512 it is
//! one permutation of sixteen. Values are only moved, so every tier gives the same bits.

use super::{BLOCK, LANES};
use crate::Isa;

/// Where each element of a lane stands in the lane's little-endian word of codes: `4i+2` in bits
/// 12.., `4i` in 4.., `4i+3` in 8.., `4i+1` in 0.. (the sequence of the order of summation).
const SHIFTS: [u32; 4] = [12, 4, 8, 0];

/// Decodes 64 codes into the order of summation: lane `i` is the little-endian word `i`.
#[inline(always)]
pub(super) fn block(isa: Isa, bytes: &[u8; 32], table: &[f32; 16], out: &mut [f32; BLOCK]) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => {
            debug_assert!(isa.available());
            // SAFETY: callers run on this tier, which the product checked before its first task.
            unsafe { x86::block_avx2(bytes, table, out) }
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Amx => {
            debug_assert!(isa.available());
            // SAFETY: callers run on this tier, which the product checked before its first task.
            unsafe { x86::block_avx512(bytes, table, out) }
        }
        _ => {
            for (c, shift) in SHIFTS.into_iter().enumerate() {
                for lane in 0..LANES {
                    let word = u32::from(bytes[2 * lane]) | u32::from(bytes[2 * lane + 1]) << 8;
                    out[c * LANES + lane] = table[(word >> shift & 15) as usize];
                }
            }
        }
    }
}

/// Decodes `out.len()` codes in stored order, the first one being a high nibble.
#[inline(always)]
pub(super) fn line(isa: Isa, codes: &[u8], table: &[f32; 16], out: &mut [f32]) {
    let (eights, rest) = out.as_chunks_mut::<8>();
    let (words, rest_codes) =
        codes[..(eights.len() * 8 + rest.len()).div_ceil(2)].split_at(eights.len() * 4);
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 | Isa::Amx => {
            debug_assert!(isa.available());
            for (out, word) in eights.iter_mut().zip(words.as_chunks::<4>().0) {
                // SAFETY: callers run on this tier, which the product checked before its first task.
                unsafe { x86::eight(*word, table, out) }
            }
        }
        _ => {
            for (out, word) in eights.iter_mut().zip(words.as_chunks::<4>().0) {
                pairs(word, table, out);
            }
        }
    }
    pairs(rest_codes, table, rest);
}

#[inline(always)]
fn pairs(codes: &[u8], table: &[f32; 16], out: &mut [f32]) {
    for (j, value) in out.iter_mut().enumerate() {
        let byte = codes[j / 2];
        *value = table[usize::from(if j.is_multiple_of(2) { byte >> 4 } else { byte & 15 })];
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::{BLOCK, LANES};
    use super::SHIFTS;
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx2")]
    fn halves(table: &[f32; 16]) -> (__m256, __m256) {
        let base = table.as_ptr();
        // SAFETY: the table has sixteen entries.
        let low = unsafe { _mm256_loadu_ps(base) };
        // SAFETY: the table has sixteen entries.
        let upper = unsafe { base.add(8) };
        // SAFETY: eight entries remain.
        let high = unsafe { _mm256_loadu_ps(upper) };
        (low, high)
    }

    /// Eight lookups: the low three bits of `index` choose within a half, the top bit of `half` between.
    #[target_feature(enable = "avx2")]
    fn look_up((low, high): (__m256, __m256), index: __m256i, half: __m256i) -> __m256 {
        let low = _mm256_permutevar8x32_ps(low, index);
        let high = _mm256_permutevar8x32_ps(high, index);
        _mm256_blendv_ps(low, high, _mm256_castsi256_ps(half))
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn block_avx2(bytes: &[u8; 32], table: &[f32; 16], out: &mut [f32; BLOCK]) {
        let table = halves(table);
        for (half, bytes) in bytes.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: sixteen bytes are read; the load has no alignment to meet.
            let words = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
            let words = _mm256_cvtepu16_epi32(words);
            for (c, shift) in SHIFTS.into_iter().enumerate() {
                let index = _mm256_srl_epi32(words, _mm_cvtsi32_si128(shift as i32));
                let choice = _mm256_sll_epi32(words, _mm_cvtsi32_si128(28 - shift as i32));
                let to = out[c * LANES + half * 8..].first_chunk_mut::<8>().expect("64 values");
                let values = look_up(table, index, choice);
                // SAFETY: `to` has eight values; the store has no alignment to meet.
                unsafe { _mm256_storeu_ps(to.as_mut_ptr(), values) };
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn block_avx512(bytes: &[u8; 32], table: &[f32; 16], out: &mut [f32; BLOCK]) {
        // SAFETY: the table has sixteen entries.
        let table = unsafe { _mm512_loadu_ps(table.as_ptr()) };
        // SAFETY: thirty-two bytes are read; the load has no alignment to meet.
        let words = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        let words = _mm512_cvtepu16_epi32(words);
        for (to, shift) in out.as_chunks_mut::<LANES>().0.iter_mut().zip(SHIFTS) {
            let index = _mm512_srl_epi32(words, _mm_cvtsi32_si128(shift as i32));
            let values = _mm512_permutexvar_ps(index, table);
            // SAFETY: `to` has sixteen values; the store has no alignment to meet.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), values) };
        }
    }

    /// Eight codes in stored order: the high nibble of each byte first.
    #[target_feature(enable = "avx2")]
    pub(super) fn eight(word: [u8; 4], table: &[f32; 16], out: &mut [f32; 8]) {
        let word = _mm256_set1_epi32(i32::from_le_bytes(word));
        let index = _mm256_srlv_epi32(word, _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24));
        let choice = _mm256_sllv_epi32(word, _mm256_setr_epi32(24, 28, 16, 20, 8, 12, 0, 4));
        let values = look_up(halves(table), index, choice);
        // SAFETY: `out` has eight values; the store has no alignment to meet.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), values) };
    }
}
