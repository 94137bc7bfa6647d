//! Blocking for the caches: panels of packed operands, strips of running sums, tasks for the threads.
//!
//! `left` is packed once per stretch of rows and shared; each task decodes its own rows of `right`. Where K is
//! not very long ([`HELD`]) it holds all of them, else a section of `k` after another, so that one decoded weight
//! serves up to a stretch. Where one panel spans `k` running sums never leave the registers, else they live in the task's
//! scratch until all of `k` is summed: nothing is split over `k`, and no task sees another one's sums.

use super::kernel::{Format, LEFT, RIGHT, Strip, arrange, left_rows, sum};
use super::skinny::{Lie, Way};
use super::{BLOCK, LANES, Matrix, Numerics, columns, few, ints, rows, short, skinny, tiles};
use crate::Isa;
use crate::cpu::prefetch_outputs;
use rayon::prelude::*;

/// Rows of `left` whose sums are kept at a time, where they have to wait for the next panel; divisible by every
/// tier's height of a strip.
const KEPT: usize = 132;
/// Rows of `left` packed at a time.
const STRETCH: usize = 4 * KEPT;
/// Rows of `left` that a task packs: whole blocks, where its rows are adjacent.
const PACKED: usize = 2 * BLOCK;
/// Most words of `right` that a task holds decoded, without the gaps: 1 MiB.
const HELD: usize = 1 << 18;
/// Words of `right` that are decoded at a time for a few rows: they should stay in the second-level cache.
const NEAR: usize = 36 << 10;
/// Words between the rows of a panel. Rows whose distance is a power of two would fall on the same few sets of the
/// first-level cache.
const GAP: usize = LANES;

/// Where and how a product is written: `out (N,M)`, rows `stride` apart.
#[derive(Debug)]
pub struct Output<'a> {
    /// The values.
    pub values: &'a mut [f32],
    /// Distance between rows, at least M.
    pub stride: usize,
    /// Factor on the product, applied after the sum.
    pub scale: f32,
    /// Whether to add to what is there.
    pub mode: Mode,
}

impl Output<'_> {
    /// Where tasks write their rectangles.
    pub(super) fn target(self) -> Target {
        Target::of(self.values, self.stride, (self.scale, self.mode))
    }
}

/// Overwrite or add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `out = scale · product`.
    Overwrite,
    /// `out = out + scale · product`.
    Add,
}

/// Words (4 bytes) of scratch that [`gemm`] needs for `(N,K) · (M,K)ᵀ` on `threads` threads, with
/// operands that lie so.
pub fn workspace(
    isa: Isa,
    numerics: Numerics,
    shape: [usize; 3],
    lie: Lie,
    threads: usize,
) -> usize {
    let [n, m, k] = shape;
    let format = Format::of(isa, numerics);
    if numerics == Numerics::Int8 && !few::fits(shape, lie) {
        return ints::workspace(shape, threads);
    }
    if short::fits(k) {
        return short::workspace(format, m, k);
    }
    if tiles::take(isa, numerics, k) && !few::fits(shape, lie) {
        return tiles::workspace(shape, threads);
    }
    if few::fits(shape, lie) {
        return few::few_workspace((isa, numerics), [n, k], std::iter::empty(), false, threads);
    }
    match Way::of(shape, lie) {
        Some(way) => way.workspace(format, shape, threads),
        None => {
            let blocks = k.div_ceil(BLOCK);
            n.min(STRETCH) * row_words(blocks, format) + threads * task_scratch(n, blocks, format)
        }
    }
}

/// Blocks of `k` in a panel.
const fn depth(format: Format) -> usize {
    format.panel_words() / format.words()
}

/// Words of a row of `blocks` blocks in all its panels.
fn row_words(blocks: usize, format: Format) -> usize {
    blocks * format.words() + blocks.div_ceil(depth(format)) * GAP
}

