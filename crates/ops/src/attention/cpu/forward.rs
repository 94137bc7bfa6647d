//! Up to 128 pairs of query and head that share a key head, against blocks of 64 of their keys.

use super::tile::{
    KEY_PANELS, KEYS, Line, MOST, Tile, add_rows, add_rows_unevenly, gather, in_groups, load,
    load_transposed, scatter, store,
};
use super::{GROUP, Rows, Shared, in_tasks};
use crate::attention::{Forward, Heads, MAX_HEAD_DIM};
use crate::math::exp;
use crate::{Access, Buf, Isa};
use quant::Numerics;
use quant::gemm::{LANES, add_lanes, round_bf16};

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
    key_head: usize,
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
        numerics: op.numerics,
    };
    let (queries, n) = (ROWS / group, pass.first.len());
    let tasks = n.div_ceil(queries) * heads.key_value;
    let scratch = memory.scratch(workspace);
    in_tasks(tasks, scratch, [lines(heads), memory.threads()], |task, scratch| {
        // Late queries see the most: they go first.
        let task = tasks - 1 - task;
        let (start, key_head) = (task / heads.key_value * queries, task % heads.key_value);
        let mut query = start;
        while query < n.min(start + queries) {
            let run = pass.run(query, n.min(start + queries), key_head);
            attend(isa, pass, run, scratch);
            query += run.count;
        }
    });
}

impl Pass<'_> {
    /// The longest run that starts at `query` and ends before `end`.
    fn run(&self, query: usize, end: usize, key_head: usize) -> Run {
        let (first, visible) = (self.first[query], self.visible[query]);
        let goes_on = |&n: &usize| {
            self.first[n] == first && self.visible[n] as usize == visible as usize + n - query
        };
        Run {
            query,
            count: (query..end).take_while(goes_on).count(),
            first: first as usize,
            visible: visible as usize,
            key_head,
        }
    }
}

/// A tile's queries and what is known of their outputs; row `r` is head `r % G` of query `r / G`.
struct Sums<'a> {
    q: Tile<'a>,
    o: &'a mut [Line],
    /// The greatest score so far.
    most: [f32; ROWS],
    /// The sums of all `e^(s - most)`, key `j` of a block in lane `j % 16`.
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
    /// Whether one group of rows is all: each panel is then loaded where it is used, always to the
    /// same place, so that it stays near.
    once: bool,
}

quant::per_tier! {
    fn attend(pass: Pass<'_>, run: Run, scratch: &mut [Line]) {
        let Heads { query, key_value, dim: d, .. } = pass.heads;
        let (group, panels) = (query / key_value, d.div_ceil(LANES));
        let rows = run.count * group;
        let of_row = |r: usize| (run.query + r / group) * query + run.key_head * group + r % group;
        let (k, scratch) = scratch.split_at_mut(panels * KEYS);
        let (v, scratch) = scratch.split_at_mut(panels * KEYS);
        let (q, o) = scratch.split_at_mut(panels * ROWS);
        load(q, [rows, d], (pass.q, |r| of_row(r) * d), pass.numerics);
        o.chunks_exact_mut(ROWS).for_each(|panel| panel[..rows].fill([0.0; LANES]));
        let q = Tile { lines: q, rows: ROWS };
        let mut sums = Sums { q, o, most: [f32::NEG_INFINITY; ROWS], total: [[0.0; LANES]; ROWS] };
        let visible = run.visible + run.count - 1;
        let mut block = Block { pass, run, start: 0, count: 0, k, v, once: rows <= MOST };
        for start in (0..visible).step_by(KEYS) {
            (block.start, block.count) = (start, KEYS.min(visible - start));
            if !block.once {
                (0..KEY_PANELS).for_each(|panel| block.load_keys(panel));
                (0..panels).for_each(|panel| block.load_values(panel));
            }
            let unseeing = (start + 1).saturating_sub(run.visible) * group;
            in_groups!(unseeing, rows, |row| block.meet(&mut sums, row));
        }
        for r in 0..rows {
            let (row, total) = (of_row(r), add_lanes(&sums.total[r]));
            // SAFETY: this task alone has this row.
            let o = unsafe { pass.o.part(row * d, d) };
            store(o, sums.o, r);
            o.iter_mut().for_each(|o| *o /= total);
            // SAFETY: as above.
            let lse = unsafe { pass.lse.part(row, 1) };
            lse[0] = sums.most[r] + libm::log(f64::from(total)) as f32;
        }
    }
}

