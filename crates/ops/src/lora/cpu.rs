//! The skinny products, one after another.

use super::{Adapter, Backward, Forward};
use crate::qlinear::{Storage, Weight, matrix, product};
use crate::{Access, Buf};
use quant::gemm::{Dense, Matrix, Mode, Side, Values};

fn factors(adapter: &Adapter) -> [Weight; 2] {
    let Adapter { a, b, inner, out, rank, .. } = *adapter;
    [
        Weight { out: rank, inner, storage: Storage::Dense(a) },
        Weight { out, inner: rank, storage: Storage::Dense(b) },
    ]
}

fn transposed<'a>(values: &'a [f32], rows: usize, cols: usize) -> Matrix<'a> {
    Matrix::Dense(Dense::new(Values::F32(values), rows, cols).transposed())
}

pub(super) fn forward(op: &Forward, memory: &Access<'_>, workspace: Buf) {
    let [a, b] = factors(&op.adapter);
    let (inner, rank) = (op.adapter.inner, op.adapter.rank);
    let n = op.x.len / inner;
    let (t, words) = memory.scratch(workspace).split_at_mut(n * rank);
    let x = Matrix::f32(memory.read(op.x), n, inner);
    let down = matrix(memory, &a, Side::In);
    product(memory, op.numerics.of_floats(), [&x, &down], (t, 1.0, Mode::Overwrite), words);
    let up = matrix(memory, &b, Side::In);
    let output = (memory.write(op.y), op.adapter.scale, Mode::Add);
    product(memory, op.numerics.of_floats(), [&Matrix::f32(t, n, rank), &up], output, words);
}

pub(super) fn backward(op: &Backward, memory: &Access<'_>, workspace: Buf) {
    let [a, b] = factors(&op.adapter);
    let Adapter { inner, out, rank, scale, .. } = op.adapter;
    let n = op.x.len / inner;
    let (skinny, words) = memory.scratch(workspace).split_at_mut(2 * n * rank);
    let (t, e) = skinny.split_at_mut(n * rank);
    let (x, dy): (&[f32], &[f32]) = (memory.read(op.x), memory.read(op.dy));
    let mut run = |operands: [&Matrix<'_>; 2], output: (&mut [f32], f32, Mode)| {
        product(memory, op.numerics.of_floats(), operands, output, words);
    };
    let down = matrix(memory, &a, Side::In);
    run([&Matrix::f32(x, n, inner), &down], (t, 1.0, Mode::Overwrite));
    let up = matrix(memory, &b, Side::Out);
    run([&Matrix::f32(dy, n, out), &up], (e, 1.0, Mode::Overwrite));
    let db = (memory.write(op.db), scale, Mode::Add);
    run([&transposed(dy, n, out), &transposed(t, n, rank)], db);
    let da = (memory.write(op.da), scale, Mode::Add);
    run([&transposed(e, n, rank), &transposed(x, n, inner)], da);
    let dx = (memory.write(op.dx), scale, Mode::Add);
    run([&Matrix::f32(e, n, rank), &matrix(memory, &a, Side::Out)], dx);
}