/// Blocks of a row of `right` that a task holds decoded: a panel, or where they serve rows of `left` more than
/// once as many as fit.
fn held(n: usize, k_blocks: usize, format: Format) -> usize {
    let panels = if n > KEPT { HELD / (RIGHT * format.panel_words()) } else { 1 };
    k_blocks.min(panels * depth(format))
}

/// Rows of `left` whose running sums a task keeps: none where one panel spans `k`.
fn summed(n: usize, k_blocks: usize, format: Format) -> usize {
    if k_blocks <= depth(format) {
        return 0;
    }
    n.min(if held(n, k_blocks, format) < k_blocks { STRETCH } else { KEPT })
}

/// Words of one task: rows of `right` and the running sums.
fn task_scratch(n: usize, k_blocks: usize, format: Format) -> usize {
    RIGHT * (row_words(held(n, k_blocks, format), format) + summed(n, k_blocks, format) * LANES)
}

/// `out = scale · left · rightᵀ`, or added. See the module's header for the order of summation.
///
/// # Panics
/// When shapes disagree, `out` or `workspace` is too small, or the current rayon pool has more than
/// `threads` threads; in `int8` when `left` is not f32 in rows or `right` has no blocks.
pub fn gemm(
    isa: Isa,
    numerics: Numerics,
    left: &Matrix<'_>,
    right: &Matrix<'_>,
    out: Output<'_>,
    workspace: Workspace<'_>,
) {
    let (n, m, k) = (left.rows(), right.rows(), left.cols());
    assert_eq!(k, right.cols(), "gemm: left and right disagree on k");
    if n == 0 || m == 0 {
        return;
    }
    let needed = (n - 1).checked_mul(out.stride).and_then(|start| start.checked_add(m));
    let fits = needed.is_some_and(|needed| needed <= out.values.len());
    assert!(out.stride >= m && fits, "gemm: output too small");
    assert!(isa.available(), "tier {} is not available on this machine", isa.name());
    if numerics == Numerics::Int8 && !few::fits([n, m, k], Lie::of(left, right)) {
        return ints::product(isa, [left, right], out, workspace);
    }
    if short::fits(k) {
        return short::product((isa, numerics), [left, right], out, workspace.words);
    }
    let lie = Lie::of(left, right);
    if few::fits([n, m, k], lie) {
        return few::product((isa, numerics), [left, right], out, workspace);
    }
    if tiles::take(isa, numerics, k) {
        return tiles::product([left, right], out, workspace);
    }
    if let Some(way) = Way::of([n, m, k], lie) {
        let scratch = (workspace.words, workspace.threads);
        return skinny::product((isa, numerics), way, [left, right], out, scratch);
    }
    let k_blocks = k.div_ceil(BLOCK);
    let format = Format::of(isa, numerics);
    let job = Job { isa, numerics, format, k_blocks, held: held(n, k_blocks, format) };
    let packed = n.min(STRETCH) * row_words(k_blocks, format);
    let (packed, tasks) = workspace.words.split_at_mut(packed);
    let scratch = Scratch::new(tasks, task_scratch(n, k_blocks, format), workspace.threads);
    let target = out.target();
    // As long as each other, so that no weight is decoded for a few last rows.
    let stretch = n.div_ceil(n.div_ceil(STRETCH)).next_multiple_of(left_rows(isa));
    for first in (0..n).step_by(stretch) {
        let rows = stretch.min(n - first);
        job.pack_left(left, first, rows, packed);
        let height = job.task_height(rows, m, workspace.threads);
        let (down, across) = (rows.div_ceil(height), m.div_ceil(RIGHT));
        (0..down * across).into_par_iter().for_each(|task| {
            let n_range = (task % down) * height..((task % down + 1) * height).min(rows);
            let m_range = (task / down) * RIGHT..((task / down + 1) * RIGHT).min(m);
            scratch.with(|scratch| {
                let area = Area { first, rows, n: n_range, m: m_range };
                job.run(packed, right, &area, scratch, &target);
            });
        });
    }
}

/// Scratch of a product.
#[derive(Debug)]
pub struct Workspace<'a> {
    /// At least [`workspace`] words.
    pub words: &'a mut [f32],
    /// The thread count that `workspace` was asked for.
    pub threads: usize,
}

