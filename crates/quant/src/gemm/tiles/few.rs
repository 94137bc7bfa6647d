//! Few rows of `left`: sixteen rows of the weight are decoded for a section of `k` and multiplied with all
//! of them at once.

use super::super::few::Stretch;
use super::super::few::sources::{Source, Visit, visit};
use super::super::words::x86::FastPairs;
use super::super::{BLOCK, Numerics};
use super::ROWS;
use super::machine::{SIDE, TILE, Tiles};
use super::pack::PER_BLOCK;
use crate::Isa;
use crate::cpu::{Amx, Avx512};

/// Blocks of 64 `k` that are decoded at once: two cache lines of a row of NF4.
const SECTION: usize = 4;
/// Words of a row in a section.
const WIDTH: usize = SECTION * PER_BLOCK;
/// Chunks of 32 `k` in a section.
const CHUNKS: usize = WIDTH / SIDE;

/// Turns the words of `height` rows, which take turns block by block, into tiles of as many columns.
pub(in super::super) fn turn(words: &mut [f32], height: usize) {
    if height == 1 {
        return;
    }
    for block in words.chunks_exact_mut(height * PER_BLOCK) {
        let mut rows = [0.0; ROWS * PER_BLOCK];
        let rows = &mut rows[..block.len()];
        rows.copy_from_slice(block);
        for (at, words) in block.chunks_exact_mut(height).enumerate() {
            for (row, word) in words.iter_mut().enumerate() {
                *word = rows[row * PER_BLOCK + at];
            }
        }
    }
}

/// Some rows of a weight against the `height` rows of `left`.
pub(in super::super) fn few(stretch: &Stretch<'_>, height: usize, scales: &mut [f32]) {
    let token = Amx::detect().expect("amx was chosen but not detected");
    let words = FastPairs(Avx512::detect().expect("amx has all of avx512"));
    let tiles = Tiles::with_columns(token, height);
    let groups = Groups { words, tiles, stretch, height, scales };
    // SAFETY: the token proves that the features are present.
    unsafe { on_avx512(groups) }
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn on_avx512(groups: Groups<'_>) {
    visit((Isa::Avx512, Numerics::Bf16), groups.stretch.weight, groups);
}

struct Groups<'a> {
    words: FastPairs,
    tiles: Tiles,
    stretch: &'a Stretch<'a>,
    height: usize,
    scales: &'a mut [f32],
}

/// What tiles are loaded from, on its own cache lines.
#[repr(align(64))]
struct Lines<const WORDS: usize>([f32; WORDS]);

impl Visit for Groups<'_> {
    #[inline(always)]
    fn visit<S: Source>(self, source: &S) {
        let Groups { words, mut tiles, stretch, height, scales } = self;
        let (rows, blocks) = (&stretch.rows, stretch.left.k.div_ceil(BLOCK));
        // While one section is decoded, the one before it is multiplied.
        let mut pair = [(); 2].map(|()| Lines([0.0; ROWS * WIDTH]));
        let [mut decoded, mut ready] = pair.each_mut();
        let mut sums = Lines([0.0; TILE]);
        let b = &stretch.left.words[..blocks * height * PER_BLOCK];
        for first in rows.clone().step_by(ROWS) {
            let count = ROWS.min(rows.end - first);
            for (r, scales) in scales.chunks_exact_mut(blocks).take(count).enumerate() {
                source.scales(first + r, 0, scales);
                source.scales_ahead(first + ROWS + r);
            }
            tiles.zero();
            let mut before: &[f32] = &[];
            for (section, b) in b.chunks(SECTION * height * PER_BLOCK).enumerate() {
                let (start, mut steps) = (section * SECTION, Steps::of(ready, before, height));
                let end = blocks.min(start + SECTION);
                for (r, out) in decoded.0.chunks_exact_mut(WIDTH).enumerate() {
                    if r < count {
                        source.ahead(first + 2 * ROWS, (section * ROWS + r) * SECTION, SECTION);
                        let scales = &scales[r * blocks..][start..end];
                        source.blocks(words, first + r, start, scales, out);
                    }
                    if r % (ROWS / CHUNKS) == 0 {
                        steps.next(&mut tiles);
                    }
                }
                std::mem::swap(&mut decoded, &mut ready);
                before = b;
            }
            let mut steps = Steps::of(ready, before, height);
            for _ in 0..CHUNKS {
                steps.next(&mut tiles);
            }
            tiles.sums(&mut sums.0);
            let mut row = [0.0; ROWS];
            for n in 0..stretch.n {
                for (value, sums) in row.iter_mut().zip(sums.0.chunks_exact(height)) {
                    *value = sums[n];
                }
                stretch.target.put(n, first, &row[..count]);
            }
        }
        const { assert!(ROWS == SIDE) }
    }
}

/// The chunks of a section that are still to be multiplied.
struct Steps<'a> {
    decoded: &'a [f32],
    b: std::slice::ChunksExact<'a, f32>,
}

impl<'a> Steps<'a> {
    fn of(decoded: &'a Lines<{ ROWS * WIDTH }>, b: &'a [f32], height: usize) -> Self {
        Self { decoded: &decoded.0, b: b.chunks_exact(SIDE * height) }
    }

    #[inline(always)]
    fn next(&mut self, tiles: &mut Tiles) {
        if let Some(b) = self.b.next() {
            tiles.step((self.decoded, WIDTH), b);
            self.decoded = &self.decoded[SIDE..];
        }
    }
}
