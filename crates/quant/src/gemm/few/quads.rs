//! The scales of four rows, four blocks of each side by side: those of the first row, of the second, and so on.
//!
//! A scale of a double-quantized absmax is looked up by a byte. Looked up one by one, that is a fifth of what a
//! row of NF4 costs; with tables of bytes it is done for sixteen blocks of four rows at once.

use super::super::BLOCK;
use crate::Isa;
use crate::nf4::Absmax;

/// Rows, and blocks that lie side by side.
pub(in super::super) const SIDE: usize = 4;
/// Four blocks of four rows.
pub(in super::super) type Quad = [f32; SIDE * SIDE];

/// Words of the scales of four rows with `k` values.
pub(in super::super) fn words(k: usize) -> usize {
    k.div_ceil(BLOCK).next_multiple_of(SIDE) * SIDE
}

/// Writes the scales of four rows, of which `scales` gives some neighbours: a row's, from a block on. What
/// there is no block for is zero.
#[inline(always)]
pub(in super::super) fn write(
    blocks: usize,
    out: &mut [Quad],
    mut scales: impl FnMut(usize, usize, &mut [f32]),
) {
    let whole = blocks / SIDE;
    for (at, quad) in out.iter_mut().enumerate() {
        for (row, out) in quad.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
            // Four are a load and a store; some of them would be a call.
            if at < whole {
                scales(row, at * SIDE, out);
            } else {
                *out = [0.0; SIDE];
                scales(row, at * SIDE, &mut out[..blocks - whole * SIDE]);
            }
        }
    }
}

/// The absmax of NF4, for rows that begin with a block.
pub(in super::super) struct Reader<'a> {
    absmax: Absmax<'a>,
    #[cfg(target_arch = "x86_64")]
    levels: Option<x86::Levels>,
}

impl<'a> Reader<'a> {
    pub(in super::super) fn of(isa: Isa, absmax: Absmax<'a>) -> Self {
        #[cfg(not(target_arch = "x86_64"))]
        let _ = isa;
        Self {
            absmax,
            #[cfg(target_arch = "x86_64")]
            levels: x86::Levels::of(isa, absmax),
        }
    }

    /// Those of some blocks side by side.
    #[inline(always)]
    pub(in super::super) fn of_row(&self, first: usize, out: &mut [f32]) {
        self.absmax.get_into(first, out);
    }

    /// Asks for those of some blocks, which need not be there.
    #[inline(always)]
    pub(in super::super) fn ahead(&self, first: usize, blocks: usize) {
        self.absmax.prefetch(first, blocks);
    }

    /// Writes those of four rows with so many blocks each, times the factor.
    #[inline(always)]
    pub(in super::super) fn write(
        &self,
        rows: [usize; SIDE],
        blocks: usize,
        factor: f32,
        out: &mut [Quad],
    ) {
        #[cfg(target_arch = "x86_64")]
        if let Some(levels) = &self.levels
            && levels.write(&self.absmax, rows, blocks, factor, out)
        {
            return;
        }
        write(blocks, out, |row, first, out| {
            self.absmax.get_into(rows[row] * blocks + first, out);
            out.iter_mut().for_each(|scale| *scale *= factor);
        });
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Quad, SIDE};
    use crate::Isa;
    use crate::cpu::Vnni;
    use crate::double_quant::BLOCK as NESTED;
    use crate::nf4::Absmax;
    use std::arch::x86_64::*;

    /// Blocks whose scales are looked up at once.
    const MANY: usize = 16;

    /// The levels that a byte stands for: the lowest bytes of all, the second ones, and so on.
    #[repr(align(64))]
    pub(super) struct Levels {
        bytes: [[u8; 256]; 4],
        /// Proof of the instructions.
        _token: Vnni,
    }

    impl Levels {
        /// The levels of a double-quantized absmax, where the tier may look up bytes and the machine can.
        pub(super) fn of(isa: Isa, absmax: Absmax<'_>) -> Option<Self> {
            let Absmax::Double { map, .. } = absmax else { return None };
            let token = (isa >= Isa::Avx512).then(Vnni::detect).flatten()?;
            let mut bytes = [[0; 256]; 4];
            for (place, bytes) in bytes.iter_mut().enumerate() {
                for (byte, level) in bytes.iter_mut().zip(map) {
                    *byte = level.to_le_bytes()[place];
                }
            }
            Some(Self { bytes, _token: token })
        }

        /// Writes the scales of four rows, where their blocks come in sixteens with one nested scale each.
        #[inline(always)]
        pub(super) fn write(
            &self,
            absmax: &Absmax<'_>,
            [a, b, c, d]: [usize; SIDE],
            blocks: usize,
            factor: f32,
            out: &mut [Quad],
        ) -> bool {
            let Absmax::Double { q, nested, offset, .. } = *absmax else { return false };
            if !blocks.is_multiple_of(MANY) {
                return false;
            }
            for (at, out) in (0..blocks).step_by(MANY).zip(out.as_chunks_mut().0) {
                // Not mapped: what maps an array is a call of its own here.
                let nested = |row: usize| &nested[(row * blocks + at) / NESTED];
                let nested = [nested(a), nested(b), nested(c), nested(d)];
                let q = |row: usize| {
                    q[row * blocks + at..].first_chunk().expect("blocks come in sixteens")
                };
                let q = [q(a), q(b), q(c), q(d)];
                // SAFETY: the token proves the features.
                unsafe { self.look_up(q, nested, [offset, factor], out) };
            }
            true
        }

