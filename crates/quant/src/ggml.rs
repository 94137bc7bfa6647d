//! The block formats of ggml, in which GGUF files hold weights: decoded where they lie, and encoded.
//!
//! A row is cut into blocks of 32 or 256 weights, each with its own scales, so rows are whole blocks.
//! Layouts and formulas: ggml's `ggml-common.h` and `ggml-quants.c`; decoded values have the bits of
//! `dequantize_row_*` there. All numbers are little-endian.
//!
//! | format | weights | bytes | a weight |
//! |---|---|---|---|
//! | `Q8_0` | 32 | f16 d, i8 q\[32\] | d q |
//! | `Q4_0` | 32 | f16 d, 4-bit q\[32\] | d (q - 8) |
//! | `Q4_1` | 32 | f16 d, f16 m, 4-bit q\[32\] | d q + m |
//! | `Q5_0` | 32 | f16 d, fifth bits of q\[32\], the others | d (q - 16) |
//! | `Q5_1` | 32 | f16 d, f16 m, fifth bits of q\[32\], the others | d q + m |
//! | `Q4_K` | 256 | f16 d, f16 m, 6-bit (s, t)\[8\], 4-bit q\[256\] | d s q - m t |
//! | `Q5_K` | 256 | the same with a fifth bit of q\[256\] in front of the others | d s q - m t |
//! | `Q6_K` | 256 | low 4 bits, high 2 bits of q\[256\], i8 s\[16\], f16 d | d s (q - 32) |

mod encode;

#[cfg(test)]
mod tests;

