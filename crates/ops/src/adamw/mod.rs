//! host
//!
//! AdamW on the host (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, in the
//! order of PyTorch's `torch.optim.AdamW`), and the squared norm of a gradient.
//!
//! w, m, v, g (P) f32 in pinned memory · out (P) the device copy's type. With bias corrections
//! c₁ = 1 - β₁ᵗ, c₂ = 1 - β₂ᵗ and the clipped gradient ĝ = clip · g:
//!   w *= 1 - lr · decay      m = β₁ m + (1 - β₁) ĝ      v = β₂ v + (1 - β₂) ĝ²
//!   w -= (lr / c₁) · m / (√v / √c₂ + eps)      out = w, rounded
//!
//! Where v is one row (D) for the P / D rows of w, all rows share it, and the mean over them takes the
//! place of ĝ²: v = β₂ v + (1 - β₂) · D/P · Σ ĝ² by column (Stollenwerk and Stollenwerk, "Better
//! Embeddings with Coupled Adam", 2025, section 4). With a v of its own a token that is never the answer
//! moves as fast as any, however small its gradient, and all such tokens in one direction.
//! Bound: memory, 28 bytes per parameter, 24 where v is shared.

mod cpu;
mod cuda;

#[cfg(test)]
mod tests;

use crate::{Access, Buf, Cost, Launches, Op, Target};

/// Elements per partial sum of [`SquaredNorm`].
pub const NORM_STRETCH: usize = 4096;

/// The numbers of one step, in the order of the formulas above.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepSize {
    /// Learning rate.
    pub lr: f32,
    /// β₁; 1 - β₁ is rounded to f32 only after the subtraction, as PyTorch does.
    pub beta1: f64,
    /// β₂, likewise.
    pub beta2: f64,
    /// eps.
    pub eps: f32,
    /// Decoupled weight decay.
    pub decay: f32,
    /// 1 - β₁ᵗ.
    pub correction1: f32,
    /// √(1 - β₂ᵗ).
    pub root_correction2: f32,
    /// Factor on the gradient.
    pub clip: f32,
}

/// One update.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// (P) f32, the master copy.
    pub w: Buf,
    /// (P) f32, first moment.
    pub m: Buf,
    /// (P) f32, second moment; or (D) f32, that of all rows of w together.
    pub v: Buf,
    /// (P) f32.
    pub g: Buf,
    /// (P) f32 or bf16, what goes back to the device.
    pub out: Buf,
    /// The numbers of this step.
    pub size: StepSize,
}

/// Σ g² in stretches of [`NORM_STRETCH`] elements; the caller adds the partial sums in f64.
#[derive(Clone, Copy, Debug)]
pub struct SquaredNorm {
    /// (P) f32.
    pub g: Buf,
    /// (⌈P / 4096⌉) f32, overwritten.
    pub partial: Buf,
}

impl Op for Update {
    const NAME: &'static str = "adamw.update";

    fn cost(&self, _target: &Target) -> Cost {
        let (bytes, shared) = (self.w.bytes() as u64, self.v.len < self.w.len);
        let moments = bytes + self.v.bytes() as u64;
        // A shared second moment takes a reading of the gradients before the rows can move.
        let gradients = bytes * if shared { 2 } else { 1 };
        let (read, written) =
            (bytes + moments + gradients, bytes + moments + self.out.bytes() as u64);
        Cost { read, written, flops: 14 * self.w.len as u64, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::update(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        on.refuse("the optimizer runs on the host".to_owned());
    }
}

impl Op for SquaredNorm {
    const NAME: &'static str = "adamw.squared_norm";

    fn cost(&self, _target: &Target) -> Cost {
        let (read, written) = (self.g.bytes() as u64, self.partial.bytes() as u64);
        Cost { read, written, flops: 2 * self.g.len as u64, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::squared_norm(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::squared_norm(self, on);
    }
}
