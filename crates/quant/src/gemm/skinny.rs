//! Products with at most 64 rows on one side, such as LoRA's way down to the rank and the gradients of
//! its factors: packing the wide side for the tiles would cost more than the product. So nothing of it
//! is packed; it is read once, from where it lies.
//!
//! - [`down`]: a row of `left` (neighbours along `k` side by side) against all of a skinny `right`. The
//!   running sums of an output are the lanes of a register, as in the tiles.
//! - [`outer`]: both operands have neighbouring rows side by side, as in `dyᵀ x`. A register holds one
//!   lane's running sum of sixteen outputs; lane after lane goes through all of `k`, and the lanes are
//!   added at the end.

use super::block::{Output, Scratch, finish};
use super::kernel::{Format, add_four};
use super::operand::{Dense, Values};
use super::words::per_words;
use super::{BLOCK, LANES, Matrix, Numerics};
use crate::Isa;
use rayon::prelude::*;

/// Most rows of the skinny side.
const MOST: usize = 64;
/// Rows of the skinny side that are packed side by side.
const GROUP: usize = 16;
/// Rows of `left` in one task of [`down`].
const ROWS: usize = 16;

/// Which of the two takes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// `right` is skinny.
    Down,
    /// Both have neighbouring rows side by side; whether `left` is the skinny one.
    Outer { left: bool },
}

impl Way {
    /// The way that a product of this shape can go, if any.
    pub(super) fn of([n, m, _]: [usize; 3], lie: Lie) -> Option<Way> {
        match lie {
            Lie::Rows | Lie::Across => (m <= MOST).then_some(Way::Down),
            Lie::Columns => (n.min(m) <= MOST).then_some(Way::Outer { left: n <= m }),
            Lie::Mixed => None,
        }
    }

    /// Rows of the skinny side.
    fn skinny(self, [n, m, _]: [usize; 3]) -> usize {
        if self == (Way::Outer { left: true }) { n } else { m }
    }

    /// Words of the packed skinny side.
    fn packed_words(self, format: Format, shape: [usize; 3]) -> usize {
        self.skinny(shape).next_multiple_of(GROUP) * shape[2].div_ceil(BLOCK) * format.words()
    }

    /// Words of one thread: a row of `left`, or the running sums.
    fn thread_words(self, format: Format, [_, _, k]: [usize; 3]) -> usize {
        match self {
            Way::Down => k.div_ceil(BLOCK) * format.words(),
            Way::Outer { .. } => LANES * GROUP * LANES,
        }
    }

    /// Words of scratch for a product.
    pub(super) fn workspace(self, format: Format, shape: [usize; 3], threads: usize) -> usize {
        self.packed_words(format, shape) + threads * self.thread_words(format, shape)
    }
}

/// How the operands of a product lie in memory, as far as it matters for the way that it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// `left` is f32 with its neighbours along `k` side by side, and so is `right`: `x Wᵀ`.
    Rows,
    /// The same `left`, and a `right` whose neighbouring rows lie side by side: `dy W`.
    Across,
    /// Both are f32 with their neighbouring rows side by side: `dyᵀ x`.
    Columns,
    /// Anything else.
    Mixed,
}

impl Lie {
    /// How these two lie.
    pub fn of(left: &Matrix<'_>, right: &Matrix<'_>) -> Lie {
        match (columns(left), columns(right), rows(left)) {
            (Some(_), Some(_), _) => Lie::Columns,
            (_, _, Some(_)) if right.rows_are_adjacent() => Lie::Across,
            (_, _, Some(_)) => Lie::Rows,
            _ => Lie::Mixed,
        }
    }
}

/// The values and the distance of rows, where neighbours along `k` lie side by side.
pub(super) fn rows<'a>(matrix: &Matrix<'a>) -> Option<(&'a [f32], usize)> {
    match matrix {
        Matrix::Dense(Dense { values: Values::F32(values), col_stride: 1, row_stride, .. }) => {
            Some((*values, *row_stride))
        }
        _ => None,
    }
}

/// The values and the distance of neighbours along `k`, where neighbouring rows lie side by side.
fn columns<'a>(matrix: &Matrix<'a>) -> Option<(&'a [f32], usize)> {
    match matrix {
        Matrix::Dense(Dense {
            values: Values::F32(values),
            rows,
            row_stride: 1,
            col_stride,
            ..
        }) if rows <= col_stride => Some((*values, *col_stride)),
        _ => None,
    }
}

