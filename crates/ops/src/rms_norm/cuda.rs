//! Launches of `kernels/rms_norm.cu`.

use super::{Apply, Backward, Forward};
use crate::backend::cuda::{Argument, float_suffix, tiles};
use crate::{Buf, Launches};

/// Columns of a block of the gradient of w.
const COLUMNS: usize = 64;

/// N and C.
fn shape(x: Buf, w: Buf) -> (usize, Argument) {
    (x.len / w.len, Argument::U32(w.len as u32))
}

pub(super) fn forward(op: &Forward, on: &mut Launches<'_>) {
    let (n, c) = shape(op.x, op.w);
    let arguments =
        [on.at(op.x), on.at(op.w), on.at(op.y), on.at(op.rstd), c, Argument::F32(op.eps)];
    on.launch(&format!("rms_norm_forward_{}", float_suffix(op.w.dtype)), [n, 1, 1], &arguments);
}

pub(super) fn apply(op: &Apply, on: &mut Launches<'_>) {
    let (n, c) = shape(op.x, op.w);
    let arguments = [on.at(op.x), on.at(op.w), on.at(op.rstd), on.at(op.y), c];
    on.launch(&format!("rms_norm_apply_{}", float_suffix(op.w.dtype)), [n, 1, 1], &arguments);
}

pub(super) fn backward(op: &Backward, on: &mut Launches<'_>) {
    let (n, c) = shape(op.x, op.w);
    let [x, rstd, dy] = [op.x, op.rstd, op.dy].map(|buf| on.at(buf));
    if let Some(dw) = op.dw {
        let arguments = [x, rstd, dy, on.at(dw), Argument::U32(n as u32), c];
        let grid = [tiles(op.w.len, COLUMNS), 1, 1];
        on.launch("rms_norm_weight_gradient", grid, &arguments);
    }
    let arguments = [x, on.at(op.w), rstd, dy, on.at(op.dx), c];
    on.launch(&format!("rms_norm_backward_{}", float_suffix(op.w.dtype)), [n, 1, 1], &arguments);
}
