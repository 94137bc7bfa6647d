use super::*;
use crate::test_bench::{
    Bench, assert_close, assert_same_bits, assert_slopes, everywhere, gradients, leaf, product,
    random, scaled, tiers, values_of, wide,
};
use crate::{Backend, DType};

/// N, in, out, R.
const SHAPES: [[usize; 4]; 6] = [
    [1, 1, 1, 1],
    [5, 7, 3, 2],
    [17, 64, 33, 8],
    [3, 130, 67, 5],
    [70, 32, 48, 16],
    [131, 19, 40, 3],
];
const SCALE: f32 = 0.75;

/// An adapter on random values.
#[derive(Clone)]
struct Case {
    shape: [usize; 4],
    dtype: DType,
    numerics: Numerics,
    x: Vec<f32>,
    a: Vec<f32>,
    b: Vec<f32>,
    dy: Vec<f32>,
    /// What y, da, db and dx are added to.
    start: [Vec<f32>; 4],
}

impl Case {
    fn new(shape: [usize; 4], dtype: DType, numerics: Numerics) -> Case {
        let [n, inner, out, rank] = shape;
        let lengths = [n * out, rank * inner, out * rank, n * inner];
        let mut bench = Bench::new();
        let mut factor = |seed, len| bench.stored(dtype, &scaled(0.5, random(seed, len))).1;
        Case {
            shape,
            dtype,
            numerics,
            x: random(1, n * inner),
            a: factor(2, rank * inner),
            b: factor(3, out * rank),
            dy: random(4, n * out),
            start: [0, 1, 2, 3].map(|i| random(5 + i as u64, lengths[i])),
        }
    }

    fn starting_at_zero(mut self) -> Case {
        self.start.iter_mut().for_each(|values| values.fill(0.0));
        self
    }

    fn name(&self) -> String {
        format!("{:?} {:?} {}", self.shape, self.dtype, self.numerics.name())
    }

    fn ops(&self, bench: &mut Bench) -> (Forward, Backward) {
        let [_, inner, out, rank] = self.shape;
        let [(a, _), (b, _)] = [&self.a, &self.b].map(|values| bench.stored(self.dtype, values));
        let adapter = Adapter { a, b, inner, out, rank, scale: SCALE };
        let (x, dy, numerics) = (bench.f32(&self.x), bench.f32(&self.dy), self.numerics);
        let [y, da, db, dx] = [0, 1, 2, 3].map(|i| bench.f32(&self.start[i]));
        (Forward { x, adapter, y, numerics }, Backward { x, dy, adapter, da, db, dx, numerics })
    }

    /// y, da, db and dx.
    fn run(&self, bench: &mut Bench) -> [Vec<f32>; 4] {
        let (forward, backward) = self.ops(bench);
        bench.launch(forward);
        bench.launch(backward);
        [forward.y, backward.da, backward.db, backward.dx].map(|buf| bench.get(buf))
    }

    /// The same four by candle's autograd, each added to where the op starts.
    fn autograd(&self) -> [Vec<f64>; 4] {
        let [n, inner, out, rank] = self.shape;
        let x = leaf(&self.x, (n, inner));
        let (a, b) = (leaf(&self.a, (rank, inner)), leaf(&self.b, (out, rank)));
        let t = x.matmul(&a.t().unwrap()).unwrap();
        let y = (t.matmul(&b.t().unwrap()).unwrap() * f64::from(SCALE)).unwrap();
        let [dx, da, db] = gradients(&y, &self.dy, [&x, &a, &b]);
        let results = [values_of(&y), da, db, dx];
        std::array::from_fn(|i| {
            results[i].iter().zip(&self.start[i]).map(|(v, &start)| v + f64::from(start)).collect()
        })
    }
}