/// `out = scale · left · rightᵀ`, or added.
pub(super) fn product(
    (isa, numerics): (Isa, Numerics),
    way: Way,
    [left, right]: [&Matrix<'_>; 2],
    out: Output<'_>,
    (words, threads): (&mut [f32], usize),
) {
    let format = Format::of(isa, numerics);
    let shape = [left.rows(), right.rows(), left.cols()];
    let skinny = if way == (Way::Outer { left: true }) { left } else { right };
    let (packed, rest) = words.split_at_mut(way.packed_words(format, shape));
    let scratch = Scratch::new(rest, way.thread_words(format, shape), threads);
    let job = Job { isa, numerics, format, skinny: skinny.rows(), k: skinny.cols() };
    match way {
        Way::Down => job.down(left, right, out, packed, &scratch),
        Way::Outer { left: is_left } => {
            let wide = if is_left { right } else { left };
            job.outer([skinny, wide], is_left, out, packed, &scratch);
        }
    }
}

struct Job {
    isa: Isa,
    numerics: Numerics,
    format: Format,
    /// Rows of the skinny side.
    skinny: usize,
    k: usize,
}

impl Job {
    fn down(
        &self,
        left: &Matrix<'_>,
        right: &Matrix<'_>,
        out: Output<'_>,
        packed: &mut [f32],
        scratch: &Scratch,
    ) {
        let Job { isa, numerics, format, .. } = *self;
        self.pack(right, packed, |at, row, lane| (at * GROUP + row) * LANES + lane);
        let (values, row_stride) = rows(left).expect("looked at by `Lie::of`");
        let right_side = Right { isa, numerics, packed };
        let all = (left.rows() - 1) * out.stride + right.rows();
        let tasks = out.values[..all].par_chunks_mut(ROWS * out.stride).enumerate();
        tasks.for_each(|(task, block)| {
            scratch.with(|words| {
                for (row, block) in block.chunks_mut(out.stride).enumerate() {
                    let x = &values[(task * ROWS + row) * row_stride..][..self.k];
                    let block = &mut block[..right.rows()];
                    let mut sums = [0.0; MOST];
                    down_row(isa, format, x, &right_side, words, &mut sums);
                    finish(&sums, block, (out.scale, out.mode));
                }
            });
        });
    }

    fn outer(
        &self,
        [skinny, wide]: [&Matrix<'_>; 2],
        is_left: bool,
        out: Output<'_>,
        packed: &mut [f32],
        scratch: &Scratch,
    ) {
        let Job { isa, numerics, format, k, .. } = *self;
        // Lane after lane: what one lane needs of all of `k` lies together.
        let (blocks, per_lane) = (k.div_ceil(BLOCK), format.words() / LANES);
        self.pack(skinny, packed, |at, row, lane| (lane * blocks * per_lane + at) * GROUP + row);
        let (values, stride) = columns(wide).expect("looked at by `Lie::of`");
        let packed = &*packed;
        let (count, target) = (wide.rows(), out.target());
        (0..count.div_ceil(LANES)).into_par_iter().for_each(|task| {
            scratch.with(|sums| {
                let first = task * LANES;
                let width = LANES.min(count - first);
                for (group, packed) in
                    packed.chunks_exact(GROUP * blocks * format.words()).enumerate()
                {
                    let wide = Wide { values, stride, first, width, k };
                    outer_sums(isa, format, numerics, &wide, packed, sums);
                    let height = GROUP.min(self.skinny - group * GROUP);
                    let sums = &sums.as_chunks::<LANES>().0[..height];
                    let (row, column) = (group * GROUP, first);
                    let place = if is_left { [row, column] } else { [column, row] };
                    target.put_rows(sums, place, width, !is_left);
                }
            });
        });
    }

    /// The skinny side in groups of 16 rows, those beyond the last one zero. `place` says where in
    /// its group a word stands: the `at`-th of its lane, of this row.
    fn pack(
        &self,
        skinny: &Matrix<'_>,
        packed: &mut [f32],
        place: impl Fn(usize, usize, usize) -> usize + Sync,
    ) {
        let Job { isa, numerics, format, k, .. } = *self;
        let (blocks, words) = (k.div_ceil(BLOCK), format.words());
        for (group, out) in packed.chunks_exact_mut(GROUP * blocks * words).enumerate() {
            let first = group * GROUP;
            let height = GROUP.min(self.skinny - first);
            let mut values = [[0.0; BLOCK]; GROUP];
            for block in 0..blocks {
                skinny.blocks(isa, numerics, (first, block), &mut values[..height]);
                for (row, values) in values.iter().enumerate() {
                    let mut stored = [0.0; BLOCK];
                    format.store(values, &mut stored[..words]);
                    for (at, lanes) in stored[..words].chunks_exact(LANES).enumerate() {
                        for (lane, word) in lanes.iter().enumerate() {
                            out[place(block * words / LANES + at, row, lane)] = *word;
                        }
                    }
                }
            }
        }
    }
}

/// The skinny `right`, packed.
struct Right<'a> {
    isa: Isa,
    numerics: Numerics,
    packed: &'a [f32],
}

/// Sixteen neighbouring rows of an operand whose neighbouring rows lie side by side.
struct Wide<'a> {
    values: &'a [f32],
    /// Distance of neighbours along `k`.
    stride: usize,
    first: usize,
    /// Rows that there are, up to sixteen.
    width: usize,
    k: usize,
}

