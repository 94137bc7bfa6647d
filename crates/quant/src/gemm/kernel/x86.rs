//! The strips and turning of squares with the instructions of x86-64.

use super::{LANES, LEFT, RIGHT, Strip};
use std::arch::x86_64::*;

/// Rows of `right` in a tile of registers.
const SIDE: usize = 4;

/// Chooses the compiled tile for the rows of `right` that are left.
macro_rules! by_width {
    ($width:expr, $tile:ident, ($($arg:expr),*)) => {
        match $width {
            // SAFETY: the caller's promise, and so many rows are left.
            1 => unsafe { $tile::<L, 1>($($arg),*) },
            // SAFETY: likewise.
            2 => unsafe { $tile::<L, 2>($($arg),*) },
            // SAFETY: likewise.
            3 => unsafe { $tile::<L, 3>($($arg),*) },
            // SAFETY: likewise.
            _ => unsafe { $tile::<L, SIDE>($($arg),*) },
        }
    };
}

/// Running sums of a tile, as they lie in memory.
type Sums = [[[f32; LANES]; SIDE]; 3];

/// Eight lanes at a time: twelve running sums, of three rows of `left` and four of `right`, which with what is
/// multiplied is all 16 registers.
///
/// # Safety
/// `Strip::check` holds, and L is the number of rows of `left`.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2<const L: usize>(strip: &mut Strip<'_>) {
    let r = strip.rows[1];
    for first in (0..r).step_by(SIDE) {
        let width = SIDE.min(r - first);
        let mut tile: Sums = [[[0.0; LANES]; SIDE]; 3];
        if !strip.is_first {
            let kept = strip.sums.as_chunks::<LANES>().0;
            for (n, row) in tile.iter_mut().take(L).enumerate() {
                row[..width].copy_from_slice(&kept[n * r + first..][..width]);
            }
        }
        by_width!(width, avx2_tile, (strip, first, &mut tile));
        for (n, row) in tile.iter().take(L).enumerate() {
            match &mut strip.out {
                Some(out) => out[n][first..first + width].copy_from_slice(&add_four(row)[..width]),
                None => strip.sums.as_chunks_mut::<LANES>().0[n * r + first..][..width]
                    .copy_from_slice(&row[..width]),
            }
        }
    }
}

/// # Safety
/// `Strip::check` holds, L is the number of rows of `left`, and R rows of `right` from `first` on are there.
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_tile<const L: usize, const R: usize>(
    strip: &Strip<'_>,
    first: usize,
    tile: &mut Sums,
) {
    let &Strip { left, right, stride, words, .. } = strip;
    let (left, right) = (left.as_ptr(), right[first * stride..].as_ptr());
    for half in [0, LANES / 2] {
        let mut sum = [[_mm256_setzero_ps(); R]; L];
        for n in 0..L {
            for m in 0..R {
                // SAFETY: eight of sixteen floats.
                sum[n][m] = unsafe { load8(tile[n][m].as_ptr(), half) };
            }
        }
        let from = half * words / LANES;
        for at in (from..from + words / 2).step_by(LANES / 2) {
            let mut x = [_mm256_setzero_ps(); L];
            for (n, x) in x.iter_mut().enumerate() {
                // SAFETY: inside the left panel, as the caller promises.
                *x = unsafe { load8(left, n * stride + at) };
            }
            for m in 0..R {
                // SAFETY: inside the right panel, as the caller promises.
                let w = unsafe { load8(right, m * stride + at) };
                for (row, x) in sum.iter_mut().zip(x) {
                    row[m] = _mm256_fmadd_ps(x, w, row[m]);
                }
            }
        }
        for n in 0..L {
            for m in 0..R {
                // SAFETY: eight of sixteen floats.
                unsafe { store8(tile[n][m].as_mut_ptr(), half, sum[n][m]) };
            }
        }
    }
}

