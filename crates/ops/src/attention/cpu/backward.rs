//! One document and query head per task: blocks of its keys against tiles of the queries that see them.

use super::tile::{
    Factors, KEY_PANELS, KEYS, Line, Places, Row, Scores, Sums, Tile, add, add_unevenly, groups,
    load, load_turned, slopes, store,
};
use super::{Rows, Shared, in_tasks};
use crate::attention::{Backward, Heads};
use crate::math::dot;
use crate::{Access, Buf, Isa};
use quant::Numerics;
use quant::gemm::LANES;
use rayon::prelude::*;

/// Tiles of as many rows as a block has keys: k and v in columns, k, q, do, dq, dk, dv.
const TILES: usize = 8;

/// Lines of scratch per thread: the tiles, p and ds.
fn lines(heads: Heads) -> usize {
    (TILES * heads.dim.div_ceil(LANES) + 2 * KEY_PANELS) * KEYS
}

/// Words of scratch: that of the threads, δ, and with groups the dk and dv of every query head.
pub(in crate::attention) fn words(op: &Backward, threads: usize) -> usize {
    let heads = op.forward.heads;
    let rows = op.forward.lse.len;
    let own = if heads.query > heads.key_value { 2 * rows * heads.dim } else { 0 };
    threads * lines(heads) * LANES + rows + own
}

/// What the tasks of a backward pass share; `dk` and `dv` are per query head.
#[derive(Clone, Copy)]
struct Pass<'a> {
    isa: Isa,
    q: Rows<'a>,
    k: Rows<'a>,
    v: Rows<'a>,
    d_o: Rows<'a>,
    delta: &'a [f32],
    lse: &'a [f32],
    dq: &'a Shared<'a>,
    dk: &'a Shared<'a>,
    dv: &'a Shared<'a>,
    heads: Heads,
    numerics: Numerics,
}

pub(in crate::attention) fn backward(op: &Backward, memory: &Access<'_>, workspace: Buf) {
    let (isa, heads) = (memory.isa(), op.forward.heads);
    let (first, group): (&[u32], _) =
        (memory.read(op.forward.window.first), heads.query / heads.key_value);
    let (o, d_o): (&[f32], &[f32]) = (memory.read(op.forward.o), memory.read(op.d_o));
    let scratch = memory.scratch(workspace);
    let (scratch, rest) = scratch.split_at_mut(memory.threads() * lines(heads) * LANES);
    let (delta, rest) = rest.split_at_mut(op.forward.lse.len);
    let rows = delta.par_iter_mut().zip(o.par_chunks_exact(heads.dim));
    rows.zip(d_o.par_chunks_exact(heads.dim))
        .for_each(|((delta, o), d_o)| *delta = row_dot(isa, o, d_o));
    let (dk, dv): (&mut [f32], &mut [f32]) = (memory.write(op.dk), memory.write(op.dv));
    let own = if group > 1 { op.d_o.len } else { 0 };
    let (own_dk, own_dv) = rest[..2 * own].split_at_mut(own);
    {
        let [dk, dv] = if group > 1 { [&mut *own_dk, &mut *own_dv] } else { [&mut *dk, &mut *dv] };
        let pass = Pass {
            isa,
            q: Rows::F32(memory.read(op.forward.q)),
            k: Rows::of(memory, op.forward.k),
            v: Rows::of(memory, op.forward.v),
            d_o: Rows::F32(d_o),
            delta,
            lse: memory.read(op.forward.lse),
            dq: &Shared::new(memory.write(op.dq)),
            dk: &Shared::new(dk),
            dv: &Shared::new(dv),
            heads,
            numerics: op.forward.numerics.of_floats(),
        };
        let documents = first.iter().enumerate().filter(|&(n, &first)| n == first as usize);
        let tasks = documents.count() * heads.query;
        in_tasks(tasks, scratch, [lines(heads), memory.threads()], |task, scratch| {
            let (start, count) = document(first, task / heads.query);
            differentiate(pass, [start, count, task % heads.query], scratch);
        });
    }
    if group > 1 {
        let width = group * heads.dim;
        for (sums, own) in [(dk, own_dk), (dv, own_dv)] {
            let rows = sums.par_chunks_exact_mut(heads.dim).zip(own.par_chunks_exact(width));
            rows.for_each(|(sum, own)| add_heads(isa, sum, own));
        }
    }
}

