//! Up to 128 pairs of query and head that share a key head, or of one query alone, against blocks of 64 of
//! their keys.

use super::tile::{
    Aligned, Factors, KEY_PANELS, KEYS, Line, MOST, Places, Scores, SoFar, Sums, Tile, add,
    add_unevenly, exponentials, groups, load, load_turned, store,
};
use super::{GROUP, Rows, Shared, in_tasks};
use crate::attention::{Forward, Heads, MAX_HEAD_DIM};
use crate::{Access, Buf, Isa};
use quant::Numerics;
use quant::gemm::{LANES, add_lanes};
use std::ops::Range;

/// Rows, that is pairs of a query and a head, in a tile.
const ROWS: usize = 128;

/// Lines of scratch per thread: a block of k and of v, and a tile of q and of o.
fn lines(heads: Heads) -> usize {
    heads.dim.div_ceil(LANES) * (2 * KEYS + 2 * ROWS)
}

/// Words of scratch.
pub(in crate::attention) fn words(heads: Heads, threads: usize) -> usize {
    threads * lines(heads) * LANES
}

/// What the tasks of a forward pass share.
#[derive(Clone, Copy)]
struct Pass<'a> {
    isa: Isa,
    q: Rows<'a>,
    k: Rows<'a>,
    v: Rows<'a>,
    first: &'a [u32],
    visible: &'a [u32],
    o: &'a Shared<'a>,
    lse: &'a Shared<'a>,
    heads: Heads,
    numerics: Numerics,
}

/// Consecutive queries of one document, each seeing one row more than the one before.
#[derive(Clone, Copy)]
struct Run {
    /// The first one.
    query: usize,
    count: usize,
    /// The first row that they see.
    first: usize,
    /// Rows that the first one sees.
    visible: usize,
    /// The first key head.
    key_head: usize,
    /// Key heads: several only for one query.
    key_heads: usize,
}

pub(in crate::attention) fn forward(op: &Forward, memory: &Access<'_>, workspace: Buf) {
    let (isa, heads) = (memory.isa(), op.heads);
    let group = heads.query / heads.key_value;
    assert!(group <= GROUP && heads.dim <= MAX_HEAD_DIM, "attention: {heads:?}");
    let pass = Pass {
        isa,
        q: Rows::F32(memory.read(op.q)),
        k: Rows::of(memory, op.k),
        v: Rows::of(memory, op.v),
        first: memory.read(op.window.first),
        visible: memory.read(op.window.visible),
        o: &Shared::new(memory.write(op.o)),
        lse: &Shared::new(memory.write(op.lse)),
        heads,
        numerics: op.numerics.of_floats(),
    };
    let (queries, n) = (ROWS / group, pass.first.len());
    // Where there are few queries, a task takes as many key heads as leave work for every thread: their
    // keys lie side by side.
    let most = if n <= queries { heads.key_value / memory.threads() } else { 1 };
    let width = most.clamp(1, queries);
    let columns = heads.key_value.div_ceil(width);
    let tasks = n.div_ceil(queries) * columns;
    let scratch = memory.scratch(workspace);
    in_tasks(tasks, scratch, [lines(heads), memory.threads()], |task, scratch| {
        // Late queries see the most: they go first.
        let task = tasks - 1 - task;
        let (start, first) = (task / columns * queries, task % columns * width);
        let key_heads = first..heads.key_value.min(first + width);
        let mut query = start;
        while query < n.min(start + queries) {
            let run = pass.run(query, n.min(start + queries), key_heads.clone());
            if run.count == 1 {
                attend(pass, run, scratch);
            } else {
                for key_head in key_heads.clone() {
                    attend(pass, Run { key_head, key_heads: 1, ..run }, scratch);
                }
            }
            query += run.count;
        }
    });
}

impl Pass<'_> {
    /// The longest run that starts at `query` and ends before `end`.
    fn run(&self, query: usize, end: usize, key_heads: Range<usize>) -> Run {
        let (first, visible) = (self.first[query], self.visible[query]);
        let goes_on = |&n: &usize| {
            self.first[n] == first && self.visible[n] as usize == visible as usize + n - query
        };
        Run {
            query,
            count: (query..end).take_while(goes_on).count(),
            first: first as usize,
            visible: visible as usize,
            key_head: key_heads.start,
            key_heads: key_heads.len(),
        }
    }
}

/// A tile's queries and their outputs; row `r` is head `r % G` of query `r / G`, where `G` counts the heads of
/// the run.
struct Outputs<'a> {
    q: Tile<'a>,
    o: &'a mut [Line],
    most: [f32; ROWS],
    total: [Line; ROWS],
}

/// A block of keys.
struct Block<'a> {
    pass: Pass<'a>,
    run: Run,
    /// Keys before it.
    start: usize,
    /// Keys in it.
    count: usize,
    /// In columns, panel by panel.
    k: &'a mut [Line],
    v: &'a mut [Line],
}

