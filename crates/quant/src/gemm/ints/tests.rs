use super::super::tests::{check_equal, product, values};
use super::super::{Factors, Mode, Term, Workspace};
use super::super::{Matrix, Numerics, Side, few, few_workspace, specification};
use super::STEPS;
use crate::cpu::tiers;
use crate::nf4::{Absmax, CODE, Nf4};
use crate::{double_quant, nf4};

/// N, out and inner: one row, few and many, panels and strips with rests, sections of blocks with rests.
const SHAPES: [[usize; 3]; 14] = [
    [1, 16, 64],
    [1, 3, 192],
    [20, 1, 128],
    [1, 37, 1216],
    [2, 5, 64],
    [5, 70, 1088],
    [8, 33, 192],
    [9, 64, 64],
    [15, 31, 128],
    [64, 100, 320],
    [131, 33, 1024],
    [1, 21, 1024],
    [3, 9, 2048],
    [2, 6, 448],
];

/// A weight in NF4, whose absmax may be quantized as well.
pub(in super::super) struct Four {
    codes: Vec<u8>,
    absmax: Vec<f32>,
    double: Option<(Vec<u8>, Vec<f32>, f32)>,
}

impl Four {
    pub(in super::super) fn of(dense: &[f32], is_double: bool) -> Four {
        let mut codes = vec![0; dense.len() / 2];
        let mut absmax = vec![0.0; dense.len() / 64];
        nf4::encode(dense, &mut codes, &mut absmax).unwrap();
        let double = is_double.then(|| {
            let mut q = vec![0; absmax.len()];
            let mut nested = vec![0.0; double_quant::blocks(absmax.len())];
            let offset = double_quant::encode(&absmax, &mut q, &mut nested).unwrap();
            (q, nested, offset)
        });
        Four { codes, absmax, double }
    }

    pub(in super::super) fn matrix(&self, out: usize, inner: usize) -> Matrix<'_> {
        let absmax = match &self.double {
            None => Absmax::F32(&self.absmax),
            Some((q, nested, offset)) => {
                Absmax::Double { q, map: double_quant::map(), nested, offset: *offset }
            }
        };
        let weight = Nf4 { codes: &self.codes, absmax };
        Matrix::Nf4 { weight, out, inner, side: Side::In }
    }
}

#[test]
fn products_equal_the_specification() {
    for isa in tiers() {
        for [n, out, inner] in SHAPES {
            let (x, dense) = (values(1, n * inner), values(2, out * inner));
            let left = Matrix::f32(&x, n, inner);
            for is_double in [false, true] {
                let weight = Four::of(&dense, is_double);
                check_equal(isa, Numerics::Int8, &left, &weight.matrix(out, inner));
            }
            // Every byte that a file can hold, -128 too.
            let codes: Vec<i8> = dense.iter().map(|value| (value * 64.0) as i8).collect();
            let scales = values(3, out * inner / 64);
            let (codes, scales) = (&codes[..], &scales[..]);
            let weight = Matrix::Q8 { codes, scales, out, inner, side: Side::In };
            check_equal(isa, Numerics::Int8, &left, &weight);
        }
    }
}

#[test]
fn every_tier_has_the_same_bits() {
    let [n, out, inner] = [11, 40, 640];
    let (x, dense) = (values(4, n * inner), values(5, out * inner));
    let (left, weight) = (Matrix::f32(&x, n, inner), Four::of(&dense, true));
    let all: Vec<_> = tiers()
        .map(|isa| product(isa, Numerics::Int8, &left, &weight.matrix(out, inner), 1))
        .collect();
    assert!(all.iter().all(|it| *it == all[0]));
}

