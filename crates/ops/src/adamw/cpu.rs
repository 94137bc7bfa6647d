//! Stretches in parallel; every element for itself.

use super::{NORM_STRETCH, SquaredNorm, StepSize, Update};
use crate::math::dot;
use crate::{Access, DType};
use half::bf16;
use rayon::prelude::*;

pub(super) fn update(op: &Update, memory: &Access<'_>) {
    let (isa, size) = (memory.isa(), op.size);
    let w: &mut [f32] = memory.write(op.w);
    let m: &mut [f32] = memory.write(op.m);
    let v: &mut [f32] = memory.write(op.v);
    let g: &[f32] = memory.read(op.g);
    let stretches = (
        w.par_chunks_mut(NORM_STRETCH),
        m.par_chunks_mut(NORM_STRETCH),
        v.par_chunks_mut(NORM_STRETCH),
        g.par_chunks(NORM_STRETCH),
    );
    stretches.into_par_iter().for_each(|(w, m, v, g)| stretch(isa, size, [w, m, v], g));
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
        let StepSize { lr, beta1, beta2, eps, decay, correction1, root_correction2, clip } = size;
        let (keep, step) = (1.0 - lr * decay, lr / correction1);
        let (old1, new1) = (beta1 as f32, (1.0 - beta1) as f32);
        let (old2, new2) = (beta2 as f32, (1.0 - beta2) as f32);
        for i in 0..g.len() {
            let g = g[i] * clip;
            m[i] = old1 * m[i] + new1 * g;
            v[i] = old2 * v[i] + new2 * g * g;
            w[i] = w[i] * keep - step * m[i] / (v[i].sqrt() / root_correction2 + eps);
        }
    }
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
