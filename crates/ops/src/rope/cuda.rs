//! Launches of `kernels/rope.cu`.

use super::{Direction, Place, Rotate};
use crate::backend::cuda::{Argument, tiles};
use crate::{DType, Launches};

/// Pairs of a block.
const PAIRS: usize = 256;

/// Heads of a block of [`Place`].
const HEADS: usize = 4;

pub(super) fn place(op: &Place, on: &mut Launches<'_>) {
    let (n, dim) = (op.positions.len, op.head_dim);
    let [heads, key_heads] = [op.q, op.k].map(|buf| buf.len / n / dim);
    if op.keys.dtype != DType::Bf16 {
        let found = op.keys.dtype;
        return on.refuse(format!("there is no kernel for a cache of {found:?}, expected bf16"));
    }
    let buffers = [op.q, op.k, op.v, op.positions, op.table, op.rows, op.keys, op.values];
    let buffers = buffers.map(|buf| on.at(buf));
    let sizes = [heads, key_heads, dim].map(|size| Argument::U32(size as u32));
    let grid = [n, tiles(heads + 2 * key_heads, HEADS), 1];
    on.launch("rope_place", grid, &[&buffers[..], &sizes].concat());
}

pub(super) fn rotate(op: &Rotate, on: &mut Launches<'_>) {
    let (pairs, n) = (op.x.len / 2, op.positions.len);
    let heads = op.x.len / n / op.head_dim;
    let sign = match op.direction {
        Direction::Forward => 1.0,
        Direction::Backward => -1.0,
    };
    let arguments = [
        on.at(op.x),
        on.at(op.positions),
        on.at(op.table),
        Argument::U64(pairs as u64),
        Argument::U32(heads as u32),
        Argument::U32(op.head_dim as u32),
        Argument::F32(sign),
    ];
    on.launch("rope_rotate", [tiles(pairs, PAIRS), 1, 1], &arguments);
}