pub use encode::encode;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// Weights that are decoded at a time: every block is a multiple of it.
pub const GROUP: usize = 32;
/// Halves that are widened together.
const BATCH: usize = 64;
/// Weights of a block of the `K` formats.
const SUPER: usize = 256;

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 32-bit floats.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    Bf16,
    /// 8.5 bits a weight.
    Q8_0,
    /// 4.5 bits a weight, symmetric.
    Q4_0,
    /// 5 bits a weight, with a minimum.
    Q4_1,
    /// 5.5 bits a weight, symmetric.
    Q5_0,
    /// 6 bits a weight, with a minimum.
    Q5_1,
    /// 4.5 bits a weight, with a minimum.
    Q4K,
    /// 5.5 bits a weight, with a minimum.
    Q5K,
    /// 6.5625 bits a weight, symmetric.
    Q6K,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 11] = [
        Format::F32,
        Format::F16,
        Format::Bf16,
        Format::Q8_0,
        Format::Q4_0,
        Format::Q4_1,
        Format::Q5_0,
        Format::Q5_1,
        Format::Q4K,
        Format::Q5K,
        Format::Q6K,
    ];

    /// The format with that number in a file; the error names what it is.
    ///
    /// # Errors
    /// A format that is not read here, by its name or number.
    pub fn from_id(id: u32) -> Result<Format, String> {
        if let Some(format) = Format::ALL.into_iter().find(|it| it.id() == id) {
            return Ok(format);
        }
        let others = [
            (9, "Q8_1"),
            (10, "Q2_K"),
            (11, "Q3_K"),
            (15, "Q8_K"),
            (16, "IQ2_XXS"),
            (17, "IQ2_XS"),
            (18, "IQ3_XXS"),
            (19, "IQ1_S"),
            (20, "IQ4_NL"),
            (21, "IQ3_S"),
            (22, "IQ2_S"),
            (23, "IQ4_XS"),
            (24, "I8"),
            (25, "I16"),
            (26, "I32"),
            (27, "I64"),
            (28, "F64"),
            (29, "IQ1_M"),
            (34, "TQ1_0"),
            (35, "TQ2_0"),
            (39, "MXFP4"),
        ];
        let known = others.iter().find(|(other, _)| *other == id);
        Err(known.map_or_else(|| format!("type {id}"), |(_, name)| (*name).to_owned()))
    }

    /// Its number in a file.
    pub fn id(self) -> u32 {
        match self {
            Format::F32 => 0,
            Format::F16 => 1,
            Format::Q4_0 => 2,
            Format::Q4_1 => 3,
            Format::Q5_0 => 6,
            Format::Q5_1 => 7,
            Format::Q8_0 => 8,
            Format::Q4K => 12,
            Format::Q5K => 13,
            Format::Q6K => 14,
            Format::Bf16 => 30,
        }
    }

    /// Its name in ggml.
    pub fn name(self) -> &'static str {
        match self {
            Format::F32 => "F32",
            Format::F16 => "F16",
            Format::Bf16 => "BF16",
            Format::Q8_0 => "Q8_0",
            Format::Q4_0 => "Q4_0",
            Format::Q4_1 => "Q4_1",
            Format::Q5_0 => "Q5_0",
            Format::Q5_1 => "Q5_1",
            Format::Q4K => "Q4_K",
            Format::Q5K => "Q5_K",
            Format::Q6K => "Q6_K",
        }
    }

    /// Weights of a block, and its bytes.
    pub const fn block(self) -> (usize, usize) {
        match self {
            Format::F32 => (1, 4),
            Format::F16 | Format::Bf16 => (1, 2),
            Format::Q8_0 => (GROUP, 34),
            Format::Q4_0 => (GROUP, 18),
            Format::Q4_1 => (GROUP, 20),
            Format::Q5_0 => (GROUP, 22),
            Format::Q5_1 => (GROUP, 24),
            Format::Q4K => (SUPER, 144),
            Format::Q5K => (SUPER, 176),
            Format::Q6K => (SUPER, 210),
        }
    }

    /// Whether weights are stored one by one, without blocks.
    pub fn is_dense(self) -> bool {
        self.block().0 == 1
    }

    /// The bytes of a weight (out, in); none where a row is not whole blocks, or for sizes beyond any
    /// memory.
    pub fn bytes(self, [out, inner]: [usize; 2]) -> Option<usize> {
        let (weights, bytes) = self.block();
        let blocks = inner.is_multiple_of(weights).then_some(inner / weights)?;
        blocks.checked_mul(bytes)?.checked_mul(out)
    }

    /// Decodes the weights from `first` on. Where there are blocks, `first` and the length of `out` are
    /// multiples of [`GROUP`].
    ///
    /// # Panics
    /// When the range leaves `bytes` or is not one of groups.
    #[inline(always)]
    pub fn decode(self, bytes: &[u8], first: usize, out: &mut [f32]) {
        let (weights, size) = self.block();
        if weights == 1 {
            let source = &bytes[first * size..][..out.len() * size];
            return self.floats(source, out);
        }
        let (groups, rest) = out.as_chunks_mut::<GROUP>();
        assert!(rest.is_empty() && first.is_multiple_of(GROUP), "ggml: not a range of groups");
        for (index, out) in groups.iter_mut().enumerate() {
            let at = first + index * GROUP;
            let block = &bytes[at / weights * size..][..size];
            let group = at % weights / GROUP;
            match self {
                Format::Q8_0 => q8_0(chunk(block), out),
                Format::Q4_0 => q4_0(chunk(block), out),
                Format::Q4_1 => q4_1(chunk(block), out),
                Format::Q5_0 => q5_0(chunk(block), out),
                Format::Q5_1 => q5_1(chunk(block), out),
                Format::Q4K => q4_k(chunk(block), group, out),
                Format::Q5K => q5_k(chunk(block), group, out),
                _ => q6_k(chunk(block), group, out),
            }
        }
    }

    #[inline(always)]
    fn floats(self, source: &[u8], out: &mut [f32]) {
        match self {
            Format::F32 => {
                for (out, bytes) in out.iter_mut().zip(source.as_chunks().0) {
                    *out = f32::from_le_bytes(*bytes);
                }
            }
            Format::F16 => {
                // By blocks, for which there is an instruction.
                for (out, bytes) in out.chunks_mut(BATCH).zip(source.chunks(2 * BATCH)) {
                    let mut halves = [f16::ZERO; BATCH];
                    for (half, bytes) in halves.iter_mut().zip(bytes.as_chunks().0) {
                        *half = f16::from_le_bytes(*bytes);
                    }
                    halves[..out.len()].convert_to_f32_slice(out);
                }
            }
            _ => {
                for (out, bytes) in out.iter_mut().zip(source.as_chunks().0) {
                    *out = bf16::from_le_bytes(*bytes).to_f32();
                }
            }
        }
    }
}

