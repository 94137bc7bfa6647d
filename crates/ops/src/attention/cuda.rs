//! Launches of `kernels/attention.cu`.

use super::{Backward, Forward, Heads, Store};
use crate::backend::cuda::{Argument, tiles};
use crate::{Buf, DType, Launches};

/// Queries, or rows of keys, of a block.
const TILE: usize = 64;
/// Rows of δ of a block.
const DELTA_ROWS: usize = 8;

fn number(value: usize) -> Argument {
    Argument::U32(value as u32)
}

pub(super) fn store(op: &Store, on: &mut Launches<'_>) {
    let n = op.rows.len;
    let width = op.from.len / n;
    if op.to.dtype != DType::Bf16 {
        return on
            .refuse(format!("there is no kernel for a cache of {:?}, expected bf16", op.to.dtype));
    }
    let arguments = [on.at(op.from), on.at(op.to), on.at(op.rows), number(width)];
    on.launch("attention_store", [n, 1, 1], &arguments);
}

/// The head dimension where there is a kernel for it.
fn known(heads: &Heads, on: &mut Launches<'_>) -> bool {
    let is_known = [64, 128].contains(&heads.dim);
    if !is_known {
        on.refuse(format!("there is no kernel for heads of {}, expected 64 or 128", heads.dim));
    }
    is_known
}

/// q, k, v, first and visible; N, H, Hkv and the scale.
fn arguments(op: &Forward, on: &Launches<'_>) -> ([Argument; 5], [Argument; 4]) {
    let inputs = [op.q, op.k, op.v, op.window.first, op.window.visible].map(|buf| on.at(buf));
    let Heads { query, key_value, scale, .. } = op.heads;
    let [n, query, key_value] = [op.window.first.len, query, key_value].map(number);
    (inputs, [n, query, key_value, Argument::F32(scale)])
}

pub(super) fn forward(op: &Forward, on: &mut Launches<'_>) {
    if !on.takes(op.numerics) || !known(&op.heads, on) {
        return;
    }
    let (inputs, sizes) = arguments(op, on);
    let all = [&inputs[..], &[on.at(op.o), on.at(op.lse)], &sizes].concat();
    let grid = [tiles(op.window.first.len, TILE), op.heads.query, 1];
    on.launch(&format!("attention_forward_{}", op.heads.dim), grid, &all);
}

pub(super) fn backward(op: &Backward, on: &mut Launches<'_>, workspace: Buf) {
    let Forward { heads, lse, o, numerics, .. } = op.forward;
    if !on.takes(numerics) || !known(&heads, on) {
        return;
    }
    let (n, dim) = (op.forward.window.first.len, heads.dim);
    let delta = Buf { dtype: DType::F32, len: lse.len, ..workspace };
    let [d_o, delta] = [op.d_o, delta].map(|buf| on.at(buf));
    let arguments_ = [d_o, on.at(o), delta, Argument::U64(lse.len as u64), number(dim)];
    on.launch("attention_delta", [tiles(lse.len, DELTA_ROWS), 1, 1], &arguments_);
    let (inputs, sizes) = arguments(&op.forward, on);
    let common = [&inputs[..], &[d_o, on.at(lse), delta]].concat();
    let keys = [&common[..], &[on.at(op.dk), on.at(op.dv)], &sizes].concat();
    let grid = |heads| [tiles(n, TILE), heads, 1];
    on.launch(&format!("attention_backward_keys_{dim}"), grid(heads.key_value), &keys);
    let queries = [&common[..], &[on.at(op.dq)], &sizes].concat();
    on.launch(&format!("attention_backward_queries_{dim}"), grid(heads.query), &queries);
}
