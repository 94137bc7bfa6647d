use super::*;
use crate::test_bench::{
    Bench, assert_close, assert_same_bits, assert_slopes, constant, everywhere, gradients, leaf,
    random, values_of, wide,
};
use crate::{DType, Numerics};

/// N, C and eps; a single column needs a large eps to have a gradient at all.
const CASES: [(usize, usize, f32); 8] = [
    (1, 1, 0.5),
    (3, 5, 1e-5),
    (2, 16, 1e-6),
    (7, 17, 1e-5),
    (5, 64, 1e-5),
    (4, 131, 1e-5),
    (1, 256, 1e-5),
    (33, 96, 1e-2),
];
const WEIGHTS: [DType; 3] = [DType::F32, DType::Bf16, DType::F16];

/// Inputs of a case: x, w, dy, and what dx and dw are added to.
struct Inputs {
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
    dx: Vec<f32>,
    dw: Vec<f32>,
}

fn inputs(n: usize, c: usize) -> Inputs {
    Inputs {
        x: random(1, n * c),
        w: random(2, c),
        dy: random(3, n * c),
        dx: random(4, n * c),
        dw: random(5, c),
    }
}

/// y, rstd, dx and dw.
fn run(bench: &mut Bench, inputs: &Inputs, dtype: DType, eps: f32) -> [Vec<f32>; 4] {
    let n = inputs.x.len() / inputs.w.len();
    let (w, _) = bench.stored(dtype, &inputs.w);
    let (x, y, rstd) = (bench.f32(&inputs.x), bench.garbage(inputs.x.len()), bench.garbage(n));
    bench.launch(Forward { x, w, y, rstd, eps });
    let (dy, dx, dw) = (bench.f32(&inputs.dy), bench.f32(&inputs.dx), bench.f32(&inputs.dw));
    bench.launch(Backward { x, w, rstd, dy, dx, dw: Some(dw) });
    [y, rstd, dx, dw].map(|buf| bench.get(buf))
}

/// y in plain loops.
fn restated(x: &[f64], w: &[f64], eps: f64) -> Vec<f64> {
    let c = w.len();
    let mut y = Vec::with_capacity(x.len());
    for x in x.chunks_exact(c) {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / c as f64;
        y.extend(x.iter().zip(w).map(|(x, w)| x / (mean + eps).sqrt() * w));
    }
    y
}

fn plus(a: &[f32], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(&a, b)| f64::from(a) + b).collect()
}

#[test]
fn forward_and_backward_agree_with_autograd() {
    for (n, c, eps) in CASES {
        for dtype in WEIGHTS {
            let what = format!("{n} {c} {dtype:?}");
            let inputs = inputs(n, c);
            let [y, _, dx, dw] = everywhere(Numerics::F32, |b| run(b, &inputs, dtype, eps));
            let (_, stored) = Bench::new().stored(dtype, &inputs.w);
            let (x, w) = (leaf(&inputs.x, (n, c)), leaf(&stored, c));
            let mean = x.sqr().unwrap().mean_keepdim(1).unwrap();
            let root = (mean + f64::from(eps)).unwrap().sqrt().unwrap();
            let want = x.broadcast_div(&root).unwrap().broadcast_mul(&w).unwrap();
            let [want_dx, want_dw] = gradients(&want, &inputs.dy, [&x, &w]);
            assert_close(&format!("y {what}"), &y, &values_of(&want), 1e-6);
            assert_close(&format!("dx {what}"), &dx, &plus(&inputs.dx, &want_dx), 2e-6);
            assert_close(&format!("dw {what}"), &dw, &plus(&inputs.dw, &want_dw), 1e-6);
        }
    }
}

#[test]
fn the_backward_is_the_slope_of_the_forward() {
    for (n, c, eps) in CASES {
        let mut inputs = inputs(n, c);
        (inputs.dx, inputs.dw) = (vec![0.0; n * c], vec![0.0; c]);
        let [_, _, dx, dw] = run(&mut Bench::new(), &inputs, DType::F32, eps);
        let project = |x: &[f64], w: &[f64]| {
            let y = restated(x, w, f64::from(eps));
            y.iter().zip(&inputs.dy).map(|(y, &dy)| y * f64::from(dy)).sum::<f64>()
        };
        let (x, w) = (wide(&inputs.x), wide(&inputs.w));
        assert_slopes(&format!("dx {n} {c}"), |x| project(x, &w), &inputs.x, &dx);
        assert_slopes(&format!("dw {n} {c}"), |w| project(&x, w), &inputs.w, &dw);
    }
}

#[test]
fn rstd_is_the_reciprocal_root_of_the_mean_square() {
    for (n, c, eps) in CASES {
        let inputs = inputs(n, c);
        let [_, rstd, ..] = run(&mut Bench::new(), &inputs, DType::F32, eps);
        let mean = constant(&inputs.x, (n, c)).sqr().unwrap().mean(1).unwrap();
        let want: Vec<f64> =
            values_of(&mean).iter().map(|mean| 1.0 / (mean + f64::from(eps)).sqrt()).collect();
        assert_close(&format!("{n} {c}"), &rstd, &want, 1e-6);
    }
}

#[test]
fn apply_repeats_the_bits_of_the_forward() {
    for (n, c, eps) in CASES {
        for dtype in WEIGHTS {
            let inputs = inputs(n, c);
            let [first, again] = everywhere(Numerics::F32, |bench| {
                let (w, _) = bench.stored(dtype, &inputs.w);
                let (x, rstd) = (bench.f32(&inputs.x), bench.garbage(n));
                let (y, again) = (bench.garbage(n * c), bench.garbage(n * c));
                bench.launch(Forward { x, w, y, rstd, eps });
                bench.launch(Apply { x, w, rstd, y: again });
                [bench.get(y), bench.get(again)]
            });
            assert_same_bits(&format!("{n} {c} {dtype:?}"), &again, &first);
        }
    }
}

#[test]
fn a_row_alone_has_the_bits_it_has_among_others() {
    let (n, c) = (9, 83);
    let inputs = inputs(n, c);
    let [y, rstd, dx, _] = run(&mut Bench::new(), &inputs, DType::Bf16, 1e-5);
    for row in 0..n {
        let part = |values: &[f32]| values[row * c..][..c].to_vec();
        let alone = Inputs {
            x: part(&inputs.x),
            w: inputs.w.clone(),
            dy: part(&inputs.dy),
            dx: part(&inputs.dx),
            dw: inputs.dw.clone(),
        };
        let [y_alone, rstd_alone, dx_alone, _] = run(&mut Bench::new(), &alone, DType::Bf16, 1e-5);
        assert_same_bits("y", &y_alone, &part(&y));
        assert_same_bits("rstd", &rstd_alone, &rstd[row..=row]);
        assert_same_bits("dx", &dx_alone, &part(&dx));
    }
}

#[test]
fn a_frozen_weight_changes_nothing_in_dx() {
    let (n, c) = (6, 70);
    let inputs = inputs(n, c);
    let [_, rstd, want, _] = run(&mut Bench::new(), &inputs, DType::F32, 1e-5);
    let mut bench = Bench::new();
    let (x, w, rstd) = (bench.f32(&inputs.x), bench.f32(&inputs.w), bench.f32(&rstd));
    let (dy, dx) = (bench.f32(&inputs.dy), bench.f32(&inputs.dx));
    bench.launch(Backward { x, w, rstd, dy, dx, dw: None });
    assert_same_bits("dx", &bench.get(dx), &want);
}
