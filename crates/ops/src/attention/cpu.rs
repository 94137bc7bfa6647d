//! One query (forward, dq) or one key (dk, dv) at a time for the heads of a group, in parallel.

use super::{Backward, Forward, Heads, MAX_HEAD_DIM, Store};
use crate::math::{add_scaled, dot, exp, max, sum};
use crate::{Access, Buf, DType};
use half::bf16;
use quant::Numerics;
use rayon::prelude::*;

/// Keys per block of the online softmax.
const KEYS: usize = 64;
/// Query heads that may share one key head.
const GROUP: usize = 16;
/// Queries in one task: enough to make its buffers cheap.
const QUERIES: usize = 16;

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

    /// The values from element `at` on, as f32.
    #[inline(always)]
    fn expand(&self, at: usize, out: &mut [f32]) {
        match self {
            Rows::F32(values) => out.copy_from_slice(&values[at..at + out.len()]),
            Rows::Bf16(values) => {
                for (out, value) in out.iter_mut().zip(&values[at..]) {
                    *out = f32::from_bits(u32::from(value.to_bits()) << 16);
                }
            }
        }
    }
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

/// What the queries of a forward pass share.
#[derive(Clone, Copy)]
struct Shared<'a> {
    k: Rows<'a>,
    v: Rows<'a>,
    heads: Heads,
    numerics: Numerics,
}

/// One query's heads that share a key head.
struct Query<'a> {
    /// (G,D).
    q: &'a [f32],
    /// (G,D).
    o: &'a mut [f32],
    /// (G).
    lse: &'a mut [f32],
    first: usize,
    visible: usize,
    key_head: usize,
}

/// Buffers of a task.
struct Scratch {
    /// The keys or the values of a block, (64,D).
    rows: [f32; KEYS * MAX_HEAD_DIM],
    /// q in product precision, (G,D).
    q: [f32; GROUP * MAX_HEAD_DIM],
    /// Scores, then probabilities.
    p: [[f32; KEYS]; GROUP],
}

impl Scratch {
    fn new() -> Scratch {
        Scratch {
            rows: [0.0; KEYS * MAX_HEAD_DIM],
            q: [0.0; GROUP * MAX_HEAD_DIM],
            p: [[0.0; KEYS]; GROUP],
        }
    }
}

pub(super) fn forward(op: &Forward, memory: &Access<'_>) {
    let heads = op.heads;
    let group = heads.query / heads.key_value;
    assert!(group <= GROUP && heads.dim <= MAX_HEAD_DIM, "attention: {heads:?}");
    let shared = Shared {
        k: Rows::of(memory, op.k),
        v: Rows::of(memory, op.v),
        heads,
        numerics: op.numerics,
    };
    let isa = memory.isa();
    let first: &[u32] = memory.read(op.window.first);
    let visible: &[u32] = memory.read(op.window.visible);
    let (width, span) = (heads.query * heads.dim, group * heads.dim);
    let q: &[f32] = memory.read(op.q);
    let o: &mut [f32] = memory.write(op.o);
    let lse: &mut [f32] = memory.write(op.lse);
    let many = o.par_chunks_mut(QUERIES * width).zip(lse.par_chunks_mut(QUERIES * heads.query));
    many.enumerate().for_each(|(task, (o, lse))| {
        let mut scratch = Scratch::new();
        let rows = o.chunks_exact_mut(width).zip(lse.chunks_exact_mut(heads.query));
        for (index, (o, lse)) in rows.enumerate() {
            let n = task * QUERIES + index;
            let groups = o.chunks_exact_mut(span).zip(lse.chunks_exact_mut(group));
            for (key_head, (o, lse)) in groups.enumerate() {
                let query = Query {
                    q: &q[n * width + key_head * span..][..span],
                    o,
                    lse,
                    first: first[n] as usize,
                    visible: visible[n] as usize,
                    key_head,
                };
                query_forward(isa, shared, query, &mut scratch);
            }
        }
    });
}

