//! Products with at most eight rows of `left`, as in decoding: each weight is read once, from where it
//! lies, decoded in registers and multiplied with every row. What a low-rank adapter adds to a product
//! is made with it, and several products of one `left` go together, so that threads meet seldom.

use super::block::{FewRows, Mode, Output, Scratch, Target, Workspace};
use super::kernel::{Format, add_four};
use super::words::{Block, Words, per_words};
use super::{BLOCK, Dense, LANES, Lie, Matrix, Numerics, Values, ints, skinny, tiles};
use crate::Isa;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) mod quads;
pub(super) mod sources;

use sources::{Line, Source, Visit, visit};

/// Most rows of `left`.
pub const FEW: usize = 8;
/// So many of them at most have their sums in registers.
const FEWEST: usize = 4;
/// Shorter rows are never decoded into the cache.
const LONG: usize = 4 * BLOCK;
/// Rows of a weight that are summed side by side, at most.
const GROUP: usize = quads::SIDE;
/// A thread takes one of so many equal parts of what would be left for it: long streams at first, and at last
/// tasks so short that no thread waits long for another one (guided self-scheduling, with half its lengths).
const PARTS: usize = 2;
/// Rows of weights in a task, at least, where there are many.
const SHORTEST: usize = 32;
/// Bytes of a row, and of those behind it, that are asked for ahead of their use, at least.
const AHEAD: usize = 4096;
/// Words between the scratch of two threads, so that they never write to one cache line, nor to the one that is
/// fetched beside it.
const APART: usize = 32;

/// `out (N,M) = left · weightᵀ`, or added, and then the adapter's part is added.
#[derive(Debug)]
pub struct Term<'a> {
    /// (M,K).
    pub weight: Matrix<'a>,
    /// What is added to it.
    pub adapter: Option<Factors<'a>>,
    /// (N,M).
    pub out: &'a mut [f32],
}

/// `scale · (left · aᵀ) · bᵀ`.
#[derive(Clone, Copy, Debug)]
pub struct Factors<'a> {
    /// (R,K).
    pub a: Matrix<'a>,
    /// (M,R).
    pub b: Matrix<'a>,
    /// Factor on the product.
    pub scale: f32,
}

/// Rows that are computed where there are `n`.
fn height(n: usize) -> usize {
    n.next_power_of_two()
}

/// More rows than sums of a group of weights find room for in registers are multiplied as many rows are, with
/// weights that are decoded into the cache.
fn blocked((isa, numerics): (Isa, Numerics), n: usize, k: usize) -> Option<FewRows> {
    let is_blocked = n > FEWEST && k >= LONG && numerics != Numerics::Int8;
    (is_blocked && !tiles::take(isa, numerics, k)).then_some(FewRows { isa, numerics, n, k })
}

/// Words of `n` rows of `k` values, arranged.
fn arranged_words((isa, numerics): (Isa, Numerics), n: usize, k: usize) -> usize {
    match (numerics, blocked((isa, numerics), n, k)) {
        (Numerics::Int8, _) => ints::left_words(n, k),
        (_, Some(rows)) => rows.words(),
        _ => height(n) * k.div_ceil(BLOCK) * Format::of(isa, numerics).words(),
    }
}

/// Rows of a weight in streams that are read side by side, each from its beginning to its end: of streams that
/// are far from each other and long the processor fetches most lines before they are asked for.
pub(super) struct Streams {
    rows: Range<usize>,
    /// Rows of a stream.
    pub(super) length: usize,
    /// How many rows ahead of one another is asked for.
    pub(super) ahead: usize,
}

impl Streams {
    /// So many streams of rows with so many bytes each.
    pub(super) fn of(rows: &Range<usize>, count: usize, row_bytes: usize) -> Self {
        let (length, ahead) = (rows.len().div_ceil(count), AHEAD.div_ceil(row_bytes));
        Self { rows: rows.clone(), length, ahead }
    }

    /// A stream's row. The last stream may be shorter: then the very last row is made several times, and
    /// written once.
    #[inline(always)]
    pub(super) fn row(&self, stream: usize, at: usize) -> usize {
        (self.rows.start + stream * self.length + at).min(self.rows.end - 1)
    }

