//! The register tiles: running sums of a few rows of `left` against a few rows of `right`.
//!
//! Panels hold 4-byte words. In the [`Format::Singles`] layout a word is an f32 and a block of 64 `k`
//! is four groups of 16 lanes; in [`Format::Pairs`] a word holds two bf16 and a block is two groups:
//! first `(4i, 4i+2)`, then `(4i+1, 4i+3)`, the lower element in the lower half.

use super::{BLOCK, LANES, Numerics, add_lanes};
use crate::Isa;
use crate::cpu::{Avx2, Avx512};

/// How a panel stores the elements of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One f32 per word.
    Singles,
    /// Two bf16 per word.
    Pairs,
}

impl Format {
    /// The layout that the tier's kernel of these numerics reads.
    pub(super) fn of(isa: Isa, numerics: Numerics) -> Format {
        match (isa, numerics) {
            (Isa::Scalar | Isa::Avx512 | Isa::Amx, Numerics::Bf16) => Format::Pairs,
            _ => Format::Singles,
        }
    }

    /// Words per block of 64 `k`.
    pub(super) const fn words(self) -> usize {
        match self {
            Format::Singles => BLOCK,
            Format::Pairs => BLOCK / 2,
        }
    }

    /// Stores a block that [`Matrix::block`](super::Matrix) wrote.
    #[inline(always)]
    pub(super) fn store(self, block: &[f32; BLOCK], out: &mut [f32]) {
        match self {
            Format::Singles => out.copy_from_slice(block),
            Format::Pairs => {
                for (pair, words) in out.chunks_exact_mut(LANES).enumerate() {
                    let (odd, even) =
                        (&block[2 * pair * LANES..], &block[(2 * pair + 1) * LANES..]);
                    for (lane, word) in words.iter_mut().enumerate() {
                        let low = even[lane].to_bits() >> 16;
                        let high = odd[lane].to_bits() & 0xffff_0000;
                        *word = f32::from_bits(high | low);
                    }
                }
            }
        }
    }
}

/// Rows of `left` and of `right` in one tile, and the row lengths of what it reads and writes.
pub(super) struct Tile<'a> {
    /// Panel of `left`: rows of `stride` words, of which the first `words` are used.
    pub(super) left: &'a [f32],
    /// Panel of `right`, likewise.
    pub(super) right: &'a [f32],
    /// Words per row of either panel.
    pub(super) stride: usize,
    /// Words to sum; a multiple of 16.
    pub(super) words: usize,
    /// Running sums: row `n` of `left` with row `m` of `right` at `n * sums_stride + m * 16`.
    pub(super) sums: &'a mut [f32],
    /// Floats per row of `sums`.
    pub(super) sums_stride: usize,
    /// Whether the sums start at zero: what `sums` holds is not read.
    pub(super) fresh: bool,
}

impl Tile<'_> {
    fn check(&self, left_rows: usize, right_rows: usize) {
        assert!(self.words.is_multiple_of(LANES) && self.words <= self.stride, "gemm: tile width");
        assert!(self.left.len() >= (left_rows - 1) * self.stride + self.words, "gemm: left panel");
        assert!(
            self.right.len() >= (right_rows - 1) * self.stride + self.words,
            "gemm: right panel"
        );
        let sums = (left_rows - 1) * self.sums_stride + right_rows * LANES;
        assert!(self.sums.len() >= sums, "gemm: running sums");
    }
}

/// Most rows of `right` in a tile, every tier.
pub(super) const RIGHT_ROWS: usize = 4;

/// Most rows of `left` in a tile of this tier.
pub(super) fn left_rows(isa: Isa) -> usize {
    match isa {
        Isa::Avx512 | Isa::Amx => 6,
        Isa::Scalar | Isa::Avx2 => 3,
    }
}

/// Continues the running sums of `left_rows` by `right_rows` outputs.
pub(super) fn tile(isa: Isa, format: Format, left_rows: usize, right_rows: usize, tile: Tile<'_>) {
    tile.check(left_rows, right_rows);
    match isa {
        Isa::Scalar => scalar(format, left_rows, right_rows, tile),
        Isa::Avx2 => {
            let token = Avx2::detect().expect("avx2 was chosen but not detected");
            avx2_rows(token, left_rows, right_rows, tile);
        }
        Isa::Avx512 | Isa::Amx => {
            let token = Avx512::detect().expect("avx512 was chosen but not detected");
            avx512_rows(token, format, left_rows, right_rows, tile);
        }
    }
}

