//! Tiles of rows in panels of sixteen columns, what is loaded into them, and their products.
//!
//! A tile of `rows` rows holds columns `16c..16c+16` of row `r` in line `r` of panel `c`, the last
//! panel padded with zeros. The products add one fused multiply-add per term, in order, to running
//! sums that no other lane meets: a sum depends neither on its neighbours nor on how rows are grouped.
//!
//! What is here for every tier `x86.rs` has again for AVX-512, with the same bits: left to itself the compiler
//! gathers and scatters there what lies side by side.

use super::Rows;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::math::exp;
use crate::{Isa, Numerics};
use half::bf16;
use quant::gemm::{LANES, round_bf16};
use std::ops::Range;

/// Sixteen columns of a row.
pub(super) type Line = [f32; LANES];

/// Keys in a block of the online softmax.
pub(super) const KEYS: usize = 64;
/// Panels of a block of keys.
pub(super) const KEY_PANELS: usize = KEYS / LANES;
/// Most rows that are summed at once.
pub(super) const MOST: usize = 8;

/// Rows that are summed at once: sixteen registers of AVX-512 hold them for two panels, twelve of AVX2
/// for one.
pub(super) fn rows_at_once(isa: Isa) -> usize {
    if isa >= Isa::Avx512 { MOST } else { 6 }
}

/// Groups of so many rows, and one of what is left: the first row of each, and how many.
pub(super) fn groups(isa: Isa, rows: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    let most = rows_at_once(isa);
    rows.clone().step_by(most).map(move |row| (row, most.min(rows.end - row)))
}

/// A tile that is read.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) lines: &'a [Line],
    /// Lines per panel.
    pub(super) rows: usize,
}

impl<'a> Tile<'a> {
    /// All panels of it.
    pub(super) fn panels(self) -> usize {
        self.lines.len() / self.rows
    }

    /// `R` rows of a panel.
    #[inline(always)]
    pub(super) fn group<const R: usize>(self, panel: usize, row: usize) -> &'a [Line; R] {
        self.lines[panel * self.rows + row..].first_chunk().expect("rows of a tile")
    }
}

/// Rows of a tile that are added to: `count` from `row` on, at most [`rows_at_once`].
pub(super) struct Sums<'a> {
    pub(super) lines: &'a mut [Line],
    /// Lines per panel.
    pub(super) rows: usize,
    pub(super) row: usize,
    pub(super) count: usize,
    /// What each row is multiplied by first; nothing where it is empty.
    pub(super) shrinks: &'a [f32],
}

impl Sums<'_> {
    #[inline(always)]
    pub(super) fn group<const R: usize>(&mut self, panel: usize) -> &mut [Line; R] {
        let at = panel * self.rows + self.row;
        self.lines[at..].first_chunk_mut().expect("rows of a tile")
    }
}