/// How the rows of a weight stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// In their order.
    Plain,
    /// Those of each head of this many rows with its two halves interleaved, as llama.cpp rotates
    /// them: stored row `2j + p` of a head is row `j` of its half `p`.
    Interleaved(usize),
}

impl Rows {
    /// Where a row is stored.
    #[inline(always)]
    pub fn stored(self, row: usize) -> usize {
        match self {
            Rows::Plain => row,
            Rows::Interleaved(dim) => {
                let (head, within) = (row / dim, row % dim);
                head * dim + within % (dim / 2) * 2 + within / (dim / 2)
            }
        }
    }
}

/// A weight (out, in) in one of the formats, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// All of it, row after row.
    pub bytes: &'a [u8],
    /// How it is stored.
    pub format: Format,
    /// In which order.
    pub rows: Rows,
    /// in.
    pub inner: usize,
}

impl Blocks<'_> {
    /// Decodes a part of a row, from `first` on; both ends are those of groups where the format has
    /// blocks.
    #[inline(always)]
    pub fn decode(&self, row: usize, first: usize, out: &mut [f32]) {
        self.format.decode(self.bytes, self.rows.stored(row) * self.inner + first, out);
    }

    /// One weight: for specifications, since a whole group is decoded.
    pub fn get(&self, row: usize, k: usize) -> f32 {
        if self.format.is_dense() {
            let mut one = [0.0];
            self.decode(row, k, &mut one);
            return one[0];
        }
        let mut group = [0.0; GROUP];
        self.decode(row, k / GROUP * GROUP, &mut group);
        group[k % GROUP]
    }

    /// Decodes any part of a row.
    #[inline(always)]
    pub fn decode_any(&self, row: usize, first: usize, out: &mut [f32]) {
        if self.format.is_dense() {
            return self.decode(row, first, out);
        }
        let (mut at, mut rest) = (first, out);
        while !rest.is_empty() {
            let skipped = at % GROUP;
            let count = rest.len().min(GROUP - skipped);
            let mut group = [0.0; GROUP];
            self.decode(row, at - skipped, &mut group);
            let (now, later) = rest.split_at_mut(count);
            now.copy_from_slice(&group[skipped..][..count]);
            at += count;
            rest = later;
        }
    }
}

/// A block as an array.
#[inline(always)]
fn chunk<const N: usize>(block: &[u8]) -> &[u8; N] {
    block.first_chunk().expect("a block has its bytes")
}

#[inline(always)]
fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

#[inline(always)]
fn q8_0(block: &[u8; 34], out: &mut [f32; GROUP]) {
    let d = half(block, 0);
    for (out, &q) in out.iter_mut().zip(&block[2..]) {
        *out = f32::from(q as i8) * d;
    }
}

/// The low halves of the bytes are the first sixteen weights.
#[inline(always)]
fn q4_0(block: &[u8; 18], out: &mut [f32; GROUP]) {
    let d = half(block, 0);
    let (low, high) = out.split_at_mut(GROUP / 2);
    for ((low, high), &q) in low.iter_mut().zip(high).zip(&block[2..]) {
        *low = f32::from((q & 15) as i8 - 8) * d;
        *high = f32::from((q >> 4) as i8 - 8) * d;
    }
}

/// As `Q4_0`, with a minimum.
#[inline(always)]
fn q4_1(block: &[u8; 20], out: &mut [f32; GROUP]) {
    let (d, m) = (half(block, 0), half(block, 2));
    let (low, high) = out.split_at_mut(GROUP / 2);
    for ((low, high), &q) in low.iter_mut().zip(high).zip(&block[4..]) {
        *low = d * f32::from(q & 15) + m;
        *high = d * f32::from(q >> 4) + m;
    }
}