impl Block<'_> {
    /// Where element 0 of key `j` of the block stands in k and v.
    #[inline(always)]
    fn place(&self, j: usize) -> usize {
        let Heads { key_value, dim, .. } = self.pass.heads;
        ((self.run.first + self.start + j) * key_value + self.run.key_head) * dim
    }

    /// Where `panel` of k is, or of v, whose panels have `lines` lines.
    #[inline(always)]
    fn at(&self, panel: usize, lines: usize) -> std::ops::Range<usize> {
        let panel = if self.once { 0 } else { panel };
        panel * lines..(panel + 1) * lines
    }

    /// Loads sixteen keys, or what is left of them.
    #[inline(always)]
    fn load_keys(&mut self, panel: usize) {
        let (d, first) = (self.pass.heads.dim, panel * LANES);
        let at = self.at(panel, d.next_multiple_of(LANES));
        let count = LANES.min(self.count.saturating_sub(first));
        let places: [usize; LANES] = std::array::from_fn(|j| self.place(first + j));
        load_transposed(self.pass.isa, &mut self.k[at], [count, d], (self.pass.k, |j| places[j]));
    }

    /// Loads sixteen elements of every value.
    #[inline(always)]
    fn load_values(&mut self, panel: usize) {
        let (start, at) = (panel * LANES, self.at(panel, KEYS));
        let (first, width) = (self.place(0), self.place(1) - self.place(0));
        let count = LANES.min(self.pass.heads.dim - start);
        for (j, line) in self.v[at][..self.count].iter_mut().enumerate() {
            self.pass.v.copy(first + j * width + start, count, line);
        }
    }

    /// Adds the block to `R` rows from `row` on, each of which sees at least one of its keys.
    #[inline(always)]
    fn meet<const R: usize>(&mut self, sums: &mut Sums<'_>, row: usize) {
        let Heads { query, key_value, dim: d, .. } = self.pass.heads;
        let (group, visible) = (query / key_value, self.run.visible);
        let seen: [usize; R] =
            std::array::from_fn(|r| KEYS.min(visible + (row + r) / group - self.start));
        let mut p = [[0.0; LANES]; KEY_PANELS * MOST];
        let panels = p.chunks_exact_mut(MOST).take(seen[R - 1].div_ceil(LANES));
        for (panel, s) in panels.enumerate() {
            if self.once {
                self.load_keys(panel);
            }
            let k = &self.k[self.at(panel, d.next_multiple_of(LANES))][..d];
            add_rows(s.first_chunk_mut::<R>().expect("rows of a group"), (sums.q, row), k, 0);
        }
        let mut shrink = [0.0; R];
        for r in 0..R {
            let so_far = (&mut sums.most[row + r], &mut sums.total[row + r]);
            let mut s = gather(&p, r);
            shrink[r] = self.exponentials(&mut s, seen[r], so_far);
            scatter(&s, &mut p, r);
        }
        let p = Tile { lines: &p, rows: MOST };
        for (panel, o) in sums.o.chunks_exact_mut(ROWS).enumerate() {
            if self.once {
                self.load_values(panel);
            }
            let o: &mut [Line; R] = o[row..].first_chunk_mut().expect("rows of a tile");
            for (o, shrink) in o.iter_mut().zip(shrink) {
                o.iter_mut().for_each(|o| *o *= shrink);
            }
            add_rows_unevenly(o, p, &self.v[self.at(panel, KEYS)], &seen);
        }
    }

    /// Makes products q·k to `e^(s - most)`, 0 where not seen, and updates `most` and `total`.
    /// Gives the factor of what was summed so far.
    #[inline(always)]
    fn exponentials(
        &self,
        s: &mut [f32; KEYS],
        seen: usize,
        (most, total): (&mut f32, &mut Line),
    ) -> f32 {
        s.iter_mut().for_each(|s| *s *= self.pass.heads.scale);
        s[seen..].fill(f32::NEG_INFINITY);
        let new = greatest(s).max(*most);
        let shrink = exp(*most - new);
        s.iter_mut().for_each(|s| *s = exp(*s - new));
        for (lane, total) in total.iter_mut().enumerate() {
            let sum = (s[lane] + s[LANES + lane]) + (s[2 * LANES + lane] + s[3 * LANES + lane]);
            *total = total.mul_add(shrink, sum);
        }
        if self.pass.numerics == Numerics::Bf16 {
            s.iter_mut().for_each(|s| *s = round_bf16(*s));
        }
        *most = new;
        shrink
    }
}

/// The greatest of a row of scores; NaN is passed over (it shows in every sum anyway).
#[inline(always)]
fn greatest(scores: &[f32; KEYS]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    let mut most = [f32::NEG_INFINITY; LANES];
    for scores in scores.as_chunks::<LANES>().0 {
        for (most, score) in most.iter_mut().zip(scores) {
            *most = greater(*most, *score);
        }
    }
    let eight: [f32; 8] = std::array::from_fn(|i| greater(most[i], most[i + 8]));
    let four: [f32; 4] = std::array::from_fn(|i| greater(eight[i], eight[i + 4]));
    greater(greater(four[0], four[2]), greater(four[1], four[3]))
}