/// Factors of the terms: `a[row + r][t]` of a tile, or `a[t][column + r]` of one of its panels.
#[derive(Clone, Copy)]
pub(super) enum Factors<'a> {
    Rows(Tile<'a>, usize),
    Columns(&'a [Line], usize),
}

/// Calls a function that is generic in the number of rows.
macro_rules! by_count {
    ($count:expr, $function:ident($($arg:expr),*)) => {
        match $count {
            1 => $function::<1>($($arg),*),
            2 => $function::<2>($($arg),*),
            3 => $function::<3>($($arg),*),
            4 => $function::<4>($($arg),*),
            5 => $function::<5>($($arg),*),
            6 => $function::<6>($($arg),*),
            7 => $function::<7>($($arg),*),
            8 => $function::<8>($($arg),*),
            count => unreachable!("attention: {count} rows at once"),
        }
    };
}
pub(super) use by_count;

/// `sums[r] = sums[r] · shrink[r] + Σ_t a(r, t) b[t]` for `t` of `terms`, over all panels of `b`.
pub(super) fn add(isa: Isa, sums: Sums<'_>, a: Factors<'_>, b: Tile<'_>, terms: Range<usize>) {
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx512 {
        assert!(isa.available(), "the tier was chosen but not detected");
        // SAFETY: the line above proves AVX-512.
        return unsafe { x86::add(sums, a, b, terms) };
    }
    add_plain(isa, sums, a, b, terms);
}

/// Likewise, for the terms from 0 to `ends[r]`, which never falls from row to row.
pub(super) fn add_unevenly(
    isa: Isa,
    sums: Sums<'_>,
    (a, row): (Tile<'_>, usize),
    b: Tile<'_>,
    ends: &[usize],
) {
    let Sums { lines, rows, row: to, count, shrinks } = sums;
    let sums = Sums { lines: &mut *lines, rows, row: to, count, shrinks };
    add(isa, sums, Factors::Rows(a, row), b, 0..ends[0]);
    for (r, &end) in ends.iter().enumerate().filter(|&(_, &end)| end > ends[0]) {
        let sums = Sums { lines: &mut *lines, rows, row: to + r, count: 1, shrinks: &[] };
        add(isa, sums, Factors::Rows(a, row + r), b, ends[0]..end);
    }
}

quant::per_tier! {
    fn add_plain(sums: Sums<'_>, a: Factors<'_>, b: Tile<'_>, terms: Range<usize>) {
        by_count!(sums.count, add_group(sums, a, b, terms));
    }
}

#[inline(always)]
fn add_group<const R: usize>(mut sums: Sums<'_>, a: Factors<'_>, b: Tile<'_>, terms: Range<usize>) {
    for panel in 0..b.panels() {
        let b = &b.lines[panel * b.rows..][..terms.end];
        let shrinks = sums.shrinks;
        let sums = sums.group::<R>(panel);
        let mut sum = *sums;
        for (sum, shrink) in sum.iter_mut().zip(shrinks) {
            sum.iter_mut().for_each(|sum| *sum *= shrink);
        }
        match a {
            Factors::Rows(a, row) => {
                for part in terms.start / LANES..terms.end.div_ceil(LANES) {
                    let (first, a) = (part * LANES, a.group::<R>(part, row));
                    let b = &b[first..];
                    for t in terms.start.saturating_sub(first)..b.len().min(LANES) {
                        add_term(&mut sum, |r| a[r][t], &b[t]);
                    }
                }
            }
            Factors::Columns(a, column) => {
                for (a, b) in a[terms.clone()].iter().zip(&b[terms.start..]) {
                    let a: &[f32; R] = a[column..].first_chunk().expect("columns of a panel");
                    add_term(&mut sum, |r| a[r], b);
                }
            }
        }
        *sums = sum;
    }
}

#[inline(always)]
fn add_term<const R: usize>(sums: &mut [Line; R], a: impl Fn(usize) -> f32, b: &Line) {
    for (r, sum) in sums.iter_mut().enumerate() {
        for lane in 0..LANES {
            sum[lane] = a(r).mul_add(b[lane], sum[lane]);
        }
    }
}

/// Where the rows of a tile stand in a buffer.
#[derive(Clone, Copy)]
pub(super) struct Places {
    /// Of the first row.
    pub(super) start: usize,
    /// Rows of a group.
    pub(super) group: usize,
    /// From a group to the next one, and from a row of a group to its next one.
    pub(super) steps: [usize; 2],
}

impl Places {
    pub(super) fn even(start: usize, step: usize) -> Places {
        Places { start, group: 1, steps: [step, 0] }
    }

    #[inline(always)]
    pub(super) fn of(self, r: usize) -> usize {
        self.start + r / self.group * self.steps[0] + r % self.group * self.steps[1]
    }
}

/// Copies `count` rows of `d` values into a tile, rounded.
pub(super) fn load(
    isa: Isa,
    to: &mut [Line],
    size: [usize; 2],
    from: (Rows<'_>, Places),
    numerics: Numerics,
) {
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx512 && size[1].is_multiple_of(LANES) {
        assert!(isa.available(), "the tier was chosen but not detected");
        // SAFETY: the line above proves AVX-512.
        return unsafe { x86::load(to, size, from, numerics) };
    }
    load_plain(isa, to, size, from, numerics);
}

quant::per_tier! {
    fn load_plain(
        to: &mut [Line],
        size: [usize; 2],
        from: (Rows<'_>, Places),
        numerics: Numerics,
    ) {
        let ([count, d], (from, places)) = (size, from);
        let rows = to.len() / d.div_ceil(LANES);
        for r in 0..count {
            for (to, start) in to.chunks_exact_mut(rows).zip((0..d).step_by(LANES)) {
                from.copy(places.of(r) + start, LANES.min(d - start), &mut to[r]);
                if numerics == Numerics::Bf16 {
                    to[r].iter_mut().for_each(|value| *value = round_bf16(*value));
                }
            }
        }
    }
}

/// Copies `count` rows of `d` values into columns, sixteen to a panel of `d` lines, rounded up to
/// sixteen; the columns from `count` on are zeros, to the end of their panel.
pub(super) fn load_turned(
    isa: Isa,
    to: &mut [Line],
    [count, d]: [usize; 2],
    (from, places): (Rows<'_>, Places),
) {
    let panels = to.chunks_exact_mut(d.next_multiple_of(LANES));
    for (to, first) in panels.zip((0..count).step_by(LANES)) {
        let places: [usize; LANES] = std::array::from_fn(|j| places.of(first + j));
        let places = &places[..LANES.min(count - first)];
        let done = turn_pairs(isa, to, d, (from, places));
        let squares = to.as_chunks_mut().0.iter_mut().zip((0..d).step_by(LANES));
        for (to, start) in squares.skip(done / LANES) {
            let mut square = [[0.0; LANES]; LANES];
            for (line, place) in square.iter_mut().zip(places) {
                from.copy(place + start, LANES.min(d - start), line);
            }
            transpose(isa, &square, to);
        }
    }
}

/// Does that for as many columns as it can by turning pairs of bf16, at half the price; says for how many.
fn turn_pairs(isa: Isa, to: &mut [Line], d: usize, (from, places): (Rows<'_>, &[usize])) -> usize {
    #[cfg(target_arch = "x86_64")]
    if let (Rows::Bf16(values), Some(places)) = (from, places.first_chunk::<LANES>())
        && isa >= Isa::Avx512
    {
        const WIDTH: usize = 2 * LANES;
        assert!(isa.available(), "the tier was chosen but not detected");
        for (chunk, to) in to.as_chunks_mut::<WIDTH>().0[..d / WIDTH].iter_mut().enumerate() {
            let rows = places.map(|place| -> &[bf16; WIDTH] {
                values[place + chunk * WIDTH..].first_chunk().expect("a row")
            });
            // SAFETY: the assertion above proves AVX-512.
            unsafe { x86::turn_pairs(rows, to) };
        }
        return d / WIDTH * WIDTH;
    }
    0
}

/// `to[t][j] = from[j][t]`.
fn transpose(isa: Isa, from: &[Line; LANES], to: &mut [Line; LANES]) {
    #[cfg(target_arch = "x86_64")]
    if isa != Isa::Scalar {
        assert!(isa.available(), "the tier was chosen but not detected");
        // SAFETY: the line above proves AVX2, which every tier but the scalar one has.
        return unsafe { x86::transpose(from, to) };
    }
    for (t, to) in to.iter_mut().enumerate() {
        for (to, from) in to.iter_mut().zip(from) {
            *to = from[t];
        }
    }
}

/// Lines on the stack that begin where lines of the cache do, as those of the workspace.
#[repr(align(64))]
pub(super) struct Aligned<T>(pub(super) T);

/// Copies row `r` of a tile out.
pub(super) fn store(out: &mut [f32], tile: &[Line], r: usize) {
    let panels = tile.chunks_exact(tile.len() / out.len().div_ceil(LANES));
    for (out, panel) in out.chunks_mut(LANES).zip(panels) {
        match out.first_chunk_mut::<LANES>() {
            Some(out) => *out = panel[r],
            None => out.copy_from_slice(&panel[r][..out.len()]),
        }
    }
}

/// A row's scores against a block of keys: line `r` of each of the panels, which have `rows` lines.
pub(super) struct Scores<'a> {
    pub(super) lines: &'a mut [Line],
    pub(super) rows: usize,
    /// Factor on them.
    pub(super) scale: f32,
    pub(super) numerics: Numerics,
}

impl Scores<'_> {
    #[inline(always)]
    fn gather(&self, r: usize) -> [f32; KEYS] {
        let mut row = [0.0; KEYS];
        let panels = self.lines.chunks_exact(self.rows);
        for (row, panel) in row.as_chunks_mut::<LANES>().0.iter_mut().zip(panels) {
            *row = panel[r];
        }
        row
    }

    #[inline(always)]
    fn scatter(&mut self, r: usize, row: &[f32; KEYS]) {
        let panels = self.lines.chunks_exact_mut(self.rows);
        for (row, panel) in row.as_chunks::<LANES>().0.iter().zip(panels) {
            panel[r] = *row;
        }
    }

    #[inline(always)]
    fn round(&self, values: &mut [f32; KEYS]) {
        if self.numerics == Numerics::Bf16 {
            values.iter_mut().for_each(|value| *value = round_bf16(*value));
        }
    }
}

/// What is known of the outputs of rows.
pub(super) struct SoFar<'a> {
    /// The greatest score.
    pub(super) most: &'a mut [f32],
    /// The sums of all `e^(s - most)`, key `j` of a block in lane `j % 16`.
    pub(super) total: &'a mut [Line],
}

/// Makes products q·k of as many rows as `seen` has to `e^(s - most)`, 0 where not seen, and updates `most`
/// and `total`. Gives the factors of what was summed so far.
pub(super) fn exponentials(
    isa: Isa,
    scores: Scores<'_>,
    seen: &[usize],
    so_far: SoFar<'_>,
) -> [f32; MOST] {
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx512 {
        assert!(isa.available(), "the tier was chosen but not detected");
        // SAFETY: the line above proves AVX-512.
        return unsafe { x86::exponentials(scores, seen, so_far) };
    }
    exponentials_plain(isa, scores, seen, so_far)
}

quant::per_tier! {
    fn exponentials_plain(scores: Scores<'_>, seen: &[usize], so_far: SoFar<'_>) -> [f32; MOST] {
        let mut scores = scores;
        let mut shrinks = [1.0; MOST];
        for (r, &seen) in seen.iter().enumerate() {
            let (most, total) = (&mut so_far.most[r], &mut so_far.total[r]);
            let mut s = scores.gather(r);
            s.iter_mut().for_each(|s| *s *= scores.scale);
            s[seen..].fill(f32::NEG_INFINITY);
            let new = greatest(&s).max(*most);
            let shrink = exp(*most - new);
            s.iter_mut().for_each(|s| *s = exp(*s - new));
            for (lane, total) in total.iter_mut().enumerate() {
                let sum =
                    (s[lane] + s[LANES + lane]) + (s[2 * LANES + lane] + s[3 * LANES + lane]);
                *total = total.mul_add(shrink, sum);
            }
            scores.round(&mut s);
            scores.scatter(r, &s);
            (*most, shrinks[r]) = (new, shrink);
        }
        shrinks
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

/// What makes slopes of a query's scores.
#[derive(Clone, Copy, Default)]
pub(super) struct Row {
    pub(super) lse: f32,
    pub(super) delta: f32,
    /// Keys that it sees.
    pub(super) seen: usize,
}

/// Makes q·k and do·v of queries, from row `from` of both tiles on, to p and ds, 0 where the key is not
/// seen.
pub(super) fn slopes(isa: Isa, p: Scores<'_>, ds: &mut [Line], from: usize, rows: &[Row]) {
    #[cfg(target_arch = "x86_64")]
    if isa >= Isa::Avx512 {
        assert!(isa.available(), "the tier was chosen but not detected");
        // SAFETY: the line above proves AVX-512.
        return unsafe { x86::slopes(p, ds, from, rows) };
    }
    slopes_plain(isa, p, ds, from, rows);
}

quant::per_tier! {
    fn slopes_plain(p: Scores<'_>, ds: &mut [Line], from: usize, rows: &[Row]) {
        let Scores { scale, rows: lines, numerics, .. } = p;
        let (mut p, mut ds) = (p, Scores { lines: ds, rows: lines, scale, numerics });
        for (r, &Row { lse, delta, seen }) in rows.iter().enumerate() {
            let [mut e, mut slope] = [p.gather(from + r), ds.gather(from + r)];
            for (e, slope) in e.iter_mut().zip(slope.iter_mut()) {
                *e = exp(*e * scale - lse);
                *slope = *e * (*slope - delta) * scale;
            }
            for (tile, values) in [(&mut p, &mut e), (&mut ds, &mut slope)] {
                tile.round(values);
                values[seen..].fill(0.0);
                tile.scatter(from + r, values);
            }
        }
    }
}
