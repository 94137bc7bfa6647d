//! Words of AVX-512 with one f32 each.

use super::super::kernel::Format;
use super::super::operand::{reorder, rounded, table};
use super::super::{BLOCK, LANES, Numerics, SEQUENCE};
use super::{Block, Words, x86};
use crate::Isa;
use crate::cpu::Avx512;
use half::bf16;
use std::arch::x86_64::*;

/// One f32 per word, as AVX-512 computes with them.
#[derive(Clone, Copy)]
pub(crate) struct FastSingles(pub(crate) Avx512);

impl Words for FastSingles {
    const FORMAT: Format = Format::Singles;
    const SUMS: usize = 16;
    x86::registers!();

    #[inline(always)]
    fn dot(self, sum: __m512, x: __m512, w: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512 F.
        unsafe { _mm512_fmadd_ps(x, w, sum) }
    }

    #[inline(always)]
    fn join(self, numerics: Numerics, rows: &[[f32; LANES]; 4], c: usize) -> __m512 {
        self.load(&rounded(numerics, &rows[SEQUENCE[c]]))
    }

    #[inline(always)]
    fn arrange(self, numerics: Numerics, source: &[f32; BLOCK], out: &mut [f32]) {
        reorder(numerics, source, out.first_chunk_mut().expect("the words of a block"));
    }

    #[inline(always)]
    fn of_halves(self, source: &[bf16; BLOCK]) -> Block<Self> {
        // SAFETY: the token proves AVX-512 F and BW.
        unsafe { of_halves(source) }
    }

    #[inline(always)]
    fn of_codes(
        self,
        _: Isa,
        numerics: Numerics,
        codes: &[u8; BLOCK / 2],
        absmax: f32,
    ) -> Block<Self> {
        let table = self.load(&table(numerics, absmax));
        // SAFETY: the token proves AVX-512 F.
        unsafe { of_codes(codes, table) }
    }

    #[inline(always)]
    fn of_bytes(self, numerics: Numerics, codes: &[i8; BLOCK], scale: f32) -> Block<Self> {
        // SAFETY: the token proves AVX-512 F.
        let block = unsafe { of_bytes(codes, scale) };
        if numerics == Numerics::F32 {
            return block;
        }
        let mut stored = [0.0; BLOCK];
        self.store_block(block, &mut stored);
        self.loaded(&rounded(numerics, &stored))
    }
}

/// Lane `i` looks up the four codes of its 16 bits: of element `4i + 2`, then `4i`, `4i + 3` and `4i + 1`. A lookup
/// takes the lowest four bits.
#[target_feature(enable = "avx512f")]
fn of_codes(codes: &[u8; BLOCK / 2], table: __m512) -> [__m512; 4] {
    // SAFETY: thirty-two bytes; the load has no alignment to meet.
    let codes = unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) };
    let codes = _mm512_cvtepu16_epi32(codes);
    [
        _mm512_permutexvar_ps(_mm512_srli_epi32::<12>(codes), table),
        _mm512_permutexvar_ps(_mm512_srli_epi32::<4>(codes), table),
        _mm512_permutexvar_ps(_mm512_srli_epi32::<8>(codes), table),
        _mm512_permutexvar_ps(codes, table),
    ]
}

/// Lane `i` has the codes of its four elements; each is widened and scaled.
#[target_feature(enable = "avx512f")]
fn of_bytes(codes: &[i8; BLOCK], scale: f32) -> [__m512; 4] {
    // SAFETY: sixty-four bytes; the load has no alignment to meet.
    let codes = unsafe { _mm512_loadu_si512(codes.as_ptr().cast()) };
    let scale = _mm512_set1_ps(scale);
    let of_upper = |codes| _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_srai_epi32::<24>(codes)), scale);
    [
        of_upper(_mm512_slli_epi32::<8>(codes)),
        of_upper(_mm512_slli_epi32::<24>(codes)),
        of_upper(codes),
        of_upper(_mm512_slli_epi32::<16>(codes)),
    ]
}

/// A bf16 is the upper half of an f32.
#[target_feature(enable = "avx512f,avx512bw")]
fn of_halves(source: &[bf16; BLOCK]) -> [__m512; 4] {
    let [even, odd] = x86::of_halves(source);
    let upper = _mm512_set1_epi32(0xffff_0000_u32 as i32);
    [
        _mm512_castsi512_ps(_mm512_and_si512(even, upper)),
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(even)),
        _mm512_castsi512_ps(_mm512_and_si512(odd, upper)),
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(odd)),
    ]
}
