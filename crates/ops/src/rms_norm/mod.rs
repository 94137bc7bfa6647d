//! y = x · rstd · w,  rstd = 1 / sqrt(mean_C(x²) + eps).
//!
//! x, y (N,C) f32 · w (C) f32, bf16 or f16 · rstd (N) f32, saved for the backward.
//! backward, with x̂ = x · rstd and u = dy · w:
//!   dx += rstd · (u - x̂ · mean_C(u · x̂))     added into the residual gradient
//!   dw += Σ_N dy · x̂                          only when w is trained; tokens in order
//! Bound: memory.

mod cpu;
mod cuda;

#[cfg(test)]
mod tests;

use crate::{Access, Buf, Cost, Launches, Op, Target};

/// y and rstd.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// (N,C) f32.
    pub x: Buf,
    /// (C) f32, bf16 or f16.
    pub w: Buf,
    /// (N,C) f32, overwritten.
    pub y: Buf,
    /// (N) f32, overwritten.
    pub rstd: Buf,
    /// Added to the mean square.
    pub eps: f32,
}

/// y again, from the saved rstd: the same bits as [`Forward`] wrote.
#[derive(Clone, Copy, Debug)]
pub struct Apply {
    /// (N,C) f32.
    pub x: Buf,
    /// (C) f32, bf16 or f16.
    pub w: Buf,
    /// (N) f32.
    pub rstd: Buf,
    /// (N,C) f32, overwritten.
    pub y: Buf,
}

/// dx and, for a trained w, dw.
#[derive(Clone, Copy, Debug)]
pub struct Backward {
    /// (N,C) f32.
    pub x: Buf,
    /// (C) f32, bf16 or f16.
    pub w: Buf,
    /// (N) f32.
    pub rstd: Buf,
    /// (N,C) f32.
    pub dy: Buf,
    /// (N,C) f32, added to.
    pub dx: Buf,
    /// (C) f32, added to, when w is trained.
    pub dw: Option<Buf>,
}

impl Op for Forward {
    const NAME: &'static str = "rms_norm.forward";

    fn cost(&self, _target: &Target) -> Cost {
        let read = self.x.bytes() + self.w.bytes();
        let written = self.y.bytes() + self.rstd.bytes();
        let flops = 4 * self.x.len as u64;
        Cost { read: read as u64, written: written as u64, flops, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::forward(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::forward(self, on);
    }
}

impl Op for Apply {
    const NAME: &'static str = "rms_norm.apply";

    fn cost(&self, _target: &Target) -> Cost {
        let read = self.x.bytes() + self.w.bytes() + self.rstd.bytes();
        let flops = 2 * self.x.len as u64;
        Cost { read: read as u64, written: self.y.bytes() as u64, flops, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::apply(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::apply(self, on);
    }
}

impl Op for Backward {
    const NAME: &'static str = "rms_norm.backward";

    fn cost(&self, _target: &Target) -> Cost {
        let read = 3 * self.x.bytes() + self.w.bytes() + self.rstd.bytes();
        let flops = 8 * self.x.len as u64;
        Cost { read: read as u64, written: self.dx.bytes() as u64, flops, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::backward(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::backward(self, on);
    }
}