#[test]
fn forward_and_backward_agree_with_autograd() {
    for shape in SHAPES {
        for dtype in [DType::F32, DType::Bf16] {
            let case = Case::new(shape, dtype, Numerics::F32);
            let got = everywhere(Numerics::F32, |bench| case.run(bench));
            for ((got, want), what) in got.iter().zip(case.autograd()).zip(["y", "da", "db", "dx"])
            {
                assert_close(&format!("{what} {}", case.name()), got, &want, 1e-6);
            }
        }
    }
}

#[test]
fn the_backward_is_the_slope_of_the_forward() {
    for shape @ [_, inner, _, rank] in SHAPES {
        let case = Case::new(shape, DType::F32, Numerics::F32).starting_at_zero();
        let [_, da, db, dx] = case.run(&mut Bench::new());
        let project = |x: &[f64], a: &[f64], b: &[f64]| {
            let y = product(&product(x, a, inner), b, rank);
            let sum: f64 = y.iter().zip(&case.dy).map(|(y, &dy)| y * f64::from(dy)).sum();
            sum * f64::from(SCALE)
        };
        let [x, a, b] = [&case.x, &case.a, &case.b].map(|values| wide(values));
        let name = case.name();
        assert_slopes(&format!("dx {name}"), |x| project(x, &a, &b), &case.x, &dx);
        assert_slopes(&format!("da {name}"), |a| project(&x, a, &b), &case.a, &da);
        assert_slopes(&format!("db {name}"), |b| project(&x, &a, b), &case.b, &db);
    }
}

#[test]
fn bf16_stays_near_f32() {
    for shape in SHAPES {
        for dtype in [DType::F32, DType::Bf16] {
            let case = Case::new(shape, dtype, Numerics::Bf16).starting_at_zero();
            let got = everywhere(Numerics::Bf16, |bench| case.run(bench));
            for ((got, want), what) in got.iter().zip(case.autograd()).zip(["y", "da", "db", "dx"])
            {
                // Three operands are rounded, one of them the skinny product in between.
                assert_close(&format!("{what} {}", case.name()), got, &want, 8e-3);
            }
        }
    }
}

#[test]
fn a_row_alone_has_the_bits_it_has_among_others() {
    let [n, inner, out, rank] = [130, 67, 37, 5];
    for numerics in [Numerics::F32, Numerics::Bf16] {
        let case = Case::new([n, inner, out, rank], DType::F32, numerics);
        let [y, _, _, dx] = case.run(&mut Bench::new());
        for (row, count) in [(0, 1), (3, 7), (125, 2), (129, 1)] {
            let rows =
                |values: &[f32], width: usize| values[row * width..][..count * width].to_vec();
            let mut alone = case.clone();
            alone.shape[0] = count;
            (alone.x, alone.dy) = (rows(&case.x, inner), rows(&case.dy, out));
            alone.start[0] = rows(&case.start[0], out);
            alone.start[3] = rows(&case.start[3], inner);
            let [y_alone, _, _, dx_alone] = alone.run(&mut Bench::new());
            assert_same_bits(&format!("y {}", alone.name()), &y_alone, &rows(&y, out));
            assert_same_bits(&format!("dx {}", alone.name()), &dx_alone, &rows(&dx, inner));
        }
    }
}

#[test]
fn the_workspace_is_exact_and_the_flops_are_the_products() {
    for shape @ [n, inner, out, rank] in SHAPES {
        for numerics in [Numerics::F32, Numerics::Bf16] {
            for (isa, threads) in tiers().flat_map(|isa| [(isa, 1), (isa, 2)]) {
                let bench = &mut Bench::on(isa, threads);
                let (forward, backward) = Case::new(shape, DType::Bf16, numerics).ops(bench);
                bench.assert_workspace_is_exact(forward);
                bench.assert_workspace_is_exact(backward);
                let target = bench.cpu.target();
                let (low, high) = (2 * n * rank * inner, 2 * n * rank * out);
                assert_eq!(forward.cost(&target).flops, (low + high) as u64);
                assert_eq!(backward.cost(&target).flops, (3 * low + 2 * high) as u64);
            }
        }
    }
}
