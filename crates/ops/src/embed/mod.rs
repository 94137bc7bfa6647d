//! `y[n] = table[ids[n]]`.
//!
//! ids (N) u32 · table (V,C) f32, bf16, f16, 8 bits or blocks of ggml · y (N,C) f32.
//! An 8-bit value is f32(code x scale), as `quant::q8` decodes it, in every numerics.
//! backward, for a trained table: `dtable[ids[n]] += dy[n]`, in the order of n. Bound: memory.

mod cpu;
mod cuda;

#[cfg(test)]
mod tests;

use crate::qlinear::Storage;
use crate::{Access, Buf, Cost, Launches, Op, Target};
use quant::q8;

/// The gather.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// (N) u32, each below V.
    pub ids: Buf,
    /// (V,C), dense, in 8 bits or in blocks of ggml.
    pub table: Storage,
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
        let rows = match self.table {
            Storage::Q8 { scales, .. } => self.y.len + q8::blocks(self.y.len) * scales.dtype.size(),
            Storage::Dense(values) => self.y.len * values.dtype.size(),
            Storage::Blocks { format, .. } => {
                let (weights, bytes) = format.block();
                self.y.len / weights * bytes
            }
            other => panic!("embed: a table of {other:?}"),
        };
        let read = (rows + self.ids.bytes()) as u64;
        Cost { read, written: self.y.bytes() as u64, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::forward(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::forward(self, on);
    }
}

impl Op for Backward {
    const NAME: &'static str = "embed.backward";

    fn cost(&self, _target: &Target) -> Cost {
        let bytes = self.dy.bytes() as u64;
        Cost { read: 2 * bytes, written: bytes, flops: self.dy.len as u64, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::backward(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::backward(self, on);
    }
}
