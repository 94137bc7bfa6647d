//! Stretches or rows in parallel; every element for itself, after a second moment that rows share.

use super::{NORM_STRETCH, SquaredNorm, StepSize, Update};
use crate::math::dot;
use crate::{Access, DType, Element, Isa};
use half::bf16;
use quant::gemm::round_bf16;
use rayon::prelude::*;

/// Columns of a shared second moment that one task adds up.
const COLUMNS: usize = 64;

pub(super) fn update(op: &Update, memory: &Access<'_>) {
    match op.out.dtype {
        DType::F32 => update_for::<f32>(op, memory, |_, w, out| out.copy_from_slice(w)),
        DType::Bf16 => update_for::<bf16>(op, memory, round),
        other => panic!("adamw: parameters of {other:?}"),
    }
}

/// Updates, and makes the device's copy of each part while it is near.
fn update_for<O: Element>(
    op: &Update,
    memory: &Access<'_>,
    copy: impl Fn(Isa, &[f32], &mut [O]) + Sync,
) {
    let (isa, size) = (memory.isa(), op.size);
    let w: &mut [f32] = memory.write(op.w);
    let m: &mut [f32] = memory.write(op.m);
    let v: &mut [f32] = memory.write(op.v);
    let g: &[f32] = memory.read(op.g);
    let out: &mut [O] = memory.write(op.out);
    let part = if v.len() == w.len() { NORM_STRETCH } else { v.len() };
    let parts = (w.par_chunks_mut(part), m.par_chunks_mut(part), g.par_chunks(part));
    let parts = parts.into_par_iter().zip(out.par_chunks_mut(part));
    if v.len() == op.w.len {
        parts.zip(v.par_chunks_mut(part)).for_each(|(((w, m, g), out), v)| {
            stretch(isa, size, [w, m, v], g);
            copy(isa, w, out);
        });
    } else {
        let columns = v.par_chunks_mut(COLUMNS).enumerate();
        columns.for_each(|(task, v)| coupled(isa, size, v, g, part, task * COLUMNS));
        let v = &*v;
        parts.for_each(|((w, m, g), out)| {
            row(isa, size, [w, m], v, g);
            copy(isa, w, out);
        });
    }
}

quant::per_tier! {
    fn round(w: &[f32], out: &mut [bf16]) {
        for (out, w) in out.iter_mut().zip(w) {
            *out = bf16::from_bits((round_bf16(*w).to_bits() >> 16) as u16);
        }
    }
}

quant::per_tier! {
    fn stretch(size: StepSize, state: [&mut [f32]; 3], g: &[f32]) {
        let [w, m, v] = state;
        let (old2, new2) = (size.beta2 as f32, (1.0 - size.beta2) as f32);
        for i in 0..g.len() {
            let clipped = g[i] * size.clip;
            v[i] = old2 * v[i] + new2 * clipped * clipped;
            (w[i], m[i]) = moved(size, [w[i], m[i], v[i]], clipped);
        }
    }
}

quant::per_tier! {
    fn row(size: StepSize, state: [&mut [f32]; 2], v: &[f32], g: &[f32]) {
        let [w, m] = state;
        for i in 0..g.len() {
            (w[i], m[i]) = moved(size, [w[i], m[i], v[i]], g[i] * size.clip);
        }
    }
}

quant::per_tier! {
    /// The second moments v of the columns from `first`, of rows `width` long.
    fn coupled(size: StepSize, v: &mut [f32], g: &[f32], width: usize, first: usize) {
        let mut sums = [0.0_f64; COLUMNS];
        for row in g.chunks_exact(width) {
            for (sum, &g) in sums.iter_mut().zip(&row[first..first + v.len()]) {
                let clipped = f64::from(g * size.clip);
                *sum += clipped * clipped;
            }
        }
        let rows = (g.len() / width) as f64;
        let (old2, new2) = (size.beta2 as f32, (1.0 - size.beta2) as f32);
        for (v, sum) in v.iter_mut().zip(sums) {
            *v = old2 * *v + new2 * (sum / rows) as f32;
        }
    }
}

/// The new w and m of one element, of its w, m and the new v.
#[inline(always)]
fn moved(size: StepSize, [w, m, v]: [f32; 3], clipped: f32) -> (f32, f32) {
    let StepSize { lr, beta1, eps, decay, correction1, root_correction2, .. } = size;
    let m = beta1 as f32 * m + (1.0 - beta1) as f32 * clipped;
    let step = lr / correction1;
    (w * (1.0 - lr * decay) - step * m / (v.sqrt() / root_correction2 + eps), m)
}

pub(super) fn squared_norm(op: &SquaredNorm, memory: &Access<'_>) {
    let isa = memory.isa();
    let g: &[f32] = memory.read(op.g);
    let partial: &mut [f32] = memory.write(op.partial);
    g.par_chunks(NORM_STRETCH).zip(partial).for_each(|(g, partial)| *partial = squares(isa, g));
}

quant::per_tier! {
    fn squares(g: &[f32]) -> f32 {
        dot(g, g)
    }
}