fn attend(pass: Pass<'_>, run: Run, scratch: &mut [Line]) {
    let (isa, Heads { query, key_value, dim: d, .. }) = (pass.isa, pass.heads);
    let (group, panels) = (run.key_heads * query / key_value, d.div_ceil(LANES));
    let rows = run.count * group;
    let (k, scratch) = scratch.split_at_mut(panels * KEYS);
    let (v, scratch) = scratch.split_at_mut(panels * KEYS);
    let (q, o) = scratch.split_at_mut(panels * ROWS);
    let first = run.query * query + run.key_head * query / key_value;
    let places = Places { start: first * d, group, steps: [query * d, d] };
    load(isa, q, [rows, d], (pass.q, places), pass.numerics);
    o.chunks_exact_mut(ROWS).for_each(|panel| panel[..rows].fill([0.0; LANES]));
    let q = Tile { lines: q, rows: ROWS };
    let mut outputs =
        Outputs { q, o, most: [f32::NEG_INFINITY; ROWS], total: [[0.0; LANES]; ROWS] };
    let visible = run.visible + run.count - 1;
    let mut block = Block { pass, run, start: 0, count: 0, k, v };
    for start in (0..visible).step_by(KEYS) {
        (block.start, block.count) = (start, KEYS.min(visible - start));
        let unseeing = (start + 1).saturating_sub(run.visible) * group;
        for head in 0..run.key_heads {
            let own = rows / run.key_heads;
            block.load(run.key_head + head);
            for (row, count) in groups(isa, unseeing + head * own..(head + 1) * own) {
                block.meet(&mut outputs, row, count);
            }
        }
    }
    for r in 0..rows {
        let (row, total) = (first + r / group * query + r % group, add_lanes(&outputs.total[r]));
        // SAFETY: this task alone has this row.
        let o = unsafe { pass.o.part(row * d, d) };
        store(o, outputs.o, r);
        divide(isa, o, total);
        // SAFETY: as above.
        let lse = unsafe { pass.lse.part(row, 1) };
        lse[0] = outputs.most[r] + libm::log(f64::from(total)) as f32;
    }
}

quant::per_tier! {
    fn divide(o: &mut [f32], total: f32) {
        o.iter_mut().for_each(|o| *o /= total);
    }
}

impl Block<'_> {
    /// Loads the keys and values of a head, and asks for those of the next block: the rows of a head lie too far
    /// apart for the processor to see what comes.
    fn load(&mut self, key_head: usize) {
        let Pass { isa, k, v, heads, .. } = self.pass;
        let Heads { key_value, dim: d, .. } = heads;
        let row = self.run.first + self.start;
        let places = Places::even((row * key_value + key_head) * d, key_value * d);
        for j in 0..KEYS {
            k.expect(places.of(KEYS + j), d);
        }
        load_turned(isa, self.k, [self.count, d], (k, places));
        for j in 0..KEYS {
            v.expect(places.of(KEYS + j), d);
        }
        load(isa, self.v, [self.count, d], (v, places), Numerics::F32);
    }

    /// Adds it to `count` rows from `row` on, each of which sees at least one of its keys.
    fn meet(&self, outputs: &mut Outputs<'_>, row: usize, count: usize) {
        let Pass { isa, heads, numerics, .. } = self.pass;
        let (group, lines) =
            (self.run.key_heads * heads.query / heads.key_value, heads.dim.next_multiple_of(LANES));
        let mut seen = [0; MOST];
        for (r, seen) in seen[..count].iter_mut().enumerate() {
            *seen = KEYS.min(self.run.visible + (row + r) / group - self.start);
        }
        let seen = &seen[..count];
        let mut p = Aligned([[0.0; LANES]; KEY_PANELS * MOST]);
        let panels = seen[count - 1].div_ceil(LANES);
        let k = Tile { lines: &self.k[..panels * lines], rows: lines };
        let sums = Sums { lines: &mut p.0, rows: MOST, row: 0, count, shrinks: &[] };
        add(isa, sums, Factors::Rows(outputs.q, row), k, 0..heads.dim);
        let scores = Scores { lines: &mut p.0, rows: MOST, scale: heads.scale, numerics };
        let rows = row..row + count;
        let so_far =
            SoFar { most: &mut outputs.most[rows.clone()], total: &mut outputs.total[rows] };
        let shrinks = exponentials(isa, scores, seen, so_far);
        let shrinks = &shrinks[..count];
        let o = Sums { lines: outputs.o, rows: ROWS, row, count, shrinks };
        let v = Tile { lines: self.v, rows: KEYS };
        add_unevenly(isa, o, (Tile { lines: &p.0, rows: MOST }, 0), v, seen);
    }
}
