//! Launches of `kernels/residual.cu`.

use super::{Copy, Zero};
use crate::Launches;
use crate::backend::cuda::{Argument, tiles};

/// Bytes of a block in one pass.
const BYTES: usize = 16 * 256;
/// Most blocks: more of them would each do less than one pass.
const MOST_BLOCKS: usize = 4096;

fn blocks(bytes: usize) -> [usize; 3] {
    [tiles(bytes, BYTES).clamp(1, MOST_BLOCKS), 1, 1]
}

pub(super) fn copy(op: &Copy, on: &mut Launches<'_>) {
    let bytes = op.to.bytes();
    let arguments = [on.at(op.from), on.at(op.to), Argument::U64(bytes as u64)];
    on.launch("residual_copy", blocks(bytes), &arguments);
}

pub(super) fn zero(op: &Zero, on: &mut Launches<'_>) {
    let bytes = op.to.bytes();
    let arguments = [on.at(op.to), Argument::U64(bytes as u64)];
    on.launch("residual_zero", blocks(bytes), &arguments);
}