/// A few rows of a left side, packed once for the rows of several weights.
#[derive(Clone, Copy)]
pub(super) struct FewRows {
    pub(super) isa: Isa,
    pub(super) numerics: Numerics,
    /// Rows, at most [`KEPT`].
    pub(super) n: usize,
    pub(super) k: usize,
}

impl FewRows {
    fn job(&self) -> Job {
        let Self { isa, numerics, n, k } = *self;
        let (format, k_blocks) = (Format::of(isa, numerics), k.div_ceil(BLOCK));
        Job { isa, numerics, format, k_blocks, held: held(n, k_blocks, format) }
    }

    /// Words of the packed rows.
    pub(super) fn words(&self) -> usize {
        let job = self.job();
        self.n * row_words(job.k_blocks, job.format)
    }

    /// Words of scratch of a thread.
    pub(super) fn scratch(&self) -> usize {
        let job = self.job();
        task_scratch(self.n, job.k_blocks, job.format)
    }

    /// Packs the rows.
    pub(super) fn pack(&self, left: &Matrix<'_>, out: &mut [f32]) {
        self.job().pack_left(left, 0, self.n, out);
    }

    /// Multiplies them with some rows of `right`, of which no more are decoded at a time than stay near.
    pub(super) fn multiply(
        &self,
        packed: &[f32],
        (right, rows): (&Matrix<'_>, std::ops::Range<usize>),
        scratch: &mut [f32],
        target: &Target,
    ) {
        let (job, n) = (self.job(), self.n);
        let most = (NEAR / row_words(job.held, job.format)).clamp(1, RIGHT);
        let each = rows.len().div_ceil(rows.len().div_ceil(most)).next_multiple_of(4).min(RIGHT);
        for first in rows.clone().step_by(each) {
            let m = first..rows.end.min(first + each);
            job.run(packed, right, &Area { first: 0, rows: n, n: 0..n, m }, scratch, target);
        }
    }
}

/// What all tasks of a product share.
struct Job {
    isa: Isa,
    numerics: Numerics,
    format: Format,
    k_blocks: usize,
    /// Blocks of a row of `right` in a task's scratch.
    held: usize,
}

/// A task's rectangle of outputs: rows `n` of the stretch that starts at `first`, rows `m` of `right`.
struct Area {
    first: usize,
    rows: usize,
    n: std::ops::Range<usize>,
    m: std::ops::Range<usize>,
}

impl Job {
    /// Rows per task: all of them, fewer when threads would stay idle.
    fn task_height(&self, rows: usize, m: usize, threads: usize) -> usize {
        let wanted = (2 * threads).div_ceil(m.div_ceil(RIGHT));
        rows.div_ceil(wanted).next_multiple_of(left_rows(self.isa))
    }

    /// Packs `rows` rows from `first`, panel after panel, each with its rows one after another.
    fn pack_left(&self, left: &Matrix<'_>, first: usize, rows: usize, packed: &mut [f32]) {
        let packed = &mut packed[..rows * row_words(self.k_blocks, self.format)];
        let panels = packed.par_chunks_mut(rows * (self.format.panel_words() + GAP)).enumerate();
        panels.for_each(|(panel, out)| {
            let stride = out.len() / rows;
            let parts = out.par_chunks_mut(PACKED * stride).enumerate();
            parts.for_each(|(part, out)| {
                let row = part * PACKED;
                let block = panel * depth(self.format);
                self.pack(left, [first + row, block], stride, out);
            });
        });
    }

    /// Packs rows of `matrix` from a block of `k` on, `stride` words apart.
    fn pack(&self, matrix: &Matrix<'_>, first: [usize; 2], stride: usize, out: &mut [f32]) {
        let Job { isa, numerics, format, .. } = *self;
        let ([first_row, first_block], width) = (first, stride - GAP);
        Panel { isa, numerics, format, matrix, first_row, first_block, width, stride }.pack(out);
        arrange(isa, out, stride, width);
    }

