//! Blocking for the caches and the threads.

use super::super::block::{Scratch, Target};
use super::super::kernel::transpose;
use super::super::{BLOCK, Matrix, Output, Workspace};
use super::machine::{SIDE, TILE, Tiles};
use super::pack::{self, PER_BLOCK};
use crate::Isa;
use crate::cpu::Amx;
use rayon::prelude::*;
use std::ops::Range;

/// Rows that are packed together: two tiles.
pub(super) const GROUP: usize = 2 * SIDE;
/// Rows of `left` packed at a time.
const STRETCH: usize = 512;
/// Most rows of `right` in a task: each panel of `left` is read that many times less often from beyond the
/// second-level cache.
const TALLEST: usize = 256;
/// Blocks of 64 `k` in a panel: sized so that 32 rows stay in the first-level cache while as many others
/// pass by.
pub(super) const DEPTH: usize = 4;
/// Words by which scratch may start earlier than a cache line.
const SLACK: usize = 16;

/// Words (4 bytes) of scratch for `(N,K) · (M,K)ᵀ`.
pub(in super::super) fn workspace([n, m, k]: [usize; 3], threads: usize) -> usize {
    let blocks = k.div_ceil(BLOCK);
    SLACK + packed_words(n, blocks) + threads * task_words([n, m], blocks)
}

/// Words of a stretch of `left`.
fn packed_words(n: usize, blocks: usize) -> usize {
    n.min(STRETCH).next_multiple_of(GROUP) * blocks * PER_BLOCK
}

/// Words of a task: a panel of `right` and the sums.
fn task_words([n, m]: [usize; 2], blocks: usize) -> usize {
    let sums = n.min(STRETCH).next_multiple_of(GROUP) * m.min(TALLEST).next_multiple_of(GROUP);
    GROUP * blocks.min(DEPTH) * PER_BLOCK + sums
}

/// `out = scale · left · rightᵀ`, or added.
pub(in super::super) fn product(
    [left, right]: [&Matrix<'_>; 2],
    out: Output<'_>,
    workspace: Workspace<'_>,
) {
    let [n, m] = [left.rows(), right.rows()];
    let blocks = left.cols().div_ceil(BLOCK);
    let token = Amx::detect().expect("amx was chosen but not detected");
    // Lines are joined as they lie in `b` only: of two operands that lie in lines it gets the wider one.
    let right_is_upper = !right.rows_are_adjacent() || (left.rows_are_adjacent() && m < n);
    let job = Job { token, right, blocks, right_is_upper };
    let Workspace { words, threads } = workspace;
    let needed = self::workspace([n, m, left.cols()], threads);
    assert!(words.len() >= needed, "gemm: workspace too small");
    let start = words.as_ptr().align_offset(64).min(SLACK);
    let (packed, tasks) = words[start..].split_at_mut(packed_words(n, blocks));
    let scratch = Scratch::new(tasks, task_words([n, m], blocks), threads);
    let height = TALLEST.min(m.div_ceil(2 * threads).next_multiple_of(GROUP));
    let across = m.div_ceil(height);
    let target = out.target();
    for first in (0..n).step_by(STRETCH) {
        let rows = STRETCH.min(n - first);
        job.pack(left, first..first + rows, packed);
        let width = rows.div_ceil((2 * threads).div_ceil(across)).next_multiple_of(GROUP);
        let down = rows.div_ceil(width);
        (0..across * down).into_par_iter().with_max_len(1).for_each(|task| {
            let (m_first, n_first) = (task / down * height, task % down * width);
            let area = Area {
                first,
                rows,
                n: n_first..rows.min(n_first + width),
                m: m_first..m.min(m_first + height),
            };
            scratch.with(|scratch| job.run(packed, &area, scratch, &target));
        });
    }
}

/// What all tasks share.
struct Job<'a> {
    token: Amx,
    right: &'a Matrix<'a>,
    /// Blocks of 64 `k`.
    blocks: usize,
    /// Whether `right` gives the rows of the tiles of sums.
    right_is_upper: bool,
}

/// A task's outputs: rows `n` of the stretch that starts at `first`, rows `m` of `right`.
struct Area {
    first: usize,
    rows: usize,
    n: Range<usize>,
    m: Range<usize>,
}