/// Halves and quarters are added across the register; the last eight numbers, of four outputs,
/// are interleaved so that two more additions end it.
#[target_feature(enable = "avx2")]
pub(super) fn add_four(sums: &[[f32; LANES]; 4]) -> [f32; 4] {
    let half = |sums: &[f32; LANES]| {
        // SAFETY: sixteen floats.
        let low = unsafe { load8(sums.as_ptr(), 0) };
        // SAFETY: sixteen floats.
        let high = unsafe { load8(sums.as_ptr(), 8) };
        _mm256_add_ps(low, high)
    };
    let quarters = |a, b| {
        let (low, high) = (_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
        _mm256_add_ps(low, high)
    };
    let [a, b, c, d] = sums;
    let (ac, bd) = (quarters(half(a), half(c)), quarters(half(b), half(d)));
    // Of a and b, and of c and d: [a0 + a2, b0 + b2, a1 + a3, b1 + b3].
    let pairs = _mm256_add_ps(_mm256_unpacklo_ps(ac, bd), _mm256_unpackhi_ps(ac, bd));
    let sums = _mm256_add_ps(pairs, _mm256_permute_ps(pairs, 0b_01_00_11_10));
    let sums = _mm256_permute4x64_pd(_mm256_castps_pd(sums), 0b_00_00_10_00);
    let sums = _mm256_castps256_ps128(_mm256_castpd_ps(sums));
    let mut out = [0.0; 4];
    // SAFETY: four floats; the store has no alignment to meet.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), sums) };
    out
}

/// Eight by eight values at a time.
#[target_feature(enable = "avx2")]
pub(in super::super) fn transpose<const I: usize, const J: usize>(
    lines: &[[f32; J]; I],
    rows: &mut [[f32; I]; J],
) {
    const { assert!(I.is_multiple_of(8) && J.is_multiple_of(8)) }
    for i in (0..I).step_by(8) {
        for j in (0..J).step_by(8) {
            let line = |at: usize| {
                // SAFETY: eight floats of line `i + at`, from `j` on.
                unsafe { load8(lines[i + at].as_ptr(), j) }
            };
            // Pairs of lines interleaved, then pairs of pairs, then halves exchanged.
            let two = |at| {
                let (a, b) = (line(at), line(at + 1));
                [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)].map(|v| _mm256_castps_pd(v))
            };
            let four = |at| {
                let ([a, b], [c, d]) = (two(at), two(at + 2));
                [
                    _mm256_unpacklo_pd(a, c),
                    _mm256_unpackhi_pd(a, c),
                    _mm256_unpacklo_pd(b, d),
                    _mm256_unpackhi_pd(b, d),
                ]
                .map(|v| _mm256_castpd_ps(v))
            };
            let (upper, lower) = (four(0), four(4));
            for (at, (&u, &l)) in upper.iter().zip(&lower).enumerate() {
                let near = _mm256_permute2f128_ps(u, l, 0x20);
                let far = _mm256_permute2f128_ps(u, l, 0x31);
                // SAFETY: eight floats of row `j + at`, from `i` on.
                unsafe { store8(rows[j + at].as_mut_ptr(), i, near) };
                // SAFETY: likewise, of row `j + 4 + at`.
                unsafe { store8(rows[j + 4 + at].as_mut_ptr(), i, far) };
            }
        }
    }
}

/// # Safety
/// `at + 8` floats lie behind `base`.
#[target_feature(enable = "avx2")]
unsafe fn load8(base: *const f32, at: usize) -> __m256 {
    // SAFETY: the caller's promise.
    let from = unsafe { base.add(at) };
    // SAFETY: the caller's promise; the load has no alignment to meet.
    unsafe { _mm256_loadu_ps(from) }
}

/// # Safety
/// `at + 8` floats lie behind `base`.
#[target_feature(enable = "avx2")]
unsafe fn store8(base: *mut f32, at: usize, value: __m256) {
    // SAFETY: the caller's promise.
    let to = unsafe { base.add(at) };
    // SAFETY: the caller's promise; the store has no alignment to meet.
    unsafe { _mm256_storeu_ps(to, value) }
}

/// # Safety
/// `at + 16` floats lie behind `base`.
#[target_feature(enable = "avx512f")]
unsafe fn load16(base: *const f32, at: usize) -> __m512 {
    // SAFETY: the caller's promise.
    let from = unsafe { base.add(at) };
    // SAFETY: the caller's promise; the load has no alignment to meet.
    unsafe { _mm512_loadu_ps(from) }
}

/// # Safety
/// `at + 16` floats lie behind `base`.
#[target_feature(enable = "avx512f")]
unsafe fn store16(base: *mut f32, at: usize, value: __m512) {
    // SAFETY: the caller's promise.
    let to = unsafe { base.add(at) };
    // SAFETY: the caller's promise; the store has no alignment to meet.
    unsafe { _mm512_storeu_ps(to, value) }
}

#[target_feature(enable = "avx512f")]
fn multiply_add(sum: __m512, x: __m512, w: __m512) -> __m512 {
    _mm512_fmadd_ps(x, w, sum)
}

#[target_feature(enable = "avx512f,avx512bf16")]
/// `sum + x w` in the lanes of pairs of bf16.
pub(in super::super) fn multiply_add_pairs(sum: __m512, x: __m512, w: __m512) -> __m512 {
    // SAFETY: both types are 512 bits, and every bit pattern is a value of either.
    let x = unsafe { std::mem::transmute::<__m512, __m512bh>(x) };
    // SAFETY: as above.
    let w = unsafe { std::mem::transmute::<__m512, __m512bh>(w) };
    _mm512_dpbf16_ps(sum, x, w)
}

