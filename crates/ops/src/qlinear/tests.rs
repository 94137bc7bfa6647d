use super::*;
use crate::Backend;
use crate::DType;
use crate::test_bench::{
    Bench, Stored, assert_close, assert_same_bits, assert_slopes, everywhere, gradients, leaf,
    product, random, rounded, scaled, storages, tiers, values_of, weight, wide,
};

/// N, out, in: one, odd, prime, powers of two, inner sizes that cut a block of 64 codes, and more
/// rows than a decoded panel (126) and a packed stretch (504) serve.
const SHAPES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [1, 64, 64],
    [3, 5, 7],
    [5, 33, 192],
    [7, 130, 67],
    [16, 64, 128],
    [13, 33, 256],
    [131, 35, 96],
    [507, 3, 5],
];

/// A linear layer on random values.
struct Case {
    stored: Stored,
    shape: [usize; 3],
    numerics: Numerics,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
    /// What results are added to: y, dx, dw.
    start: [Vec<f32>; 3],
}

impl Case {
    fn new(stored: Stored, shape: [usize; 3], numerics: Numerics) -> Case {
        let [n, out, inner] = shape;
        Case {
            stored,
            shape,
            numerics,
            x: random(1, n * inner),
            w: scaled(0.3, random(2, out * inner)),
            dy: random(3, n * out),
            start: [random(4, n * out), random(5, n * inner), random(6, out * inner)],
        }
    }

    fn name(&self) -> String {
        format!("{:?} {:?} {}", self.stored, self.shape, self.numerics.name())
    }

    /// The weight's values as products see them in `f32` numerics.
    fn decoded(&self) -> Vec<f32> {
        let [_, out, inner] = self.shape;
        weight(&mut Bench::new().cpu, self.stored, [out, inner], &self.w).1
    }

    /// y, dx and dw, y and dx once overwritten and once added.
    fn run(&self, bench: &mut Bench) -> [Vec<f32>; 5] {
        let [n, out, inner] = self.shape;
        let numerics = self.numerics;
        let (weight, _) = weight(&mut bench.cpu, self.stored, [out, inner], &self.w);
        let (x, dy) = (bench.f32(&self.x), bench.f32(&self.dy));
        let (y, dx) = (bench.garbage(n * out), bench.garbage(n * inner));
        let [y_sum, dx_sum, dw] = [0, 1, 2].map(|i| bench.f32(&self.start[i]));
        for (y, dx, mode) in [(y, dx, Mode::Overwrite), (y_sum, dx_sum, Mode::Add)] {
            bench.launch(Forward { x, weight, y, mode, numerics });
            bench.launch(Backward { dy, weight, dx, mode, numerics });
        }
        bench.launch(WeightGradient { dy, x, dw, out, inner, numerics });
        [y, y_sum, dx, dx_sum, dw].map(|buf| bench.get(buf))
    }
}

fn plus(a: &[f32], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(&a, b)| f64::from(a) + b).collect()
}

#[test]
fn forward_and_backward_agree_with_autograd() {
    for shape in SHAPES {
        for stored in storages([shape[1], shape[2]]) {
            let case = Case::new(stored, shape, Numerics::F32);
            let [y, _, dx, _, dw] = everywhere(Numerics::F32, |bench| case.run(bench));
            let [n, out, inner] = shape;
            let (x, w) = (leaf(&case.x, (n, inner)), leaf(&case.decoded(), (out, inner)));
            let want = x.matmul(&w.t().unwrap()).unwrap();
            let [want_dx, want_dw] = gradients(&want, &case.dy, [&x, &w]);
            let name = case.name();
            assert_close(&format!("y {name}"), &y, &values_of(&want), 1e-6);
            assert_close(&format!("dx {name}"), &dx, &want_dx, 1e-6);
            assert_close(&format!("dw {name}"), &dw, &plus(&case.start[2], &want_dw), 1e-6);
        }
    }
}

#[test]
fn the_backward_is_the_slope_of_the_forward() {
    for shape in SHAPES {
        for stored in storages([shape[1], shape[2]]) {
            let mut case = Case::new(stored, shape, Numerics::F32);
            case.start[2].fill(0.0);
            let [_, _, dx, _, dw] = case.run(&mut Bench::new());
            let (x, w) = (wide(&case.x), case.decoded());
            let project = |x: &[f64], w: &[f64]| {
                let y = product(x, w, shape[2]);
                y.iter().zip(&case.dy).map(|(y, &dy)| y * f64::from(dy)).sum::<f64>()
            };
            let wide_w = wide(&w);
            let name = case.name();
            assert_slopes(&format!("dx {name}"), |x| project(x, &wide_w), &case.x, &dx);
            assert_slopes(&format!("dw {name}"), |w| project(&x, w), &w, &dw);
        }
    }
}

#[test]
fn bf16_rounds_the_operands_and_nothing_else() {
    for shape in SHAPES {
        for stored in storages([shape[1], shape[2]]) {
            let case = Case::new(stored, shape, Numerics::Bf16);
            let [y, _, dx, _, dw] = everywhere(Numerics::Bf16, |bench| case.run(bench));
            let [n, out, inner] = shape;
            let operand = |values: &[f32], shape| leaf(&rounded(values), shape);
            let (x, w) = (operand(&case.x, (n, inner)), operand(&case.decoded(), (out, inner)));
            let want = x.matmul(&w.t().unwrap()).unwrap();
            let [want_dx, want_dw] = gradients(&want, &rounded(&case.dy), [&x, &w]);
            let name = case.name();
            assert_close(&format!("y {name}"), &y, &values_of(&want), 1e-6);
            assert_close(&format!("dx {name}"), &dx, &want_dx, 1e-6);
            assert_close(&format!("dw {name}"), &dw, &plus(&case.start[2], &want_dw), 1e-6);
            let exact = Case::new(stored, shape, Numerics::F32).run(&mut Bench::new());
            assert_close(&format!("y {name} and f32"), &y, &wide(&exact[0]), 5e-3);
            assert_close(&format!("dx {name} and f32"), &dx, &wide(&exact[2]), 5e-3);
        }
    }
}