/// Adds the lanes of four outputs, each as [`add_lanes`] does.
pub(super) fn add_four(isa: Isa, sums: &[[f32; LANES]; RIGHT_ROWS]) -> [f32; RIGHT_ROWS] {
    match isa {
        Isa::Scalar => sums.each_ref().map(add_lanes),
        Isa::Avx2 | Isa::Avx512 | Isa::Amx => {
            Avx2::detect().expect("avx2 was chosen but not detected");
            // SAFETY: AVX2 was detected.
            unsafe { x86::add_four(sums) }
        }
    }
}

/// `rows[j][i] = lines[i][j]`.
pub(super) fn transpose<const I: usize, const J: usize>(
    isa: Isa,
    lines: &[[f32; J]; I],
    rows: &mut [[f32; I]; J],
) {
    match isa {
        Isa::Scalar => {
            for (j, row) in rows.iter_mut().enumerate() {
                for (value, line) in row.iter_mut().zip(lines) {
                    *value = line[j];
                }
            }
        }
        Isa::Avx2 | Isa::Avx512 | Isa::Amx => {
            Avx2::detect().expect("avx2 was chosen but not detected");
            // SAFETY: AVX2 was detected.
            unsafe { x86::transpose(lines, rows) }
        }
    }
}

fn scalar(format: Format, left_rows: usize, right_rows: usize, tile: Tile<'_>) {
    let Tile { left, right, stride, words, sums, sums_stride, fresh } = tile;
    for n in 0..left_rows {
        for m in 0..right_rows {
            let sums = &mut sums[n * sums_stride + m * LANES..][..LANES];
            if fresh {
                sums.fill(0.0);
            }
            let x = left[n * stride..][..words].chunks_exact(LANES);
            let w = right[m * stride..][..words].chunks_exact(LANES);
            for (x, w) in x.zip(w) {
                for lane in 0..LANES {
                    sums[lane] = match format {
                        Format::Singles => x[lane].mul_add(w[lane], sums[lane]),
                        Format::Pairs => {
                            dot_bf16_pairs(sums[lane], halves(x[lane]), halves(w[lane]))
                        }
                    };
                }
            }
        }
    }
}

/// The lower and the upper bf16 of a word.
pub(super) fn halves(word: f32) -> [f32; 2] {
    let bits = word.to_bits();
    [f32::from_bits(bits << 16), f32::from_bits(bits & 0xffff_0000)]
}

/// A denormal as a zero of its sign.
pub(super) fn flush(value: f32) -> f32 {
    if value.is_subnormal() { 0.0_f32.copysign(value) } else { value }
}

/// One lane of `vdpbf16ps`: `sum + x[1] w[1]`, then `+ x[0] w[0]`, each step fused and rounded to
/// nearest even; denormal inputs and results are flushed to zeros of their sign (Intel 64 and IA-32
/// manual, volume 2, VDPBF16PS; the control register is not consulted).
pub fn dot_bf16_pairs(sum: f32, x: [f32; 2], w: [f32; 2]) -> f32 {
    let step = |sum: f32, x: f32, w: f32| flush(flush(x).mul_add(flush(w), sum));
    step(step(flush(sum), x[1], w[1]), x[0], w[0])
}

/// Chooses the compiled tile of a constant size.
macro_rules! by_size {
    ($left:expr, $right:expr, [$($l:literal)*], $call:ident, $tile:expr, $pass:expr) => {
        match ($left, $right) {
            $(
                ($l, 1) => $call::<$l, 1>($tile, $pass),
                ($l, 2) => $call::<$l, 2>($tile, $pass),
                ($l, 3) => $call::<$l, 3>($tile, $pass),
                ($l, 4) => $call::<$l, 4>($tile, $pass),
            )*
            (l, r) => unreachable!("no {l} by {r} tile"),
        }
    };
}

fn avx2_rows(token: Avx2, left_rows: usize, right_rows: usize, tile: Tile<'_>) {
    by_size!(left_rows, right_rows, [1 2 3], avx2_tile, tile, token);
}

fn avx2_tile<const L: usize, const R: usize>(tile: Tile<'_>, _token: Avx2) {
    // SAFETY: the token proves AVX2 and FMA; `Tile::check` proved the bounds.
    unsafe { x86::avx2::<L, R>(tile) }
}

fn avx512_rows(token: Avx512, format: Format, left_rows: usize, right_rows: usize, tile: Tile<'_>) {
    match format {
        Format::Singles => {
            by_size!(left_rows, right_rows, [1 2 3 4 5 6], avx512_singles, tile, token);
        }
        Format::Pairs => {
            by_size!(left_rows, right_rows, [1 2 3 4 5 6], avx512_pairs, tile, token);
        }
    }
}