impl Wide<'_> {
    /// The sixteen values at `k`; zeros where there are none.
    #[inline(always)]
    fn line(&self, k: usize) -> [f32; LANES] {
        let mut line = [0.0; LANES];
        if k < self.k {
            let source = &self.values[k * self.stride + self.first..];
            match source.first_chunk::<LANES>() {
                Some(source) if self.width == LANES => line = *source,
                _ => line[..self.width].copy_from_slice(&source[..self.width]),
            }
        }
        line
    }
}

per_words! {
    /// A row of `left` against all of `right`: its words once, then sixteen rows of `right` at a time.
    fn down_row<W>(words, x: &[f32], right: &Right<'_>, row: &mut [f32], out: &mut [f32; MOST]) {
        let Right { isa, numerics, packed } = *right;
        let per_block = W::FORMAT.words();
        let blocks = x.len().div_ceil(BLOCK);
        let row = &mut row[..blocks * per_block];
        for (x, row) in x.chunks(BLOCK).zip(row.chunks_exact_mut(per_block)) {
            match x.as_array::<BLOCK>() {
                Some(x) => words.arrange(numerics, x, row),
                None => {
                    let mut whole = [0.0; BLOCK];
                    whole[..x.len()].copy_from_slice(x);
                    words.arrange(numerics, &whole, row);
                }
            }
        }
        let row = row.as_chunks::<LANES>().0;
        let packed = packed.as_chunks::<LANES>().0;
        for (group, out) in packed.chunks_exact(GROUP * row.len()).zip(out.as_chunks_mut::<GROUP>().0) {
            for (first, out) in (0..GROUP).step_by(W::SUMS).zip(out.chunks_exact_mut(W::SUMS)) {
                let mut sums = [words.zero(); GROUP];
                for (x, w) in row.iter().zip(group.chunks_exact(GROUP)) {
                    let x = words.load(x);
                    for r in 0..W::SUMS {
                        sums[r] = words.dot(sums[r], x, words.load(&w[first + r]));
                    }
                }
                for (four, out) in out.chunks_exact_mut(4).enumerate() {
                    let mut stored = [[0.0; LANES]; 4];
                    for (stored, sum) in stored.iter_mut().zip(&sums[4 * four..]) {
                        *stored = words.store(*sum);
                    }
                    out.copy_from_slice(&add_four(isa, &stored));
                }
            }
        }
    }
}

per_words! {
    /// Sixteen rows of the skinny side against sixteen of the wide one: `sums[row]`, sixteen each.
    fn outer_sums<W>(words, numerics: Numerics, wide: &Wide<'_>, packed: &[f32], sums: &mut [f32]) {
        let blocks = wide.k.div_ceil(BLOCK);
        let (all, _) = sums.as_chunks_mut::<LANES>();
        let packed = packed.as_chunks::<GROUP>().0;
        for (lane, packed) in packed.chunks_exact(blocks * W::PER_LANE).enumerate() {
            let mut sums = [words.zero(); GROUP];
            for (block, e) in packed.chunks_exact(W::PER_LANE).enumerate() {
                let k = block * BLOCK + 4 * lane;
                let rows = [wide.line(k), wide.line(k + 1), wide.line(k + 2), wide.line(k + 3)];
                let mut x = [words.zero(); 4];
                for (c, x) in x.iter_mut().enumerate().take(W::PER_LANE) {
                    *x = words.join(numerics, &rows, c);
                }
                for r in 0..GROUP {
                    for c in 0..W::PER_LANE {
                        sums[r] = words.dot(sums[r], words.splat(e[c][r]), x[c]);
                    }
                }
            }
            for (sum, out) in sums.into_iter().zip(&mut all[lane * GROUP..]) {
                *out = words.store(sum);
            }
        }
        let mut width = LANES / 2;
        while width > 0 {
            for at in 0..width * GROUP {
                let sum = words.add(words.load(&all[at]), words.load(&all[at + width * GROUP]));
                all[at] = words.store(sum);
            }
            width /= 2;
        }
    }
}
