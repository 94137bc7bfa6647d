//! The work on tiles with AVX-512, in the order and so with the bits of what `tile.rs` does in loops.

use super::Rows;
use super::tile::{
    Factors, KEY_PANELS, Line, MOST, Places, Row, Scores, SoFar, Sums, Tile, by_count,
};
use crate::Numerics;
use crate::math::x86::exp;
use half::bf16;
use quant::gemm::LANES;
use std::arch::x86_64::*;
use std::ops::Range;

const HALF: usize = LANES / 2;
/// Rows that are asked for before they are loaded: they lie too far apart for the processor to see what comes.
const AHEAD: usize = 8;

#[inline]
#[target_feature(enable = "avx512f")]
fn get(line: &Line) -> __m512 {
    // SAFETY: sixteen floats are read; the load has no alignment to meet.
    unsafe { _mm512_loadu_ps(line.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn put(line: &mut Line, value: __m512) {
    // SAFETY: sixteen floats are written; the store has no alignment to meet.
    unsafe { _mm512_storeu_ps(line.as_mut_ptr(), value) };
}

#[target_feature(enable = "avx512f")]
pub(super) fn add(sums: Sums<'_>, a: Factors<'_>, b: Tile<'_>, terms: Range<usize>) {
    by_count!(sums.count, add_group(sums, a, b, terms));
}

/// Two panels at a time, and then the one that is left: each factor is loaded once for both.
#[target_feature(enable = "avx512f")]
fn add_group<const R: usize>(mut sums: Sums<'_>, a: Factors<'_>, b: Tile<'_>, terms: Range<usize>) {
    let panels = b.panels();
    for panel in (0..panels / 2 * 2).step_by(2) {
        add_panels::<R, 2>(&mut sums, a, b, panel, terms.clone());
    }
    if panels % 2 == 1 {
        add_panels::<R, 1>(&mut sums, a, b, panels - 1, terms);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_panels<const R: usize, const L: usize>(
    sums: &mut Sums<'_>,
    a: Factors<'_>,
    b: Tile<'_>,
    panel: usize,
    terms: Range<usize>,
) {
    let mut all = [[_mm512_setzero_ps(); R]; L];
    let mut lines: [&[Line]; L] = [&[]; L];
    for l in 0..L {
        lines[l] = &b.lines[(panel + l) * b.rows..][..terms.end];
        let shrinks: Option<&[f32; R]> = sums.shrinks.first_chunk();
        let sums = sums.group::<R>(panel + l);
        for r in 0..R {
            all[l][r] = get(&sums[r]);
        }
        if let Some(shrinks) = shrinks {
            for r in 0..R {
                all[l][r] = _mm512_mul_ps(all[l][r], _mm512_set1_ps(shrinks[r]));
            }
        }
    }
    match a {
        Factors::Rows(a, row) => {
            for part in terms.start / LANES..terms.end.div_ceil(LANES) {
                let (first, a) = (part * LANES, a.group::<R>(part, row));
                for t in terms.start.max(first)..terms.end.min(first + LANES) {
                    add_term(&mut all, |r| a[r][t % LANES], &lines, t);
                }
            }
        }
        Factors::Columns(a, column) => {
            for (t, a) in terms.clone().zip(&a[terms]) {
                let a: &[f32; R] = a[column..].first_chunk().expect("columns of a panel");
                add_term(&mut all, |r| a[r], &lines, t);
            }
        }
    }
    for (l, all) in all.iter().enumerate() {
        for (sum, all) in sums.group::<R>(panel + l).iter_mut().zip(all) {
            put(sum, *all);
        }
    }
}

/// One term of every sum.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_term<const R: usize, const L: usize>(
    all: &mut [[__m512; R]; L],
    a: impl Fn(usize) -> f32,
    b: &[&[Line]; L],
    t: usize,
) {
    let mut line = [_mm512_setzero_ps(); L];
    for l in 0..L {
        line[l] = get(&b[l][t]);
    }
    for r in 0..R {
        let a = _mm512_set1_ps(a(r));
        for (all, line) in all.iter_mut().zip(&line) {
            all[r] = _mm512_fmadd_ps(a, *line, all[r]);
        }
    }
}

/// Rows of whole lines.
#[target_feature(enable = "avx512f")]
pub(super) fn load(
    to: &mut [Line],
    [count, d]: [usize; 2],
    (from, places): (Rows<'_>, Places),
    numerics: Numerics,
) {
    let panels = d / LANES;
    let rows = to.len() / panels;
    for r in 0..count {
        let at = places.of(r);
        from.expect(places.of(r + AHEAD), d);
        match from {
            Rows::F32(values) => {
                let (lines, _) = values[at..at + d].as_chunks::<LANES>();
                for (panel, line) in lines.iter().enumerate() {
                    let values = get(line);
                    let rounded = if numerics == Numerics::Bf16 { round(values) } else { values };
                    put(&mut to[panel * rows + r], rounded);
                }
            }
            Rows::Bf16(values) => {
                let (lines, _) = values[at..at + d].as_chunks::<LANES>();
                for (panel, line) in lines.iter().enumerate() {
                    // SAFETY: sixteen times two bytes are read; the load has no alignment to meet.
                    let values = unsafe { _mm256_loadu_si256(line.as_ptr().cast()) };
                    let wide = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(values));
                    put(&mut to[panel * rows + r], _mm512_castsi512_ps(wide));
                }
            }
        }
    }
}

/// `quant::gemm::round_bf16` of each.
#[inline]
#[target_feature(enable = "avx512f")]
fn round(values: __m512) -> __m512 {
    let bits = _mm512_castps_si512(values);
    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
    let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
    let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(values, values);
    let high = _mm512_set1_epi32(0xffff_0000_u32 as i32);
    let rounded = _mm512_mask_mov_epi32(rounded, is_nan, quiet);
    _mm512_castsi512_ps(_mm512_and_si512(rounded, high))
}

/// Lanes of line `panel` that are among the first `seen` of all.
#[inline]
fn mask(seen: usize, panel: usize) -> __mmask16 {
    let lanes = seen.saturating_sub(panel * LANES).min(LANES);
    ((1_u32 << lanes) - 1) as __mmask16
}

#[target_feature(enable = "avx512f")]
pub(super) fn exponentials(scores: Scores<'_>, seen: &[usize], so_far: SoFar<'_>) -> [f32; MOST] {
    let scale = _mm512_set1_ps(scores.scale);
    let unseen = _mm512_set1_ps(f32::NEG_INFINITY);
    // The factors of all rows are found at once.
    let (mut old, mut new) = ([0.0; LANES], [0.0; LANES]);
    for (r, &seen) in seen.iter().enumerate() {
        let mut most = unseen;
        for panel in 0..KEY_PANELS {
            let line = &mut scores.lines[panel * scores.rows + r];
            let s = _mm512_mul_ps(get(line), scale);
            let s = _mm512_mask_mov_ps(unseen, mask(seen, panel), s);
            // NaN, as the first one of both, is passed over.
            most = _mm512_max_ps(s, most);
            put(line, s);
        }
        old[r] = so_far.most[r];
        new[r] = _mm512_reduce_max_ps(most).max(old[r]);
        so_far.most[r] = new[r];
    }
    let mut shrinks = [0.0; LANES];
    put(&mut shrinks, exp(_mm512_sub_ps(get(&old), get(&new))));
    for r in 0..seen.len() {
        let new = _mm512_set1_ps(new[r]);
        let mut e = [new; KEY_PANELS];
        for (panel, e) in e.iter_mut().enumerate() {
            let line = &mut scores.lines[panel * scores.rows + r];
            *e = exp(_mm512_sub_ps(get(line), new));
            put(line, if scores.numerics == Numerics::Bf16 { round(*e) } else { *e });
        }
        let sum = _mm512_add_ps(_mm512_add_ps(e[0], e[1]), _mm512_add_ps(e[2], e[3]));
        let total = &mut so_far.total[r];
        let grown = _mm512_fmadd_ps(get(total), _mm512_set1_ps(shrinks[r]), sum);
        put(total, grown);
    }
    *shrinks.first_chunk().expect("as many as lanes")
}

#[target_feature(enable = "avx512f")]
pub(super) fn slopes(p: Scores<'_>, ds: &mut [Line], from: usize, rows: &[Row]) {
    let scale = _mm512_set1_ps(p.scale);
    for (r, row) in rows.iter().enumerate() {
        let (lse, delta) = (_mm512_set1_ps(row.lse), _mm512_set1_ps(row.delta));
        for panel in 0..KEY_PANELS {
            let at = panel * p.rows + from + r;
            let e = exp(_mm512_sub_ps(_mm512_mul_ps(get(&p.lines[at]), scale), lse));
            let slope = _mm512_mul_ps(e, _mm512_sub_ps(get(&ds[at]), delta));
            let mut both = [e, _mm512_mul_ps(slope, scale)];
            if p.numerics == Numerics::Bf16 {
                both = [round(both[0]), round(both[1])];
            }
            let seen = mask(row.seen, panel);
            put(&mut p.lines[at], _mm512_maskz_mov_ps(seen, both[0]));
            put(&mut ds[at], _mm512_maskz_mov_ps(seen, both[1]));
        }
    }
}

/// `to[t][j] = from[j][t]`, as f32.
#[target_feature(enable = "avx512f")]
pub(super) fn turn_pairs(from: [&[bf16; 2 * LANES]; LANES], to: &mut [Line; 2 * LANES]) {
    let mut rows = [_mm512_setzero_si512(); LANES];
    for (register, row) in rows.iter_mut().zip(from) {
        // SAFETY: 32 times two bytes are read; the load has no alignment to meet.
        *register = unsafe { _mm512_loadu_si512(row.as_ptr().cast()) };
    }
    let high = _mm512_set1_epi32(0xffff_0000_u32 as i32);
    for (pair, to) in sixteen_by_sixteen(rows).iter().zip(to.as_chunks_mut::<2>().0) {
        put(&mut to[0], _mm512_castsi512_ps(_mm512_slli_epi32::<16>(*pair)));
        put(&mut to[1], _mm512_castsi512_ps(_mm512_and_si512(*pair, high)));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sixteen_by_sixteen(r: [__m512i; LANES]) -> [__m512i; LANES] {
    // Pairs and fours within each quarter of a register, then the quarters.
    let mut fours = r;
    for i in (0..LANES).step_by(4) {
        let (a, b) = (_mm512_unpacklo_epi32(r[i], r[i + 1]), _mm512_unpackhi_epi32(r[i], r[i + 1]));
        let (c, d) =
            (_mm512_unpacklo_epi32(r[i + 2], r[i + 3]), _mm512_unpackhi_epi32(r[i + 2], r[i + 3]));
        fours[i] = _mm512_unpacklo_epi64(a, c);
        fours[i + 1] = _mm512_unpackhi_epi64(a, c);
        fours[i + 2] = _mm512_unpacklo_epi64(b, d);
        fours[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    let mut out = fours;
    for i in 0..4 {
        let [a, b, c, d] = [fours[i], fours[i + 4], fours[i + 8], fours[i + 12]];
        let low = [_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(c, d)];
        let high = [_mm512_shuffle_i32x4::<0xdd>(a, b), _mm512_shuffle_i32x4::<0xdd>(c, d)];
        out[i] = _mm512_shuffle_i32x4::<0x88>(low[0], low[1]);
        out[i + 4] = _mm512_shuffle_i32x4::<0x88>(high[0], high[1]);
        out[i + 8] = _mm512_shuffle_i32x4::<0xdd>(low[0], low[1]);
        out[i + 12] = _mm512_shuffle_i32x4::<0xdd>(high[0], high[1]);
    }
    out
}

/// Four squares of eight by eight.
#[target_feature(enable = "avx2")]
pub(super) fn transpose(from: &[Line; LANES], to: &mut [Line; LANES]) {
    for (row, column) in [(0, 0), (0, HALF), (HALF, 0), (HALF, HALF)] {
        let mut rows = [_mm256_setzero_ps(); HALF];
        for (register, line) in rows.iter_mut().zip(&from[row..]) {
            let half: &[f32; HALF] = line[column..].first_chunk().expect("half a line");
            // SAFETY: eight floats are read; the load has no alignment to meet.
            *register = unsafe { _mm256_loadu_ps(half.as_ptr()) };
        }
        for (register, line) in eight_by_eight(rows).into_iter().zip(&mut to[column..]) {
            let half: &mut [f32; HALF] = line[row..].first_chunk_mut().expect("half a line");
            // SAFETY: eight floats are written; the store has no alignment to meet.
            unsafe { _mm256_storeu_ps(half.as_mut_ptr(), register) };
        }
    }
}

#[target_feature(enable = "avx2")]
fn eight_by_eight(r: [__m256; HALF]) -> [__m256; HALF] {
    // Pairs, then fours within each half of a register, then the halves.
    let mut fours = r;
    for i in [0, 4] {
        let (a, b) = (_mm256_unpacklo_ps(r[i], r[i + 1]), _mm256_unpackhi_ps(r[i], r[i + 1]));
        let (c, d) =
            (_mm256_unpacklo_ps(r[i + 2], r[i + 3]), _mm256_unpackhi_ps(r[i + 2], r[i + 3]));
        fours[i] = _mm256_shuffle_ps::<0x44>(a, c);
        fours[i + 1] = _mm256_shuffle_ps::<0xee>(a, c);
        fours[i + 2] = _mm256_shuffle_ps::<0x44>(b, d);
        fours[i + 3] = _mm256_shuffle_ps::<0xee>(b, d);
    }
    let mut out = fours;
    for i in 0..4 {
        out[i] = _mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]);
        out[i + 4] = _mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]);
    }
    out
}
