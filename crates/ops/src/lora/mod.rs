//! y += s · (x Aᵀ) Bᵀ, the low-rank addition to a linear layer.
//!
//! x (N,in) f32 · A (R,in), B (out,R) f32 or bf16 · y (N,out) f32. s = alpha/R, or alpha/√R (rsLoRA).
//! Nothing is saved: the backward recomputes t = x Aᵀ (N,R).
//! backward, with e = dy B (N,R):
//!   dB += s · dyᵀ t
//!   dA += s · eᵀ x
//!   dx += s · e A         added: the base layer's dx is already there
//! Order of summation and numerics: `quant::gemm`. Bound: memory (R is small).

mod cpu;
mod cuda;

#[cfg(test)]
mod tests;

use crate::qlinear::product_cost;
use crate::{Access, Buf, Cost, Launches, Op, Target};
use quant::Numerics;
use quant::gemm::Lie;

/// The two factors and the scale.
#[derive(Clone, Copy, Debug)]
pub struct Adapter {
    /// A (R,in), f32 or bf16.
    pub a: Buf,
    /// B (out,R), f32 or bf16.
    pub b: Buf,
    /// Input features.
    pub inner: usize,
    /// Output features.
    pub out: usize,
    /// R.
    pub rank: usize,
    /// s.
    pub scale: f32,
}

/// y += s · (x Aᵀ) Bᵀ.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// (N,in) f32.
    pub x: Buf,
    /// The factors.
    pub adapter: Adapter,
    /// (N,out) f32, added to.
    pub y: Buf,
    /// How operands are treated.
    pub numerics: Numerics,
}

/// dA, dB and dx.
#[derive(Clone, Copy, Debug)]
pub struct Backward {
    /// (N,in) f32.
    pub x: Buf,
    /// (N,out) f32.
    pub dy: Buf,
    /// The factors.
    pub adapter: Adapter,
    /// (R,in) f32, added to.
    pub da: Buf,
    /// (out,R) f32, added to.
    pub db: Buf,
    /// (N,in) f32, added to.
    pub dx: Buf,
    /// How operands are treated.
    pub numerics: Numerics,
}

/// The greatest workspace and the sum of the traffic of products that run one after another, plus
/// `skinny` activations that live through all of them.
fn sequence(target: &Target, products: &[Cost], skinny: usize) -> Cost {
    let mut total = Cost::default();
    products.iter().for_each(|cost| total.follow(*cost));
    total.workspace += target.activation().size() * skinny;
    total
}

impl Op for Forward {
    const NAME: &'static str = "lora.forward";

    fn cost(&self, target: &Target) -> Cost {
        let Adapter { a, b, inner, out, rank, .. } = self.adapter;
        let n = self.x.len / inner;
        let cost =
            |shape, bytes| product_cost(target, self.numerics.of_floats(), shape, Lie::Rows, bytes);
        let down = cost([n, rank, inner], a.bytes());
        let up = cost([n, out, rank], b.bytes());
        sequence(target, &[down, up], n * rank)
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        cpu::forward(self, memory, workspace);
    }

    fn cuda(&self, on: &mut Launches<'_>, workspace: Buf) {
        cuda::forward(self, on, workspace);
    }
}

impl Op for Backward {
    const NAME: &'static str = "lora.backward";

    fn cost(&self, target: &Target) -> Cost {
        let Adapter { a, b, inner, out, rank, .. } = self.adapter;
        let n = self.x.len / inner;
        let cost =
            |shape, lie, bytes| product_cost(target, self.numerics.of_floats(), shape, lie, bytes);
        let t = cost([n, rank, inner], Lie::Rows, a.bytes());
        let e = cost([n, rank, out], Lie::Across, b.bytes());
        let db = cost([out, rank, n], Lie::Columns, 4 * n * rank);
        let da = cost([rank, inner, n], Lie::Columns, self.x.bytes());
        let dx = cost([n, inner, rank], Lie::Across, a.bytes());
        sequence(target, &[t, e, db, da, dx], 2 * n * rank)
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        cpu::backward(self, memory, workspace);
    }

    fn cuda(&self, on: &mut Launches<'_>, workspace: Buf) {
        cuda::backward(self, on, workspace);
    }
}
