//! Elementwise, in parallel stretches.

use super::{Backward, Forward};
use crate::Access;
use crate::math::sigmoid;
use rayon::prelude::*;

/// Elements in one task.
const STRETCH: usize = 4096;

pub(super) fn forward(op: &Forward, memory: &Access<'_>) {
    let isa = memory.isa();
    let gate: &[f32] = memory.read(op.gate);
    let up: &[f32] = memory.read(op.up);
    let h: &mut [f32] = memory.write(op.h);
    let stretches =
        h.par_chunks_mut(STRETCH).zip(gate.par_chunks(STRETCH)).zip(up.par_chunks(STRETCH));
    stretches.for_each(|((h, gate), up)| stretch_forward(isa, gate, up, h));
}

quant::per_tier! {
    fn stretch_forward(gate: &[f32], up: &[f32], h: &mut [f32]) {
        for ((h, &g), &u) in h.iter_mut().zip(gate).zip(up) {
            *h = g * sigmoid(g) * u;
        }
    }
}

pub(super) fn backward(op: &Backward, memory: &Access<'_>) {
    let isa = memory.isa();
    let dh: &[f32] = memory.read(op.dh);
    let gate: &mut [f32] = memory.write(op.gate);
    let up: &mut [f32] = memory.write(op.up);
    let stretches =
        gate.par_chunks_mut(STRETCH).zip(up.par_chunks_mut(STRETCH)).zip(dh.par_chunks(STRETCH));
    stretches.for_each(|((gate, up), dh)| stretch_backward(isa, dh, gate, up));
}

quant::per_tier! {
    fn stretch_backward(dh: &[f32], gate: &mut [f32], up: &mut [f32]) {
        for ((g, u), &dh) in gate.iter_mut().zip(up).zip(dh) {
            let s = sigmoid(*g);
            let dg = dh * *u * s * (1.0 + *g * (1.0 - s));
            *u = dh * *g * s;
            *g = dg;
        }
    }
}
