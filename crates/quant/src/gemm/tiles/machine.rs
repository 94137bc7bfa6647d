//! The tiles themselves: eight registers of sixteen rows of sixteen words, and what AMX does with them.
//! Intrinsics for it are not stable in Rust, hence assembly.
//!
//! `tdpbf16ps sums, a, b` adds to `sums[m][n]` the products over the pairs of bf16 in row `m` of `a`
//! with those in column `n` of `b`; [`specification`](super::super::specification) says in which order.

use crate::cpu::Amx;
use std::arch::asm;
use std::marker::PhantomData;

/// Rows, and words of a row.
pub(super) const SIDE: usize = 16;
/// Words of a tile.
pub(super) const TILE: usize = SIDE * SIDE;
/// Bytes of a row.
const ROW: usize = 4 * SIDE;

/// What `ldtilecfg` reads (Intel 64 and IA-32 manual, volume 1, "Palettes"): palette 1, then for each
/// tile the bytes of a row and the number of rows.
#[repr(C, align(64))]
struct Layout {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// The tiles of this thread, laid out, for as long as this value lives. A second value on the same thread
/// would end the first one's layout: make it where nothing is called that may make another.
pub(super) struct Tiles {
    /// Words in a row of the sums and of `b`.
    columns: usize,
    /// Tiles belong to their thread.
    here: PhantomData<*const ()>,
}

impl Tiles {
    /// Lays the tiles out: 0 to 3 are sums, 4 and 5 are `a`, 6 and 7 are `b`; all have sixteen rows, sums
    /// and `b` have rows of so many words.
    pub(super) fn with_columns(_: Amx, columns: usize) -> Tiles {
        assert!((1..=SIDE).contains(&columns), "tiles: {columns} columns");
        let row = |tile: usize| if matches!(tile, 4 | 5) { ROW } else { 4 * columns } as u16;
        let mut layout = Layout {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        for tile in 0..8 {
            layout.row_bytes[tile] = row(tile);
            layout.rows[tile] = SIDE as u8;
        }
        // SAFETY: the token proves AMX; the 64 bytes behind the pointer are a valid layout of palette 1.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const layout, options(nostack, readonly)) };
        Tiles { columns, here: PhantomData }
    }

    /// `sums += a b` for `A` tiles of rows of `a` and `B` tiles of columns of `b`, over `chunks` times 32
    /// of `k`; the sums are those of tile `(i, j)` at `i B + j`, zero before where they are `fresh`.
    /// Sixteen rows of `a` lie `stride` words apart; `b` has two tiles for each chunk, whatever `B` is.
    pub(super) fn multiply<const A: usize, const B: usize>(
        &self,
        (a, stride): (&[f32], usize),
        b: &[f32],
        chunks: usize,
        sums: &mut [f32],
        fresh: bool,
    ) {
        assert_eq!(self.columns, SIDE, "tiles: laid out for few columns");
        assert!(sums.len() >= A * B * TILE, "tiles: too few sums");
        if chunks == 0 {
            return;
        }
        assert!(a.len() >= (A * SIDE - 1) * stride + chunks * SIDE, "tiles: a ends early");
        assert!(b.len() >= (2 * (chunks - 1) + B) * TILE, "tiles: b ends early");
        let at = Pointers {
            a: a.as_ptr(),
            lower: a.as_ptr().wrapping_add((A - 1) * SIDE * stride),
            stride: 4 * stride,
            b: b.as_ptr(),
            sums: sums.as_mut_ptr(),
            chunks,
            fresh,
        };
        let multiply = match (A, B) {
            (1, 1) => multiply_1_1,
            (1, 2) => multiply_1_2,
            (2, 1) => multiply_2_1,
            (2, 2) => multiply_2_2,
            _ => unreachable!("tiles: {A} by {B}"),
        };
        // SAFETY: the tiles are laid out, and the lines above prove that all they touch is there.
        unsafe { multiply(at) };
    }

    /// Makes the first tile of sums zero, for [`Tiles::step`] to add to.
    ///
    /// From here to [`Tiles::sums`] it keeps what it holds: nothing but this file knows of tiles, as
    /// the rest is compiled without AMX, and `self` keeps their layout.
    pub(super) fn zero(&mut self) {
        // SAFETY: the tiles are laid out.
        unsafe { asm!("tilezero tmm0", out("tmm0") _, options(nomem, nostack)) };
    }

    /// Adds the products of sixteen rows of `a`, `stride` words apart, with `b`'s few columns, over 32 of
    /// `k`.
    #[inline(always)]
    pub(super) fn step(&mut self, (a, stride): (&[f32], usize), b: &[f32]) {
        assert!(a.len() >= (SIDE - 1) * stride + SIDE, "tiles: a ends early");
        assert!(b.len() >= SIDE * self.columns, "tiles: b ends early");
        // SAFETY: the tiles are laid out; `a` and `b` have what is read by the lines above.
        unsafe {
            asm!(
                "tileloadd tmm4, [{a} + {stride}]",
                "tileloadd tmm6, [{b} + {row}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                a = in(reg) a.as_ptr(),
                stride = in(reg) 4 * stride,
                b = in(reg) b.as_ptr(),
                row = in(reg) 4 * self.columns,
                out("tmm0") _, out("tmm4") _, out("tmm6") _,
                options(nostack, readonly),
            );
        }
    }

    /// What [`Tiles::step`] added up, row after row.
    pub(super) fn sums(&self, sums: &mut [f32; TILE]) {
        // SAFETY: the tiles are laid out, and their rows have at most sixteen words.
        unsafe {
            asm!(
                "tilestored [{sums} + {row}], tmm0",
                sums = in(reg) sums.as_mut_ptr(),
                row = in(reg) 4 * self.columns,
                options(nostack),
            );
        }
    }
}

/// Multiply-adds on operands in the first-level cache, whose loads keep up: the operations done.
pub(crate) fn burst() -> u64 {
    const CHUNKS: usize = 16;
    const TIMES: usize = 64;
    let tiles = Tiles::with_columns(Amx::detect().expect("amx was chosen but not detected"), SIDE);
    let operand = [1.0; 2 * TILE * CHUNKS];
    let mut sums = [0.0; 4 * TILE];
    for _ in 0..TIMES {
        let a = (&operand[..], CHUNKS * SIDE);
        tiles.multiply::<2, 2>(a, &operand, CHUNKS, &mut sums, false);
    }
    std::hint::black_box(sums);
    2 * (4 * TILE * 2 * SIDE * CHUNKS * TIMES) as u64
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: tiles were laid out, so AMX is there.
        unsafe { asm!("tilerelease", options(nomem, nostack)) };
    }
}

/// Where [`Tiles::multiply`] reads and writes.
struct Pointers {
    a: *const f32,
    /// The second sixteen rows of `a`, where there are such.
    lower: *const f32,
    /// Bytes.
    stride: usize,
    b: *const f32,
    sums: *mut f32,
    chunks: usize,
    fresh: bool,
}

/// Defines the loop over the chunks, given how the sums come into their tiles, how they start at zero,
/// what is done in a chunk, and how the sums are stored.
macro_rules! multiply {
    ($name:ident, [$($load:literal)*], [$($zero:literal)*], [$($step:literal)*], [$($store:literal)*]) => {
        /// # Safety
        /// The tiles are laid out, and the pointers cover what `Tiles::multiply` says.
        unsafe fn $name(at: Pointers) {
            // SAFETY: the caller's promise.
            unsafe {
                asm!(
                    "test {fresh}, {fresh}",
                    "jnz 3f",
                    $($load,)*
                    "jmp 2f",
                    "3:",
                    $($zero,)*
                    "2:",
                    $($step,)*
                    "add {a}, 64",
                    "add {lower}, 64",
                    "add {b}, 2048",
                    "dec {chunks}",
                    "jnz 2b",
                    $($store,)*
                    fresh = in(reg) usize::from(at.fresh),
                    sums = in(reg) at.sums,
                    row = in(reg) ROW,
                    a = inout(reg) at.a => _,
                    lower = inout(reg) at.lower => _,
                    stride = in(reg) at.stride,
                    b = inout(reg) at.b => _,
                    chunks = inout(reg) at.chunks => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

multiply!(
    multiply_1_1,
    ["tileloadd tmm0, [{sums} + {row}]"],
    ["tilezero tmm0"],
    [
        "tileloadd tmm6, [{b} + {row}]"
        "tileloadd tmm4, [{a} + {stride}]"
        "tdpbf16ps tmm0, tmm4, tmm6"
    ],
    ["tilestored [{sums} + {row}], tmm0"]
);
multiply!(
    multiply_1_2,
    ["tileloadd tmm0, [{sums} + {row}]" "tileloadd tmm1, [{sums} + {row} + 1024]"],
    ["tilezero tmm0" "tilezero tmm1"],
    [
        "tileloadd tmm6, [{b} + {row}]"
        "tileloadd tmm4, [{a} + {stride}]"
        "tdpbf16ps tmm0, tmm4, tmm6"
        "tileloadd tmm7, [{b} + {row} + 1024]"
        "tdpbf16ps tmm1, tmm4, tmm7"
    ],
    ["tilestored [{sums} + {row}], tmm0" "tilestored [{sums} + {row} + 1024], tmm1"]
);
multiply!(
    multiply_2_1,
    ["tileloadd tmm0, [{sums} + {row}]" "tileloadd tmm2, [{sums} + {row} + 1024]"],
    ["tilezero tmm0" "tilezero tmm2"],
    [
        "tileloadd tmm6, [{b} + {row}]"
        "tileloadd tmm4, [{a} + {stride}]"
        "tdpbf16ps tmm0, tmm4, tmm6"
        "tileloadd tmm5, [{lower} + {stride}]"
        "tdpbf16ps tmm2, tmm5, tmm6"
    ],
    ["tilestored [{sums} + {row}], tmm0" "tilestored [{sums} + {row} + 1024], tmm2"]
);
multiply!(
    multiply_2_2,
    [
        "tileloadd tmm0, [{sums} + {row}]"
        "tileloadd tmm1, [{sums} + {row} + 1024]"
        "tileloadd tmm2, [{sums} + {row} + 2048]"
        "tileloadd tmm3, [{sums} + {row} + 3072]"
    ],
    ["tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3"],
    [
        "tileloadd tmm6, [{b} + {row}]"
        "tileloadd tmm4, [{a} + {stride}]"
        "tdpbf16ps tmm0, tmm4, tmm6"
        "tileloadd tmm7, [{b} + {row} + 1024]"
        "tdpbf16ps tmm1, tmm4, tmm7"
        "tileloadd tmm5, [{lower} + {stride}]"
        "tdpbf16ps tmm2, tmm5, tmm6"
        "tdpbf16ps tmm3, tmm5, tmm7"
    ],
    [
        "tilestored [{sums} + {row}], tmm0"
        "tilestored [{sums} + {row} + 1024], tmm1"
        "tilestored [{sums} + {row} + 2048], tmm2"
        "tilestored [{sums} + {row} + 3072], tmm3"
    ]
);
