//! Launches of `kernels/swiglu.cu`.

use super::{Backward, Forward};
use crate::Launches;
use crate::backend::cuda::{Argument, tiles};

/// Elements of a block.
const ELEMENTS: usize = 1024;

pub(super) fn forward(op: &Forward, on: &mut Launches<'_>) {
    let count = op.h.len;
    let arguments = [on.at(op.gate), on.at(op.up), on.at(op.h), Argument::U64(count as u64)];
    on.launch("swiglu_forward", [tiles(count, ELEMENTS), 1, 1], &arguments);
}

pub(super) fn backward(op: &Backward, on: &mut Launches<'_>) {
    let count = op.dh.len;
    let arguments = [on.at(op.dh), on.at(op.gate), on.at(op.up), Argument::U64(count as u64)];
    on.launch("swiglu_backward", [tiles(count, ELEMENTS), 1, 1], &arguments);
}