fn avx512_singles<const L: usize, const R: usize>(tile: Tile<'_>, _token: Avx512) {
    // SAFETY: the token proves AVX-512 F; `Tile::check` proved the bounds.
    unsafe { x86::avx512_singles::<L, R>(tile) }
}

fn avx512_pairs<const L: usize, const R: usize>(tile: Tile<'_>, _token: Avx512) {
    // SAFETY: the token proves AVX-512 F and BF16; `Tile::check` proved the bounds.
    unsafe { x86::avx512_pairs::<L, R>(tile) }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use super::{LANES, Tile};
    use std::arch::x86_64::*;

    /// Eight lanes at a time: twelve running sums, four of `left` and `right` each: all 16 registers.
    ///
    /// # Safety
    /// `Tile::check(L, R)` holds.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2<const L: usize, const R: usize>(tile: Tile<'_>) {
        let Tile { left, right, stride, words, sums, sums_stride, fresh } = tile;
        let (left, right, sums) = (left.as_ptr(), right.as_ptr(), sums.as_mut_ptr());
        for half in [0, LANES / 2] {
            let mut sum = [[_mm256_setzero_ps(); R]; L];
            if !fresh {
                for (n, row) in sum.iter_mut().enumerate() {
                    for (m, sum) in row.iter_mut().enumerate() {
                        // SAFETY: inside `sums` by `Tile::check`.
                        *sum = unsafe { load8(sums, n * sums_stride + m * LANES + half) };
                    }
                }
            }
            for at in (half..words).step_by(LANES) {
                let mut x = [_mm256_setzero_ps(); L];
                for (n, x) in x.iter_mut().enumerate() {
                    // SAFETY: inside the left panel by `Tile::check`.
                    *x = unsafe { load8(left, n * stride + at) };
                }
                for m in 0..R {
                    // SAFETY: inside the right panel by `Tile::check`.
                    let w = unsafe { load8(right, m * stride + at) };
                    for (row, x) in sum.iter_mut().zip(x) {
                        row[m] = _mm256_fmadd_ps(x, w, row[m]);
                    }
                }
            }
            for (n, row) in sum.iter().enumerate() {
                for (m, &sum) in row.iter().enumerate() {
                    // SAFETY: inside `sums` by `Tile::check`.
                    unsafe { store8(sums, n * sums_stride + m * LANES + half, sum) };
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
            let (low, high) =
                (_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
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
    pub(super) fn transpose<const I: usize, const J: usize>(
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
                    [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)]
                        .map(|v| _mm256_castps_pd(v))
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

    /// One body for both element layouts; only the multiply-add differs.
    macro_rules! avx512_tile {
        ($name:ident, $features:literal, $step:ident) => {
            /// # Safety
            /// `Tile::check(L, R)` holds.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name<const L: usize, const R: usize>(tile: Tile<'_>) {
                let Tile { left, right, stride, words, sums, sums_stride, fresh } = tile;
                let (left, right, sums) = (left.as_ptr(), right.as_ptr(), sums.as_mut_ptr());
                let mut sum = [[_mm512_setzero_ps(); R]; L];
                if !fresh {
                    for (n, row) in sum.iter_mut().enumerate() {
                        for (m, sum) in row.iter_mut().enumerate() {
                            // SAFETY: inside `sums` by `Tile::check`.
                            *sum = unsafe { load16(sums, n * sums_stride + m * LANES) };
                        }
                    }
                }
                for at in (0..words).step_by(LANES) {
                    let mut w = [_mm512_setzero_ps(); R];
                    for (m, w) in w.iter_mut().enumerate() {
                        // SAFETY: inside the right panel by `Tile::check`.
                        *w = unsafe { load16(right, m * stride + at) };
                    }
                    for n in 0..L {
                        // SAFETY: inside the left panel by `Tile::check`.
                        let x = unsafe { load16(left, n * stride + at) };
                        for m in 0..R {
                            sum[n][m] = $step(sum[n][m], x, w[m]);
                        }
                    }
                }
                for (n, row) in sum.iter().enumerate() {
                    for (m, &sum) in row.iter().enumerate() {
                        // SAFETY: inside `sums` by `Tile::check`.
                        unsafe { store16(sums, n * sums_stride + m * LANES, sum) };
                    }
                }
            }
        };
    }
    avx512_tile!(avx512_singles, "avx512f", multiply_add);
    avx512_tile!(avx512_pairs, "avx512f,avx512bf16", multiply_add_pairs);
}
