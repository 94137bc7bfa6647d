//! One row at a time; rows in parallel.

use super::{Apply, Backward, Forward};
use crate::math;
use crate::{Access, Buf, DType};
use half::{bf16, f16};
use rayon::prelude::*;

/// The weight in its storage type.
#[derive(Clone, Copy)]
enum Weight<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
    F16(&'a [f16]),
}

impl<'a> Weight<'a> {
    fn of(memory: &'a Access<'_>, buf: Buf) -> Weight<'a> {
        match buf.dtype {
            DType::F32 => Weight::F32(memory.read(buf)),
            DType::Bf16 => Weight::Bf16(memory.read(buf)),
            DType::F16 => Weight::F16(memory.read(buf)),
            other => panic!("rms_norm: a weight of {other:?}"),
        }
    }

    #[inline(always)]
    fn get(&self, c: usize) -> f32 {
        match self {
            Weight::F32(w) => w[c],
            Weight::Bf16(w) => w[c].to_f32(),
            Weight::F16(w) => w[c].to_f32(),
        }
    }
}

pub(super) fn forward(op: &Forward, memory: &Access<'_>) {
    let (isa, c, eps) = (memory.isa(), op.w.len, op.eps);
    let w = Weight::of(memory, op.w);
    let x: &[f32] = memory.read(op.x);
    let y: &mut [f32] = memory.write(op.y);
    let rstd: &mut [f32] = memory.write(op.rstd);
    let rows = y.par_chunks_exact_mut(c).zip(x.par_chunks_exact(c)).zip(rstd);
    rows.for_each(|((y, x), rstd)| {
        *rstd = row_rstd(isa, x, eps);
        row_apply(isa, x, w, *rstd, y);
    });
}

pub(super) fn apply(op: &Apply, memory: &Access<'_>) {
    let (isa, c) = (memory.isa(), op.w.len);
    let w = Weight::of(memory, op.w);
    let x: &[f32] = memory.read(op.x);
    let rstd: &[f32] = memory.read(op.rstd);
    let y: &mut [f32] = memory.write(op.y);
    let rows = y.par_chunks_exact_mut(c).zip(x.par_chunks_exact(c)).zip(rstd);
    rows.for_each(|((y, x), &rstd)| row_apply(isa, x, w, rstd, y));
}

quant::per_tier! {
    fn row_rstd(x: &[f32], eps: f32) -> f32 {
        1.0 / (math::dot(x, x) / x.len() as f32 + eps).sqrt()
    }
}

quant::per_tier! {
    fn row_apply(x: &[f32], w: Weight<'_>, rstd: f32, y: &mut [f32]) {
        for (c, (y, x)) in y.iter_mut().zip(x).enumerate() {
            *y = x * rstd * w.get(c);
        }
    }
}

pub(super) fn backward(op: &Backward, memory: &Access<'_>) {
    let (isa, c) = (memory.isa(), op.w.len);
    let w = Weight::of(memory, op.w);
    let x: &[f32] = memory.read(op.x);
    let rstd: &[f32] = memory.read(op.rstd);
    let dy: &[f32] = memory.read(op.dy);
    let dx: &mut [f32] = memory.write(op.dx);
    let rows = dx.par_chunks_exact_mut(c).zip(x.par_chunks_exact(c)).zip(dy.par_chunks_exact(c));
    rows.zip(rstd).for_each(|(((dx, x), dy), &rstd)| row_backward(isa, x, w, rstd, dy, dx));
    if let Some(dw) = op.dw {
        let dw: &mut [f32] = memory.write(dw);
        dw.par_chunks_mut(STRIPE).enumerate().for_each(|(stripe, dw)| {
            for ((x, dy), rstd) in x.chunks_exact(c).zip(dy.chunks_exact(c)).zip(rstd) {
                let start = stripe * STRIPE;
                for ((dw, x), dy) in dw.iter_mut().zip(&x[start..]).zip(&dy[start..]) {
                    *dw += dy * (x * rstd);
                }
            }
        });
    }
}

/// Columns of dw in one task.
const STRIPE: usize = 64;

quant::per_tier! {
    fn row_backward(x: &[f32], w: Weight<'_>, rstd: f32, dy: &[f32], dx: &mut [f32]) {
        let mean = math::sum(x.len(), |c| dy[c] * w.get(c) * (x[c] * rstd)) / x.len() as f32;
        for c in 0..x.len() {
            dx[c] += rstd * (dy[c] * w.get(c) - x[c] * rstd * mean);
        }
    }
}
