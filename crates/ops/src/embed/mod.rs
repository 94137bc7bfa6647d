//! `y[n] = table[ids[n]]`.
//!
//! ids (N) u32 · table (V,C) f32, bf16 or f16 · y (N,C) f32.
//! backward, for a trained table: `dtable[ids[n]] += dy[n]`, in the order of n. Bound: memory.

mod cpu;

#[cfg(test)]
mod tests;

use crate::{Access, Buf, Cost, Op, Target};

/// The gather.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// (N) u32, each below V.
    pub ids: Buf,
    /// (V,C) f32, bf16 or f16.
    pub table: Buf,
    /// (N,C) f32, overwritten.
    pub y: Buf,
    /// C.
    pub c: usize,
}

/// The scatter-add.
#[derive(Clone, Copy, Debug)]
pub struct Backward {
    /// (N) u32, each below V.
    pub ids: Buf,
    /// (N,C) f32.
    pub dy: Buf,
    /// (V,C) f32, added to.
    pub dtable: Buf,
    /// C.
    pub c: usize,
}

impl Op for Forward {
    const NAME: &'static str = "embed.forward";

    fn cost(&self, _target: &Target) -> Cost {
        let read = self.y.len * self.table.dtype.size() + self.ids.bytes();
        Cost { read: read as u64, written: self.y.bytes() as u64, ..Cost::default() }
    }

    fn cpu(&self, memory: &Access<'_>, _workspace: Buf) {
        cpu::forward(self, memory);
    }
}

impl Op for Backward {
    const NAME: &'static str = "embed.backward";

    fn cost(&self, _target: &Target) -> Cost {
        let bytes = self.dy.bytes() as u64;
        Cost { read: 2 * bytes, written: bytes, flops: self.dy.len as u64, ..Cost::default() }
    }

    fn cpu(&self, memory: &Access<'_>, _workspace: Buf) {
        cpu::backward(self, memory);
    }
}
