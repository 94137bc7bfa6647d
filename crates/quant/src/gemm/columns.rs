//! Panels of a matrix whose neighbouring rows lie side by side, as in `dy W`: what is read in lines of one
//! `k` has to stand in rows of many.

use super::block::Panel;
use super::kernel::{RIGHT, transpose};
use super::{BLOCK, LANES, SEQUENCE};

/// Packs the panel, up to 32 rows at a time.
pub(super) fn pack(panel: &Panel<'_>, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if pairs::fit(panel, out.len() / panel.stride) {
        return pairs::pack(panel, out);
    }
    lines(panel.isa, panel, out);
}

crate::per_tier! {
    /// Reads the 64 lines of each block, then stores each row in the order of summation.
    fn lines(panel: &Panel<'_>, out: &mut [f32]) {
        let (words, k_count) = (panel.format.words(), panel.matrix.cols());
        let (mut lines, mut rows) = ([[0.0_f32; RIGHT]; BLOCK], [[0.0_f32; BLOCK]; RIGHT]);
        for (group, out) in out.chunks_mut(RIGHT * panel.stride).enumerate() {
            let (first, count) = (panel.first_row + group * RIGHT, out.len() / panel.stride);
            for index in 0..panel.width / words {
                for (c, &s) in SEQUENCE.iter().enumerate() {
                    for lane in 0..LANES {
                        let k = (panel.first_block + index) * BLOCK + 4 * lane + s;
                        let line = &mut lines[c * LANES + lane][..count];
                        if k < k_count {
                            panel.matrix.line(panel.isa, panel.numerics, first, k, line);
                        } else {
                            line.fill(0.0);
                        }
                    }
                }
                transpose(panel.isa, &lines, &mut rows);
                for (block, out) in rows.iter().zip(out.chunks_exact_mut(panel.stride)) {
                    panel.format.store(block, &mut out[index * words..][..words]);
                }
            }
        }
    }
}

/// Whole panels in pairs of bf16: two lines at a time become words, and only these are turned.
#[cfg(target_arch = "x86_64")]
pub(super) mod pairs {
    use super::super::block::Panel;
    use super::super::kernel::x86::transpose;
    use super::super::kernel::{Format, RIGHT};
    use super::super::words::x86::FastPairs;
    use super::super::{BLOCK, Dense, LANES, Matrix, Side, Values};
    use crate::Isa;
    use crate::cpu::Avx512;
    use crate::nf4::Nf4;
    use half::bf16;

    /// Blocks of `k` that lines are asked for ahead.
    const AHEAD: usize = 4;

    /// Sixteen words of sixteen rows.
    pub(in super::super) type Square = [[f32; LANES]; LANES];

    /// Whether `rows` rows of the panel's matrix can be read so.
    pub(in super::super) fn fit(panel: &Panel<'_>, rows: usize) -> bool {
        let is_stored_so = match panel.matrix {
            Matrix::Nf4 { inner, side: Side::Out, .. }
            | Matrix::Q8 { inner, side: Side::Out, .. } => inner.is_multiple_of(BLOCK),
            Matrix::Dense(Dense { values: Values::F32(_), row_stride: 1, .. })
            | Matrix::Dense(Dense { values: Values::Bf16(_), row_stride: 1, .. }) => true,
            _ => false,
        };
        (panel.isa.without_tiles(), panel.format) == (Isa::Avx512, Format::Pairs)
            && is_stored_so
            && panel.first_row.is_multiple_of(RIGHT)
            && rows == RIGHT
    }

    /// Where row `t` of half `half` of what [`join`] makes stands among the 32 rows: of NF4, one half has
    /// the even rows.
    pub(in super::super) fn row_of(matrix: &Matrix<'_>, half: usize, t: usize) -> usize {
        // The upper code of a byte is that of the even row.
        if matches!(matrix, Matrix::Nf4 { .. }) { 2 * t + half } else { LANES * half + t }
    }

