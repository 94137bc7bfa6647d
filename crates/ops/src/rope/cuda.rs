//! Launches of `kernels/rope.cu`.

use super::{Direction, Rotate};
use crate::Launches;
use crate::backend::cuda::{Argument, tiles};

/// Pairs of a block.
const PAIRS: usize = 256;

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