    fn run(
        &self,
        packed: &[f32],
        right: &Matrix<'_>,
        area: &Area,
        scratch: &mut [f32],
        target: &Target,
    ) {
        let (format, count) = (self.format, area.m.len());
        let (panels, sums) = scratch.split_at_mut(RIGHT * row_words(self.held, format));
        let height = self.together(area.n.len());
        for section in (0..self.k_blocks).step_by(self.held) {
            let section = section..self.k_blocks.min(section + self.held);
            for start in area.n.clone().step_by(height) {
                // Sums wait for the next section, if there is one.
                let at = if self.held < self.k_blocks { start - area.n.start } else { 0 };
                let sums = &mut sums[at * count * LANES..];
                let n = start..area.n.end.min(start + height);
                let part = Area { n, m: area.m.clone(), ..*area };
                for first_block in section.clone().step_by(depth(format)) {
                    let blocks = depth(format).min(section.end - first_block);
                    let stride = blocks * format.words() + GAP;
                    let panel = count * row_words(first_block - section.start, format);
                    let panel = &mut panels[panel..][..count * stride];
                    if start == area.n.start {
                        self.pack(right, [area.m.start, first_block], stride, panel);
                    }
                    let left = area.rows * row_words(first_block, format) + start * stride;
                    let pass = Pass {
                        left: &packed[left..][..part.n.len() * stride],
                        right: panel,
                        stride,
                        is_first: first_block == 0,
                        is_last: first_block + blocks == self.k_blocks,
                    };
                    self.strips(&pass, &part, sums, target);
                }
            }
        }
    }

    /// Rows of `left` that go through `k` together: all of `rows`, fewer where their sums have to wait.
    fn together(&self, rows: usize) -> usize {
        if self.k_blocks <= depth(self.format) {
            return rows;
        }
        rows.div_ceil(rows.div_ceil(KEPT)).next_multiple_of(left_rows(self.isa))
    }

    /// All strips of one panel. Where sums end they are written while they are still there.
    fn strips(&self, pass: &Pass<'_>, area: &Area, sums: &mut [f32], target: &Target) {
        let (rows, count, height) = (area.n.len(), area.m.len(), left_rows(self.isa));
        let mut made = [[0.0; RIGHT]; LEFT];
        for n in (0..rows).step_by(height) {
            let l = height.min(rows - n);
            let is_kept = !(pass.is_first && pass.is_last);
            let mut strip = Strip {
                left: &pass.left[n * pass.stride..],
                right: pass.right,
                stride: pass.stride,
                words: pass.stride - GAP,
                rows: [l, count],
                sums: if is_kept { &mut sums[n * count * LANES..] } else { &mut [] },
                is_first: pass.is_first,
                out: pass.is_last.then_some(&mut made),
            };
            if pass.is_last {
                target.expect([area.first + area.n.start + n, area.m.start], [l, count]);
            }
            sum(self.isa, self.format, &mut strip);
            if pass.is_last {
                for (row, made) in (area.first + area.n.start + n..).zip(&made[..l]) {
                    target.put(row, area.m.start, &made[..count]);
                }
            }
        }
    }
}

/// One panel of `k`, packed: rows `stride` words apart, all used but for the gap.
struct Pass<'a> {
    left: &'a [f32],
    right: &'a [f32],
    stride: usize,
    /// Whether no panel of `k` came before.
    is_first: bool,
    /// Whether none comes after.
    is_last: bool,
}

/// A panel of `matrix`: its rows from `first_row`, its blocks of `k` from `first_block`.
pub(super) struct Panel<'a> {
    pub(super) isa: Isa,
    pub(super) numerics: Numerics,
    pub(super) format: Format,
    pub(super) matrix: &'a Matrix<'a>,
    pub(super) first_row: usize,
    pub(super) first_block: usize,
    /// Words of a row.
    pub(super) width: usize,
    /// Words from a row to the next.
    pub(super) stride: usize,
}

