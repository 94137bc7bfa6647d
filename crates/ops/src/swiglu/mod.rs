//! h = silu(g) · u,  silu(g) = g · σ(g).
//!
//! g, u, h (N,F) f32. Saved: g and u (h is recomputed from them).
//! backward, with s = σ(g):
//!   du = dh · g · s                     written over u
//!   dg = dh · u · s · (1 + g (1 - s))   written over g
//! Bound: memory.

mod cpu;
mod cuda;

#[cfg(test)]
mod tests;

use crate::{Access, Buf, Cost, Launches, Op, Target};

/// h from g and u.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// (N,F) f32.
    pub gate: Buf,
    /// (N,F) f32.
    pub up: Buf,
    /// (N,F) f32, overwritten.
    pub h: Buf,
}

/// dg and du in place of g and u.
#[derive(Clone, Copy, Debug)]
pub struct Backward {
    /// (N,F) f32.
    pub dh: Buf,
    /// (N,F) f32: g before, dg after.
    pub gate: Buf,
    /// (N,F) f32: u before, du after.
    pub up: Buf,
}

impl Op for Forward {
    const NAME: &'static str = "swiglu.forward";

    fn cost(&self, _target: &Target) -> Cost {
        let bytes = self.h.bytes() as u64;
        Cost { read: 2 * bytes, written: bytes, flops: 14 * self.h.len as u64, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::forward(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::forward(self, on);
    }
}

impl Op for Backward {
    const NAME: &'static str = "swiglu.backward";

    fn cost(&self, _target: &Target) -> Cost {
        let bytes = self.dh.bytes() as u64;
        Cost {
            read: 3 * bytes,
            written: 2 * bytes,
            flops: 20 * self.dh.len as u64,
            ..Cost::default()
        }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::backward(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::backward(self, on);
    }
}