/// As `Q4_0`, with the fifth bits in front.
#[inline(always)]
fn q5_0(block: &[u8; 22], out: &mut [f32; GROUP]) {
    let d = half(block, 0);
    for (out, q) in out.iter_mut().zip(five_bits(&block[2..])) {
        *out = f32::from(q as i8 - 16) * d;
    }
}

/// As `Q5_0`, with a minimum.
#[inline(always)]
fn q5_1(block: &[u8; 24], out: &mut [f32; GROUP]) {
    let (d, m) = (half(block, 0), half(block, 2));
    for (out, q) in out.iter_mut().zip(five_bits(&block[4..])) {
        *out = d * f32::from(q) + m;
    }
}

/// The 32 numbers of 5 bits in 20 bytes: bit `i` of the first four is the fifth one of number `i`, and
/// the low halves of the others are the first sixteen.
#[inline(always)]
fn five_bits(packed: &[u8]) -> [u8; GROUP] {
    let (fifth, low) = packed.split_first_chunk().expect("a block has its bytes");
    let fifth = u32::from_le_bytes(*fifth);
    std::array::from_fn(|i| {
        let four = low[i % (GROUP / 2)] >> (i / (GROUP / 2) * 4) & 15;
        four | ((fifth >> i & 1) as u8) << 4
    })
}

/// Scale and minimum of a group, of 6 bits each: eight pairs in twelve bytes.
#[inline(always)]
fn scale_and_minimum(packed: &[u8], group: usize) -> (u8, u8) {
    if group < 4 {
        return (packed[group] & 63, packed[group + 4] & 63);
    }
    let both = packed[group + 4];
    let low = |of: u8| of >> 6 << 4;
    ((both & 15) | low(packed[group - 4]), (both >> 4) | low(packed[group]))
}

/// The factor and what is taken away, of a group of `Q4_K` or `Q5_K`.
#[inline(always)]
fn affine(block: &[u8], group: usize) -> (f32, f32) {
    let (scale, minimum) = scale_and_minimum(&block[4..16], group);
    (half(block, 0) * f32::from(scale), half(block, 2) * f32::from(minimum))
}

/// Two groups share 32 bytes: the first one their low halves.
#[inline(always)]
fn q4_k(block: &[u8; 144], group: usize, out: &mut [f32; GROUP]) {
    let (d, m) = affine(block, group);
    let shift = group % 2 * 4;
    for (out, &q) in out.iter_mut().zip(&block[16 + group / 2 * GROUP..][..GROUP]) {
        *out = d * f32::from(q >> shift & 15) - m;
    }
}

/// As `Q4_K`; bit `group` of byte `i` is the fifth one of weight `i`.
#[inline(always)]
fn q5_k(block: &[u8; 176], group: usize, out: &mut [f32; GROUP]) {
    let (d, m) = affine(block, group);
    let shift = group % 2 * 4;
    let fifth = &block[16..16 + GROUP];
    let low = &block[48 + group / 2 * GROUP..][..GROUP];
    for ((out, &q), &bits) in out.iter_mut().zip(low).zip(fifth) {
        *out = d * f32::from((q >> shift & 15) | (bits >> group & 1) << 4) - m;
    }
}

/// Of each half of 128 weights: four groups, whose low bits are the low halves of 32 bytes, those of
/// the next 32, and the high halves of both; a byte of high bits has two for each of the four.
#[inline(always)]
fn q6_k(block: &[u8; 210], group: usize, out: &mut [f32; GROUP]) {
    let d = half(block, 208);
    let (part, quarter) = (group / 4, group % 4);
    let low = &block[part * 64 + quarter % 2 * GROUP..][..GROUP];
    let high = &block[128 + part * GROUP..][..GROUP];
    let scales = &block[192 + group * 2..][..2];
    let scale = [d * f32::from(scales[0] as i8), d * f32::from(scales[1] as i8)];
    let (low_shift, high_shift) = (quarter / 2 * 4, quarter * 2);
    for (i, out) in out.iter_mut().enumerate() {
        let q = (low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4;
        *out = scale[i / 16] * f32::from(q as i8 - 32);
    }
}
