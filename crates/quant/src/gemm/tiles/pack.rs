//! Groups of 32 rows of an operand, packed for the tiles.

use super::super::block::Panel;
use super::super::columns::pairs;
use super::super::few::sources::{Source, Visit, visit};
use super::super::kernel::{Format, transpose};
use super::super::words::x86::FastPairs;
use super::super::{Matrix, Numerics};
use super::machine::{SIDE, TILE};
use super::many::{DEPTH, GROUP};
use crate::Isa;
use crate::cpu::Avx512;

/// Words of a row in a block of 64 `k`: two chunks of sixteen.
pub(super) const PER_BLOCK: usize = Format::Pairs.words();

/// Some rows of a matrix from a block of `k` on.
pub(super) fn panel<'a>(
    matrix: &'a Matrix<'a>,
    [first_row, first_block]: [usize; 2],
    width: usize,
) -> Panel<'a> {
    let (isa, numerics, format) = (Isa::Avx512, Numerics::Bf16, Format::Pairs);
    Panel { isa, numerics, format, matrix, first_row, first_block, width, stride: width }
}

/// For `a`: up to 32 rows one after another, and zeros up to a whole number of tiles.
pub(super) fn upper(panel: &Panel<'_>, rows: usize, out: &mut [f32]) {
    let (out, rest) = out.split_at_mut(rows * panel.width);
    if panel.matrix.rows_are_adjacent() {
        panel.pack(out);
    } else {
        let words = FastPairs(Avx512::detect().expect("amx has all of avx512"));
        // SAFETY: the token proves that the features are present.
        unsafe { lay_rows(Rows { words, panel, out }) };
    }
    rest[..rows.next_multiple_of(SIDE) * panel.width - out.len()].fill(0.0);
}

#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn lay_rows(rows: Rows<'_>) {
    visit((rows.panel.isa, rows.panel.numerics), rows.panel.matrix, rows);
}

/// Rows whose neighbours along `k` lie side by side.
struct Rows<'a> {
    words: FastPairs,
    panel: &'a Panel<'a>,
    out: &'a mut [f32],
}

impl Visit for Rows<'_> {
    #[inline(always)]
    fn visit<S: Source>(self, source: &S) {
        let Rows { words, panel, out } = self;
        let blocks = panel.width / PER_BLOCK;
        let mut scales = [0.0; DEPTH];
        for (row, out) in (panel.first_row..).zip(out.chunks_exact_mut(panel.width)) {
            source.scales(row, panel.first_block, &mut scales[..blocks]);
            source.blocks(words, row, panel.first_block, &scales[..blocks], out);
        }
    }
}

/// For `b`: for each chunk two tiles, whose columns are up to 32 rows of the matrix, and zeros; they are
/// parted, as [`is_parted`] says, only where they may be.
pub(super) fn lower(panel: &Panel<'_>, rows: usize, may_be_parted: bool, out: &mut [f32]) {
    let tiles = out.as_chunks_mut::<TILE>().0;
    if pairs::fit(panel, rows) && (may_be_parted || !is_parted(panel, rows)) {
        return pairs::join(panel, |index, c, joined| {
            for (tile, square) in tiles[2 * (2 * index + c)..].iter_mut().zip(joined) {
                tile.copy_from_slice(square.as_flattened());
            }
        });
    }
    for half in 0..rows.div_ceil(SIDE) {
        let first_row = panel.first_row + half * SIDE;
        let rows = SIDE.min(rows - half * SIDE);
        let mut packed = [0.0; SIDE * DEPTH * PER_BLOCK];
        Panel { first_row, ..*panel }.pack(&mut packed[..rows * panel.width]);
        let mut square = [[0.0; SIDE]; SIDE];
        for chunk in 0..panel.width / SIDE {
            for (row, words) in square.iter_mut().enumerate() {
                words.copy_from_slice(&packed[row * panel.width + chunk * SIDE..][..SIDE]);
            }
            let (turned, _) = tiles[2 * chunk + half].as_chunks_mut::<SIDE>();
            let turned = turned.as_mut_array::<SIDE>().expect("sixteen rows");
            transpose(panel.isa, &square, turned);
        }
    }
}

/// Whether [`lower`] may put the even rows of 32 into one tile and the odd ones into the other.
pub(super) fn is_parted(panel: &Panel<'_>, rows: usize) -> bool {
    rows == GROUP && pairs::fit(panel, rows) && pairs::row_of(panel.matrix, 1, 0) == 1
}
