//! Launches for few rows: t of all adapters, then all products.

use super::{Adapted, Gated, Part, skinny};
use crate::backend::cuda::{Argument, tiles};
use crate::lora::Adapter;
use crate::qlinear::Storage;
use crate::qlinear::cuda::{WARPS, mode, vector, weight_arguments};
use crate::{Buf, DType, Launches};

/// Parts that a kernel takes.
const MOST_PARTS: usize = 3;
/// Elements that rows of A and B are a multiple of.
const ALIGNED: usize = 8;
/// Weights that rows of W are a multiple of.
const BLOCK: usize = 64;

fn number(value: usize) -> Argument {
    Argument::U32(value as u32)
}

/// No buffer.
const NONE: Argument = Argument::Pointer(0, 0);

/// Whether the kernels for few rows take this part.
fn takes(part: &Part) -> bool {
    let is_nf4 = matches!(part.weight.storage, Storage::Nf4 { .. } | Storage::Nf4Double { .. });
    let fits = |it: Adapter| it.rank.is_multiple_of(ALIGNED) && it.a.dtype == DType::Bf16;
    let is_whole =
        part.weight.inner.is_multiple_of(BLOCK) && part.weight.out.is_multiple_of(ALIGNED);
    is_nf4 && is_whole && part.adapter.is_none_or(fits)
}

/// Computes the t of all parts, and returns where each stands.
fn down<const P: usize>(
    op: &Adapted<P>,
    on: &mut Launches<'_>,
    workspace: Buf,
) -> [Option<Buf>; P] {
    let n = op.rows();
    let len = skinny(&op.parts, n);
    let all = Buf { dtype: DType::Bf16, len, ..workspace };
    let mut start = 0;
    let places = op.parts.map(|part| {
        part.adapter.map(|adapter| {
            let place = all.slice(start, n * adapter.rank);
            start += place.len;
            place
        })
    });
    if len == 0 {
        return places;
    }
    let inner = number(op.parts[0].weight.inner);
    let mut arguments = vec![on.at(op.x), inner, inner, number(n)];
    for (part, place) in op.parts.iter().zip(places) {
        arguments.extend(match part.adapter.zip(place) {
            Some((it, place)) => [on.at(it.a), inner, on.at(place), number(it.rank)],
            None => [NONE, number(0), NONE, number(0)],
        });
    }
    for _ in P..MOST_PARTS {
        arguments.extend([NONE, number(0), NONE, number(0)]);
    }
    let most = op.parts.iter().filter_map(|part| part.adapter).map(|it| it.rank).max();
    on.launch("lora_down_few", [most.unwrap_or(0), MOST_PARTS, 1], &arguments);
    places
}

/// B, its rows' distance, t, R and s; rank 0 without an adapter.
fn adapter_arguments(part: &Part, t: Option<Buf>, on: &Launches<'_>) -> [Argument; 5] {
    match part.adapter.zip(t) {
        None => [NONE, number(0), NONE, number(0), Argument::F32(0.0)],
        Some((Adapter { b, rank, scale, .. }, t)) => {
            [on.at(b), number(rank), on.at(t), number(rank), Argument::F32(scale)]
        }
    }
}

/// Launches for few rows, if there is a kernel for them.
pub(super) fn few<const P: usize>(op: &Adapted<P>, on: &mut Launches<'_>, workspace: Buf) -> bool {
    if ![1, MOST_PARTS].contains(&P) || !op.parts.iter().all(takes) || !on.takes(op.numerics) {
        return false;
    }
    let (n, inner) = (op.rows(), op.parts[0].weight.inner);
    let places = down(op, on, workspace);
    let (vectors, rows) = vector(n);
    let most = op.parts.iter().map(|part| part.weight.out).max().unwrap_or(0);
    let grid = [tiles(most, WARPS * rows), P, 1];
    let mut arguments = vec![on.at(op.x), number(inner)];
    if P == 1 {
        let part = &op.parts[0];
        let Some((_, weight)) = weight_arguments(&part.weight, on) else { return true };
        arguments.extend(weight);
        let (out, y) = (number(part.weight.out), part.y);
        arguments.extend([out, number(inner), on.at(y), number(n), mode(op.mode, y)]);
        arguments.extend(adapter_arguments(part, places[0], on));
        on.launch(&format!("qlinear_nf4_vector_{vectors}"), grid, &arguments);
        return true;
    }
    arguments.extend([number(inner), number(n)]);
    for (part, place) in op.parts.iter().zip(places) {
        let Some((_, weight)) = weight_arguments(&part.weight, on) else { return true };
        arguments.extend(weight);
        arguments.extend(adapter_arguments(part, place, on));
        arguments.extend([number(part.weight.out), on.at(part.y)]);
    }
    on.launch(&format!("qlinear_nf4_three_vector_{vectors}"), grid, &arguments);
    true
}

/// The same for gate and up.
pub(super) fn few_gated(op: &Gated, on: &mut Launches<'_>, workspace: Buf) -> bool {
    let parts = op.parts();
    if !parts.parts.iter().all(takes) || !on.takes(op.numerics) {
        return false;
    }
    let (n, out, inner) = (parts.rows(), op.gate.weight.out, op.gate.weight.inner);
    let places = down(&parts, on, workspace);
    let (vectors, rows) = vector(n);
    let mut arguments = vec![on.at(op.x), number(inner), number(out), number(inner), number(n)];
    for (part, place) in parts.parts.iter().zip(places) {
        let Some((_, weight)) = weight_arguments(&part.weight, on) else { return true };
        arguments.extend(weight);
        arguments.extend(adapter_arguments(part, place, on));
    }
    arguments.push(on.at(op.h));
    let grid = [tiles(2 * out, WARPS * rows), 1, 1];
    on.launch(&format!("qlinear_nf4_gated_vector_{vectors}"), grid, &arguments);
    true
}