quant::per_tier! {
    fn query_forward(shared: Shared<'_>, query: Query<'_>, scratch: &mut Scratch) {
        let Shared { k, v, heads, numerics } = shared;
        let d = heads.dim;
        let row = |j: usize| ((query.first + j) * heads.key_value + query.key_head) * d;
        for (to, from) in scratch.q.iter_mut().zip(query.q) {
            *to = numerics.round(*from);
        }
        let mut most = [f32::NEG_INFINITY; GROUP];
        let mut total = [0.0_f32; GROUP];
        query.o.fill(0.0);
        for start in (0..query.visible).step_by(KEYS) {
            let count = KEYS.min(query.visible - start);
            for (j, out) in scratch.rows.chunks_exact_mut(d).take(count).enumerate() {
                k.expand(row(start + j), out);
            }
            for (g, o) in query.o.chunks_exact_mut(d).enumerate() {
                let p = &mut scratch.p[g][..count];
                for (p, k) in p.iter_mut().zip(scratch.rows.chunks_exact(d)) {
                    *p = dot(&scratch.q[g * d..][..d], k) * heads.scale;
                }
                let new = max(p).max(most[g]);
                let shrink = exp(most[g] - new);
                p.iter_mut().for_each(|p| *p = exp(*p - new));
                total[g] = total[g] * shrink + sum(count, |j| p[j]);
                most[g] = new;
                o.iter_mut().for_each(|o| *o *= shrink);
                p.iter_mut().for_each(|p| *p = numerics.round(*p));
            }
            for (j, out) in scratch.rows.chunks_exact_mut(d).take(count).enumerate() {
                v.expand(row(start + j), out);
            }
            for (g, o) in query.o.chunks_exact_mut(d).enumerate() {
                for (p, v) in scratch.p[g][..count].iter().zip(scratch.rows.chunks_exact(d)) {
                    add_scaled(o, *p, v);
                }
            }
        }
        for (g, o) in query.o.chunks_exact_mut(d).enumerate() {
            o.iter_mut().for_each(|o| *o /= total[g]);
            query.lse[g] = most[g] + libm::log(f64::from(total[g])) as f32;
        }
    }
}

/// Words of scratch: k, v, q and do in product precision, and δ.
pub(super) fn backward_words(op: &Backward) -> usize {
    let n = op.forward.window.first.len;
    2 * n * op.forward.heads.key_value * op.forward.heads.dim
        + 2 * op.d_o.len
        + n * op.forward.heads.query
}

/// Everything the two passes of the backward read.
#[derive(Clone, Copy)]
struct Tape<'a> {
    /// (N,Hkv,D) each.
    k: &'a [f32],
    v: &'a [f32],
    /// (N,H,D) each, in product precision.
    q: &'a [f32],
    d_o: &'a [f32],
    /// (N,H) each.
    delta: &'a [f32],
    lse: &'a [f32],
    first: &'a [u32],
    heads: Heads,
    numerics: Numerics,
}

pub(super) fn backward(op: &Backward, memory: &Access<'_>, workspace: Buf) {
    let (isa, heads, numerics) = (memory.isa(), op.forward.heads, op.forward.numerics);
    let (n, d) = (op.forward.window.first.len, heads.dim);
    let (o, d_o): (&[f32], &[f32]) = (memory.read(op.forward.o), memory.read(op.d_o));
    let (k, rest) = memory.scratch(workspace).split_at_mut(n * heads.key_value * d);
    let (v, rest) = rest.split_at_mut(n * heads.key_value * d);
    let (q, rest) = rest.split_at_mut(n * heads.query * d);
    let (d_o_rounded, delta) = rest.split_at_mut(n * heads.query * d);
    Rows::of(memory, op.forward.k).expand(0, k);
    Rows::of(memory, op.forward.v).expand(0, v);
    round_into(numerics, memory.read(op.forward.q), q);
    round_into(numerics, d_o, d_o_rounded);
    let rows = delta.par_iter_mut().zip(o.par_chunks_exact(d)).zip(d_o.par_chunks_exact(d));
    rows.for_each(|((delta, o), d_o)| *delta = row_dot(isa, o, d_o));
    let tape = Tape {
        k,
        v,
        q,
        d_o: d_o_rounded,
        delta,
        lse: memory.read(op.forward.lse),
        first: memory.read(op.forward.window.first),
        heads,
        numerics,
    };
    let dq: &mut [f32] = memory.write(op.dq);
    dq.par_chunks_exact_mut(d).enumerate().for_each(|(index, dq)| {
        query_backward(isa, tape, index / heads.query, index % heads.query, dq);
    });
    let (dk, dv): (&mut [f32], &mut [f32]) = (memory.write(op.dk), memory.write(op.dv));
    dk.par_chunks_exact_mut(d).zip(dv.par_chunks_exact_mut(d)).enumerate().for_each(
        |(index, (dk, dv))| {
            key_backward(isa, tape, index / heads.key_value, index % heads.key_value, [dk, dv]);
        },
    );
}

