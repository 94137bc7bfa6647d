//! One token at a time; tokens in parallel.

use super::{Direction, Rotate};
use crate::Access;
use rayon::prelude::*;

pub(super) fn rotate(op: &Rotate, memory: &Access<'_>) {
    let isa = memory.isa();
    let positions: &[u32] = memory.read(op.positions);
    let table: &[f32] = memory.read(op.table);
    let x: &mut [f32] = memory.write(op.x);
    if positions.is_empty() {
        return;
    }
    let width = x.len() / positions.len();
    x.par_chunks_exact_mut(width).zip(positions).for_each(|(x, &position)| {
        let row = &table[position as usize * op.head_dim..][..op.head_dim];
        rotate_heads(isa, x, row, op.direction);
    });
}

quant::per_tier! {
    fn rotate_heads(x: &mut [f32], row: &[f32], direction: Direction) {
        let (cos, sin) = row.split_at(row.len() / 2);
        let sign = match direction {
            Direction::Forward => 1.0,
            Direction::Backward => -1.0,
        };
        for head in x.chunks_exact_mut(row.len()) {
            let (low, high) = head.split_at_mut(row.len() / 2);
            for i in 0..low.len() {
                let (a, b, sin) = (low[i], high[i], sign * sin[i]);
                low[i] = a * cos[i] - b * sin;
                high[i] = b * cos[i] + a * sin;
            }
        }
    }
}
