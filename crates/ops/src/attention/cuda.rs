//! Launches of `kernels/attention.cu`.

use super::{Backward, Forward, Heads, Store};
use crate::backend::cuda::{Argument, tiles};
use crate::qlinear::FEW;
use crate::{Buf, DType, Launches};

/// Queries, or rows of keys, of a block.
const TILE: usize = 64;
/// Keys of a part of a query's keys.
const PART: usize = 256;
/// Most query heads per key head that parts are made for.
const MOST_GROUP: usize = 8;
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

/// Parts of each query's keys; none where there are queries enough to fill a device.
fn parts(op: &Forward) -> Option<usize> {
    let few = op.window.first.len <= FEW && op.heads.query / op.heads.key_value <= MOST_GROUP;
    few.then(|| tiles(op.window.most, PART))
}

/// Floats of the parts: o, the greatest score and the sum of exponentials of each.
pub(super) fn forward_words(op: &Forward) -> usize {
    let rows = op.window.first.len * op.heads.query;
    parts(op).map_or(0, |parts| rows * parts * (op.heads.dim + 2))
}

pub(super) fn forward(op: &Forward, on: &mut Launches<'_>, workspace: Buf) {
    if !on.takes(op.numerics) || !known(&op.heads, on) {
        return;
    }
    if let Some(parts) = parts(op) {
        return forward_in_parts(op, parts, on, workspace);
    }
    let (inputs, sizes) = arguments(op, on);
    let all = [&inputs[..], &[on.at(op.o), on.at(op.lse)], &sizes].concat();
    let grid = [tiles(op.window.first.len, TILE), op.heads.query, 1];
    on.launch(&format!("attention_forward_{}", op.heads.dim), grid, &all);
}

fn forward_in_parts(op: &Forward, parts: usize, on: &mut Launches<'_>, workspace: Buf) {
    let Heads { query, key_value, dim, scale } = op.heads;
    let n = op.window.first.len;
    let words = Buf { dtype: DType::F32, len: forward_words(op), ..workspace };
    let [words, visible] = [words, op.window.visible].map(|buf| on.at(buf));
    let [q, k, v, first] = [op.q, op.k, op.v, op.window.first].map(|buf| on.at(buf));
    let scale = Argument::F32(scale);
    let arguments = [q, k, v, first, visible, words, number(query), number(key_value), scale];
    on.launch(&format!("attention_decode_{dim}"), [parts, key_value, n], &arguments);
    let arguments = [words, visible, on.at(op.o), on.at(op.lse), number(query), number(parts)];
    on.launch(&format!("attention_add_parts_{dim}"), [n * query, 1, 1], &arguments);
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
