//! What goes row by row or element by element, and the loss.

use super::*;
use crate::linear_cross_entropy::{Gradients, IGNORED, Loss};
use crate::qlinear::Storage;
use crate::test_bench::{Stored, integers, random, scaled, stored, weight};
use crate::{adamw, embed, residual, rms_norm, rope, swiglu};
use quant::Numerics;

/// Norms over weights of a type.
struct Norms {
    n: usize,
    c: usize,
    dtype: DType,
}

impl Case for Norms {
    fn name(&self) -> String {
        format!("norm of {} x {}, {:?}", self.n, self.c, self.dtype)
    }

    fn run<B: Backend>(&self, on: &mut On<'_, B>) -> Vec<Vec<f32>> {
        let (n, c) = (self.n, self.c);
        let (w, _) = stored(on.backend, self.dtype, &random(1, c));
        let (x, dy) = (on.values(&random(2, n * c)), on.values(&random(3, n * c)));
        let (y, again, rstd) = (on.nothing(n * c), on.nothing(n * c), on.garbage(n));
        let (dx, dw) = (on.values(&random(4, n * c)), on.floats(&random(5, c)));
        on.launch(rms_norm::Forward { x, w, y, rstd, eps: 1e-5 });
        on.launch(rms_norm::Apply { x, w, rstd, y: again });
        on.launch(rms_norm::Backward { x, w, rstd, dy, dx, dw: Some(dw) });
        [y, again, rstd, dx, dw].map(|buf| on.get(buf)).into()
    }
}

#[test]
fn norms_agree() {
    let c = if on_gpu() { 4096 } else { 200 };
    for dtype in [DType::F32, DType::Bf16, DType::F16] {
        for &n in rows() {
            agree(&Norms { n, c, dtype }, ONCE);
        }
    }
}

/// Rotation both ways, the gate both ways, copies.
struct Elements {
    n: usize,
    head_dim: usize,
}

impl Case for Elements {
    fn name(&self) -> String {
        format!("{} rows, heads of {}", self.n, self.head_dim)
    }

    fn run<B: Backend>(&self, on: &mut On<'_, B>) -> Vec<Vec<f32>> {
        let (n, head_dim) = (self.n, self.head_dim);
        let width = 3 * head_dim;
        let table = rope::table(&rope::frequencies(head_dim, 5e5, None), 300);
        let (table, positions) = (on.floats(&table), on.numbers(&integers(7, n, 300)));
        let turned = [1, 2].map(|seed| on.values(&random(seed, n * width)));
        for (x, direction) in
            turned.into_iter().zip([rope::Direction::Forward, rope::Direction::Backward])
        {
            on.launch(rope::Rotate { x, positions, table, head_dim, direction });
        }
        // In place and into a cache with one row more than there are tokens, backwards.
        let rows: Vec<u32> = (0..n as u32).rev().collect();
        let (rows, q) = (on.numbers(&rows), on.values(&random(8, n * width)));
        let [k, v] = [9, 10].map(|seed| on.values(&random(seed, n * head_dim)));
        let [keys, values] = [(); 2].map(|()| on.half(&vec![0.5; (n + 1) * head_dim]));
        on.launch(rope::Place { q, k, v, positions, table, rows, keys, values, head_dim });
        let [gate, up, dh] = [3, 4, 5].map(|seed| on.values(&random(seed, n * width)));
        let (h, copied) = (on.nothing(n * width), on.nothing(n * width));
        on.launch(swiglu::Forward { gate, up, h });
        on.launch(residual::Copy { from: gate, to: copied });
        on.launch(swiglu::Backward { dh, gate, up });
        let zeroed = on.floats(&random(6, n));
        on.launch(residual::Zero { to: zeroed });
        [turned[0], turned[1], q, keys, values, h, copied, gate, up, zeroed]
            .map(|buf| on.get(buf))
            .into()
    }
}

#[test]
fn rotations_and_gates_agree() {
    for head_dim in [64, 128] {
        for &n in rows() {
            agree(&Elements { n, head_dim }, ONCE);
        }
    }
}

/// Rows of a table in some storage, and their gradient.
struct Lookup {
    n: usize,
    stored: Stored,
}

impl Case for Lookup {
    fn name(&self) -> String {
        format!("embedding of {} rows, {:?}", self.n, self.stored)
    }

    fn run<B: Backend>(&self, on: &mut On<'_, B>) -> Vec<Vec<f32>> {
        let (n, [v, c]) = (self.n, [50, 192]);
        let (weight, _) = weight(on.backend, self.stored, [v, c], &random(1, v * c));
        let ids = on.numbers(&integers(2, n, v));
        let (y, dy) = (on.nothing(n * c), on.values(&random(3, n * c)));
        let dtable = on.floats(&random(4, v * c));
        let table: Storage = weight.storage;
        on.launch(embed::Forward { ids, table, y, c });
        on.launch(embed::Backward { ids, dy, dtable, c });
        // The norm of what is there now, in stretches.
        let partial = on.garbage((v * c).div_ceil(adamw::NORM_STRETCH));
        on.launch(adamw::SquaredNorm { g: dtable, partial });
        [y, dtable, partial].map(|buf| on.get(buf)).into()
    }
}

#[test]
fn embeddings_agree() {
    let dense = [DType::F32, DType::Bf16, DType::F16].map(Stored::Dense);
    for stored in dense.into_iter().chain([Stored::Q8]) {
        for &n in rows() {
            agree(&Lookup { n, stored }, ONCE);
        }
    }
}

/// The loss over a head, with some targets left out, and all gradients.
struct Answers {
    n: usize,
    stored: Stored,
    trains: bool,
}

impl Case for Answers {
    fn name(&self) -> String {
        format!("loss of {} rows, {:?}", self.n, self.stored)
    }

    fn run<B: Backend>(&self, on: &mut On<'_, B>) -> Vec<Vec<f32>> {
        let (n, numerics) = (self.n, Numerics::Bf16);
        let [v, c] = if on_gpu() { [128_256, 1024] } else { [203, 128] };
        let values = scaled(0.2, random(1, v * c));
        let (head, _) = weight(on.backend, self.stored, [v, c], &values);
        let x = on.values(&random(2, n * c));
        let target = |(at, id): (usize, u32)| if at % 4 == 1 { IGNORED } else { id as i32 };
        let targets: Vec<i32> = integers(3, n, v).into_iter().enumerate().map(target).collect();
        let targets = put(on.backend, &targets);
        let (loss, scale, dx) = (on.garbage(n), on.floats(&[0.25]), on.nothing(n * c));
        let dhead = self.trains.then(|| on.floats(&random(4, v * c)));
        let gradients = Some(Gradients { scale, dx, dhead });
        on.launch(Loss { x, head, targets, loss, gradients, chunk: 48, numerics });
        let read = [Some(loss), Some(dx), dhead];
        read.into_iter().flatten().map(|buf| on.get(buf)).collect()
    }
}

#[test]
fn losses_agree() {
    for &n in rows() {
        agree(&Answers { n, stored: Stored::Dense(DType::Bf16), trains: !on_gpu() }, SEVERAL);
        agree(&Answers { n, stored: Stored::Q8, trains: false }, SEVERAL);
    }
}
