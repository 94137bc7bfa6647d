//! Launches of `kernels/embed.cu`.

use super::{Backward, Forward};
use crate::Launches;
use crate::backend::cuda::{Argument, float_suffix, tiles};
use crate::qlinear::Storage;

/// Columns of a block of the backward.
const COLUMNS: usize = 64;

pub(super) fn forward(op: &Forward, on: &mut Launches<'_>) {
    let (ids, y, c) = (on.at(op.ids), on.at(op.y), Argument::U32(op.c as u32));
    let grid = [op.ids.len, 1, 1];
    match op.table {
        Storage::Dense(values) => {
            let name = format!("embed_forward_{}", float_suffix(values.dtype));
            let arguments = [ids, on.anywhere(values), y, c];
            on.launch(&name, grid, &arguments);
        }
        Storage::Q8 { codes, scales } => {
            let arguments = [ids, on.anywhere(codes), on.anywhere(scales), y, c];
            on.launch("embed_forward_q8", grid, &arguments);
        }
        other => on.refuse(format!("there is no kernel for an embedding as {other:?}")),
    }
}

pub(super) fn backward(op: &Backward, on: &mut Launches<'_>) {
    let (n, c) = (Argument::U32(op.ids.len as u32), Argument::U32(op.c as u32));
    let arguments = [on.at(op.ids), on.at(op.dy), on.at(op.dtable), n, c];
    on.launch("embed_backward", [tiles(op.c, COLUMNS), 1, 1], &arguments);
}