    /// Joins the lines `k` and `k + 2` of each block in words. For every block and each of its two words
    /// `take` gets `[half][lane]`, the words of sixteen rows each.
    #[inline(always)]
    pub(in super::super) fn join(panel: &Panel<'_>, take: impl FnMut(usize, usize, &[Square; 2])) {
        let words = FastPairs(Avx512::detect().expect("avx512 was chosen but not detected"));
        let first = panel.first_row;
        match *panel.matrix {
            Matrix::Nf4 { weight: Nf4 { codes, absmax }, inner, .. } => {
                let line = |k: usize| {
                    let at = k * inner + first;
                    let codes = codes[at / 2..].first_chunk().expect("codes cover the weight");
                    (codes, absmax.get(at / BLOCK))
                };
                let join = |low: (&[u8; RIGHT / 2], f32), high: (&[u8; RIGHT / 2], f32)| {
                    words.of_code_lines([low.0, high.0], [low.1, high.1])
                };
                squares(panel, (&[0; RIGHT / 2], 0.0), line, join, take);
            }
            Matrix::Q8 { codes, scales, inner, .. } => {
                let line = |k: usize| {
                    let at = k * inner + first;
                    let codes = codes[at..].first_chunk().expect("codes cover the weight");
                    (codes, scales[at / BLOCK])
                };
                let join = |low: (&[i8; RIGHT], f32), high: (&[i8; RIGHT], f32)| {
                    words.of_byte_lines([low.0, high.0], [low.1, high.1])
                };
                squares(panel, (&[0; RIGHT], 0.0), line, join, take);
            }
            Matrix::Dense(Dense { values: Values::F32(values), col_stride, .. }) => {
                let line = |k: usize| {
                    let line = values[k * col_stride + first..].first_chunk();
                    line.expect("values cover the matrix")
                };
                let join = |low: &[f32; RIGHT], high: &[f32; RIGHT]| words.of_lines([low, high]);
                squares(panel, &[0.0; RIGHT], line, join, take);
            }
            Matrix::Dense(Dense { values: Values::Bf16(values), col_stride, .. }) => {
                let line = |k: usize| {
                    let line = values[k * col_stride + first..].first_chunk();
                    line.expect("values cover the matrix")
                };
                let join =
                    |low: &[bf16; RIGHT], high: &[bf16; RIGHT]| words.of_half_lines([low, high]);
                squares(panel, &[bf16::ZERO; RIGHT], line, join, take);
            }
            _ => unreachable!("looked at by `fit`"),
        }
    }

    #[inline(always)]
    fn squares<L: Copy>(
        panel: &Panel<'_>,
        nothing: L,
        line: impl Fn(usize) -> L,
        join: impl Fn(L, L) -> [[f32; LANES]; 2],
        mut take: impl FnMut(usize, usize, &[Square; 2]),
    ) {
        let k_count = panel.matrix.cols();
        let line = |k: usize| if k < k_count { line(k) } else { nothing };
        let mut joined = [[[0.0; LANES]; LANES]; 2];
        for index in 0..panel.width / Format::Pairs.words() {
            for c in 0..2 {
                let [first, second] = &mut joined;
                for (lane, halves) in first.iter_mut().zip(second).enumerate() {
                    let k = (panel.first_block + index) * BLOCK + 4 * lane + c;
                    [*halves.0, *halves.1] = join(line(k), line(k + 2));
                }
                take(index, c, &joined);
            }
        }
    }

    /// Packs the panel: turns what is joined, and stores each row.
    pub(super) fn pack(panel: &Panel<'_>, out: &mut [f32]) {
        Avx512::detect().expect("avx512 was chosen but not detected");
        // SAFETY: the features were detected.
        unsafe { pack_pairs(panel, out) }
    }

    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    fn pack_pairs(panel: &Panel<'_>, out: &mut [f32]) {
        let per_block = Format::Pairs.words();
        let mut turned = [[0.0; LANES]; LANES];
        join(panel, |index, c, joined| {
            if c == 0 {
                let ahead = [panel.first_row, panel.first_block + index + AHEAD];
                panel
                    .matrix
                    .stretches(ahead, [RIGHT, 1])
                    .for_each(|line| panel.matrix.prefetch(line));
            }
            for (half, square) in joined.iter().enumerate() {
                transpose(square, &mut turned);
                for (t, words) in turned.iter().enumerate() {
                    let row = row_of(panel.matrix, half, t);
                    let at = row * panel.stride + index * per_block + c * LANES;
                    out[at..at + LANES].copy_from_slice(words);
                }
            }
        });
    }
}