    /// Writes the outputs of a row of each stream for row `n` of x.
    #[inline(always)]
    pub(super) fn put(&self, target: &Target, n: usize, at: usize, sums: &[f32]) {
        let rows = (self.rows.start + at..self.rows.end).step_by(self.length);
        for (row, sum) in rows.zip(sums) {
            target.put(n, row, std::slice::from_ref(sum));
        }
    }
}

/// Words of one thread: the scales of the rows that it sums, or the rows.
fn thread_words(on: (Isa, Numerics), n: usize, k: usize) -> usize {
    let is_in_tiles = tiles::take(on.0, on.1, k);
    let scales = if is_in_tiles { tiles::ROWS * k.div_ceil(BLOCK) } else { quads::words(k) };
    // No more than more rows would take: whoever has room for those may come with a few.
    (APART + scales).max(blocked(on, n, k).map_or(0, |rows| rows.scratch()))
}

/// Words (4 bytes) of scratch that [`few`] needs for `n` rows of `k` values and adapters of these ranks. In
/// `int8`, `with_floats` says whether there is an adapter, or a weight that has no blocks.
pub fn few_workspace(
    (isa, numerics): (Isa, Numerics),
    [n, k]: [usize; 2],
    ranks: impl Iterator<Item = usize>,
    with_floats: bool,
    threads: usize,
) -> usize {
    let of_floats = (isa, numerics.of_floats());
    let mut words = arranged_words((isa, numerics), n, k);
    let mut each = thread_words((isa, numerics), n, k);
    if numerics == Numerics::Int8 && with_floats {
        words += arranged_words(of_floats, n, k);
        each = each.max(thread_words(of_floats, n, k));
    }
    for rank in ranks {
        words += n * rank + arranged_words(of_floats, n, rank);
        each = each.max(thread_words(of_floats, n, rank));
    }
    words + threads * each
}

/// Whether a product goes this way.
pub(super) fn fits([n, _, k]: [usize; 3], lie: Lie) -> bool {
    n <= FEW && k > BLOCK && lie == Lie::Rows
}

