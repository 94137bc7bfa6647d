//! Causal attention with grouped queries over packed documents or a cache, one op for both.
//!
//! q, o (N,H,D) f32 · k, v (S,Hkv,D) in the cache type (bf16, or f32 in `f32` numerics) · H = G Hkv.
//! Query n sees the `visible[n]` rows of k and v that start at row `first[n]`: in training the rows of
//! its own document up to itself, in serving those of its sequence's slot in the cache.
//!   s_j = scale · q · k_j     lse = ln Σ_j e^(s_j)     o = Σ_j e^(s_j - lse) v_j
//! lse (N,H) f32 is saved.
//! backward, with p_j = e^(s_j - lse), δ = do · o:
//!   dv_j += p_j do      ds_j = p_j (do · v_j - δ) scale      dq = Σ_j ds_j k_j      dk_j += ds_j q
//! dq (N,H,D), dk, dv (N,Hkv,D) f32 are overwritten; training only (S = N, rows in document order).
//! `bf16` numerics round q, p, do and ds to bf16 where they enter a product. Bound: compute.
//!
//! **The order of summation.** Products over D (q · k, do · v) are one fused sum from element 0 on. The
//! online softmax goes by blocks of 64 keys, counted from `first[n]`: its sum of exponentials runs in 16
//! lanes, `total = total · shrink + ((p_l + p_(16+l)) + (p_(32+l) + p_(48+l)))` with the multiply fused,
//! and the lanes are added pairwise at the end; o is multiplied by the shrink of each block, then takes
//! its p_j v_j, fused, key by key. dq takes its keys, dk and dv the queries that see them, fused and in
//! order, per query head; the heads of a group are then added in order. So a query's bits depend on
//! nothing but its own q and the rows it sees, and all tiers agree. The tests state it in loops.

mod cpu;
mod cuda;

#[cfg(test)]
mod tests;

use crate::{Access, Buf, Cost, DType, Device, Launches, Op, Target};
use quant::Numerics;

/// The largest head dimension.
pub const MAX_HEAD_DIM: usize = 256;

/// Heads and their size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    /// H.
    pub query: usize,
    /// Hkv, a divisor of H.
    pub key_value: usize,
    /// D, at most [`MAX_HEAD_DIM`].
    pub dim: usize,
    /// Factor on the scores, 1/√D.
    pub scale: f32,
}

/// Which rows each query sees.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// (N) u32: first row.
    pub first: Buf,
    /// (N) u32: number of rows, at least 1.
    pub visible: Buf,
    /// Bound on `visible`, for the price.
    pub most: usize,
}

/// The type of K and V, in training and in the cache.
pub fn cache_type(numerics: Numerics) -> DType {
    match numerics {
        Numerics::F32 => DType::F32,
        Numerics::Bf16 | Numerics::Int8 => DType::Bf16,
    }
}

/// Rounds k or v to the cache type and puts them into their rows.
#[derive(Clone, Copy, Debug)]
pub struct Store {
    /// (N,Hkv,D) f32.
    pub from: Buf,
    /// (S,Hkv,D) in the cache type.
    pub to: Buf,
    /// (N) u32: the row of each token.
    pub rows: Buf,
}

/// o and lse.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// (N,H,D) f32.
    pub q: Buf,
    /// (S,Hkv,D) in the cache type.
    pub k: Buf,
    /// (S,Hkv,D) in the cache type.
    pub v: Buf,
    /// Which rows each query sees.
    pub window: Window,
    /// (N,H,D) f32, overwritten.
    pub o: Buf,
    /// (N,H) f32, overwritten.
    pub lse: Buf,
    /// Heads.
    pub heads: Heads,
    /// How operands are treated.
    pub numerics: Numerics,
}

/// dq, dk and dv.
#[derive(Clone, Copy, Debug)]
pub struct Backward {
    /// The forward's arguments; `o` and `lse` as it left them.
    pub forward: Forward,
    /// (N,H,D) f32.
    pub d_o: Buf,
    /// (N,H,D) f32, overwritten.
    pub dq: Buf,
    /// (N,Hkv,D) f32, overwritten.
    pub dk: Buf,
    /// (N,Hkv,D) f32, overwritten.
    pub dv: Buf,
}

impl Forward {
    /// Score elements at the bound: N queries, each seeing at most `most` rows, half of it on average
    /// when the rows are its own document's.
    fn scores(&self) -> u64 {
        let n = self.window.first.len;
        let seen = if n > 1 { self.window.most.div_ceil(2) } else { self.window.most };
        (n * seen * self.heads.query) as u64
    }
}

impl Op for Store {
    const NAME: &'static str = "attention.store";

    fn cost(&self, _target: &Target) -> Cost {
        let written = self.from.len * self.to.dtype.size();
        Cost { read: self.from.bytes() as u64, written: written as u64, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::store(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::store(self, on);
    }
}

impl Op for Forward {
    const NAME: &'static str = "attention.forward";

    fn cost(&self, target: &Target) -> Cost {
        let workspace = match target.device {
            Device::Cpu { threads, .. } => cpu::forward_words(self.heads, threads) * 4,
            Device::Cuda { .. } => cuda::forward_words(self) * 4,
        };
        let n = self.window.first.len;
        let row = self.heads.key_value * self.heads.dim * self.k.dtype.size();
        Cost {
            workspace,
            read: (self.q.bytes() + 2 * n.max(self.window.most) * row) as u64,
            written: (self.o.bytes() + self.lse.bytes()) as u64,
            flops: 4 * self.scores() * self.heads.dim as u64,
        }
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        cpu::forward(self, memory, workspace);
    }

    fn cuda(&self, on: &mut Launches<'_>, workspace: Buf) {
        cuda::forward(self, on, workspace);
    }
}

impl Op for Backward {
    const NAME: &'static str = "attention.backward";

    fn cost(&self, target: &Target) -> Cost {
        let forward = self.forward.cost(target);
        let words = match target.device {
            Device::Cpu { threads, .. } => cpu::backward_words(self, threads),
            // δ (N,H).
            Device::Cuda { .. } => self.forward.lse.len,
        };
        Cost {
            workspace: words * 4,
            read: forward.read + (self.d_o.bytes() + self.forward.o.bytes()) as u64,
            written: (self.dq.bytes() + self.dk.bytes() + self.dv.bytes()) as u64,
            flops: forward.flops * 5 / 2,
        }
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        cpu::backward(self, memory, workspace);
    }

    fn cuda(&self, on: &mut Launches<'_>, workspace: Buf) {
        cuda::backward(self, on, workspace);
    }
}
