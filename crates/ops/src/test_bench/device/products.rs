//! Products: base weights in every storage that devices have, adapters, and both together.

use super::*;
use crate::lora::{self, Adapter};
use crate::qlinear::{Adapted, Backward, Forward, Gated, Mode, Part, Weight, WeightGradient};
use crate::test_bench::{Stored, random, scaled, weight};
use quant::Numerics;

const NUMERICS: Numerics = Numerics::Bf16;
/// What devices have kernels for.
const STORAGES: [Stored; 4] =
    [Stored::Nf4, Stored::Nf4Double, Stored::Q8, Stored::Dense(DType::Bf16)];

/// out and in: no multiples of a tile, and more than one.
fn shapes() -> &'static [[usize; 2]] {
    if on_gpu() { &[[136, 192], [4096, 14336], [14336, 4096]] } else { &[[136, 192], [256, 64]] }
}

/// y, dx and, of a dense weight, dw.
struct Products {
    n: usize,
    stored: Stored,
    shape: [usize; 2],
}

impl Case for Products {
    fn name(&self) -> String {
        format!("{} rows, {:?} {:?}", self.n, self.stored, self.shape)
    }

    fn run<B: Backend>(&self, on: &mut On<'_, B>) -> Vec<Vec<f32>> {
        let (n, [out, inner], numerics) = (self.n, self.shape, NUMERICS);
        let values = scaled(0.3, random(2, out * inner));
        let (weight, _) = weight(on.backend, self.stored, self.shape, &values);
        let (x, dy) = (on.values(&random(1, n * inner)), on.values(&random(3, n * out)));
        let (y, dx) = (on.nothing(n * out), on.nothing(n * inner));
        let (y_sum, dx_sum) = (on.values(&random(4, n * out)), on.values(&random(5, n * inner)));
        for (y, dx, mode) in [(y, dx, Mode::Overwrite), (y_sum, dx_sum, Mode::Add)] {
            on.launch(Forward { x, weight, y, mode, numerics });
            on.launch(Backward { dy, weight, dx, mode, numerics });
        }
        let logits = on.garbage(n * out);
        on.launch(Forward { x, weight, y: logits, mode: Mode::Overwrite, numerics });
        let dw = on.floats(&random(6, out * inner));
        on.launch(WeightGradient { dy, x, dw, out, inner, numerics });
        [y, y_sum, dx, dx_sum, logits, dw].map(|buf| on.get(buf)).into()
    }
}

#[test]
fn products_agree() {
    for stored in STORAGES {
        for &shape in shapes() {
            for &n in rows() {
                agree(&Products { n, stored, shape }, ONCE);
            }
        }
    }
}

/// An adapter of random values.
fn adapter<B: Backend>(
    on: &mut On<'_, B>,
    [out, inner]: [usize; 2],
    rank: usize,
    seed: u64,
) -> Adapter {
    let a = on.half(&scaled(0.2, random(seed, rank * inner)));
    let b = on.half(&scaled(0.2, random(seed + 1, out * rank)));
    Adapter { a, b, inner, out, rank, scale: 2.0 }
}

/// y, dx, da and db of an adapter.
struct Skinny {
    n: usize,
    rank: usize,
}

impl Case for Skinny {
    fn name(&self) -> String {
        format!("adapter of rank {}, {} rows", self.rank, self.n)
    }

    fn run<B: Backend>(&self, on: &mut On<'_, B>) -> Vec<Vec<f32>> {
        let (n, [out, inner], numerics) = (self.n, shapes()[0], NUMERICS);
        let adapter = adapter(on, [out, inner], self.rank, 10);
        let (x, dy) = (on.values(&random(1, n * inner)), on.values(&random(3, n * out)));
        let (y, dx) = (on.values(&random(4, n * out)), on.values(&random(5, n * inner)));
        let da = on.floats(&random(6, self.rank * inner));
        let db = on.floats(&random(7, out * self.rank));
        on.launch(lora::Forward { x, adapter, y, numerics });
        on.launch(lora::Backward { x, dy, adapter, da, db, dx, numerics });
        [y, dx, da, db].map(|buf| on.get(buf)).into()
    }
}

#[test]
fn adapters_agree() {
    for rank in [8, 16, 40] {
        for &n in rows() {
            agree(&Skinny { n, rank }, ONCE);
        }
    }
}

/// One product with an adapter, three of one x, and gate and up.
struct Together {
    n: usize,
    stored: Stored,
    /// Of each part; 0 is no adapter.
    ranks: [usize; 3],
}

impl Together {
    fn part<B: Backend>(&self, on: &mut On<'_, B>, index: usize, out: usize, y: Buf) -> Part {
        let (inner, seed) = (128, 20 + 4 * index as u64);
        let values = scaled(0.3, random(seed, out * inner));
        let (weight, _): (Weight, _) = weight(on.backend, self.stored, [out, inner], &values);
        let rank = self.ranks[index];
        let adapter = (rank > 0).then(|| adapter(on, [out, inner], rank, seed + 1));
        Part { weight, adapter, y }
    }
}

impl Case for Together {
    fn name(&self) -> String {
        format!("{} rows, {:?}, ranks {:?}", self.n, self.stored, self.ranks)
    }

    fn run<B: Backend>(&self, on: &mut On<'_, B>) -> Vec<Vec<f32>> {
        let (n, numerics) = (self.n, NUMERICS);
        let x = on.values(&random(1, n * 128));
        let sum = on.values(&random(2, n * 72));
        let parts = [self.part(on, 0, 72, sum)];
        on.launch(Adapted { x, parts, mode: Mode::Add, numerics });
        let outs = [136, 40, 72];
        let three = outs.map(|out| on.nothing(n * out));
        let parts = [0, 1, 2].map(|index| self.part(on, index, outs[index], three[index]));
        on.launch(Adapted { x, parts, mode: Mode::Overwrite, numerics });
        let [gate, up, h] = [0; 3].map(|_| on.nothing(n * 200));
        let (gate, up) = (self.part(on, 0, 200, gate), self.part(on, 1, 200, up));
        on.launch(Gated { x, gate, up, h, numerics });
        [sum, three[0], three[1], three[2], h].map(|buf| on.get(buf)).into()
    }
}

#[test]
fn products_of_one_input_agree() {
    for stored in [Stored::Nf4, Stored::Nf4Double, Stored::Q8] {
        for ranks in [[0; 3], [8, 16, 8], [8, 0, 24]] {
            for n in [1, 2, 3, 5, 8, 9] {
                agree(&Together { n, stored, ranks }, SEVERAL);
            }
        }
    }
}

/// Few rows of a pass have the bits that each has alone.
#[test]
fn few_rows_are_the_rows_one_by_one() {
    let Some((driver, _turn)) = device() else { return };
    let case = |n| Together { n, stored: Stored::Nf4Double, ranks: [8, 16, 8] };
    let size = planned(&case(8), Target::cuda(driver.sm())).trace().peak;
    let mut cuda = Cuda::new(driver, size).expect("room on the device");
    let mut results = |n| {
        let mark = cuda.mark();
        let got = case(n).run(&mut On { backend: &mut cuda });
        cuda.release(mark);
        got
    };
    let all = results(8);
    for n in [1, 2, 3, 5] {
        // The first rows of every input are the same.
        for (few, all) in results(n).iter().zip(&all) {
            assert_same_bits(&format!("{n} of 8 rows"), few, &all[..few.len()]);
        }
    }
}