/// `out = scale · left · rightᵀ`, or added, for operands that lie in rows.
pub(super) fn product(
    (isa, numerics): (Isa, Numerics),
    [left, right]: [&Matrix<'_>; 2],
    out: Output<'_>,
    workspace: Workspace<'_>,
) {
    let (n, k) = (left.rows(), left.cols());
    let (x, stride) = skinny::rows(left).expect("looked at by `Lie::of`");
    let job = Job { isa, n, threads: workspace.threads };
    let (arranged, rest) = workspace.words.split_at_mut(arranged_words((isa, numerics), n, k));
    job.arrange(numerics, x, [k, stride], arranged);
    job.run(&[Piece::of(right, Left { words: arranged, k, numerics }, out.target())], rest);
}

/// All terms over the `n` rows of `x (N,K)`.
///
/// # Panics
/// When there are more than [`FEW`] rows, shapes disagree, an output or the workspace is too small, or
/// a weight's summed side is its outer one.
pub fn few(
    (isa, numerics): (Isa, Numerics),
    (x, n): (&[f32], usize),
    terms: &mut [Term<'_>],
    mode: Mode,
    workspace: Workspace<'_>,
) {
    assert!((1..=FEW).contains(&n) && x.len().is_multiple_of(n), "few: {n} rows");
    assert!(isa.available(), "tier {} is not available on this machine", isa.name());
    let k = x.len() / n;
    let job = Job { isa, n, threads: workspace.threads };
    let floats = numerics.of_floats();
    let (arranged, mut rest) = workspace.words.split_at_mut(arranged_words((isa, numerics), n, k));
    let in_bytes = |weight: &Matrix<'_>| numerics == Numerics::Int8 && weight.has_blocks();
    if numerics == floats || terms.iter().any(|term| in_bytes(&term.weight)) {
        job.arrange(numerics, x, [k, k], arranged);
    }
    let left = Left { words: arranged, k, numerics };
    let mut of_floats = left;
    let has_floats = terms.iter().any(|term| term.adapter.is_some() || !in_bytes(&term.weight));
    if numerics != floats && has_floats {
        let (arranged, later) = rest.split_at_mut(arranged_words((isa, floats), n, k));
        job.arrange(floats, x, [k, k], arranged);
        (of_floats, rest) = (Left { words: arranged, k, numerics: floats }, later);
    }
    let mut made = Vec::with_capacity(terms.len());
    for term in terms.iter() {
        let rank = term.adapter.map_or(0, |factors| factors.a.rows());
        let (t, later) = rest.split_at_mut(n * rank);
        let (words, later) = later.split_at_mut(arranged_words((isa, floats), n, rank));
        made.push((t, words));
        rest = later;
    }
    // First x Aᵀ of all terms, then everything else.
    let mut downs = Vec::with_capacity(terms.len());
    for (term, (t, _)) in terms.iter().zip(&mut made) {
        if let Some(Factors { a, .. }) = &term.adapter {
            downs.push(Piece::of(a, of_floats, Target::of(t, a.rows(), (1.0, Mode::Overwrite))));
        }
    }
    job.run(&downs, rest);
    drop(downs);
    let mut pieces = Vec::with_capacity(terms.len());
    for (term, (t, words)) in terms.iter_mut().zip(&mut made) {
        assert_eq!(term.out.len(), n * term.weight.rows(), "few: an output of another size");
        let target = Target::of(term.out, term.weight.rows(), (1.0, mode));
        let left = if in_bytes(&term.weight) { left } else { of_floats };
        let mut piece = Piece::of(&term.weight, left, target);
        if let Some(Factors { a, b, scale }) = &term.adapter {
            assert_eq!([a.rows(), term.weight.rows()], [b.cols(), b.rows()], "few: factors");
            job.arrange(floats, t, [a.rows(); 2], words);
            let left = Left { words, k: a.rows(), numerics: floats };
            piece.then = Some((b, left, target.in_manner((*scale, Mode::Add))));
        }
        pieces.push(piece);
    }
    job.run(&pieces, rest);
}

/// What all products of a call share.
#[derive(Clone, Copy)]
struct Job {
    isa: Isa,
    n: usize,
    threads: usize,
}

/// Rows of a left side, arranged for these numerics: for each block of `k` the words of all rows; for tiles
/// these are turned, and for bytes they are as `ints` has them.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) words: &'a [f32],
    pub(super) k: usize,
    numerics: Numerics,
}

/// One product, and what is added to its rows as soon as they are there.
struct Piece<'a> {
    weight: &'a Matrix<'a>,
    left: Left<'a>,
    target: Target,
    then: Option<(&'a Matrix<'a>, Left<'a>, Target)>,
}

impl<'a> Piece<'a> {
    fn of(weight: &'a Matrix<'a>, left: Left<'a>, target: Target) -> Self {
        assert!(!weight.rows_are_adjacent(), "few: a weight with its outer side summed");
        assert_eq!(weight.cols(), left.k, "few: a weight of another width");
        Self { weight, left, target, then: None }
    }
}

impl Job {
    /// Arranges rows of `k` values, `stride` apart; those beyond the last one are zero.
    fn arrange(&self, numerics: Numerics, x: &[f32], [k, stride]: [usize; 2], out: &mut [f32]) {
        if numerics == Numerics::Int8 {
            return ints::arrange(self.isa, x, [self.n, k, stride], out);
        }
        if let Some(rows) = blocked((self.isa, numerics), self.n, k) {
            let x = Dense {
                values: Values::F32(x),
                rows: self.n,
                cols: k,
                row_stride: stride,
                col_stride: 1,
            };
            return rows.pack(&Matrix::Dense(x), out);
        }
        let rows = Rows { x, n: self.n, k, stride, numerics };
        arrange(self.isa, Format::of(self.isa, numerics), &rows, out);
        if tiles::take(self.isa, numerics, k) {
            tiles::turn(out, height(self.n));
        }
    }

    /// Runs all pieces on all threads; each takes the next rows when it is done with some.
    fn run(&self, pieces: &[Piece<'_>], scratch: &mut [f32]) {
        let rows: usize = pieces.iter().map(|it| it.weight.rows()).sum();
        if rows == 0 {
            return;
        }
        let lefts = pieces.iter().flat_map(|it| [Some(it.left), it.then.map(|(_, left, _)| left)]);
        let words = |left: Left<'_>| thread_words((self.isa, left.numerics), self.n, left.k);
        let each = lefts.flatten().map(words).max().unwrap_or(0);
        let scratch = Scratch::new(scratch, each, self.threads);
        let threads = self.threads.min(rows.div_ceil(GROUP));
        let part_of = |rows: usize| (rows / (PARTS * threads)).next_multiple_of(GROUP);
        let shortest = part_of(rows).clamp(GROUP, SHORTEST);
        let end_of = |first: usize| rows.min(first + part_of(rows - first).max(shortest));
        // The first of the rows that nobody took yet, of all pieces one after another.
        let next = AtomicUsize::new(0);
        (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
            scratch.with(|scales| {
                let take = |first| (first < rows).then(|| end_of(first));
                while let Ok(first) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                {
                    let (mut taken, mut before) = (first..end_of(first), 0);
                    for piece in pieces {
                        let after = before + piece.weight.rows();
                        let end = taken.end.min(after);
                        if taken.start < end {
                            self.stretch(piece, taken.start - before..end - before, scales);
                            taken.start = end;
                        }
                        before = after;
                    }
                }
            });
        });
    }

    fn stretch(&self, piece: &Piece<'_>, rows: Range<usize>, scales: &mut [f32]) {
        let Piece { weight, left, target, then } = piece;
        self.rows(weight, *left, target, rows.clone(), scales);
        if let Some((weight, left, target)) = then {
            self.rows(weight, *left, target, rows, scales);
        }
    }

    fn rows(
        &self,
        weight: &Matrix<'_>,
        left: Left<'_>,
        target: &Target,
        rows: Range<usize>,
        scales: &mut [f32],
    ) {
        let (Job { isa, n, .. }, numerics) = (*self, left.numerics);
        if numerics == Numerics::Int8 {
            let left = ints::Left::of(left.words, n, left.k);
            let weight = ints::Weight::of(weight).expect("few: a weight without blocks in int8");
            return ints::few(isa, &left, &weight, rows, (scales, target));
        }
        if let Some(packed) = blocked((isa, numerics), n, left.k) {
            return packed.multiply(left.words, (weight, rows), scales, target);
        }
        let format = Format::of(isa, numerics);
        let stretch = Stretch { isa, numerics, weight, left, n, rows, target };
        if tiles::take(isa, numerics, left.k) {
            return tiles::few(&stretch, height(n), scales);
        }
        match height(n) {
            1 => products::<1>(isa, format, &stretch, scales),
            2 => products::<2>(isa, format, &stretch, scales),
            4 => products::<4>(isa, format, &stretch, scales),
            _ => products::<8>(isa, format, &stretch, scales),
        }
    }
}

struct Rows<'a> {
    x: &'a [f32],
    n: usize,
    k: usize,
    stride: usize,
    numerics: Numerics,
}