        /// `(level · nested + offset) · factor` of sixteen blocks of four rows.
        #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vbmi")]
        fn look_up(
            &self,
            q: [&[u8; MANY]; SIDE],
            nested: [&f32; SIDE],
            [offset, factor]: [f32; 2],
            out: &mut [Quad; MANY / SIDE],
        ) {
            let [a, b, c, d] = q;
            let mut codes = _mm512_castsi128_si512(sixteen(a));
            codes = _mm512_inserti32x4::<1>(codes, sixteen(b));
            codes = _mm512_inserti32x4::<2>(codes, sixteen(c));
            codes = _mm512_inserti32x4::<3>(codes, sixteen(d));
            let is_upper = _mm512_movepi8_mask(codes);
            let [zero, one, two, three] = &self.bytes;
            let place = |table: &[u8; 256]| {
                let [a, b, c, d] = quarters(table);
                // A lookup takes seven bits.
                let lower = _mm512_permutex2var_epi8(a, codes, b);
                let upper = _mm512_permutex2var_epi8(c, codes, d);
                _mm512_mask_blend_epi8(is_upper, lower, upper)
            };
            let (zero, one, two, three) = (place(zero), place(one), place(two), place(three));
            let (low, high) = (_mm512_unpacklo_epi8(zero, one), _mm512_unpackhi_epi8(zero, one));
            let (above, above_high) =
                (_mm512_unpacklo_epi8(two, three), _mm512_unpackhi_epi8(two, three));
            // Of each row the first four blocks, then the next ones.
            let levels = [
                _mm512_unpacklo_epi16(low, above),
                _mm512_unpackhi_epi16(low, above),
                _mm512_unpacklo_epi16(high, above_high),
                _mm512_unpackhi_epi16(high, above_high),
            ];
            let [a, b, c, d] = nested;
            let mut nested = _mm512_broadcastss_ps(_mm_set_ss(*a));
            nested = _mm512_mask_broadcastss_ps(nested, 0x00f0, _mm_set_ss(*b));
            nested = _mm512_mask_broadcastss_ps(nested, 0x0f00, _mm_set_ss(*c));
            nested = _mm512_mask_broadcastss_ps(nested, 0xf000, _mm_set_ss(*d));
            for (levels, out) in levels.into_iter().zip(out) {
                let scales = _mm512_mul_ps(_mm512_castsi512_ps(levels), nested);
                let scales = _mm512_add_ps(scales, _mm512_set1_ps(offset));
                let scales = _mm512_mul_ps(scales, _mm512_set1_ps(factor));
                // SAFETY: sixteen words; the store has no alignment to meet.
                unsafe { _mm512_storeu_ps(out.as_mut_ptr(), scales) };
            }
        }
    }

    /// Sixteen bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn sixteen(bytes: &[u8; MANY]) -> __m128i {
        // SAFETY: the load has no alignment to meet.
        unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn quarters(table: &[u8; 256]) -> [__m512i; 4] {
        let mut quarters = [_mm512_setzero_si512(); 4];
        for (quarter, bytes) in quarters.iter_mut().zip(table.as_chunks::<64>().0) {
            // SAFETY: sixty-four bytes; the load has no alignment to meet.
            *quarter = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        }
        quarters
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, SIDE, words};
    use crate::cpu::tiers;
    use crate::double_quant;
    use crate::nf4::Absmax;

    #[test]
    fn scales_are_those_of_the_absmax_to_the_bit() {
        const ROWS: usize = 40;
        let mut state = 7_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for blocks in [1, 6, 16, 24, 32, 48] {
            let q: Vec<u8> = (0..ROWS * blocks).map(|_| random() as u8).collect();
            let nested: Vec<f32> =
                (0..double_quant::blocks(q.len())).map(|_| 1e-4 * random() as f32).collect();
            let (map, offset) = (double_quant::map(), 0.034_f32);
            let double = Absmax::Double { q: &q, map, nested: &nested, offset };
            let plain: Vec<f32> = (0..q.len()).map(|_| random() as f32).collect();
            for absmax in [double, Absmax::F32(&plain)] {
                for isa in tiers() {
                    let rows = [0, 1, 0, 1].map(|_| random() as usize % ROWS);
                    let mut out = vec![f32::NAN; words(blocks * 64)];
                    let quads = out.as_chunks_mut().0;
                    Reader::of(isa, absmax).write(rows, blocks, 0.3, quads);
                    for (at, &scale) in out.iter().enumerate() {
                        let (row, side) = (at / SIDE % SIDE, at % SIDE);
                        let block = at / (SIDE * SIDE) * SIDE + side;
                        let expected = if block < blocks {
                            absmax.get(rows[row] * blocks + block) * 0.3
                        } else {
                            0.0
                        };
                        assert_eq!(scale.to_bits(), expected.to_bits(), "{blocks} blocks, {isa:?}");
                    }
                }
            }
        }
    }
}