/// The first row and the length of a document.
fn document(first: &[u32], index: usize) -> (usize, usize) {
    let mut start = 0;
    for _ in 0..index {
        start += first[start..].partition_point(|&row| row == first[start]);
    }
    (start, first[start..].partition_point(|&row| row == first[start]))
}

quant::per_tier! {
    fn row_dot(a: &[f32], b: &[f32]) -> f32 {
        dot(a, b)
    }
}

quant::per_tier! {
    /// Adds the heads of a group in order.
    fn add_heads(sum: &mut [f32], own: &[f32]) {
        let (first, rest) = own.split_at(sum.len());
        sum.copy_from_slice(first);
        for own in rest.chunks_exact(sum.len()) {
            sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        }
    }
}

/// A block of keys, a tile of the queries that see them, and what becomes of both.
struct Pairs<'a> {
    isa: Isa,
    /// k and v, transposed: columns are keys.
    turned: [&'a mut [Line]; 2],
    k: &'a mut [Line],
    dk: &'a mut [Line],
    dv: &'a mut [Line],
    q: &'a mut [Line],
    d_o: &'a mut [Line],
    dq: &'a mut [Line],
    p: &'a mut [Line],
    ds: &'a mut [Line],
    rows: [Row; KEYS],
    /// Rows from the block's first key to the tile's first query.
    ahead: usize,
    queries: usize,
    heads: Heads,
    numerics: Numerics,
}

/// dq, dk and dv of a query head in a document: its first row, its length, the head.
fn differentiate(pass: Pass<'_>, task: [usize; 3], scratch: &mut [Line]) {
    let [start, count, head] = task;
    let Heads { query, key_value, dim: d, .. } = pass.heads;
    let mut pairs = Pairs::new(pass, scratch);
    for block in (0..count).step_by(KEYS) {
        let size = [KEYS.min(count - block), d];
        let first = (start + block) * key_value + head * key_value / query;
        let places = Places::even(first * d, key_value * d);
        for (turned, from) in pairs.turned.iter_mut().zip([pass.k, pass.v]) {
            load_turned(pass.isa, turned, size, (from, places));
        }
        load(pass.isa, pairs.k, size, (pass.k, places), Numerics::F32);
        pairs.dk.fill([0.0; LANES]);
        pairs.dv.fill([0.0; LANES]);
        for tile in (block..count).step_by(KEYS) {
            pairs.ahead = tile - block;
            pairs.queries = KEYS.min(count - tile);
            pairs.load(pass, (start + tile) * query + head, block == 0);
            pairs.meet_all();
            for r in 0..pairs.queries {
                let at = ((start + tile + r) * query + head) * d;
                // SAFETY: the rows of a document and head are this task's alone.
                store(unsafe { pass.dq.part(at, d) }, pairs.dq, r);
            }
        }
        for j in 0..size[0] {
            let at = ((start + block + j) * query + head) * d;
            // SAFETY: as above.
            store(unsafe { pass.dk.part(at, d) }, pairs.dk, j);
            // SAFETY: as above.
            store(unsafe { pass.dv.part(at, d) }, pairs.dv, j);
        }
    }
}