impl Panel<'_> {
    /// Writes as many rows as fit into `out`, `stride` apart, the last one, too; what is between them stays.
    pub(super) fn pack(&self, out: &mut [f32]) {
        if self.matrix.rows_are_adjacent() {
            columns::pack(self, out);
        } else {
            rows::pack(self, out);
        }
    }
}

/// The output, shared by tasks that write disjoint rectangles.
#[derive(Clone, Copy)]
pub(super) struct Target {
    base: *mut f32,
    len: usize,
    stride: usize,
    manner: (f32, Mode),
}

// SAFETY: tasks write disjoint rectangles of an output that their product borrows exclusively.
unsafe impl Sync for Target {}

impl Target {
    /// An output whose rows are `stride` apart.
    pub(super) fn of(values: &mut [f32], stride: usize, manner: (f32, Mode)) -> Target {
        Target { base: values.as_mut_ptr(), len: values.len(), stride, manner }
    }

    /// The same output, written in another manner.
    pub(super) fn in_manner(self, manner: (f32, Mode)) -> Target {
        Target { manner, ..self }
    }

    /// Writes a rectangle of sums, sixteen to a row, from output `(row, column)` on; or, where it
    /// `is_turned`, its rows as columns.
    pub(super) fn put_rows(
        &self,
        sums: &[[f32; LANES]],
        [row, column]: [usize; 2],
        width: usize,
        is_turned: bool,
    ) {
        for (index, sums) in sums.iter().enumerate() {
            if is_turned {
                for (at, sum) in sums[..width].iter().enumerate() {
                    self.put(row + at, column + index, std::slice::from_ref(sum));
                }
            } else {
                self.put(row + index, column, &sums[..width]);
            }
        }
    }

    /// Asks for a rectangle that will be written.
    fn expect(&self, [row, column]: [usize; 2], [l, count]: [usize; 2]) {
        for row in row..row + l {
            prefetch_outputs(self.base.wrapping_add(row * self.stride + column), count);
        }
    }

    /// Writes neighbouring sums of a row.
    #[inline(always)]
    pub(super) fn put(&self, row: usize, column: usize, sums: &[f32]) {
        assert!(row * self.stride + column + sums.len() <= self.len, "gemm: outside of the output");
        // SAFETY: inside the output by the line above.
        let start = unsafe { self.base.add(row * self.stride + column) };
        // SAFETY: this rectangle belongs to this task alone.
        let out = unsafe { std::slice::from_raw_parts_mut(start, sums.len()) };
        finish(sums, out, self.manner);
    }
}

/// Scales sums and writes or adds them.
#[inline(always)]
pub(super) fn finish(sums: &[f32], out: &mut [f32], (scale, mode): (f32, Mode)) {
    for (out, sum) in out.iter_mut().zip(sums) {
        let product = scale * sum;
        *out = match mode {
            Mode::Overwrite => product,
            Mode::Add => *out + product,
        };
    }
}

/// One piece of scratch per thread of the pool.
pub(super) struct Scratch {
    base: *mut f32,
    words: usize,
    threads: usize,
}

// SAFETY: `with` gives each thread its own piece.
unsafe impl Sync for Scratch {}

impl Scratch {
    pub(super) fn new(words: &mut [f32], each: usize, threads: usize) -> Scratch {
        assert!(
            each.checked_mul(threads).is_some_and(|all| all <= words.len()),
            "gemm: workspace too small"
        );
        Scratch { base: words.as_mut_ptr(), words: each, threads }
    }

    pub(super) fn with(&self, run: impl FnOnce(&mut [f32])) {
        // A single task asked for outside of the pool runs right there, and then it is the only one.
        let index = rayon::current_thread_index().unwrap_or(0);
        assert!(index < self.threads, "gemm: more threads than the workspace was made for");
        // SAFETY: `new` checked that `threads` pieces fit.
        let start = unsafe { self.base.add(index * self.words) };
        // SAFETY: a thread runs one task at a time (tasks never wait on the pool), so the piece is its own.
        run(unsafe { std::slice::from_raw_parts_mut(start, self.words) });
    }
}
