//! Moves between equal buffers: the residual stream starts a block's sum as a copy of its input.
//! `to = from` or `to = 0`, any type. Bound: memory.

mod cpu;
mod cuda;

#[cfg(test)]
mod tests;

use crate::{Access, Buf, Cost, Launches, Op, Target};

/// `to = from`.
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    /// Source.
    pub from: Buf,
    /// Destination, same type and length.
    pub to: Buf,
}

/// `to = 0`.
#[derive(Clone, Copy, Debug)]
pub struct Zero {
    /// What to clear.
    pub to: Buf,
}

impl Op for Copy {
    const NAME: &'static str = "residual.copy";

    fn cost(&self, _target: &Target) -> Cost {
        let bytes = self.from.bytes() as u64;
        Cost { read: bytes, written: bytes, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::copy(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::copy(self, on);
    }
}

impl Op for Zero {
    const NAME: &'static str = "residual.zero";

    fn cost(&self, _target: &Target) -> Cost {
        Cost { written: self.to.bytes() as u64, ..Cost::default() }
    }

    fn cpu(&self, memory: &mut Access<'_>, _workspace: Buf) {
        cpu::zero(self, memory);
    }

    fn cuda(&self, on: &mut Launches<'_>, _workspace: Buf) {
        cuda::zero(self, on);
    }
}