impl<'a> Pairs<'a> {
    fn new(pass: Pass<'_>, scratch: &'a mut [Line]) -> Pairs<'a> {
        let Pass { isa, heads, numerics, .. } = pass;
        let size = heads.dim.div_ceil(LANES) * KEYS;
        let (tiles, rest) = scratch.split_at_mut(TILES * size);
        let (p, ds) = rest.split_at_mut(KEY_PANELS * KEYS);
        let mut tiles = tiles.chunks_exact_mut(size);
        let mut tile = || tiles.next().expect("as many tiles as `lines` counts");
        Pairs {
            isa,
            turned: [tile(), tile()],
            k: tile(),
            dk: tile(),
            dv: tile(),
            q: tile(),
            d_o: tile(),
            dq: tile(),
            p,
            ds,
            rows: [Row::default(); KEYS],
            ahead: 0,
            queries: 0,
            heads,
            numerics,
        }
    }

    /// Loads the tile whose first query and head stand in row `row` of (N H).
    fn load(&mut self, pass: Pass<'_>, row: usize, fresh: bool) {
        let (isa, Heads { query, dim: d, .. }) = (self.isa, self.heads);
        let (size, places) = ([self.queries, d], Places::even(row * d, query * d));
        load(isa, self.q, size, (pass.q, places), self.numerics);
        load(isa, self.d_o, size, (pass.d_o, places), self.numerics);
        if fresh {
            self.dq.fill([0.0; LANES]);
        }
        for r in 0..self.queries {
            let at = row + r * query;
            let seen = KEYS.min(self.ahead + r + 1);
            self.rows[r] = Row { lse: pass.lse[at], delta: pass.delta[at], seen };
            if !fresh {
                // SAFETY: the rows of a document and head are this task's alone.
                let dq = unsafe { pass.dq.part(at * d, d) };
                let lines = self.dq.chunks_exact_mut(KEYS).map(|panel| &mut panel[r]);
                for (line, start) in lines.zip((0..d).step_by(LANES)) {
                    Rows::F32(dq).copy(start, LANES.min(d - start), line);
                }
            }
        }
    }

    /// Adds every pair of the block and the tile to dq, dk and dv.
    fn meet_all(&mut self) {
        for (row, count) in groups(self.isa, 0..self.queries) {
            self.meet(row, count);
        }
        for panel in 0..KEY_PANELS {
            for (column, count) in groups(self.isa, 0..LANES) {
                self.add_to_keys(panel, column, count);
            }
        }
    }

    /// p, ds and dq of `count` queries from `row` on.
    fn meet(&mut self, row: usize, count: usize) {
        let (isa, Heads { dim: d, scale, .. }) = (self.isa, self.heads);
        let rows = &self.rows[row..row + count];
        let (lines, panels) = (d.next_multiple_of(LANES), rows[count - 1].seen.div_ceil(LANES));
        let products = [(&mut self.p, &self.q), (&mut self.ds, &self.d_o)];
        for ((sums, rows), turned) in products.into_iter().zip(&self.turned) {
            for panel in sums.chunks_exact_mut(KEYS) {
                panel[row..row + count].fill([0.0; LANES]);
            }
            let sums = Sums { lines: sums, rows: KEYS, row, count, shrinks: &[] };
            let turned = Tile { lines: &turned[..panels * lines], rows: lines };
            add(isa, sums, Factors::Rows(tile(rows), row), turned, 0..d);
        }
        let p = Scores { lines: self.p, rows: KEYS, scale, numerics: self.numerics };
        slopes(isa, p, self.ds, row, rows);
        let mut seen = [0; KEYS];
        seen.iter_mut().zip(rows).for_each(|(seen, row)| *seen = row.seen);
        let dq = Sums { lines: self.dq, rows: KEYS, row, count, shrinks: &[] };
        add_unevenly(isa, dq, (tile(self.ds), row), tile(self.k), &seen[..count]);
    }

    /// dk and dv of the `count` keys from `column` of `panel` on.
    fn add_to_keys(&mut self, panel: usize, column: usize, count: usize) {
        let row = panel * LANES + column;
        // No earlier query sees these keys; of those that see some, p and ds of the others are 0.
        let from = if self.ahead == 0 { row.min(self.queries) } else { 0 };
        let terms = from..self.queries;
        let sums = [(&mut self.dv, &self.p, &self.d_o), (&mut self.dk, &self.ds, &self.q)];
        for (sums, factors, rows) in sums {
            let sums = Sums { lines: sums, rows: KEYS, row, count, shrinks: &[] };
            let factors = Factors::Columns(&factors[panel * KEYS..][..KEYS], column);
            add(self.isa, sums, factors, tile(rows), terms.clone());
        }
    }
}

fn tile(lines: &[Line]) -> Tile<'_> {
    Tile { lines, rows: KEYS }
}
