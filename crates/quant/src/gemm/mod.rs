//! The matrix product `out (N,M) = scale · left (N,K) · right (M,K)ᵀ`, overwriting or adding.
//!
//! **The order of summation** is the same for every tier, numerics, shape and thread count. `k` is
//! cut into blocks of 64 (the last one padded with zeros); lane `i` of 16 takes from each block the
//! elements `4i+2, 4i, 4i+3, 4i+1`, in this sequence, into one running sum; the sixteen sums are then
//! added pairwise: `i` with `i+8`, `i+4`, `i+2`, `i+1`. It looks odd and is natural: the four elements
//! of a lane are the four nibbles of one little-endian 16-bit word of NF4 codes, and `(4i, 4i+2)` and
//! `(4i+1, 4i+3)` are the pairs that `vdpbf16ps` multiplies, odd one first.
//!
//! **Numerics.** [`Numerics::F32`]: operands as they are, one fused multiply-add per element.
//! [`Numerics::Bf16`]: both operands are rounded to bf16 (nearest even), products are exact in f32 and
//! accumulate in f32. On AVX-512 this is `vdpbf16ps`, which flushes denormal inputs and results; the
//! scalar tier is its specification, bit for bit. AVX2 uses the same operands and order with plain
//! fused multiply-adds, and so differs only where denormals occur.
//!
//! **Tiles.** [`Isa::Amx`](crate::Isa) in `bf16` has its own order wherever K exceeds 64, that of
//! `tdpbf16ps`: the elements `4i` of a block make one chain of sixteen fused multiply-adds from zero, the
//! elements `4i+2` another; the two are added, and that is added to the one running sum. Then the same
//! with `4i+1` and `4i+3`. Denormals are flushed at every step.
//!
//! [`Numerics::Int8`]: for weights of 4 and 8 bits in whole blocks with their inner side summed
//! ([`Matrix::has_blocks`]); a mode for serving. Each block of 64 of x is rounded to 8 bits, and so are the
//! sixteen values of NF4. Products are summed exactly within a block. Block `b` goes to running sum `b mod 4`
//! by one fused multiply-add with both scales' product; in the end sum 0 is added to 2, 1 to 3, and then both.
//! That is so on every tier.
//!
//! [`specification`] states all this in loops; the blocked product is tested equal to it, bit for bit.

mod block;
mod columns;
mod decode;
mod few;
mod ints;
mod kernel;
mod operand;
mod rows;
mod short;
mod skinny;
mod specification;
mod tiles;
mod words;

#[cfg(test)]
mod tests;

pub use block::{Mode, Output, Workspace, gemm, workspace};
pub use few::{FEW, Factors, Term, few, few_workspace};
pub use kernel::dot_bf16_pairs;
pub use operand::{Dense, Matrix, Side, Values};
pub use skinny::Lie;
pub use specification::specification;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) use tiles::burst as burst_of_tiles;

/// How products treat their operands; a recorded setting of every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Numerics {
    /// Operands in f32.
    F32,
    /// Operands rounded to bf16, sums in f32.
    Bf16,
    /// Blocks of x and weights in 8 bits, sums exact within a block and then in f32; what has no blocks is
    /// as in `bf16`.
    Int8,
}

impl Numerics {
    /// The name used in arguments, logs and recorded settings.
    pub fn name(self) -> &'static str {
        match self {
            Numerics::F32 => "f32",
            Numerics::Bf16 => "bf16",
            Numerics::Int8 => "int8",
        }
    }

    /// The numerics of what is no product with a weight in blocks.
    pub fn of_floats(self) -> Numerics {
        match self {
            Numerics::F32 => Numerics::F32,
            Numerics::Bf16 | Numerics::Int8 => Numerics::Bf16,
        }
    }

    /// `value` as a product of these numerics sees it; in `int8` that depends on its block.
    #[inline(always)]
    pub fn round(self, value: f32) -> f32 {
        match self {
            Numerics::F32 | Numerics::Int8 => value,
            Numerics::Bf16 => round_bf16(value),
        }
    }
}

/// The nearest bf16 (ties to even) as f32; NaN stays NaN and becomes quiet.
#[inline(always)]
pub fn round_bf16(value: f32) -> f32 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    let quiet = bits | 0x0040_0000;
    // Without a branch, and so for many values at a time.
    let is_nan = u32::from(bits & 0x7fff_ffff > 0x7f80_0000).wrapping_neg();
    f32::from_bits((rounded & !is_nan | quiet & is_nan) & 0xffff_0000)
}

/// Elements of `k` in one block of the order of summation.
pub const BLOCK: usize = 64;
/// Running sums per output.
pub const LANES: usize = 16;
/// The elements that a lane takes from its four, in sequence.
pub const SEQUENCE: [usize; 4] = [2, 0, 3, 1];

/// Adds the sixteen running sums of an output in the documented order.
#[inline(always)]
pub fn add_lanes(sums: &[f32; LANES]) -> f32 {
    let mut lane = *sums;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lane[i] += lane[i + width];
        }
        width /= 2;
    }
    lane[0]
}
