//! Products on AMX's tiles, for K beyond one block.
//!
//! `a` gives the rows of the tiles of sums and `b` their columns. Where the neighbours along `k` of `right`
//! lie side by side it is `a`, and the sums are turned when they are written; where its neighbouring rows
//! do, as in `dy W`, two lines of it joined in words are rows of `b` as they are. So a weight is never
//! turned. `left` is packed once for a stretch of rows and takes the other place. Where both lie in lines,
//! as in `dyᵀ x`, the wider one is `b`.
//!
//! A task decodes 32 rows of `right` for a panel of `k`, which then stay in the first-level cache while
//! the panel of `left` passes by from the second.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod few;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod machine;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod many;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod pack;

use super::{BLOCK, Numerics};
use crate::Isa;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) use {
    few::{few, turn},
    many::{product, workspace},
};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(crate) use machine::burst;

/// Rows of a weight that [`few`] sums side by side.
pub(super) const ROWS: usize = 16;

/// Whether products of this length go over tiles.
pub(super) fn take(isa: Isa, numerics: Numerics, k: usize) -> bool {
    (isa, numerics) == (Isa::Amx, Numerics::Bf16) && k > BLOCK
}

/// There are no tiles.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod elsewhere {
    use super::super::few::Stretch;
    use super::super::{Matrix, Output, Workspace};

    pub(in super::super) fn workspace(_: [usize; 3], _: usize) -> usize {
        unreachable!("the tier is not available")
    }

    pub(in super::super) fn product(_: [&Matrix<'_>; 2], _: Output<'_>, _: Workspace<'_>) {
        unreachable!("the tier is not available")
    }

    pub(in super::super) fn turn(_: &mut [f32], _: usize) {
        unreachable!("the tier is not available")
    }

    pub(in super::super) fn few(_: &Stretch<'_>, _: usize, _: &mut [f32]) {
        unreachable!("the tier is not available")
    }
}
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(super) use elsewhere::{few, product, turn, workspace};
