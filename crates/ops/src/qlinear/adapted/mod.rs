//! Products of one x with what low-rank adapters add to them: what a block's projections are.
//!
//! y_i = x W_iᵀ + s_i (x A_iᵀ) B_iᵀ, and h = silu(y_gate) y_up of two of them. The bits on the CPU are
//! those of [`super::Forward`], [`lora::Forward`] and [`swiglu::Forward`] one after another. Few rows go
//! through kernels that read each weight once and fold the adapters in; more rows through these ops.

mod cpu;
mod cuda;

#[cfg(test)]
mod tests;

use super::{Forward, Mode, Weight};
use crate::lora::{self, Adapter};
use crate::{Access, Buf, Cost, Device, Launches, Op, Target, swiglu};
use quant::Numerics;

/// Most rows that are few.
pub const FEW: usize = quant::gemm::FEW;

/// A weight, what is added to it, and where the product goes.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The weight.
    pub weight: Weight,
    /// Its adapter, of the same shape.
    pub adapter: Option<Adapter>,
    /// (N,out) f32.
    pub y: Buf,
}

/// The y of some weights over one x.
#[derive(Clone, Copy, Debug)]
pub struct Adapted<const P: usize> {
    /// (N,in) f32.
    pub x: Buf,
    /// The weights.
    pub parts: [Part; P],
    /// Overwrite or add.
    pub mode: Mode,
    /// How operands are treated.
    pub numerics: Numerics,
}

/// h = silu(gate) up; the y of both may be written or not.
#[derive(Clone, Copy, Debug)]
pub struct Gated {
    /// (N,in) f32.
    pub x: Buf,
    /// Goes through silu.
    pub gate: Part,
    /// Is multiplied with it.
    pub up: Part,
    /// (N,F) f32, overwritten.
    pub h: Buf,
    /// How operands are treated.
    pub numerics: Numerics,
}

impl<const P: usize> Adapted<P> {
    /// The ops that it stands for, in order.
    fn ops(&self) -> impl Iterator<Item = (Forward, Option<lora::Forward>)> + '_ {
        let Adapted { x, mode, numerics, .. } = *self;
        self.parts.iter().map(move |&Part { weight, adapter, y }| {
            let lora = adapter.map(|adapter| lora::Forward { x, adapter, y, numerics });
            (Forward { x, weight, y, mode, numerics }, lora)
        })
    }

    fn rows(&self) -> usize {
        self.x.len / self.parts[0].weight.inner
    }
}

impl Gated {
    fn parts(&self) -> Adapted<2> {
        let Gated { x, gate, up, numerics, .. } = *self;
        Adapted { x, parts: [gate, up], mode: Mode::Overwrite, numerics }
    }

    fn product(&self) -> swiglu::Forward {
        swiglu::Forward { gate: self.gate.y, up: self.up.y, h: self.h }
    }
}

/// Elements of the t = x Aᵀ of all parts.
fn skinny(parts: &[Part], n: usize) -> usize {
    parts.iter().flat_map(|part| part.adapter).map(|adapter| n * adapter.rank).sum()
}

impl<const P: usize> Op for Adapted<P> {
    const NAME: &'static str = "qlinear.adapted";

    fn cost(&self, target: &Target) -> Cost {
        let mut total = Cost::default();
        for (product, lora) in self.ops() {
            total.follow(product.cost(target));
            if let Some(lora) = lora {
                total.follow(lora.cost(target));
            }
        }
        match target.device {
            _ if self.rows() > FEW => {}
            Device::Cuda { .. } => {
                let skinny = target.activation().size() * skinny(&self.parts, self.rows());
                total.workspace = total.workspace.max(skinny);
            }
            Device::Cpu { isa, threads } => total.workspace = cpu::workspace(self, isa, threads),
        }
        total
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        if self.rows() <= FEW {
            cpu::few(self, memory, workspace);
            memory.renew();
            return;
        }
        for (product, lora) in self.ops() {
            product.cpu(memory, workspace);
            memory.renew();
            if let Some(lora) = lora {
                lora.cpu(memory, workspace);
                memory.renew();
            }
        }
    }

    fn cuda(&self, on: &mut Launches<'_>, workspace: Buf) {
        if self.rows() <= FEW && cuda::few(self, on, workspace) {
            return;
        }
        for (product, lora) in self.ops() {
            product.cuda(on, workspace);
            if let Some(lora) = lora {
                lora.cuda(on, workspace);
            }
        }
    }
}

impl Op for Gated {
    const NAME: &'static str = "qlinear.gated";

    fn cost(&self, target: &Target) -> Cost {
        let mut total = self.parts().cost(target);
        total.follow(self.product().cost(target));
        total
    }

    fn cpu(&self, memory: &mut Access<'_>, workspace: Buf) {
        self.parts().cpu(memory, workspace);
        self.product().cpu(memory, workspace);
    }

    fn cuda(&self, on: &mut Launches<'_>, workspace: Buf) {
        let parts = self.parts();
        if parts.rows() <= FEW && cuda::few_gated(self, on, workspace) {
            return;
        }
        parts.cuda(on, workspace);
        self.product().cuda(on, workspace);
    }
}