per_words! {
    fn arrange<W>(words, rows: &Rows<'_>, out: &mut [f32]) {
        let height = height(rows.n);
        let per_block = W::FORMAT.words();
        for (block, out) in out.chunks_exact_mut(height * per_block).enumerate() {
            for (row, out) in out.chunks_exact_mut(per_block).enumerate() {
                if row >= rows.n {
                    out.fill(0.0);
                    continue;
                }
                let x = &rows.x[row * rows.stride..][..rows.k][block * BLOCK..];
                match x.first_chunk::<BLOCK>() {
                    Some(x) => words.arrange(rows.numerics, x, out),
                    None => {
                        let mut whole = [0.0; BLOCK];
                        whole[..x.len()].copy_from_slice(x);
                        words.arrange(rows.numerics, &whole, out);
                    }
                }
            }
        }
    }
}

/// Some rows of a weight against all of `left`.
pub(super) struct Stretch<'a> {
    pub(super) isa: Isa,
    pub(super) numerics: Numerics,
    pub(super) weight: &'a Matrix<'a>,
    pub(super) left: Left<'a>,
    pub(super) n: usize,
    pub(super) rows: Range<usize>,
    pub(super) target: &'a Target,
}

/// The stretch, with the kernel of its weight's kind.
fn products<const N: usize>(isa: Isa, format: Format, stretch: &Stretch<'_>, scales: &mut [f32]) {
    per_words! {
        fn products<W, N>(words, stretch: &Stretch<'_>, scales: &mut [f32]) {
            let on = (stretch.isa, stretch.numerics);
            visit(on, stretch.weight, Groups::<W, N> { words, stretch, scales });
        }
    }
    products::<N>(isa, format, stretch, scales);
}

