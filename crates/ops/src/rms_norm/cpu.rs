//! One row at a time; rows in parallel.

use super::{Apply, Backward, Forward};
use crate::math;
use crate::{Access, Buf, DType};
use half::{bf16, f16};
use quant::gemm::{LANES, add_lanes};
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

    /// Sixteen elements from `c` on: which type they have is asked once for all.
    #[inline(always)]
    fn line(&self, c: usize) -> [f32; LANES] {
        match self {
            Weight::F32(w) => line(&w[c..], |w| w),
            Weight::Bf16(w) => line(&w[c..], |w| f32::from_bits(u32::from(w.to_bits()) << 16)),
            Weight::F16(w) => line(&w[c..], f16::to_f32),
        }
    }
}

#[inline(always)]
fn line<T: Copy>(w: &[T], f: impl Fn(T) -> f32) -> [f32; LANES] {
    let w: &[T; LANES] = w.first_chunk().expect("a line of the weight");
    let mut line = [0.0; LANES];
    for (to, w) in line.iter_mut().zip(w) {
        *to = f(*w);
    }
    line
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
                add_to_dw(isa, &x[start..], *rstd, &dy[start..], dw);
            }
        });
    }
}

/// Columns of dw in one task.
const STRIPE: usize = 64;

quant::per_tier! {
    fn add_to_dw(x: &[f32], rstd: f32, dy: &[f32], dw: &mut [f32]) {
        for ((dw, x), dy) in dw.iter_mut().zip(x).zip(dy) {
            *dw += dy * (x * rstd);
        }
    }
}

quant::per_tier! {
    fn row_backward(x: &[f32], w: Weight<'_>, rstd: f32, dy: &[f32], dx: &mut [f32]) {
        let (x_lines, x_rest) = x.as_chunks::<LANES>();
        let (dy_lines, dy_rest) = dy.as_chunks::<LANES>();
        let (dx_lines, dx_rest) = dx.as_chunks_mut::<LANES>();
        let rest = x.len() - x_rest.len();
        // As `math::sum` orders them.
        let mut sums = [0.0; LANES];
        for (i, (x, dy)) in x_lines.iter().zip(dy_lines).enumerate() {
            let w = w.line(i * LANES);
            for lane in 0..LANES {
                sums[lane] += dy[lane] * w[lane] * (x[lane] * rstd);
            }
        }
        for (i, (x, dy)) in x_rest.iter().zip(dy_rest).enumerate() {
            sums[i] += dy * w.get(rest + i) * (x * rstd);
        }
        let mean = add_lanes(&sums) / x.len() as f32;
        for (i, ((x, dy), dx)) in x_lines.iter().zip(dy_lines).zip(dx_lines).enumerate() {
            let w = w.line(i * LANES);
            for lane in 0..LANES {
                dx[lane] += rstd * (dy[lane] * w[lane] - x[lane] * rstd * mean);
            }
        }
        for (i, ((x, dy), dx)) in x_rest.iter().zip(dy_rest).zip(dx_rest).enumerate() {
            *dx += rstd * (dy * w.get(rest + i) - x * rstd * mean);
        }
    }
}
