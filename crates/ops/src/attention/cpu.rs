//! Tiles of rows against blocks of 64 keys, in parallel over independent tasks.

mod backward;
mod forward;
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use backward::{backward, words as backward_words};
pub(super) use forward::{forward, words as forward_words};

use super::Store;
use crate::{Access, Buf, DType};
use half::bf16;
use quant::cpu::prefetch;
use quant::gemm::LANES;
use rayon::prelude::*;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use tile::Line;

/// Query heads that may share one key head.
const GROUP: usize = 16;

/// K or V in the cache type.
#[derive(Clone, Copy)]
enum Rows<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}

impl<'a> Rows<'a> {
    fn of(memory: &'a Access<'_>, buf: Buf) -> Rows<'a> {
        match buf.dtype {
            DType::F32 => Rows::F32(memory.read(buf)),
            DType::Bf16 => Rows::Bf16(memory.read(buf)),
            other => panic!("attention: a cache of {other:?}"),
        }
    }

    /// Asks for the `count` values from element `at` on, to be there soon; there may be no such.
    #[inline(always)]
    fn expect(&self, at: usize, count: usize) {
        match self {
            Rows::F32(values) => prefetch(values, at, count),
            Rows::Bf16(values) => prefetch(values, at, count),
        }
    }

    /// Copies `count` values from element `at` on as f32, and zeros behind them.
    #[inline(always)]
    fn copy(&self, at: usize, count: usize, to: &mut Line) {
        match self {
            Rows::F32(values) => copy(&values[at..at + count], to, |value| value),
            Rows::Bf16(values) => copy(&values[at..at + count], to, |value| {
                f32::from_bits(u32::from(value.to_bits()) << 16)
            }),
        }
    }
}

#[inline(always)]
fn copy<T: Copy>(from: &[T], to: &mut Line, expand: impl Fn(T) -> f32) {
    // Most lines are whole, and then the compiler knows how long they are.
    if let Some(from) = from.first_chunk::<LANES>() {
        for lane in 0..LANES {
            to[lane] = expand(from[lane]);
        }
        return;
    }
    *to = [0.0; LANES];
    to.iter_mut().zip(from).for_each(|(to, from)| *to = expand(*from));
}

/// An output whose parts tasks share out among themselves.
struct Shared<'a> {
    base: *mut f32,
    len: usize,
    output: PhantomData<&'a mut [f32]>,
}

// SAFETY: `part` obliges its callers to take parts that no other thread has.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    fn new(output: &'a mut [f32]) -> Shared<'a> {
        Shared { base: output.as_mut_ptr(), len: output.len(), output: PhantomData }
    }

    /// The `count` values from `at` on.
    ///
    /// # Safety
    /// While they are borrowed, nobody else takes any of them.
    #[expect(clippy::mut_from_ref, reason = "the caller promises that the part is taken once")]
    unsafe fn part(&self, at: usize, count: usize) -> &mut [f32] {
        assert!(
            at <= self.len && count <= self.len - at,
            "attention: a part outside of its output"
        );
        // SAFETY: inside the output by the line above.
        let start = unsafe { self.base.add(at) };
        // SAFETY: inside the output, and by the caller's promise nobody else's.
        unsafe { std::slice::from_raw_parts_mut(start, count) }
    }
}

/// Runs `work` for every task. Each of the `threads` has `lines` lines of scratch, and takes the next
/// task when it is done with one; no result depends on who takes which.
fn in_tasks(
    tasks: usize,
    scratch: &mut [f32],
    [lines, threads]: [usize; 2],
    work: impl Fn(usize, &mut [Line]) + Sync,
) {
    let next = AtomicUsize::new(0);
    let scratch = &mut scratch.as_chunks_mut::<LANES>().0[..lines * threads];
    scratch.par_chunks_exact_mut(lines).with_max_len(1).for_each(|scratch| {
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                break;
            }
            work(task, scratch);
        }
    });
}

pub(super) fn store(op: &Store, memory: &Access<'_>) {
    let rows: &[u32] = memory.read(op.rows);
    let from: &[f32] = memory.read(op.from);
    if rows.is_empty() {
        return;
    }
    let width = from.len() / rows.len();
    let pairs = from.chunks_exact(width).zip(rows);
    match op.to.dtype {
        DType::F32 => {
            let to: &mut [f32] = memory.write(op.to);
            pairs
                .for_each(|(from, &row)| to[row as usize * width..][..width].copy_from_slice(from));
        }
        DType::Bf16 => {
            let to: &mut [bf16] = memory.write(op.to);
            pairs.for_each(|(from, &row)| {
                for (to, from) in to[row as usize * width..][..width].iter_mut().zip(from) {
                    *to = bf16::from_f32(*from);
                }
            });
        }
        other => panic!("attention: a cache of {other:?}"),
    }
}
