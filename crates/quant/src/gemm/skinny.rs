//! Products with at most 64 rows on one side, such as LoRA's way down to the rank and the gradients of
//! its factors: packing the wide side for the tiles would cost more than the product. So nothing of it
//! is packed; it is read once, from where it lies.
//!
//! - [`down`]: four rows of `left` (neighbours along `k` side by side) against all of a skinny `right`. The
//!   running sums of an output are the lanes of a register, as in the tiles.
//! - [`outer`]: both operands have neighbouring rows side by side, as in `dyᵀ x`. A register holds one
//!   lane's running sum of sixteen outputs; lane after lane goes through a section of `k`, and the lanes are
//!   added at the end. What the lanes take one after another lies far apart, so a section is gathered first.

use super::block::{Output, Scratch, finish};
use super::kernel::{Format, add_four};
use super::operand::{Dense, Values};
use super::words::per_words;
use super::{BLOCK, LANES, Matrix, Numerics};
use crate::Isa;
use crate::cpu::prefetch;
use crate::per_tier;
use rayon::prelude::*;
use std::ops::Range;

/// Most rows of the skinny side.
const MOST: usize = 64;
/// Rows of the skinny side that are packed side by side.
const GROUP: usize = 16;
/// Rows of `left` that go together in [`down`], so that what is packed is read once for all of them.
const SIDE: usize = 4;
/// Rows of `left` in one task of [`down`].
const ROWS: usize = 16;