impl Job<'_> {
    /// Packs rows of `left`: for each panel of `k` its groups of rows.
    fn pack(&self, left: &Matrix<'_>, rows: Range<usize>, packed: &mut [f32]) {
        let groups = rows.len().div_ceil(GROUP);
        let panels = packed[..groups * GROUP * self.blocks * PER_BLOCK]
            .par_chunks_mut(groups * GROUP * DEPTH * PER_BLOCK);
        panels.enumerate().for_each(|(index, panel)| {
            let width = panel.len() / (groups * GROUP);
            panel.par_chunks_mut(GROUP * width).enumerate().for_each(|(group, out)| {
                let row = rows.start + group * GROUP;
                let panel = pack::panel(left, [row, index * DEPTH], width);
                let count = GROUP.min(rows.end - row);
                match self.right_is_upper {
                    true => pack::lower(&panel, count, false, out),
                    false => pack::upper(&panel, count, out),
                }
            });
        });
    }

    fn run(&self, packed: &[f32], area: &Area, scratch: &mut [f32], target: &Target) {
        let groups = area.rows.next_multiple_of(GROUP);
        let (panel, sums) = scratch.split_at_mut(GROUP * self.blocks.min(DEPTH) * PER_BLOCK);
        let tiles = Tiles::with_columns(self.token, SIDE);
        for first_block in (0..self.blocks).step_by(DEPTH) {
            let width = DEPTH.min(self.blocks - first_block) * PER_BLOCK;
            let left = &packed[groups * first_block * PER_BLOCK..][..groups * width];
            let mut squares = sums.chunks_exact_mut(GROUP * GROUP);
            for row in area.m.clone().step_by(GROUP) {
                let count = GROUP.min(area.m.end - row);
                let right = pack::panel(self.right, [row, first_block], width);
                match self.right_is_upper {
                    true => pack::upper(&right, count, panel),
                    false => pack::lower(&right, count, true, panel),
                }
                // What comes next is on its way while this is multiplied.
                let next = [row, first_block + DEPTH];
                let mut ahead = self.right.stretches(next, [GROUP, DEPTH]);
                let each = ahead.len().div_ceil(area.n.len().div_ceil(GROUP));
                for (n, sums) in area.n.clone().step_by(GROUP).zip(&mut squares) {
                    ahead.by_ref().take(each).for_each(|line| self.right.prefetch(line));
                    let left = &left[n * width..][..GROUP * width];
                    let counts = [GROUP.min(area.n.end - n), count];
                    self.multiply(&tiles, [left, panel], counts, (sums, first_block == 0));
                }
            }
        }
        drop(tiles);
        write(Isa::Avx512, self, area, sums, target);
    }

    /// Sixteen rows of up to 32 by 32 sums as they stand in the output: those of one `half`.
    #[inline(always)]
    fn lines(
        &self,
        square: &[f32],
        half: usize,
        m: usize,
        [n_count, m_count]: [usize; 2],
        mut take: impl FnMut(usize, &[f32; GROUP]),
    ) {
        let beside = m_count.div_ceil(SIDE);
        let is_parted =
            !self.right_is_upper && pack::is_parted(&pack::panel(self.right, [m, 0], 0), m_count);
        let mut pair = [[[0.0; SIDE]; SIDE]; 2];
        for (j, lines) in pair.iter_mut().enumerate().take(beside) {
            let tile = match self.right_is_upper {
                true => j * n_count.div_ceil(SIDE) + half,
                false => half * beside + j,
            };
            let (stored, _) = square[tile * TILE..][..TILE].as_chunks::<SIDE>();
            let stored = stored.as_array::<SIDE>().expect("sixteen rows");
            match self.right_is_upper {
                true => transpose(Isa::Avx512, stored, lines),
                false => *lines = *stored,
            }
        }
        let [first, second] = &pair;
        for (at, (first, second)) in first.iter().zip(second).enumerate() {
            let mut line = [0.0; GROUP];
            if is_parted {
                for (pair, (first, second)) in
                    line.as_chunks_mut().0.iter_mut().zip(first.iter().zip(second))
                {
                    *pair = [*first, *second];
                }
            } else {
                line[..SIDE].copy_from_slice(first);
                line[SIDE..].copy_from_slice(second);
            }
            take(at, &line);
        }
    }

    /// One group against another, over a panel of `k`.
    fn multiply(
        &self,
        tiles: &Tiles,
        [left, right]: [&[f32]; 2],
        [n, m]: [usize; 2],
        (sums, fresh): (&mut [f32], bool),
    ) {
        let width = left.len() / GROUP;
        let (a, b, upper, lower) =
            if self.right_is_upper { (right, left, m, n) } else { (left, right, n, m) };
        let (a, chunks) = ((a, width), width / SIDE);
        match (upper > SIDE, lower > SIDE) {
            (false, false) => tiles.multiply::<1, 1>(a, b, chunks, sums, fresh),
            (false, true) => tiles.multiply::<1, 2>(a, b, chunks, sums, fresh),
            (true, false) => tiles.multiply::<2, 1>(a, b, chunks, sums, fresh),
            (true, true) => tiles.multiply::<2, 2>(a, b, chunks, sums, fresh),
        }
    }
}

crate::per_tier! {
    /// Writes a task's sums, sixteen rows of the output at a time.
    fn write(job: &Job<'_>, area: &Area, sums: &[f32], target: &Target) {
        let across = area.n.len().div_ceil(GROUP);
        let mut rows = [[0.0; TALLEST]; SIDE];
        for (group, n) in area.n.clone().step_by(GROUP).enumerate() {
            let n_count = GROUP.min(area.n.end - n);
            for (half, first) in (0..n_count).step_by(SIDE).enumerate() {
                for (column, m) in area.m.clone().step_by(GROUP).enumerate() {
                    let square = &sums[(column * across + group) * GROUP * GROUP..];
                    let counts = [n_count, GROUP.min(area.m.end - m)];
                    job.lines(square, half, m, counts, |at, line| {
                        rows[at][column * GROUP..][..GROUP].copy_from_slice(line);
                    });
                }
                for (at, row) in rows.iter().enumerate().take(n_count - first) {
                    target.put(area.first + n + first + at, area.m.start, &row[..area.m.len()]);
                }
            }
        }
    }
}
