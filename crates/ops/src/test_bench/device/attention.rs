//! Attention over packed documents, both ways, and over a cache.

use super::*;
use crate::attention::{Backward, Forward, Heads, Store, Window};
use crate::test_bench::random;
use quant::Numerics;

/// Documents one after another, each token seeing those before it in its own.
struct Packed {
    documents: Vec<usize>,
    heads: Heads,
}

fn heads(query: usize, key_value: usize, dim: usize) -> Heads {
    Heads { query, key_value, dim, scale: 1.0 / (dim as f32).sqrt() }
}

impl Case for Packed {
    fn name(&self) -> String {
        format!("documents of {:?}, {:?}", self.documents, self.heads)
    }

    fn run<B: Backend>(&self, on: &mut On<'_, B>) -> Vec<Vec<f32>> {
        let (heads, numerics) = (self.heads, Numerics::Bf16);
        let (mut first, mut visible) = (Vec::new(), Vec::new());
        for &len in &self.documents {
            first.extend(vec![first.len() as u32; len]);
            visible.extend(1..=len as u32);
        }
        let n = first.len();
        let (wide, narrow) = (n * heads.query * heads.dim, n * heads.key_value * heads.dim);
        let most = *visible.iter().max().unwrap_or(&1) as usize;
        let rows: Vec<u32> = (0..n as u32).collect();
        let (first, visible) = (on.numbers(&first), on.numbers(&visible));
        let window = Window { first, visible, most };
        let q = on.values(&random(1, wide));
        let rows = on.numbers(&rows);
        let [k, v] = [2, 3].map(|seed| {
            let (from, to) = (on.values(&random(seed, narrow)), on.half(&vec![0.0; narrow]));
            on.launch(Store { from, to, rows });
            to
        });
        let (o, lse) = (on.nothing(wide), on.garbage(n * heads.query));
        let forward = Forward { q, k, v, window, o, lse, heads, numerics };
        on.launch(forward);
        let d_o = on.values(&random(4, wide));
        let (dq, dk, dv) = (on.nothing(wide), on.nothing(narrow), on.nothing(narrow));
        on.launch(Backward { forward, d_o, dq, dk, dv });
        [o, lse, dq, dk, dv].map(|buf| on.get(buf)).into()
    }
}

#[test]
fn packed_documents_agree() {
    let documents: &[&[usize]] = match on_gpu() {
        true => &[&[1, 700, 3, 64, 65, 129], &[4096], &[513]],
        false => &[&[1, 70, 3, 64, 22], &[160], &[9]],
    };
    for documents in documents {
        for heads in [heads(4, 2, 64), heads(2, 1, 128), heads(3, 3, 64)] {
            agree(&Packed { documents: documents.to_vec(), heads }, SEVERAL);
        }
    }
}

/// The last tokens of sequences in slots of a cache.
struct Cached {
    /// Rows that each query sees.
    visible: Vec<u32>,
    /// Rows of a slot.
    slot: usize,
    heads: Heads,
}

impl Case for Cached {
    fn name(&self) -> String {
        format!("queries that see {:?}, {:?}", self.visible, self.heads)
    }

    fn run<B: Backend>(&self, on: &mut On<'_, B>) -> Vec<Vec<f32>> {
        let (heads, numerics, n) = (self.heads, Numerics::Bf16, self.visible.len());
        let cached = n * self.slot * heads.key_value * heads.dim;
        let [k, v] = [2, 3].map(|seed| on.half(&random(seed, cached)));
        let first: Vec<u32> = (0..n).map(|slot| (slot * self.slot) as u32).collect();
        let (first, visible) = (on.numbers(&first), on.numbers(&self.visible));
        let window = Window { first, visible, most: self.slot };
        let q = on.values(&random(1, n * heads.query * heads.dim));
        let (o, lse) = (on.nothing(q.len), on.garbage(n * heads.query));
        on.launch(Forward { q, k, v, window, o, lse, heads, numerics });
        [o, lse].map(|buf| on.get(buf)).into()
    }
}

#[test]
fn queries_over_a_cache_agree() {
    let slot = if on_gpu() { 16_384 } else { 300 };
    let most = slot as u32;
    let few = [1, 64, 255, 256, 257, 2, 299, most];
    let many = [few, few.map(|seen| most - seen + 1)].concat();
    for heads in [heads(8, 2, 64), heads(8, 1, 128), heads(2, 2, 64), heads(12, 1, 64)] {
        for visible in [&few[..], &few[..3], &few[7..], &many] {
            agree(&Cached { visible: visible.to_vec(), slot, heads }, SEVERAL);
        }
    }
}