/// Sixteens of wide rows in one task of [`outer`], at most: lines that lie side by side for each `k`.
const STRIPES: usize = 8;
/// Tasks of [`outer`] that each thread should find.
const TASKS: usize = 4;
/// Blocks of `k` that [`outer`] gathers at a time.
const SECTION: usize = 4;
/// Running sums of a stripe and of a group of skinny rows: sixteen for each row and lane.
const STRIPE_SUMS: usize = LANES * GROUP * LANES;
/// Words of a stripe's section.
const GATHERED: usize = SECTION * BLOCK * LANES;

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

    /// Sixteens of wide rows in a task: fewer where threads would stay idle, or sums take much room.
    fn stripes(self, shape: [usize; 3], threads: usize) -> usize {
        let [n, m, _] = shape;
        let groups = self.skinny(shape).div_ceil(GROUP);
        (n.max(m).div_ceil(LANES) / (TASKS * threads)).clamp(1, STRIPES.div_ceil(groups))
    }

    /// Words of one thread: some rows of `left`, or the running sums and what is gathered.
    fn thread_words(self, format: Format, shape: [usize; 3], threads: usize) -> usize {
        let k = shape[2];
        match self {
            Way::Down => SIDE * k.div_ceil(BLOCK) * format.words(),
            Way::Outer { .. } => {
                let sums = self.skinny(shape).div_ceil(GROUP) * STRIPE_SUMS;
                self.stripes(shape, threads) * (sums + GATHERED)
            }
        }
    }

    /// Words of scratch for a product.
    pub(super) fn workspace(self, format: Format, shape: [usize; 3], threads: usize) -> usize {
        self.packed_words(format, shape) + threads * self.thread_words(format, shape, threads)
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
    let scratch = Scratch::new(rest, way.thread_words(format, shape, threads), threads);
    let stripes = way.stripes(shape, threads);
    let job = Job { isa, numerics, format, skinny: skinny.rows(), k: skinny.cols(), stripes };
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
    /// Sixteens of wide rows in a task of [`Job::outer`].
    stripes: usize,
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
                for (four, block) in block.chunks_mut(SIDE * out.stride).enumerate() {
                    let first = task * ROWS + four * SIDE;
                    // What is missing of the last four is made several times, and written once.
                    let last = left.rows() - 1;
                    let starts = [0, 1, 2, 3].map(|row| (first + row).min(last) * row_stride);
                    let next = (first + SIDE) * row_stride;
                    let x = Four { values, starts, next, k: self.k };
                    let mut sums = [[0.0; MOST]; SIDE];
                    down_rows(isa, format, &x, &right_side, words, &mut sums);
                    for (sums, block) in sums.iter().zip(block.chunks_mut(out.stride)) {
                        finish(sums, &mut block[..right.rows()], (out.scale, out.mode));
                    }
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
        let Job { isa, numerics, format, k, stripes, .. } = *self;
        // Lane after lane: what one lane needs of all of `k` lies together.
        let (blocks, per_lane) = (k.div_ceil(BLOCK), format.words() / LANES);
        self.pack(skinny, packed, |at, row, lane| (lane * blocks * per_lane + at) * GROUP + row);
        let (values, stride) = columns(wide).expect("looked at by `Lie::of`");
        let (count, target) = (wide.rows(), out.target());
        let groups = packed.chunks_exact(GROUP * blocks * format.words());
        let group_sums = groups.len() * STRIPE_SUMS;
        (0..count.div_ceil(stripes * LANES)).into_par_iter().for_each(|task| {
            scratch.with(|words| {
                let first = task * stripes * LANES;
                let width = (stripes * LANES).min(count - first);
                let stripes = width.div_ceil(LANES);
                let (sums, lines) =
                    words[..stripes * (group_sums + GATHERED)].split_at_mut(stripes * group_sums);
                sums.fill(0.0);
                for start in (0..blocks).step_by(SECTION) {
                    let section = start..blocks.min(start + SECTION);
                    gather(isa, &Wide { values, stride, first, width, k }, &section, lines);
                    let stripes =
                        lines.chunks_exact(GATHERED).zip(sums.chunks_exact_mut(group_sums));
                    for (lines, sums) in stripes {
                        for (packed, sums) in groups.clone().zip(sums.chunks_exact_mut(STRIPE_SUMS))
                        {
                            let skinny = Skinny { packed, blocks, section: &section };
                            outer_sums(isa, format, numerics, lines, &skinny, sums);
                        }
                    }
                }
                for (stripe, sums) in sums.chunks_exact_mut(group_sums).enumerate() {
                    for (group, sums) in sums.chunks_exact_mut(STRIPE_SUMS).enumerate() {
                        add_lanes(isa, format, sums);
                        let height = GROUP.min(self.skinny - group * GROUP);
                        let sums = &sums.as_chunks::<LANES>().0[..height];
                        let (row, column) = (group * GROUP, first + stripe * LANES);
                        let place = if is_left { [row, column] } else { [column, row] };
                        target.put_rows(sums, place, LANES.min(count - column), !is_left);
                    }
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

/// Four rows of `left`.
struct Four<'a> {
    values: &'a [f32],
    starts: [usize; SIDE],
    /// Where the next ones start.
    next: usize,
    k: usize,
}

/// Some neighbouring rows of an operand whose neighbouring rows lie side by side.
struct Wide<'a> {
    values: &'a [f32],
    /// Distance of neighbours along `k`.
    stride: usize,
    first: usize,
    width: usize,
    k: usize,
}

/// A group of the skinny side.
struct Skinny<'a> {
    packed: &'a [f32],
    /// All blocks of `k`, and those of a section.
    blocks: usize,
    section: &'a Range<usize>,
}

per_tier! {
    /// A section's blocks, stripe by stripe: what a lane needs of them lies together. What there is not is zero.
    fn gather(wide: &Wide<'_>, section: &Range<usize>, lines: &mut [f32]) {
        /// Rows that are asked for ahead of their use.
        const AHEAD: usize = 16;
        let Wide { values, stride, first, width, k } = *wide;
        let (lines, _) = lines.as_chunks_mut::<LANES>();
        for at in section.start * BLOCK..section.end * BLOCK {
            let (block, lane, place) = (at / BLOCK - section.start, at % BLOCK / 4, at % 4);
            let to = (lane * SECTION + block) * 4 + place;
            if at + AHEAD < k {
                prefetch(values, (at + AHEAD) * stride + first, width);
            }
            let source = if at < k { &values[at * stride + first..][..width] } else { &[] };
            let (whole, rest) = source.as_chunks::<LANES>();
            for (stripe, lines) in lines.chunks_exact_mut(SECTION * BLOCK).enumerate() {
                if let Some(line) = whole.get(stripe) {
                    lines[to] = *line;
                } else {
                    lines[to] = [0.0; LANES];
                    if stripe == whole.len() {
                        lines[to][..rest.len()].copy_from_slice(rest);
                    }
                }
            }
        }
    }
}

per_words! {
    /// Four rows of `left` against all of `right`: their words once, then some rows of `right` at a time.
    fn down_rows<W>(
        words,
        x: &Four<'_>,
        right: &Right<'_>,
        rows: &mut [f32],
        out: &mut [[f32; MOST]; SIDE],
    ) {
        let Right { isa, numerics, packed } = *right;
        let per_block = W::FORMAT.words();
        let row_words = x.k.div_ceil(BLOCK) * per_block;
        for (&start, row) in x.starts.iter().zip(rows.chunks_exact_mut(row_words)) {
            let next = x.next + start - x.starts[0];
            let values = x.values[start..][..x.k].chunks(BLOCK);
            for (block, (values, row)) in values.zip(row.chunks_exact_mut(per_block)).enumerate() {
                // While these rows are multiplied, memory is at the next ones.
                prefetch(x.values, next + block * BLOCK, BLOCK);
                match values.as_array::<BLOCK>() {
                    Some(values) => words.arrange(numerics, values, row),
                    None => {
                        let mut whole = [0.0; BLOCK];
                        whole[..values.len()].copy_from_slice(values);
                        words.arrange(numerics, &whole, row);
                    }
                }
            }
        }
        let row = |at: usize| rows[at * row_words..][..row_words].as_chunks::<LANES>().0;
        let [a, b, c, d] = [row(0), row(1), row(2), row(3)];
        let at_once = W::SUMS / SIDE;
        for (group, packed) in packed.as_chunks::<LANES>().0.chunks_exact(GROUP * a.len()).enumerate() {
            for first in (0..GROUP).step_by(at_once) {
                // Of the first row of x with each of these, then of the next row.
                let mut sums = [words.zero(); GROUP];
                let left = a.iter().zip(b).zip(c).zip(d);
                for ((((a, b), c), d), w) in left.zip(packed.as_chunks::<GROUP>().0) {
                    let x = [words.load(a), words.load(b), words.load(c), words.load(d)];
                    for r in 0..at_once {
                        let w = words.load(&w[first + r]);
                        for (row, x) in x.into_iter().enumerate() {
                            sums[row * at_once + r] = words.dot(sums[row * at_once + r], x, w);
                        }
                    }
                }
                let mut made = [0.0; GROUP];
                let fours = made[..SIDE * at_once].as_chunks_mut::<4>().0;
                for (four, made) in fours.iter_mut().enumerate() {
                    let mut stored = [[0.0; LANES]; 4];
                    for (stored, sum) in stored.iter_mut().zip(&sums[4 * four..]) {
                        *stored = words.store(*sum);
                    }
                    *made = add_four(isa, &stored);
                }
                for (out, made) in out.iter_mut().zip(made.chunks_exact(at_once)) {
                    out[group * GROUP + first..][..at_once].copy_from_slice(made);
                }
            }
        }
    }
}

per_words! {
    /// Adds the products of sixteen rows of the skinny side with a stripe's section to the running sums:
    /// of each lane, sixteen of each row.
    fn outer_sums<W>(
        words,
        numerics: Numerics,
        lines: &[f32],
        skinny: &Skinny<'_>,
        sums: &mut [f32],
    ) {
        let Skinny { packed, blocks, section } = skinny;
        let (all, _) = sums.as_chunks_mut::<LANES>();
        let packed = packed.as_chunks::<GROUP>().0.chunks_exact(blocks * W::PER_LANE);
        let lines = lines.as_chunks::<LANES>().0.chunks_exact(4 * SECTION);
        for ((packed, lines), all) in packed.zip(lines).zip(all.chunks_exact_mut(GROUP)) {
            let packed = &packed[section.start * W::PER_LANE..section.end * W::PER_LANE];
            let mut sums = [words.zero(); GROUP];
            for (sum, stored) in sums.iter_mut().zip(&*all) {
                *sum = words.load(stored);
            }
            for (e, rows) in packed.chunks_exact(W::PER_LANE).zip(lines.as_chunks::<4>().0) {
                let mut x = [words.zero(); 4];
                for (c, x) in x.iter_mut().enumerate().take(W::PER_LANE) {
                    *x = words.join(numerics, rows, c);
                }
                for r in 0..GROUP {
                    for c in 0..W::PER_LANE {
                        sums[r] = words.dot(sums[r], words.splat(e[c][r]), x[c]);
                    }
                }
            }
            for (sum, out) in sums.into_iter().zip(all) {
                *out = words.store(sum);
            }
        }
    }
}

per_words! {
    /// Adds the lanes of running sums, pairwise.
    fn add_lanes<W>(words, sums: &mut [f32]) {
        let (all, _) = sums.as_chunks_mut::<LANES>();
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
