//! Stretches or rows in parallel; every element for itself, after a second moment that rows share.

use super::{NORM_STRETCH, SquaredNorm, StepSize, Update};
use crate::math::dot;
use crate::{Access, DType};
use half::bf16;
use rayon::prelude::*;

/// Columns of a shared second moment that one task adds up.
const COLUMNS: usize = 64;

pub(super) fn update(op: &Update, memory: &Access<'_>) {
    let (isa, size) = (memory.isa(), op.size);
    let w: &mut [f32] = memory.write(op.w);
    let m: &mut [f32] = memory.write(op.m);
    let v: &mut [f32] = memory.write(op.v);
    let g: &[f32] = memory.read(op.g);
    if v.len() == w.len() {
        let stretches = (
            w.par_chunks_mut(NORM_STRETCH),
            m.par_chunks_mut(NORM_STRETCH),
            v.par_chunks_mut(NORM_STRETCH),
            g.par_chunks(NORM_STRETCH),
        );
        stretches.into_par_iter().for_each(|(w, m, v, g)| stretch(isa, size, [w, m, v], g));
    } else {
        let width = v.len();
        let columns = v.par_chunks_mut(COLUMNS).enumerate();
        columns.for_each(|(task, v)| coupled(isa, size, v, g, width, task * COLUMNS));
        let v = &*v;
        let rows = (w.par_chunks_mut(width), m.par_chunks_mut(width), g.par_chunks(width));
        rows.into_par_iter().for_each(|(w, m, g)| row(isa, size, [w, m], v, g));
    }
    match op.out.dtype {
        DType::F32 => memory.write::<f32>(op.out).copy_from_slice(w),
        DType::Bf16 => {
            let out: &mut [bf16] = memory.write(op.out);
            out.par_iter_mut().zip(&*w).for_each(|(out, w)| *out = bf16::from_f32(*w));
        }
        other => panic!("adamw: parameters of {other:?}"),
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
