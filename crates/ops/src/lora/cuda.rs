//! Launches of `kernels/lora.cu`.

use super::{Adapter, Backward, Forward};
use crate::backend::cuda::{Argument, tiles};
use crate::qlinear::TILE;
use crate::{Buf, DType, Launches};

/// Columns of a tile on the side of the rank.
const RANK: usize = 32;
/// Elements that rows of operands are a multiple of.
const ALIGNED: usize = 8;

fn number(value: usize) -> Argument {
    Argument::U32(value as u32)
}

/// (N,R) bf16 values in the workspace, the `index`-th of them.
fn skinny(workspace: Buf, n: usize, rank: usize, index: usize) -> Buf {
    let len = n * rank;
    let offset = workspace.offset + index * len * 2;
    Buf { dtype: DType::Bf16, offset, len, ..workspace }
}

/// Whether there are kernels for this adapter.
fn known(adapter: &Adapter, on: &mut Launches<'_>) -> bool {
    let fits = adapter.rank.is_multiple_of(ALIGNED) && adapter.a.dtype == DType::Bf16;
    if !fits {
        let (rank, dtype) = (adapter.rank, adapter.a.dtype);
        on.refuse(format!(
            "there is no kernel for an adapter of rank {rank} in {dtype:?}, expected a multiple of {ALIGNED} in bf16"
        ));
    }
    fits
}

/// t = x Aᵀ.
fn down(on: &mut Launches<'_>, adapter: &Adapter, x: Buf, t: Buf) {
    let Adapter { a, inner, rank, .. } = *adapter;
    let n = x.len / inner;
    let arguments = [
        on.at(x),
        number(inner),
        on.at(a),
        number(inner),
        on.at(t),
        number(rank),
        number(n),
        number(rank),
        number(inner),
    ];
    on.launch("lora_down", [tiles(n, TILE), tiles(rank, RANK), 1], &arguments);
}

pub(super) fn forward(op: &Forward, on: &mut Launches<'_>, workspace: Buf) {
    if !known(&op.adapter, on) {
        return;
    }
    let Adapter { b, inner, out, rank, scale, .. } = op.adapter;
    let n = op.x.len / inner;
    let t = skinny(workspace, n, rank, 0);
    down(on, &op.adapter, op.x, t);
    let arguments = [
        on.at(t),
        number(rank),
        on.at(b),
        number(rank),
        on.at(op.y),
        Argument::F32(scale),
        number(n),
        number(out),
        number(rank),
    ];
    on.launch("lora_up", [tiles(n, TILE), tiles(out, TILE), 1], &arguments);
}

pub(super) fn backward(op: &Backward, on: &mut Launches<'_>, workspace: Buf) {
    if !known(&op.adapter, on) {
        return;
    }
    let Adapter { a, b, inner, out, rank, scale } = op.adapter;
    let (n, scale) = (op.x.len / inner, Argument::F32(scale));
    let (t, e) = (skinny(workspace, n, rank, 0), skinny(workspace, n, rank, 1));
    down(on, &op.adapter, op.x, t);
    let [x, dy, t, e, a, b] = [op.x, op.dy, t, e, a, b].map(|buf| on.at(buf));
    let [n_, inner_, out_, rank_] = [n, inner, out, rank].map(number);
    let error = [dy, out_, b, rank_, e, rank_, n_, rank_, out_];
    on.launch("lora_error", [tiles(n, TILE), tiles(rank, RANK), 1], &error);
    let db = [dy, out_, t, rank_, on.at(op.db), scale, n_, out_, rank_];
    on.launch("lora_gradient_b", [tiles(out, TILE), tiles(rank, RANK), 1], &db);
    let da = [e, rank_, x, inner_, on.at(op.da), scale, n_, rank_, inner_];
    on.launch("lora_gradient_a", [tiles(rank, RANK), tiles(inner, TILE), 1], &da);
    let dx = [e, rank_, a, inner_, on.at(op.dx), scale, n_, inner_, rank_];
    on.launch("lora_back", [tiles(n, TILE), tiles(inner, TILE), 1], &dx);
}