fn round_into(numerics: Numerics, from: &[f32], to: &mut [f32]) {
    to.par_iter_mut()
        .zip(from)
        .with_min_len(4096)
        .for_each(|(to, from)| *to = numerics.round(*from));
}

quant::per_tier! {
    fn row_dot(a: &[f32], b: &[f32]) -> f32 {
        dot(a, b)
    }
}

impl Tape<'_> {
    /// p and ds of up to 64 (query, key) pairs of head `h`; `pair` names them.
    #[inline(always)]
    fn pairs(
        &self,
        h: usize,
        count: usize,
        pair: impl Fn(usize) -> (usize, usize),
    ) -> [[f32; KEYS]; 2] {
        let Heads { query, key_value, dim: d, scale } = self.heads;
        let key_head = h / (query / key_value);
        let (mut p, mut ds) = ([0.0; KEYS], [0.0; KEYS]);
        for at in 0..count {
            let (n, j) = pair(at);
            let (of_query, of_key) = ((n * query + h) * d, (j * key_value + key_head) * d);
            p[at] = dot(&self.q[of_query..][..d], &self.k[of_key..][..d]) * scale
                - self.lse[n * query + h];
            let dp = dot(&self.d_o[of_query..][..d], &self.v[of_key..][..d]);
            ds[at] = dp - self.delta[n * query + h];
        }
        for at in 0..KEYS {
            p[at] = exp(p[at]);
            ds[at] = self.numerics.round(p[at] * ds[at] * scale);
            p[at] = self.numerics.round(p[at]);
        }
        [p, ds]
    }
}

quant::per_tier! {
    /// dq of query `n`, head `h`: over its keys in order.
    fn query_backward(tape: Tape<'_>, n: usize, h: usize, dq: &mut [f32]) {
        let Heads { query, key_value, dim: d, .. } = tape.heads;
        let key_head = h / (query / key_value);
        dq.fill(0.0);
        for start in (tape.first[n] as usize..=n).step_by(KEYS) {
            let count = KEYS.min(n + 1 - start);
            let [_, ds] = tape.pairs(h, count, |at| (n, start + at));
            for (ds, j) in ds[..count].iter().zip(start..) {
                add_scaled(dq, *ds, &tape.k[(j * key_value + key_head) * d..][..d]);
            }
        }
    }
}

quant::per_tier! {
    /// dk and dv of key `j`: over the heads of its group, and within a head over the queries of its
    /// document from itself on.
    fn key_backward(tape: Tape<'_>, j: usize, key_head: usize, gradients: [&mut [f32]; 2]) {
        let [dk, dv] = gradients;
        let Heads { query, key_value, dim: d, .. } = tape.heads;
        let group = query / key_value;
        let end = j + tape.first[j..].partition_point(|&first| first == tape.first[j]);
        dk.fill(0.0);
        dv.fill(0.0);
        for h in key_head * group..(key_head + 1) * group {
            for start in (j..end).step_by(KEYS) {
                let count = KEYS.min(end - start);
                let [p, ds] = tape.pairs(h, count, |at| (start + at, j));
                for at in 0..count {
                    let of_query = ((start + at) * query + h) * d;
                    add_scaled(dv, p[at], &tape.d_o[of_query..][..d]);
                    add_scaled(dk, ds[at], &tape.q[of_query..][..d]);
                }
            }
        }
    }
}