/// One body for both element layouts; only the multiply-add differs. Six rows of `left` and four of `right` are
/// 24 running sums in registers.
macro_rules! avx512_strip {
    ($name:ident, $tile:ident, $features:literal, $step:ident) => {
        /// # Safety
        /// `Strip::check` holds, and L is the number of rows of `left`.
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name<const L: usize>(strip: &mut Strip<'_>) {
            let r = strip.rows[1];
            for first in (0..r).step_by(SIDE) {
                by_width!(r - first, $tile, (strip, first));
            }
        }

        /// # Safety
        /// `Strip::check` holds, L is the number of rows of `left`, and R rows of `right` from `first` on are there.
        #[target_feature(enable = $features)]
        unsafe fn $tile<const L: usize, const R: usize>(strip: &mut Strip<'_>, first: usize) {
            let &mut Strip { left, right, stride, words, rows: [_, r], .. } = strip;
            let (left, right) = (left.as_ptr(), right[first * stride..].as_ptr());
            let mut sum = [[_mm512_setzero_ps(); R]; L];
            if !strip.is_first {
                let sums = strip.sums.as_ptr();
                for n in 0..L {
                    for m in 0..R {
                        // SAFETY: inside `sums` by `Strip::check`.
                        sum[n][m] = unsafe { load16(sums, (n * r + first + m) * LANES) };
                    }
                }
            }
            for at in (0..words).step_by(LANES) {
                let mut w = [_mm512_setzero_ps(); R];
                for (m, w) in w.iter_mut().enumerate() {
                    // SAFETY: inside the right panel by `Strip::check`.
                    *w = unsafe { load16(right, m * stride + at) };
                }
                for n in 0..L {
                    // SAFETY: inside the left panel by `Strip::check`.
                    let x = unsafe { load16(left, n * stride + at) };
                    for m in 0..R {
                        sum[n][m] = $step(sum[n][m], x, w[m]);
                    }
                }
            }
            match &mut strip.out {
                Some(out) => end(&sum, first, out),
                None => {
                    let sums = strip.sums.as_mut_ptr();
                    for n in 0..L {
                        for m in 0..R {
                            let at = (n * r + first + m) * LANES;
                            // SAFETY: inside `sums` by `Strip::check`.
                            unsafe { store16(sums, at, sum[n][m]) };
                        }
                    }
                }
            }
        }
    };
}
avx512_strip!(avx512_singles, singles_tile, "avx512f", multiply_add);
avx512_strip!(avx512_pairs, pairs_tile, "avx512f,avx512bf16", multiply_add_pairs);

/// The outputs of a tile from column `first` on.
#[target_feature(enable = "avx512f")]
#[inline]
fn end<const L: usize, const R: usize>(
    sum: &[[__m512; R]; L],
    first: usize,
    out: &mut [[f32; RIGHT]; LEFT],
) {
    let mut quarters = [_mm512_setzero_ps(); 2 * SIDE];
    for n in 0..L {
        let mut row = [_mm512_setzero_ps(); SIDE];
        for (sum, &from) in row.iter_mut().zip(&sum[n]) {
            *sum = from;
        }
        quarters[n] = quarter(row);
    }
    for at in (0..L).step_by(SIDE) {
        let four = [quarters[at], quarters[at + 1], quarters[at + 2], quarters[at + 3]];
        let sums = add_quarters(four);
        let mut rows = [[0.0; SIDE]; SIDE];
        // SAFETY: sixteen floats.
        unsafe { store16(rows.as_flattened_mut().as_mut_ptr(), 0, sums) };
        for n in at..L.min(at + SIDE) {
            out[n][first..first + R].copy_from_slice(&rows[n - at][..R]);
        }
    }
}

/// Halves of two outputs are added side by side, then quarters of four.
#[target_feature(enable = "avx512f")]
#[inline]
fn quarter([a, b, c, d]: [__m512; 4]) -> __m512 {
    let ab = _mm512_add_ps(
        _mm512_shuffle_f32x4::<0b_01_00_01_00>(a, b),
        _mm512_shuffle_f32x4::<0b_11_10_11_10>(a, b),
    );
    let cd = _mm512_add_ps(
        _mm512_shuffle_f32x4::<0b_01_00_01_00>(c, d),
        _mm512_shuffle_f32x4::<0b_11_10_11_10>(c, d),
    );
    _mm512_add_ps(
        _mm512_shuffle_f32x4::<0b_10_00_10_00>(ab, cd),
        _mm512_shuffle_f32x4::<0b_11_01_11_01>(ab, cd),
    )
}

/// Of each output of four rows four lanes are left: 0 is added to 2 and 1 to 3, then both. The outputs of a row
/// come to stand side by side.
#[target_feature(enable = "avx512f")]
#[inline]
fn add_quarters([a, b, c, d]: [__m512; 4]) -> __m512 {
    let ab = _mm512_add_ps(
        _mm512_shuffle_ps::<0b_01_00_01_00>(a, b),
        _mm512_shuffle_ps::<0b_11_10_11_10>(a, b),
    );
    let cd = _mm512_add_ps(
        _mm512_shuffle_ps::<0b_01_00_01_00>(c, d),
        _mm512_shuffle_ps::<0b_11_10_11_10>(c, d),
    );
    let sums = _mm512_add_ps(
        _mm512_shuffle_ps::<0b_10_00_10_00>(ab, cd),
        _mm512_shuffle_ps::<0b_11_01_11_01>(ab, cd),
    );
    let rows = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_permutexvar_ps(rows, sums)
}
