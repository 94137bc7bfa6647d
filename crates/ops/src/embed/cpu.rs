//! Rows in parallel forward, columns in parallel backward (tokens may repeat).

use super::{Backward, Forward};
use crate::qlinear::Storage;
use crate::{Access, DType};
use half::{bf16, f16};
use quant::ggml::Blocks;
use quant::q8;
use rayon::prelude::*;

pub(super) fn forward(op: &Forward, memory: &Access<'_>) {
    let ids: &[u32] = memory.read(op.ids);
    let y: &mut [f32] = memory.write(op.y);
    let table = match op.table {
        Storage::Dense(table) => table,
        Storage::Q8 { codes, scales } => {
            return gather_q8(ids, (memory.read(codes), memory.read(scales)), y, op.c);
        }
        Storage::Blocks { bytes, format, rows } => {
            let table = Blocks { bytes: memory.read(bytes), format, rows, inner: op.c };
            y.par_chunks_exact_mut(op.c).zip(ids).for_each(|(y, &id)| {
                table.decode(id as usize, 0, y);
            });
            return;
        }
        other => panic!("embed: a table of {other:?}"),
    };
    match table.dtype {
        DType::F32 => gather(ids, memory.read::<f32>(table), y, op.c, |v| v),
        DType::Bf16 => gather(ids, memory.read::<bf16>(table), y, op.c, bf16::to_f32),
        DType::F16 => gather(ids, memory.read::<f16>(table), y, op.c, f16::to_f32),
        other => panic!("embed: a table of {other:?}"),
    }
}

/// Rows of an 8-bit table; a block of 64 may begin in one row and end in the next.
fn gather_q8(ids: &[u32], (codes, scales): (&[i8], &[f32]), y: &mut [f32], c: usize) {
    y.par_chunks_exact_mut(c).zip(ids).for_each(|(y, &id)| {
        let start = id as usize * c;
        for (j, (y, &code)) in y.iter_mut().zip(&codes[start..][..c]).enumerate() {
            *y = f32::from(code) * scales[(start + j) / q8::BLOCK];
        }
    });
}

fn gather<T: Copy + Sync>(
    ids: &[u32],
    table: &[T],
    y: &mut [f32],
    c: usize,
    f: impl Fn(T) -> f32 + Sync,
) {
    y.par_chunks_exact_mut(c).zip(ids).for_each(|(y, &id)| {
        for (y, &value) in y.iter_mut().zip(&table[id as usize * c..][..c]) {
            *y = f(value);
        }
    });
}

/// Columns in one task.
const STRIPE: usize = 64;

pub(super) fn backward(op: &Backward, memory: &Access<'_>) {
    let ids: &[u32] = memory.read(op.ids);
    let dy: &[f32] = memory.read(op.dy);
    let table = SharedTable(memory.write::<f32>(op.dtable).as_mut_ptr(), op.dtable.len);
    (0..op.c.div_ceil(STRIPE)).into_par_iter().for_each(|stripe| {
        let columns = stripe * STRIPE..((stripe + 1) * STRIPE).min(op.c);
        for (&id, dy) in ids.iter().zip(dy.chunks_exact(op.c)) {
            let row = table.row(id as usize * op.c + columns.start, columns.len());
            for (d, dy) in row.iter_mut().zip(&dy[columns.clone()]) {
                *d += dy;
            }
        }
    });
}

/// The table, written by tasks that own different columns.
struct SharedTable(*mut f32, usize);

// SAFETY: each task touches its own columns only.
unsafe impl Sync for SharedTable {}

impl SharedTable {
    #[expect(clippy::mut_from_ref, reason = "callers own different columns")]
    fn row(&self, start: usize, len: usize) -> &mut [f32] {
        assert!(start + len <= self.1, "embed: token id outside of the table");
        // SAFETY: the range was checked above.
        let base = unsafe { self.0.add(start) };
        // SAFETY: the columns belong to the calling task.
        unsafe { std::slice::from_raw_parts_mut(base, len) }
    }
}
