//! Tiles of rows in panels of sixteen columns, and their two products.
//!
//! A tile of `rows` rows holds columns `16c..16c+16` of row `r` in line `r` of panel `c`, the last
//! panel padded with zeros. Both products add one fused multiply-add per term, in order, to running
//! sums that no other lane meets: a sum depends neither on its neighbours nor on how rows are grouped.

use super::Rows;
use crate::{Isa, Numerics};
use quant::gemm::{LANES, round_bf16};

/// Sixteen columns of a row.
pub(super) type Line = [f32; LANES];

/// Keys in a block of the online softmax.
pub(super) const KEYS: usize = 64;
/// Panels of a block of keys.
pub(super) const KEY_PANELS: usize = KEYS / LANES;
/// Rows that are summed at once: twelve registers of AVX2.
pub(super) const MOST: usize = 6;

/// A tile that is read.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) lines: &'a [Line],
    /// Lines per panel.
    pub(super) rows: usize,
}

/// `sums[r] += Σ_t a[row + r][t] b[t]` for `t` from `from` to the end of `b`.
#[inline(always)]
pub(super) fn add_rows<const R: usize>(
    sums: &mut [Line; R],
    (a, row): (Tile<'_>, usize),
    b: &[Line],
    from: usize,
) {
    let mut sum = *sums;
    for panel in from / LANES..b.len().div_ceil(LANES) {
        let first = panel * LANES;
        let a: &[Line; R] = a.lines[panel * a.rows + row..].first_chunk().expect("rows of a tile");
        let b = &b[first..];
        for t in from.saturating_sub(first)..b.len().min(LANES) {
            for r in 0..R {
                for lane in 0..LANES {
                    sum[r][lane] = a[r][t].mul_add(b[t][lane], sum[r][lane]);
                }
            }
        }
    }
    *sums = sum;
}

/// `sums[r] += Σ_t a[r][t] b[t]` for `t` below `ends[r]`, which never falls from row to row.
#[inline(always)]
pub(super) fn add_rows_unevenly<const R: usize>(
    sums: &mut [Line; R],
    a: Tile<'_>,
    b: &[Line],
    ends: &[usize; R],
) {
    add_rows(sums, (a, 0), &b[..ends[0]], 0);
    for r in 1..R {
        let sums: &mut [Line; 1] = sums[r..].first_chunk_mut().expect("a row");
        add_rows(sums, (a, r), &b[..ends[r]], ends[0]);
    }
}

/// `sums[j] += Σ_t a[t][column + j] b[t]`, over the lines of one panel of `a`.
#[inline(always)]
pub(super) fn add_columns<const R: usize>(
    sums: &mut [Line; R],
    (a, column): (&[Line], usize),
    b: &[Line],
) {
    let mut sum = *sums;
    for (a, b) in a.iter().zip(b) {
        let a: &[f32; R] = a[column..].first_chunk().expect("columns of a panel");
        for r in 0..R {
            for lane in 0..LANES {
                sum[r][lane] = a[r].mul_add(b[lane], sum[r][lane]);
            }
        }
    }
    *sums = sum;
}

/// Calls `$this.$work::<R>` for groups of at most [`MOST`] of the rows `$from..$to`.
macro_rules! in_groups {
    ($from:expr, $to:expr, |$row:ident| $this:ident.$work:ident($($arg:expr),*)) => {
        let mut $row = $from;
        while $row < $to {
            match $to - $row {
                1 => $this.$work::<1>($($arg),*),
                2 => $this.$work::<2>($($arg),*),
                3 => $this.$work::<3>($($arg),*),
                4 => $this.$work::<4>($($arg),*),
                5 => $this.$work::<5>($($arg),*),
                _ => $this.$work::<6>($($arg),*),
            }
            $row += MOST;
        }
    };
}
pub(super) use in_groups;

/// Lines per panel of a tile of `d` columns.
#[inline(always)]
fn rows_of(tile: &[Line], d: usize) -> usize {
    tile.len() / d.div_ceil(LANES)
}

/// Row `r` of a tile as wide as a block of keys.
#[inline(always)]
pub(super) fn gather(tile: &[Line], r: usize) -> [f32; KEYS] {
    let mut row = [0.0; KEYS];
    let panels = tile.chunks_exact(tile.len() / KEY_PANELS);
    for (row, panel) in row.as_chunks_mut::<LANES>().0.iter_mut().zip(panels) {
        *row = panel[r];
    }
    row
}

/// Puts row `r` of such a tile back.
#[inline(always)]
pub(super) fn scatter(row: &[f32; KEYS], tile: &mut [Line], r: usize) {
    let panels = tile.chunks_exact_mut(tile.len() / KEY_PANELS);
    for (row, panel) in row.as_chunks::<LANES>().0.iter().zip(panels) {
        panel[r] = *row;
    }
}

/// Copies `count` rows of `d` values into a tile, rounded; `at` gives each row's place.
#[inline(always)]
pub(super) fn load(
    to: &mut [Line],
    [count, d]: [usize; 2],
    (from, at): (Rows<'_>, impl Fn(usize) -> usize),
    numerics: Numerics,
) {
    for r in 0..count {
        load_row(to, [r, d], (from, at(r)));
    }
    if numerics == Numerics::Bf16 {
        for panel in to.chunks_exact_mut(rows_of(to, d)) {
            let values = panel[..count].as_flattened_mut().iter_mut();
            values.for_each(|value| *value = round_bf16(*value));
        }
    }
}

/// Copies the `d` values from `at` on into row `r` of a tile.
#[inline(always)]
pub(super) fn load_row(to: &mut [Line], [r, d]: [usize; 2], (from, at): (Rows<'_>, usize)) {
    for (to, start) in to.chunks_exact_mut(rows_of(to, d)).zip((0..d).step_by(LANES)) {
        from.copy(at + start, LANES.min(d - start), &mut to[r]);
    }
}

/// Copies up to sixteen rows of `d` values into the columns of a panel: `d`, rounded up to sixteen,
/// lines, with zeros in the columns from `count` on.
#[inline(always)]
pub(super) fn load_transposed(
    isa: Isa,
    to: &mut [Line],
    [count, d]: [usize; 2],
    (from, at): (Rows<'_>, impl Fn(usize) -> usize),
) {
    for (to, start) in to.as_chunks_mut().0.iter_mut().zip((0..d).step_by(LANES)) {
        let mut square = [[0.0; LANES]; LANES];
        for (j, line) in square.iter_mut().enumerate().take(count) {
            from.copy(at(j) + start, LANES.min(d - start), line);
        }
        transpose(isa, &square, to);
    }
}

/// `to[t][j] = from[j][t]`.
fn transpose(isa: Isa, from: &[Line; LANES], to: &mut [Line; LANES]) {
    #[cfg(target_arch = "x86_64")]
    if isa != Isa::Scalar {
        assert!(isa.available(), "the tier was chosen but not detected");
        // SAFETY: the line above proves AVX2, which every tier but the scalar one has.
        return unsafe { x86::transpose(from, to) };
    }
    for (t, to) in to.iter_mut().enumerate() {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from[t];
        }
    }
}

/// Copies row `r` of a tile out.
#[inline(always)]
pub(super) fn store(out: &mut [f32], tile: &[Line], r: usize) {
    let panels = tile.chunks_exact(rows_of(tile, out.len()));
    for (out, panel) in out.chunks_mut(LANES).zip(panels) {
        match out.first_chunk_mut::<LANES>() {
            Some(out) => *out = panel[r],
            None => out.copy_from_slice(&panel[r][..out.len()]),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Line;
    use quant::gemm::LANES;
    use std::arch::x86_64::*;

    const HALF: usize = LANES / 2;

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
}