/// A few rows of the weight at a time against all rows of `left`.
struct Groups<'a, W, const N: usize> {
    words: W,
    stretch: &'a Stretch<'a>,
    scales: &'a mut [f32],
}

impl<W: Words, const N: usize> Visit for Groups<'_, W, N> {
    #[inline(always)]
    fn visit<S: Source>(self, source: &S) {
        run::<W, S, N>(self.words, self.stretch, source, self.scales);
    }
}

#[inline(always)]
fn run<W: Words, S: Source, const N: usize>(
    words: W,
    stretch: &Stretch<'_>,
    source: &S,
    scales: &mut [f32],
) {
    let Stretch { isa, left, n, rows, target, .. } = stretch;
    let group = (W::SUMS / N).clamp(1, GROUP);
    let blocks = left.k.div_ceil(BLOCK);
    let scales = &mut scales.as_chunks_mut().0[..blocks.div_ceil(quads::SIDE)];
    let streams = Streams::of(rows, group, blocks * source.block_bytes());
    let per_block = N * W::PER_LANE;
    let x = &left.words.as_chunks::<LANES>().0[..blocks * per_block];
    for at in 0..streams.length {
        let row = |r: usize| streams.row(r, at);
        let rows: [_; GROUP] = std::array::from_fn(|r| row(r.min(group - 1)));
        source.quads(&rows[..group], (0, blocks), scales);
        for row in &rows[..group] {
            source.scales_ahead(row + streams.ahead);
        }
        let mut sums = [[words.zero(); GROUP]; N];
        let lines: [_; GROUP] = std::array::from_fn(|r| source.line(rows[r]));
        let mut fours = x.chunks_exact(quads::SIDE * per_block);
        for (four, (x, scales)) in (&mut fours).zip(&*scales).enumerate() {
            let lines: [_; GROUP] = std::array::from_fn(|r| lines[r].four(four));
            for (block, x) in x.chunks_exact(per_block).enumerate() {
                for r in 0..group {
                    let w = lines[r].block(words, block, scales[r * quads::SIDE + block]);
                    source.ahead(rows[r] + streams.ahead, four * quads::SIDE + block, 1);
                    add::<W, N>(words, x, w, r, &mut sums);
                }
            }
        }
        for (at, x) in fours.remainder().chunks_exact(per_block).enumerate() {
            let whole = blocks / quads::SIDE;
            let block = whole * quads::SIDE + at;
            for r in 0..group {
                let w = lines[r].block(words, block, scales[whole][r * quads::SIDE + at]);
                source.ahead(rows[r] + streams.ahead, block, 1);
                add::<W, N>(words, x, w, r, &mut sums);
            }
        }
        for (n, sums) in sums.iter().enumerate().take(*n) {
            let mut stored = [[0.0; LANES]; GROUP];
            for (stored, sum) in stored.iter_mut().zip(sums) {
                *stored = words.store(*sum);
            }
            streams.put(target, n, at, &add_four(*isa, &stored)[..group]);
        }
    }
}

/// Adds the products of a block of the group's `r`th row with those of all rows of `left`.
#[inline(always)]
fn add<W: Words, const N: usize>(
    words: W,
    x: &[[f32; LANES]],
    w: Block<W>,
    r: usize,
    sums: &mut [[W::Lanes; GROUP]; N],
) {
    for (x, sums) in x.chunks_exact(W::PER_LANE).zip(sums) {
        for (x, w) in x.iter().zip(w) {
            sums[r] = words.dot(sums[r], words.load(x), w);
        }
    }
}
