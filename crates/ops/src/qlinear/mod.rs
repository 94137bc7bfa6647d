//! y = x Wᵀ for a frozen (4-bit, 8-bit, in blocks of ggml, dense) or trained (dense) weight W of shape (out, in).
//!
//! x (N,in) f32 · y (N,out) f32 · W as [`Weight`] says.
//! backward:
//!   dx = dy W           overwritten or added
//!   dW += dyᵀ x         only for a trained, dense W
//! Order of summation and numerics: `quant::gemm`. Bound: compute for N ≳ 16, else memory.

mod adapted;
mod cpu;
mod cuda;

#[cfg(test)]
mod tests;

pub use adapted::{Adapted, FEW, Gated, Part};
pub(crate) use cpu::{matrix, product};
pub(crate) use cuda::TILE;

use crate::{Access, Buf, Cost, Device, Launches, Op, Target};
use quant::Numerics;
pub use quant::gemm::Mode;
use quant::gemm::{BLOCK, Lie};
use quant::ggml::{Format, Rows};

/// A linear layer's weight (out, in).
#[derive(Clone, Copy, Debug)]
pub struct Weight {
    /// Output features.
    pub out: usize,
    /// Input features.
    pub inner: usize,
    /// How it is stored.
    pub storage: Storage,
}

/// How a weight is stored; row-major in every case.
#[derive(Clone, Copy, Debug)]
pub enum Storage {
    /// f32, bf16 or f16 values.
    Dense(Buf),
    /// NF4 codes with one f32 absmax per 64 weights.
    Nf4 {
        /// u8, two codes each.
        codes: Buf,
        /// f32.
        absmax: Buf,
    },
    /// NF4 codes whose absmax is itself quantized.
    Nf4Double {
        /// u8, two codes each.
        codes: Buf,
        /// u8, one per 64 weights.
        absmax: Buf,
        /// f32, the 256 levels.
        map: Buf,
        /// f32, one per 256 absmax.
        nested: Buf,
        /// Added to every decoded absmax.
        offset: f32,
    },
    /// Signed bytes with one f32 scale per 64 weights.
    Q8 {
        /// i8.
        codes: Buf,
        /// f32.
        scales: Buf,
    },
    /// As a GGUF file holds it.
    Blocks {
        /// u8, all of it.
        bytes: Buf,
        /// How it is stored.
        format: Format,
        /// In which order its rows stand.
        rows: Rows,
    },
}

impl Weight {
    /// Bytes of all its buffers.
    pub fn bytes(&self) -> usize {
        match self.storage {
            Storage::Dense(values) => values.bytes(),
            Storage::Nf4 { codes, absmax } => codes.bytes() + absmax.bytes(),
            Storage::Nf4Double { codes, absmax, nested, .. } => {
                codes.bytes() + absmax.bytes() + nested.bytes()
            }
            Storage::Q8 { codes, scales } => codes.bytes() + scales.bytes(),
            Storage::Blocks { bytes, .. } => bytes.bytes(),
        }
    }
}

impl Weight {
    /// The numerics of a product with the inner side summed, where an op has these.
    pub(crate) fn numerics(&self, of_op: Numerics) -> Numerics {
        let is_known = matches!(
            self.storage,
            Storage::Nf4 { .. } | Storage::Nf4Double { .. } | Storage::Q8 { .. }
        );
        let has_blocks = is_known && self.inner.is_multiple_of(BLOCK);
        if has_blocks { of_op } else { of_op.of_floats() }
    }
}

/// y from x.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// (N,in) f32.
    pub x: Buf,
    /// The weight.
    pub weight: Weight,
    /// (N,out) f32.
    pub y: Buf,
    /// Overwrite or add.
    pub mode: Mode,
    /// How operands are treated.
    pub numerics: Numerics,
}

/// dx from dy.
#[derive(Clone, Copy, Debug)]
pub struct Backward {
    /// (N,out) f32.
    pub dy: Buf,
    /// The weight.
    pub weight: Weight,
    /// (N,in) f32.
    pub dx: Buf,
    /// Overwrite or add.
    pub mode: Mode,
    /// How operands are treated.
    pub numerics: Numerics,
}

/// dW += dyᵀ x.
#[derive(Clone, Copy, Debug)]
pub struct WeightGradient {
    /// (N,out) f32.
    pub dy: Buf,
    /// (N,in) f32.
    pub x: Buf,
    /// (out,in) f32, added to.
    pub dw: Buf,
    /// Output features.
    pub out: usize,
    /// Input features.
    pub inner: usize,
    /// How operands are treated.
    pub numerics: Numerics,
}

/// The price of a product `(N,K) · (M,K)ᵀ` whose right operand takes `right_bytes`.
pub(crate) fn product_cost(
    target: &Target,
    numerics: Numerics,
    shape: [usize; 3],
    lie: Lie,
    right_bytes: usize,
) -> Cost {
    let [n, m, k] = shape;
    let workspace = match target.device {
        Device::Cpu { isa, threads } => {
            4 * quant::gemm::workspace(isa, numerics, shape, lie, threads)
        }
        Device::Cuda { .. } => 0,
    };
    // Gradients of weights are f32.
    let values = target.activation().size();
    let result = if lie == Lie::Columns { 4 } else { values };
    Cost {
        workspace,
        read: (values * n * k + right_bytes) as u64,
        written: (result * n * m) as u64,
        flops: 2 * (n * m * k) as u64,
    }
}

impl Op for Forward {
    const NAME: &'static str = "qlinear.forward";

    fn cost(&self, target: &Target) -> Cost {
        let Weight { out, inner, .. } = self.weight;
        let n = self.x.len / inner;
        let numerics = self.weight.numerics(self.numerics);
        product_cost(target, numerics, [n, out, inner], Lie::Rows, self.weight.bytes())
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        cpu::forward(self, memory, workspace);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::forward(self, on);
    }
}

impl Op for Backward {
    const NAME: &'static str = "qlinear.backward";

    fn cost(&self, target: &Target) -> Cost {
        let Weight { out, inner, .. } = self.weight;
        let n = self.dy.len / out;
        let numerics = self.numerics.of_floats();
        product_cost(target, numerics, [n, inner, out], Lie::Across, self.weight.bytes())
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        cpu::backward(self, memory, workspace);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::backward(self, on);
    }
}

impl Op for WeightGradient {
    const NAME: &'static str = "qlinear.weight_gradient";

    fn cost(&self, target: &Target) -> Cost {
        let n = self.dy.len / self.out;
        let shape = [self.out, self.inner, n];
        product_cost(target, self.numerics.of_floats(), shape, Lie::Columns, self.x.bytes())
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        cpu::weight_gradient(self, memory, workspace);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::weight_gradient(self, on);
    }
}
