//! Packing rows whose neighbours along `k` lie side by side, whatever they are stored as.

use super::block::Panel;
use super::few::quads::{Quad, SIDE};
use super::few::sources::{Line, Source, Visit, visit};
use super::words::{Words, per_words};

/// Blocks of a row that are packed before those of the next one: as many as have their scales looked up at once.
const TOGETHER: usize = 4 * SIDE;

/// Packs whole rows.
pub(super) fn pack(panel: &Panel<'_>, out: &mut [f32]) {
    per_words! {
        fn pack<W>(words, panel: &Panel<'_>, out: &mut [f32]) {
            visit((panel.isa, panel.numerics), panel.matrix, Rows { words, panel, out });
        }
    }
    pack(panel.isa, panel.format, panel, out);
}

/// Four rows at a time; what they need next is asked for meanwhile.
struct Rows<'a, W> {
    words: W,
    panel: &'a Panel<'a>,
    out: &'a mut [f32],
}

impl<W: Words> Visit for Rows<'_, W> {
    #[inline(always)]
    fn visit<S: Source>(self, source: &S) {
        let Rows { words, panel, out } = self;
        let per_block = W::FORMAT.words();
        let blocks = panel.width / per_block;
        for (group, out) in out.chunks_mut(SIDE * panel.stride).enumerate() {
            let count = out.len() / panel.stride;
            let first = panel.first_row + group * SIDE;
            let rows = [0, 1, 2, 3].map(|r| first + r.min(count - 1));
            for at in (0..blocks).step_by(TOGETHER) {
                let (first, count_of) = (panel.first_block + at, TOGETHER.min(blocks - at));
                let mut scales: [Quad; TOGETHER / SIDE] = Default::default();
                source.quads(
                    &rows[..count],
                    (first, count_of),
                    &mut scales[..count_of.div_ceil(SIDE)],
                );
                for (r, out) in out.chunks_exact_mut(panel.stride).enumerate() {
                    let line = source.line(rows[r]);
                    let out = out[at * per_block..].chunks_exact_mut(per_block).take(count_of);
                    for (block, out) in out.enumerate() {
                        let scale = scales[block / SIDE][r * SIDE + block % SIDE];
                        line.store(words, first + block, scale, out);
                        source.ahead(rows[r] + SIDE, first + block, 1);
                    }
                }
            }
        }
    }
}
