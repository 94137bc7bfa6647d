//! Chunk by chunk: gather, logits, loss, gradients, scatter.

use super::{IGNORED, Loss};
use crate::math::{exp, max, sum};
use crate::qlinear::{matrix, product};
use crate::{Access, Buf};
use quant::gemm::{Dense, Matrix, Mode, Side, Values};
use rayon::prelude::*;

pub(super) fn loss(op: &Loss, memory: &Access<'_>, workspace: Buf) {
    let (v, c) = (op.head.out, op.head.inner);
    let x: &[f32] = memory.read(op.x);
    let targets: &[i32] = memory.read(op.targets);
    let losses: &mut [f32] = memory.write(op.loss);
    let head = matrix(memory, &op.head, Side::In);
    let head_columns = matrix(memory, &op.head, Side::Out);
    let mut gradients = op.gradients.map(|g| {
        let dhead: Option<&mut [f32]> = g.dhead.map(|buf| memory.write(buf));
        let dx: &mut [f32] = memory.write(g.dx);
        dx.fill(0.0);
        (memory.read::<f32>(g.scale)[0], dx, dhead)
    });
    losses.fill(0.0);
    let rows = targets.len().min(op.chunk);
    let (logits, rest) = memory.scratch(workspace).split_at_mut(rows * v);
    let (gathered, rest) = rest.split_at_mut(rows * c);
    let (dx_rows, rest) = rest.split_at_mut(rows * c);
    let (indices, words) = rest.split_at_mut(targets.len());
    let trained = gather_indices(targets, indices);
    for indices in indices[..trained].chunks(op.chunk) {
        let count = indices.len();
        let (logits, gathered) = (&mut logits[..count * v], &mut gathered[..count * c]);
        for (row, index) in gathered.chunks_exact_mut(c).zip(indices) {
            row.copy_from_slice(&x[place(*index) * c..][..c]);
        }
        let left = Matrix::f32(gathered, count, c);
        let numerics = op.head.numerics(op.numerics);
        product(memory, numerics, [&left, &head], (logits, 1.0, Mode::Overwrite), words);
        let scale = gradients.as_ref().map(|(scale, ..)| *scale);
        let rows = logits.par_chunks_exact_mut(v).zip(indices);
        let isa = memory.isa();
        let of_row = rows
            .map(|(logits, index)| row_loss(isa, logits, targets[place(*index)] as usize, scale));
        // The losses leave through dx's scratch, so that rows run in parallel without sharing.
        of_row.zip(dx_rows.par_iter_mut()).for_each(|(loss, out)| *out = loss);
        for (index, loss) in indices.iter().zip(dx_rows.iter()) {
            losses[place(*index)] = *loss;
        }
        let Some((_, dx, dhead)) = &mut gradients else { continue };
        let dlogits = Matrix::f32(logits, count, v);
        let dx_rows = &mut dx_rows[..count * c];
        product(
            memory,
            op.numerics.of_floats(),
            [&dlogits, &head_columns],
            (dx_rows, 1.0, Mode::Overwrite),
            words,
        );
        for (row, index) in dx_rows.chunks_exact(c).zip(indices) {
            dx[place(*index) * c..][..c].copy_from_slice(row);
        }
        if let Some(dhead) = dhead {
            let left = Matrix::Dense(Dense::new(Values::F32(logits), count, v).transposed());
            let right = Matrix::Dense(Dense::new(Values::F32(gathered), count, c).transposed());
            let numerics = op.numerics.of_floats();
            product(memory, numerics, [&left, &right], (dhead, 1.0, Mode::Add), words);
        }
    }
}

/// Row numbers travel in f32 scratch as their bits.
fn place(index: f32) -> usize {
    index.to_bits() as usize
}

/// Lists the rows that have a target; returns how many.
fn gather_indices(targets: &[i32], indices: &mut [f32]) -> usize {
    let mut trained = 0;
    for (n, &target) in targets.iter().enumerate() {
        if target != IGNORED {
            indices[trained] = f32::from_bits(n as u32);
            trained += 1;
        }
    }
    trained
}

quant::per_tier! {
    /// The loss of one row; with a scale, the logits become their gradient.
    fn row_loss(logits: &mut [f32], target: usize, scale: Option<f32>) -> f32 {
        let most = max(logits);
        let total = sum([&*logits], |[logit]| exp(logit - most));
        let lse = most + libm::log(f64::from(total)) as f32;
        let loss = lse - logits[target];
        if let Some(scale) = scale {
            for logit in logits.iter_mut() {
                *logit = scale * exp(*logit - lse);
            }
            logits[target] -= scale;
        }
        loss
    }
}
