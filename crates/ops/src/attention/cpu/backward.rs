//! One document and query head per task: blocks of its keys against tiles of the queries that see them.

use super::tile::{
    KEY_PANELS, KEYS, Line, MOST, Tile, add_columns, add_rows, add_rows_unevenly, gather,
    in_groups, load, load_row, load_transposed, scatter, store,
};
use super::{Rows, Shared, in_tasks};
use crate::attention::{Backward, Heads};
use crate::math::{dot, exp};
use crate::{Access, Buf, Isa};
use quant::Numerics;
use quant::gemm::{LANES, round_bf16};
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
            numerics: op.forward.numerics,
        };
        let documents = first.iter().enumerate().filter(|&(n, &first)| n == first as usize);
        let tasks = documents.count() * heads.query;
        in_tasks(tasks, scratch, [lines(heads), memory.threads()], |task, scratch| {
            let (start, count) = document(first, task / heads.query);
            differentiate(isa, pass, [start, count, task % heads.query], scratch);
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
    lse: [f32; KEYS],
    delta: [f32; KEYS],
    /// Rows from the block's first key to the tile's first query.
    ahead: usize,
    queries: usize,
    heads: Heads,
    numerics: Numerics,
}

quant::per_tier! {
    /// dq, dk and dv of a query head in a document: its first row, its length, the head.
    fn differentiate(pass: Pass<'_>, task: [usize; 3], scratch: &mut [Line]) {
        let [start, count, head] = task;
        let Heads { query, key_value, dim: d, .. } = pass.heads;
        let mut pairs = Pairs::new(pass.heads, pass.numerics, scratch);
        let of_key = |j: usize| ((start + j) * key_value + head * key_value / query) * d;
        for block in (0..count).step_by(KEYS) {
            let keys = KEYS.min(count - block);
            let at = |j: usize| of_key(block + j);
            for (turned, from) in pairs.turned.iter_mut().zip([pass.k, pass.v]) {
                let panels = turned.chunks_exact_mut(d.next_multiple_of(LANES));
                for (panel, first) in panels.zip((0..keys).step_by(LANES)) {
                    let size = [LANES.min(keys - first), d];
                    load_transposed(pass.isa, panel, size, (from, |j| at(first + j)));
                }
            }
            load(pairs.k, [keys, d], (pass.k, at), Numerics::F32);
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
            for j in 0..keys {
                let at = ((start + block + j) * query + head) * d;
                // SAFETY: as above.
                store(unsafe { pass.dk.part(at, d) }, pairs.dk, j);
                // SAFETY: as above.
                store(unsafe { pass.dv.part(at, d) }, pairs.dv, j);
            }
        }
    }
}

impl<'a> Pairs<'a> {
    #[inline(always)]
    fn new(heads: Heads, numerics: Numerics, scratch: &'a mut [Line]) -> Pairs<'a> {
        let size = heads.dim.div_ceil(LANES) * KEYS;
        let (tiles, rest) = scratch.split_at_mut(TILES * size);
        let (p, ds) = rest.split_at_mut(KEY_PANELS * KEYS);
        let mut tiles = tiles.chunks_exact_mut(size);
        let mut tile = || tiles.next().expect("as many tiles as `lines` counts");
        Pairs {
            turned: [tile(), tile()],
            k: tile(),
            dk: tile(),
            dv: tile(),
            q: tile(),
            d_o: tile(),
            dq: tile(),
            p,
            ds,
            lse: [0.0; KEYS],
            delta: [0.0; KEYS],
            ahead: 0,
            queries: 0,
            heads,
            numerics,
        }
    }

    /// Loads the tile whose first query and head stand in row `row` of (N H).
    #[inline(always)]
    fn load(&mut self, pass: Pass<'_>, row: usize, fresh: bool) {
        let Heads { query, dim: d, .. } = self.heads;
        let (size, numerics) = ([self.queries, d], self.numerics);
        let at = |r: usize| (row + r * query) * d;
        load(self.q, size, (pass.q, at), numerics);
        load(self.d_o, size, (pass.d_o, at), numerics);
        if fresh {
            self.dq.fill([0.0; LANES]);
        }
        for r in 0..self.queries {
            self.lse[r] = pass.lse[row + r * query];
            self.delta[r] = pass.delta[row + r * query];
            if !fresh {
                // SAFETY: the rows of a document and head are this task's alone.
                let dq = unsafe { pass.dq.part(at(r), d) };
                load_row(self.dq, [r, d], (Rows::F32(dq), 0));
            }
        }
    }

    /// Adds every pair of the block and the tile to dq, dk and dv.
    #[inline(always)]
    fn meet_all(&mut self) {
        in_groups!(0, self.queries, |row| self.meet(row));
        for panel in 0..KEY_PANELS {
            in_groups!(0, LANES, |column| self.add_to_keys(panel, column));
        }
    }

    /// p, ds and dq of `R` queries from `row` on.
    #[inline(always)]
    fn meet<const R: usize>(&mut self, row: usize) {
        let d = self.heads.dim;
        let seen: [usize; R] = std::array::from_fn(|r| KEYS.min(self.ahead + row + r + 1));
        let [mut s, mut dp] = [[[0.0; LANES]; KEY_PANELS * MOST]; 2];
        let lines = d.next_multiple_of(LANES);
        for panel in 0..seen[R - 1].div_ceil(LANES) {
            let [k, v] = self.turned.each_ref().map(|turned| &turned[panel * lines..][..d]);
            let s = s[panel * MOST..].first_chunk_mut::<R>().expect("rows of a group");
            add_rows(s, (tile(self.q), row), k, 0);
            let dp = dp[panel * MOST..].first_chunk_mut::<R>().expect("rows of a group");
            add_rows(dp, (tile(self.d_o), row), v, 0);
        }
        for (r, &seen) in seen.iter().enumerate() {
            let [mut p, mut ds] = [gather(&s, r), gather(&dp, r)];
            self.slopes([&mut p, &mut ds], seen, row + r);
            scatter(&ds, &mut dp, r);
            scatter(&p, self.p, row + r);
            scatter(&ds, self.ds, row + r);
        }
        let ds = Tile { lines: &dp, rows: MOST };
        for (dq, k) in self.dq.chunks_exact_mut(KEYS).zip(self.k.chunks_exact(KEYS)) {
            let dq: &mut [Line; R] = dq[row..].first_chunk_mut().expect("rows of a tile");
            add_rows_unevenly(dq, ds, k, &seen);
        }
    }

    /// Makes q·k and do·v of a query to p and ds, 0 where the key is not seen.
    #[inline(always)]
    fn slopes(&self, [p, ds]: [&mut [f32; KEYS]; 2], seen: usize, row: usize) {
        let (scale, lse, delta) = (self.heads.scale, self.lse[row], self.delta[row]);
        for (p, ds) in p.iter_mut().zip(ds.iter_mut()) {
            *p = exp(*p * scale - lse);
            *ds = *p * (*ds - delta) * scale;
        }
        if self.numerics == Numerics::Bf16 {
            p.iter_mut().for_each(|p| *p = round_bf16(*p));
            ds.iter_mut().for_each(|ds| *ds = round_bf16(*ds));
        }
        p[seen..].fill(0.0);
        ds[seen..].fill(0.0);
    }

    /// dk and dv of the `R` keys from `column` of `panel` on.
    #[inline(always)]
    fn add_to_keys<const R: usize>(&mut self, panel: usize, column: usize) {
        let key = panel * LANES + column;
        // No earlier query sees these keys; of those that see some, p and ds of the others are 0.
        let from = if self.ahead == 0 { key.min(self.queries) } else { 0 };
        let part = |tile: usize| tile * KEYS + from..tile * KEYS + self.queries;
        let [p, ds] = [&self.p[part(panel)], &self.ds[part(panel)]];
        for x in 0..self.heads.dim.div_ceil(LANES) {
            let at = x * KEYS + key;
            let dv = self.dv[at..].first_chunk_mut::<R>().expect("rows of a tile");
            add_columns(dv, (p, column), &self.d_o[part(x)]);
            let dk = self.dk[at..].first_chunk_mut::<R>().expect("rows of a tile");
            add_columns(dk, (ds, column), &self.q[part(x)]);
        }
    }
}

fn tile(lines: &[Line]) -> Tile<'_> {
    Tile { lines, rows: KEYS }
}
