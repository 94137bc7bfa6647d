//! Views of the buffers for `quant::gemm`, which does the work.

use super::{Backward, Forward, Storage, Weight, WeightGradient};
use crate::{Access, Buf, DType};
use quant::Numerics;
use quant::gemm::{Dense, Matrix, Mode, Output, Side, Values, Workspace, gemm};
use quant::ggml::Blocks;
use quant::nf4::{Absmax, Nf4};

/// The weight with one of its sides summed.
pub(crate) fn matrix<'a>(memory: &'a Access<'_>, weight: &Weight, side: Side) -> Matrix<'a> {
    let Weight { out, inner, storage } = *weight;
    match storage {
        Storage::Dense(buf) => {
            let dense = Dense::new(values(memory, buf), out, inner);
            Matrix::Dense(if side == Side::In { dense } else { dense.transposed() })
        }
        Storage::Nf4 { codes, absmax } => {
            let weight =
                Nf4 { codes: memory.read(codes), absmax: Absmax::F32(memory.read(absmax)) };
            Matrix::Nf4 { weight, out, inner, side }
        }
        Storage::Nf4Double { codes, absmax, map, nested, offset } => {
            let map = memory.read::<f32>(map).first_chunk().expect("the map has 256 levels");
            let absmax =
                Absmax::Double { q: memory.read(absmax), map, nested: memory.read(nested), offset };
            Matrix::Nf4 { weight: Nf4 { codes: memory.read(codes), absmax }, out, inner, side }
        }
        Storage::Q8 { codes, scales } => {
            Matrix::Q8 { codes: memory.read(codes), scales: memory.read(scales), out, inner, side }
        }
        Storage::Blocks { bytes, format, rows } => {
            let weight = Blocks { bytes: memory.read(bytes), format, rows, inner };
            Matrix::Blocks { weight, out, side }
        }
    }
}

fn values<'a>(memory: &'a Access<'_>, buf: Buf) -> Values<'a> {
    match buf.dtype {
        DType::F32 => Values::F32(memory.read(buf)),
        DType::Bf16 => Values::Bf16(memory.read(buf)),
        DType::F16 => Values::F16(memory.read(buf)),
        other => panic!("qlinear: a weight of {other:?}"),
    }
}

/// `out = left rightᵀ` (or added), rows of `out` packed tightly.
pub(crate) fn product(
    memory: &Access<'_>,
    numerics: Numerics,
    operands: [&Matrix<'_>; 2],
    output: (&mut [f32], f32, Mode),
    words: &mut [f32],
) {
    let [left, right] = operands;
    let (values, scale, mode) = output;
    let output = Output { values, stride: right.rows(), scale, mode };
    let workspace = Workspace { words, threads: memory.threads() };
    gemm(memory.isa(), numerics, left, right, output, workspace);
}

pub(super) fn forward(op: &Forward, memory: &Access<'_>, workspace: Buf) {
    let weight = matrix(memory, &op.weight, Side::In);
    let inner = op.weight.inner;
    let left = Matrix::f32(memory.read(op.x), op.x.len / inner, inner);
    let output = (memory.write(op.y), 1.0, op.mode);
    let numerics = op.weight.numerics(op.numerics);
    product(memory, numerics, [&left, &weight], output, memory.scratch(workspace));
}

pub(super) fn backward(op: &Backward, memory: &Access<'_>, workspace: Buf) {
    let weight = matrix(memory, &op.weight, Side::Out);
    let out = op.weight.out;
    let left = Matrix::f32(memory.read(op.dy), op.dy.len / out, out);
    let output = (memory.write(op.dx), 1.0, op.mode);
    product(memory, op.numerics.of_floats(), [&left, &weight], output, memory.scratch(workspace));
}

pub(super) fn weight_gradient(op: &WeightGradient, memory: &Access<'_>, workspace: Buf) {
    let n = op.dy.len / op.out;
    let dy = Dense::new(Values::F32(memory.read(op.dy)), n, op.out).transposed();
    let x = Dense::new(Values::F32(memory.read(op.x)), n, op.inner).transposed();
    let output = (memory.write(op.dw), 1.0, Mode::Add);
    let operands = [&Matrix::Dense(dy), &Matrix::Dense(x)];
    product(memory, op.numerics.of_floats(), operands, output, memory.scratch(workspace));
}
