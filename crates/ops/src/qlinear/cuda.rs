//! Launches of `kernels/qlinear.cu`.

use super::adapted::FEW;
use super::{Backward, Forward, Storage, Weight, WeightGradient};
use crate::backend::cuda::{Argument, tiles};
use crate::qlinear::Mode;
use crate::{Buf, DType, Launches};

/// Rows and columns of a tile.
pub(crate) const TILE: usize = 128;
/// Most rows that go as vectors.
const VECTORS: usize = FEW;
/// Warps of a block of vectors.
pub(super) const WARPS: usize = 8;

/// Rows of x that the kernel for `n` of them is made for, and rows of W that each of its warps has.
pub(super) fn vector(n: usize) -> (usize, usize) {
    let vectors = n.next_power_of_two();
    (vectors, if vectors == VECTORS { 2 } else { 4 })
}

/// Whether rows of operands, and of results in bf16, can be loaded and stored whole.
fn fits(kind: &str, weight: &Weight, result: Buf, on: &mut Launches<'_>) -> bool {
    let Weight { out, inner, .. } = *weight;
    let multiple = match kind {
        "nf4" => 64,
        "q8" => 32,
        _ => 8,
    };
    let is_whole =
        inner.is_multiple_of(multiple) && (result.dtype == DType::F32 || out.is_multiple_of(8));
    if !is_whole {
        on.refuse(format!(
            "there is no kernel for a weight of {out} x {inner}, expected multiples of 8 x {multiple}"
        ));
    }
    is_whole
}

/// A weight's kernel and its arguments in front of the sizes.
pub(super) fn weight_arguments(
    weight: &Weight,
    on: &mut Launches<'_>,
) -> Option<(&'static str, Vec<Argument>)> {
    let none = Argument::Pointer(0, 0);
    let zero = Argument::F32(0.0);
    Some(match weight.storage {
        Storage::Nf4 { codes, absmax } => {
            ("nf4", vec![on.at(codes), on.at(absmax), none, none, none, zero])
        }
        Storage::Nf4Double { codes, absmax, map, nested, offset } => {
            let [codes, absmax, map, nested] = [codes, absmax, map, nested].map(|it| on.at(it));
            ("nf4", vec![codes, none, absmax, map, nested, Argument::F32(offset)])
        }
        Storage::Q8 { codes, scales } => ("q8", vec![on.at(codes), on.at(scales)]),
        Storage::Dense(values) if values.dtype == DType::Bf16 => {
            ("dense", vec![on.at(values), Argument::U32(weight.inner as u32)])
        }
        other => {
            on.refuse(format!("there is no kernel for a weight as {other:?}\nhint: quantize the model with srek quantize"));
            return None;
        }
    })
}

/// How a result is written: over what is there, added to it, or as f32 (logits).
pub(super) fn mode(mode: Mode, result: Buf) -> Argument {
    Argument::U32(match (mode, result.dtype) {
        (Mode::Overwrite, DType::F32) => 2,
        (Mode::Overwrite, _) => 0,
        (Mode::Add, _) => 1,
    })
}

pub(super) fn forward(op: &Forward, on: &mut Launches<'_>) {
    let Weight { out, inner, .. } = op.weight;
    let n = op.x.len / inner;
    let Some((kind, weight)) = weight_arguments(&op.weight, on) else { return };
    if !on.takes(op.numerics) || !fits(kind, &op.weight, op.y, on) {
        return;
    }
    let number = |value: usize| Argument::U32(value as u32);
    let mut arguments = vec![on.at(op.x), number(inner)];
    arguments.extend(weight);
    arguments.extend([number(out), number(inner), on.at(op.y), number(n), mode(op.mode, op.y)]);
    if n > VECTORS {
        let grid = [tiles(n, TILE), tiles(out, TILE), 1];
        return on.launch(&format!("qlinear_{kind}_forward"), grid, &arguments);
    }
    let (vectors, rows) = vector(n);
    if kind == "nf4" {
        // No adapter: that is an op of its own.
        let none = Argument::Pointer(0, 0);
        arguments.extend([none, number(0), none, number(0), Argument::F32(0.0)]);
    }
    let grid = [tiles(out, WARPS * rows), 1, 1];
    on.launch(&format!("qlinear_{kind}_vector_{vectors}"), grid, &arguments);
}

pub(super) fn backward(op: &Backward, on: &mut Launches<'_>) {
    let Weight { out, inner, .. } = op.weight;
    let n = op.dy.len / out;
    let Some((kind, weight)) = weight_arguments(&op.weight, on) else { return };
    if !on.takes(op.numerics) || !fits(kind, &op.weight, op.dx, on) {
        return;
    }
    let number = |value: usize| Argument::U32(value as u32);
    let mut arguments = vec![on.at(op.dy), number(out)];
    arguments.extend(weight);
    arguments.extend([number(out), number(inner), on.at(op.dx), number(n), mode(op.mode, op.dx)]);
    let grid = [tiles(n, TILE), tiles(inner, TILE), 1];
    on.launch(&format!("qlinear_{kind}_backward"), grid, &arguments);
}

pub(super) fn weight_gradient(op: &WeightGradient, on: &mut Launches<'_>) {
    let (out, inner, n) = (op.out, op.inner, op.dy.len / op.out);
    let number = |value: usize| Argument::U32(value as u32);
    let arguments = [
        on.at(op.dy),
        number(out),
        on.at(op.x),
        number(inner),
        on.at(op.dw),
        number(out),
        number(inner),
        number(n),
    ];
    on.launch("qlinear_weight_gradient", [tiles(out, TILE), tiles(inner, TILE), 1], &arguments);
}
