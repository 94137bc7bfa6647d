//! Launches of `kernels/adamw.cu`: the norm alone, as the update is the host's.

use super::{NORM_STRETCH, SquaredNorm};
use crate::Launches;
use crate::backend::cuda::{Argument, tiles};

pub(super) fn squared_norm(op: &SquaredNorm, on: &mut Launches<'_>) {
    let count = op.g.len;
    let arguments = [on.at(op.g), on.at(op.partial), Argument::U64(count as u64)];
    on.launch("adamw_squared_norm", [tiles(count, NORM_STRETCH), 1, 1], &arguments);
}