#[test]
fn what_is_not_finite_stays_so_and_what_is_tiny_is_zero() {
    let weight = Four::of(&values(6, 16 * 128), false);
    let weight = weight.matrix(16, 128);
    for isa in tiers() {
        for n in [1, 3, 20] {
            let outputs = |value: f32| {
                let mut x = vec![value / 3.0; n * 128];
                x[5] = value;
                product(isa, Numerics::Int8, &Matrix::f32(&x, n, 128), &weight, 1)
            };
            for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                assert!(outputs(value)[..16].iter().all(|it| it.is_nan()), "{isa:?} {n} {value}");
            }
            for value in [0.0, f32::MIN_POSITIVE, 1e-40] {
                assert!(outputs(value).iter().all(|it| *it == 0.0), "{isa:?} {n} {value}");
            }
            assert!(outputs(1e30).iter().all(|it| it.is_finite()), "{isa:?} {n}");
        }
    }
}

/// Terms with an adapter, without one, and of a weight that has no blocks: each as its own product.
#[test]
fn adapters_and_floats_beside_bytes_are_as_in_bf16() {
    let [n, out, inner, rank] = [3, 24, 192, 8];
    let x = values(7, n * inner);
    let left = Matrix::f32(&x, n, inner);
    let dense = values(8, out * inner);
    let four = Four::of(&dense, true);
    let weights = [four.matrix(out, inner), Matrix::f32(&dense, out, inner)];
    let (a, b) = (values(9, rank * inner), values(10, out * rank));
    let (a, b) = (Matrix::f32(&a, rank, inner), Matrix::f32(&b, out, rank));
    for isa in tiers() {
        for adapter in [None, Some(Factors { a, b, scale: 0.5 })] {
            let mut outs = [(); 2].map(|()| vec![0.0; n * out]);
            let [first, second] = &mut outs;
            let mut terms = [(weights[0], first), (weights[1], second)].map(|(weight, out)| Term {
                weight,
                adapter,
                out,
            });
            let ranks = adapter.iter().chain(&adapter).map(|_| rank);
            let mut words =
                vec![0.0; few_workspace((isa, Numerics::Int8), [n, inner], ranks, true, 1)];
            let workspace = Workspace { words: &mut words, threads: 1 };
            few((isa, Numerics::Int8), (&x, n), &mut terms, Mode::Overwrite, workspace);
            let numerics = [Numerics::Int8, Numerics::Bf16];
            for ((weight, numerics), got) in weights.iter().zip(numerics).zip(&outs) {
                let mut want = product(isa, numerics, &left, weight, 1);
                if adapter.is_some() {
                    let t = product(isa, Numerics::Bf16, &left, &a, 1);
                    let up = product(isa, Numerics::Bf16, &Matrix::f32(&t, n, rank), &b, 1);
                    want.iter_mut().zip(up).for_each(|(want, up)| *want += 0.5 * up);
                }
                assert_eq!(*got, want, "{isa:?} {numerics:?}");
            }
        }
    }
}

/// How far a product is from the one in f32, against the steps that both sides are rounded to.
#[test]
fn the_error_is_that_of_half_a_step() {
    let [n, out, inner] = [4, 8, 512];
    let (x, dense) = (values(11, n * inner), values(12, out * inner));
    let four = Four::of(&dense, false);
    let (left, right) = (Matrix::f32(&x, n, inner), four.matrix(out, inner));
    for row in 0..n {
        for column in 0..out {
            let [exact, rounded] = [Numerics::F32, Numerics::Int8].map(|numerics| {
                specification(crate::Isa::Scalar, numerics, &left, &right, row, column)
            });
            let bound: f32 = (0..inner)
                .map(|k| {
                    let (x, w) =
                        (left.get(Numerics::F32, row, k), right.get(Numerics::F32, column, k));
                    // No |x| is above 2, and so is no weight.
                    let half = 1.01 * 2.0 / 127.0 / 2.0;
                    half * (x.abs() + w.abs() + half)
                })
                .sum();
            assert!((exact - rounded).abs() <= bound, "{exact} {rounded} {bound}");
            assert!((exact - rounded).abs() > 0.0);
        }
    }
}

#[test]
fn steps_are_the_nearest_ones_of_the_code() {
    for (step, value) in STEPS.into_iter().zip(CODE) {
        assert!((f32::from(step) - 127.0 * value).abs() <= 0.5, "{step} {value}");
    }
    assert_eq!([STEPS[0], STEPS[7], STEPS[15]], [-127, 0, 127]);
}
