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

/// Blocks whose scales are read at once.
const MANY: usize = 4 * SIDE;

/// Writes the scales of up to four rows, of which `scales` gives some neighbours: a row's, from a block on.
/// Behind a row's last block are zeros.
#[inline(always)]
pub(in super::super) fn write(
    (rows, blocks): (usize, usize),
    out: &mut [Quad],
    mut scales: impl FnMut(usize, usize, &mut [f32]),
) {
    for (first, out) in (0..blocks).step_by(MANY).zip(out.chunks_mut(MANY / SIDE)) {
        for row in 0..rows {
            let mut read = [0.0; MANY];
            // Sixteen are a few loads and stores; a number that nobody knows would be a call.
            if blocks - first >= MANY {
                scales(row, first, &mut read);
            } else {
                scales(row, first, &mut read[..blocks - first]);
            }
            for (quad, four) in out.iter_mut().zip(read.as_chunks::<SIDE>().0) {
                quad.as_chunks_mut().0[row] = *four;
            }
        }
    }
}

/// The absmax of NF4.
pub(in super::super) struct Reader<'a> {
    absmax: Absmax<'a>,
    #[cfg(target_arch = "x86_64")]
    levels: Option<x86::Levels<'a>>,
}

impl<'a> Reader<'a> {
    /// Of rows with so many blocks.
    pub(in super::super) fn of(isa: Isa, absmax: Absmax<'a>, blocks: usize) -> Self {
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (isa, blocks);
        Self {
            absmax,
            #[cfg(target_arch = "x86_64")]
            levels: x86::Levels::of(isa, absmax, blocks),
        }
    }

    /// Those of some neighbouring blocks, from one on.
    #[inline(always)]
    pub(in super::super) fn neighbours(&self, first: usize, out: &mut [f32]) {
        self.absmax.get_into(first, out);
    }

    /// Asks for those of some blocks, which need not be there.
    #[inline(always)]
    pub(in super::super) fn ahead(&self, first: usize, blocks: usize) {
        self.absmax.prefetch(first, blocks);
    }

    /// Writes those of so many blocks from up to four of them on, times the factor.
    #[inline(always)]
    pub(in super::super) fn write(
        &self,
        (starts, blocks): (&[usize], usize),
        factor: f32,
        out: &mut [Quad],
    ) {
        #[cfg(target_arch = "x86_64")]
        if let (Some(levels), &[a, b, c, d]) = (&self.levels, starts)
            && (a | b | c | d | blocks).is_multiple_of(MANY)
        {
            return levels.write([a, b, c, d], blocks, factor, out);
        }
        write((starts.len(), blocks), out, |row, first, out| {
            self.absmax.get_into(starts[row] + first, out);
            out.iter_mut().for_each(|scale| *scale *= factor);
        });
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{MANY, Quad, SIDE};
    use crate::Isa;
    use crate::cpu::Vnni;
    use crate::double_quant::BLOCK as NESTED;
    use crate::nf4::Absmax;
    use std::arch::x86_64::*;

    /// A double-quantized absmax, and the levels that a byte stands for: the lowest bytes of all, the second
    /// ones, and so on.
    #[repr(align(64))]
    pub(super) struct Levels<'a> {
        bytes: [[u8; 256]; 4],
        q: &'a [u8],
        nested: &'a [f32],
        offset: f32,
    }

    impl<'a> Levels<'a> {
        /// Where the tier may look up bytes, the machine can, and the blocks of a row come in sixteens.
        pub(super) fn of(isa: Isa, absmax: Absmax<'a>, blocks: usize) -> Option<Self> {
            let Absmax::Double { q, map, nested, offset } = absmax else { return None };
            Vnni::of(isa)?;
            if !blocks.is_multiple_of(MANY) {
                return None;
            }
            let mut levels = Self { bytes: [[0; 256]; 4], q, nested, offset };
            // SAFETY: the features were detected; so below, as nothing else makes levels.
            unsafe { levels.take_apart(map) };
            Some(levels)
        }

        #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
        fn take_apart(&mut self, map: &[f32; 256]) {
            for (at, levels) in map.as_chunks::<16>().0.iter().enumerate() {
                // SAFETY: sixteen words; the load has no alignment to meet.
                let mut levels = unsafe { _mm512_loadu_si512(levels.as_ptr().cast()) };
                for bytes in &mut self.bytes {
                    let to = &mut bytes.as_chunks_mut::<16>().0[at];
                    let lowest = _mm512_cvtepi32_epi8(levels);
                    // SAFETY: sixteen bytes; the store has no alignment to meet.
                    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), lowest) };
                    levels = _mm512_srli_epi32::<8>(levels);
                }
            }
        }

        /// Writes the scales of so many blocks from four of them on, times the factor; all come in sixteens, which
        /// have one nested scale each.
        #[inline(always)]
        pub(super) fn write(
            &self,
            [a, b, c, d]: [usize; SIDE],
            blocks: usize,
            factor: f32,
            out: &mut [Quad],
        ) {
            for (at, out) in (0..blocks).step_by(MANY).zip(out.as_chunks_mut().0) {
                // Not mapped: what maps an array is a call of its own here.
                let nested = |start: usize| &self.nested[(start + at) / NESTED];
                let nested = [nested(a), nested(b), nested(c), nested(d)];
                let q = |start: usize| {
                    self.q[start + at..].first_chunk().expect("blocks come in sixteens")
                };
                let q = [q(a), q(b), q(c), q(d)];
                // SAFETY: as in `of`.
                unsafe { self.look_up(q, nested, factor, out) };
            }
        }

        /// `(level · nested + offset) · factor` of sixteen blocks of four rows.
        #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vbmi")]
        fn look_up(
            &self,
            q: [&[u8; MANY]; SIDE],
            nested: [&f32; SIDE],
            factor: f32,
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
                let scales = _mm512_add_ps(scales, _mm512_set1_ps(self.offset));
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
                for (isa, count) in tiers().flat_map(|isa| [(isa, 4), (isa, 3)]) {
                    let starts = [0, 1, 0, 1].map(|_| random() as usize % ROWS * blocks);
                    let mut out = vec![f32::NAN; words(blocks * 64)];
                    let quads = out.as_chunks_mut().0;
                    Reader::of(isa, absmax, blocks).write((&starts[..count], blocks), 0.3, quads);
                    for (at, &scale) in out.iter().enumerate() {
                        let (row, side) = (at / SIDE % SIDE, at % SIDE);
                        let block = at / (SIDE * SIDE) * SIDE + side;
                        if row >= count {
                            continue;
                        }
                        let expected = if block < blocks {
                            absmax.get(starts[row] + block) * 0.3
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
