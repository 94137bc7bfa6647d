//! `loss[n] = lse_V(x[n] Wᵀ) - (x[n] Wᵀ)[target[n]]`, without the (N,V) logits.
//!
//! x (N,C) f32 · W (V,C) the head · targets (N) i32, -100 where nothing is trained · loss (N) f32, 0
//! there. Rows with a target are gathered, in order, into chunks of at most `chunk` rows; each chunk's
//! logits exist once, as scratch.
//! backward in the same pass, with p = softmax(logits) and `scale` = 1 / (trained tokens of the window):
//!   dlogits = scale · (p - onehot(target))     over the logits
//!   dx = dlogits W     overwritten; 0 in rows without a target
//!   dW += dlogitsᵀ x   only when the head is trained
//! The scale lies in a device buffer, since it changes from step to step. Bound: compute.

mod cpu;
mod cuda;

#[cfg(test)]
mod tests;

use crate::qlinear::{Weight, product_cost};
use crate::{Access, Buf, Cost, Device, Launches, Op, Target};
use quant::Numerics;
use quant::gemm::Lie;

/// The target of a token that is not trained on.
pub const IGNORED: i32 = -100;

/// Loss, and gradients if wanted.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// (N,C) f32.
    pub x: Buf,
    /// The head (V,C).
    pub head: Weight,
    /// (N) i32: the token to predict at each place, or [`IGNORED`].
    pub targets: Buf,
    /// (N) f32, overwritten.
    pub loss: Buf,
    /// What to write beside the loss.
    pub gradients: Option<Gradients>,
    /// Rows of logits at a time, at least 1.
    pub chunk: usize,
    /// How operands are treated.
    pub numerics: Numerics,
}

/// Where the gradients go.
#[derive(Clone, Copy, Debug)]
pub struct Gradients {
    /// (1) f32: the factor on every token's loss.
    pub scale: Buf,
    /// (N,C) f32, overwritten.
    pub dx: Buf,
    /// (V,C) f32, added to, when the head is trained.
    pub dhead: Option<Buf>,
}

impl Op for Loss {
    const NAME: &'static str = "linear_cross_entropy.loss";

    fn cost(&self, target: &Target) -> Cost {
        let Weight { out: v, inner: c, .. } = self.head;
        let n = self.targets.len;
        let rows = n.min(self.chunk);
        let chunks = n.div_ceil(self.chunk) as u64;
        let bytes = self.head.bytes();
        let numerics = self.head.numerics(self.numerics);
        let logits = product_cost(target, numerics, [rows, v, c], Lie::Rows, bytes);
        let floats = self.numerics.of_floats();
        let price = |shape, lie| product_cost(target, floats, shape, lie, bytes);
        let dx = self.gradients.map(|_| price([rows, c, v], Lie::Across)).unwrap_or_default();
        let dhead = self.gradients.and_then(|g| g.dhead);
        let dhead = dhead.map(|_| price([v, c, rows], Lie::Columns)).unwrap_or_default();
        let parts = [logits, dx, dhead];
        let products = parts.iter().filter(|cost| cost.flops > 0).count();
        let workspace = match target.device {
            Device::Cpu { .. } => {
                parts.iter().map(|cost| cost.workspace).fold(0, usize::max)
                    + 4 * (rows * v + 2 * rows * c + n)
            }
            Device::Cuda { .. } => cuda::workspace(rows, n, v, c),
        };
        Cost {
            workspace,
            read: parts.iter().map(|cost| cost.read).sum::<u64>() * chunks,
            written: (self.x.bytes() + self.loss.bytes()) as u64,
            flops: (products * 2 * n * v * c) as u64,
        }
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        cpu::loss(self, memory, workspace);
    }

    fn cuda(&self, on: &mut Launches<'_>, workspace: Buf) {
        cuda::loss(self, on, workspace);
    }
}