#[test]
fn adding_is_overwriting_and_one_sum() {
    for shape in SHAPES {
        for numerics in [Numerics::F32, Numerics::Bf16, Numerics::Int8] {
            let case = Case::new(Stored::Nf4, shape, numerics);
            let [y, y_sum, dx, dx_sum, _] = case.run(&mut Bench::new());
            let sum = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a + b).collect();
            let (want_y, want_dx): (Vec<_>, Vec<_>) =
                (sum(&case.start[0], &y), sum(&case.start[1], &dx));
            assert_same_bits(&format!("y {}", case.name()), &y_sum, &want_y);
            assert_same_bits(&format!("dx {}", case.name()), &dx_sum, &want_dx);
        }
    }
}

#[test]
fn a_row_alone_has_the_bits_it_has_among_others() {
    let whole = [Format::Q8_0, Format::Q6K].map(|it| Stored::Blocks(it, Rows::Plain));
    let cases = storages([37, 67]).map(|it| (it, [130, 37, 67]));
    let in_blocks = [Stored::Nf4, Stored::Nf4Double, Stored::Q8];
    let cases = cases.chain(in_blocks.map(|it| (it, [130, 37, 192])));
    for (stored, [n, out, inner]) in cases.chain(whole.map(|it| (it, [130, 37, 256]))) {
        for numerics in [Numerics::F32, Numerics::Bf16, Numerics::Int8] {
            for isa in tiers() {
                let case = Case::new(stored, [n, out, inner], numerics);
                let [y, _, dx, ..] = case.run(&mut Bench::on(isa, 2));
                for (row, count) in [(0, 1), (3, 7), (125, 2), (129, 1)] {
                    let rows =
                        |values: &[f32], width| values[row * width..][..count * width].to_vec();
                    let alone = Case {
                        shape: [count, out, inner],
                        x: rows(&case.x, inner),
                        w: case.w.clone(),
                        dy: rows(&case.dy, out),
                        start: [
                            vec![0.0; count * out],
                            vec![0.0; count * inner],
                            vec![0.0; out * inner],
                        ],
                        ..case
                    };
                    let [y_alone, _, dx_alone, ..] = alone.run(&mut Bench::on(isa, 2));
                    assert_same_bits(&format!("y {}", alone.name()), &y_alone, &rows(&y, out));
                    assert_same_bits(&format!("dx {}", alone.name()), &dx_alone, &rows(&dx, inner));
                }
            }
        }
    }
}

#[test]
fn the_price_is_the_products() {
    let [n, out, inner] = [7, 130, 67];
    for stored in storages([out, inner]) {
        let bench = &mut Bench::new();
        let (weight, _) = weight(&mut bench.cpu, stored, [out, inner], &vec![1.0; out * inner]);
        let (x, dy) = (bench.zeros(n * inner), bench.zeros(n * out));
        let (y, dx) = (bench.zeros(n * out), bench.zeros(n * inner));
        let (mode, numerics) = (Mode::Overwrite, Numerics::Bf16);
        let target = bench.cpu.target();
        let forward = Forward { x, weight, y, mode, numerics }.cost(&target);
        let backward = Backward { dy, weight, dx, mode, numerics }.cost(&target);
        assert_eq!(forward.flops, 2 * 7 * 130 * 67);
        assert_eq!(backward.flops, 2 * 7 * 130 * 67);
        let elements = 130 * 67_u64;
        let bytes = match stored {
            Stored::Dense(DType::F32) => 4 * elements,
            Stored::Dense(_) => 2 * elements,
            Stored::Nf4 => elements / 2 + 4 * elements.div_ceil(64),
            Stored::Nf4Double => elements / 2 + elements.div_ceil(64) + 4,
            Stored::Q8 => elements + 4 * elements.div_ceil(64),
            Stored::Blocks(format, _) => format.bytes([out, inner]).unwrap() as u64,
        };
        assert_eq!(forward.read, 4 * 7 * 67 + bytes, "{stored:?}");
        assert_eq!(forward.written, 4 * 7 * 130);
        assert_eq!(backward.read, 4 * 7 * 130 + bytes);
        assert_eq!(backward.written, 4 * 7 * 67);
    }
}

#[test]
fn the_workspace_is_exact() {
    for [n, out, inner] in SHAPES {
        for numerics in [Numerics::F32, Numerics::Bf16, Numerics::Int8] {
            for (isa, threads) in tiers().flat_map(|isa| [(isa, 1), (isa, 2)]) {
                let bench = &mut Bench::on(isa, threads);
                let (weight, _) =
                    weight(&mut bench.cpu, Stored::Nf4, [out, inner], &vec![1.0; out * inner]);
                let (x, dy) = (bench.zeros(n * inner), bench.zeros(n * out));
                let (y, dx) = (bench.zeros(n * out), bench.zeros(n * inner));
                let dw = bench.zeros(out * inner);
                let mode = Mode::Overwrite;
                bench.assert_workspace_is_exact(Forward { x, weight, y, mode, numerics });
                bench.assert_workspace_is_exact(Backward { dy, weight, dx, mode, numerics });
                bench.assert_workspace_is_exact(WeightGradient { dy, x, dw, out, inner, numerics });
            }
        }
    }
}
