//! Few rows: all products and adapters in one call, so that threads meet twice and x is arranged once.

use super::{Adapted, Part};
use crate::qlinear::{Storage, Weight, matrix};
use crate::{Access, Buf};
use quant::Isa;
use quant::gemm::{self, Factors, Side, Term, Workspace};

/// Bytes of scratch.
pub(super) fn workspace<const P: usize>(op: &Adapted<P>, isa: Isa, threads: usize) -> usize {
    let shape = [op.rows(), op.parts[0].weight.inner];
    let ranks = op.parts.iter().flat_map(|part| part.adapter).map(|adapter| adapter.rank);
    let is_float =
        |part: &Part| part.adapter.is_some() || part.weight.numerics(op.numerics) != op.numerics;
    let with_floats = op.parts.iter().any(is_float);
    4 * gemm::few_workspace((isa, op.numerics), shape, ranks, with_floats, threads)
}

pub(super) fn few<const P: usize>(op: &Adapted<P>, memory: &Access<'_>, workspace: Buf) {
    let mut terms = op.parts.map(|Part { weight, adapter, y }| Term {
        weight: matrix(memory, &weight, Side::In),
        adapter: adapter.map(|adapter| {
            let factor = |buf, out, inner| {
                matrix(memory, &Weight { out, inner, storage: Storage::Dense(buf) }, Side::In)
            };
            let (a, b) = (
                factor(adapter.a, adapter.rank, adapter.inner),
                factor(adapter.b, adapter.out, adapter.rank),
            );
            Factors { a, b, scale: adapter.scale }
        }),
        out: memory.write(y),
    });
    let x = (memory.read(op.x), op.rows());
    let workspace = Workspace { words: memory.scratch(workspace), threads: memory.threads() };
    let on = (memory.isa(), op.numerics);
    gemm::few(on, x, &mut terms, op.mode, workspace);
}
