use super::*;
use crate::test_bench::{
    Bench, Stored, assert_close, assert_same_bits, assert_slopes, everywhere, gradients, integers,
    leaf, product, random, scaled, storages, tiers, values_of, weight, wide,
};
use crate::{Backend, DType};
use candle_core::{Device, Tensor};

const BOTH: [Numerics; 2] = [Numerics::F32, Numerics::Bf16];
const DENSE: Stored = Stored::Dense(DType::F32);
/// N, V, C.
const SHAPES: [[usize; 3]; 6] =
    [[1, 1, 1], [1, 7, 3], [5, 2, 64], [17, 67, 20], [70, 130, 33], [131, 37, 66]];
const CHUNKS: [usize; 4] = [1, 3, 64, 1000];

/// Hidden states, a head and targets, every fourth of them or so masked.
#[derive(Clone)]
struct Case {
    stored: Stored,
    shape: [usize; 3],
    chunk: usize,
    numerics: Numerics,
    x: Vec<f32>,
    w: Vec<f32>,
    targets: Vec<i32>,
    scale: f32,
    /// What dW is added to.
    dhead: Vec<f32>,
}

impl Case {
    fn new(stored: Stored, shape: [usize; 3], chunk: usize, numerics: Numerics) -> Case {
        let [n, v, c] = shape;
        let masked = integers(1, n, 4).into_iter().map(|four| n > 1 && four == 0);
        let targets: Vec<i32> = integers(2, n, v)
            .into_iter()
            .zip(masked)
            .map(|(target, masked)| if masked { IGNORED } else { target as i32 })
            .collect();
        let trained = targets.iter().filter(|&&target| target != IGNORED).count();
        Case {
            stored,
            shape,
            chunk,
            numerics,
            x: random(3, n * c),
            w: scaled(1.0 / (c as f32).sqrt(), random(4, v * c)),
            targets,
            scale: 1.0 / trained as f32,
            dhead: scaled(0.1, random(5, v * c)),
        }
    }

    fn name(&self) -> String {
        format!("{:?} {:?} {} {}", self.stored, self.shape, self.chunk, self.numerics.name())
    }

    fn op(&self, bench: &mut Bench) -> Loss {
        let [n, v, c] = self.shape;
        let (head, _) = weight(&mut bench.cpu, self.stored, [v, c], &self.w);
        let gradients = Gradients {
            scale: bench.f32(&[self.scale]),
            dx: bench.garbage(n * c),
            dhead: Some(bench.f32(&self.dhead)),
        };
        Loss {
            x: bench.f32(&self.x),
            head,
            targets: bench.put(&self.targets),
            loss: bench.garbage(n),
            gradients: Some(gradients),
            chunk: self.chunk,
            numerics: self.numerics,
        }
    }

    /// loss, dx and dW.
    fn run(&self, bench: &mut Bench) -> [Vec<f32>; 3] {
        let op = self.op(bench);
        bench.launch(op);
        let Gradients { dx, dhead, .. } = op.gradients.unwrap();
        [op.loss, dx, dhead.unwrap()].map(|buf| bench.get(buf))
    }

    /// The head's values as products see them in `f32` numerics.
    fn decoded(&self) -> Vec<f32> {
        let [_, v, c] = self.shape;
        weight(&mut Bench::new().cpu, self.stored, [v, c], &self.w).1
    }

    /// 1 where a token is trained on.
    fn mask(&self) -> Vec<f32> {
        self.targets.iter().map(|&target| f32::from(u8::from(target != IGNORED))).collect()
    }

    /// The same three by candle's autograd.
    fn autograd(&self) -> [Vec<f64>; 3] {
        let [n, v, c] = self.shape;
        let (x, w) = (leaf(&self.x, (n, c)), leaf(&self.decoded(), (v, c)));
        let logits = x.matmul(&w.t().unwrap()).unwrap();
        let lse = logits.exp().unwrap().sum_keepdim(1).unwrap().log().unwrap();
        let targets: Vec<u32> = self.targets.iter().map(|&target| target.max(0) as u32).collect();
        let targets = Tensor::from_vec(targets, (n, 1), &Device::Cpu).unwrap();
        let loss = (lse - logits.gather(&targets, 1).unwrap()).unwrap();
        let weights = scaled(self.scale, self.mask());
        let [dx, dw] = gradients(&loss, &weights, [&x, &w]);
        let loss =
            values_of(&loss).iter().zip(self.mask()).map(|(l, m)| l * f64::from(m)).collect();
        [loss, dx, dw.iter().zip(&self.dhead).map(|(dw, &start)| dw + f64::from(start)).collect()]
    }

    /// `scale · Σ loss` in plain loops.
    fn project(&self, x: &[f64], w: &[f64]) -> f64 {
        let [_, v, c] = self.shape;
        let logits = product(x, w, c);
        let trained = logits.chunks_exact(v).zip(&self.targets).filter(|(_, t)| **t != IGNORED);
        let loss = trained.map(|(logits, &target)| {
            logits.iter().map(|l| l.exp()).sum::<f64>().ln() - logits[target as usize]
        });
        loss.sum::<f64>() * f64::from(self.scale)
    }
}

const NAMES: [&str; 3] = ["loss", "dx", "dhead"];

#[test]
fn forward_and_backward_agree_with_autograd() {
    for shape in SHAPES {
        for stored in storages([shape[1], shape[2]]) {
            let chunks: &[usize] = if stored == DENSE { &CHUNKS } else { &[5] };
            for &chunk in chunks {
                let case = Case::new(stored, shape, chunk, Numerics::F32);
                let got = everywhere(Numerics::F32, |bench| case.run(bench));
                for ((got, want), name) in got.iter().zip(case.autograd()).zip(NAMES) {
                    assert_close(&format!("{name} {}", case.name()), got, &want, 2e-6);
                }
            }
        }
    }
}

#[test]
fn the_backward_is_the_slope_of_the_forward() {
    for shape in SHAPES {
        for chunk in CHUNKS {
            let mut case = Case::new(DENSE, shape, chunk, Numerics::F32);
            // A sum instead of a mean, so that gradients are of the size of their inputs.
            case.scale = 1.0;
            case.dhead.fill(0.0);
            let [_, dx, dhead] = case.run(&mut Bench::new());
            let (x, w) = (wide(&case.x), wide(&case.w));
            let name = case.name();
            assert_slopes(&format!("dx {name}"), |x| case.project(x, &w), &case.x, &dx);
            assert_slopes(&format!("dhead {name}"), |w| case.project(&x, w), &case.w, &dhead);
        }
    }
}

#[test]
fn bf16_stays_near_f32() {
    for shape in SHAPES {
        for stored in storages([shape[1], shape[2]]) {
            let mut case = Case::new(stored, shape, 64, Numerics::Bf16);
            case.scale = 1.0;
            case.dhead.fill(0.0);
            let got = everywhere(Numerics::Bf16, |bench| case.run(bench));
            for ((got, want), name) in got.iter().zip(case.autograd()).zip(NAMES) {
                assert_close(&format!("{name} {}", case.name()), got, &want, 1e-2);
            }
        }
    }
}

#[test]
fn the_chunk_changes_no_bit_of_loss_and_dx() {
    for shape in SHAPES {
        for numerics in BOTH {
            let whole = Case::new(DENSE, shape, 1000, numerics);
            let [loss, dx, dhead] = whole.run(&mut Bench::new());
            for chunk in CHUNKS {
                let case = Case { chunk, ..whole.clone() };
                let got = case.run(&mut Bench::new());
                assert_same_bits(&format!("loss {}", case.name()), &got[0], &loss);
                assert_same_bits(&format!("dx {}", case.name()), &got[1], &dx);
                assert_close(&format!("dhead {}", case.name()), &got[2], &wide(&dhead), 1e-6);
            }
        }
    }
}

#[test]
fn a_row_alone_has_the_bits_it_has_among_others() {
    for numerics in BOTH {
        for isa in tiers() {
            let case = Case::new(Stored::Q8, [19, 67, 20], 6, numerics);
            let [loss, dx, _] = case.run(&mut Bench::on(isa, 2));
            for row in 0..19 {
                let mut alone = case.clone();
                alone.shape[0] = 1;
                alone.x = case.x[row * 20..][..20].to_vec();
                alone.targets = vec![case.targets[row]];
                let [loss_alone, dx_alone, _] = alone.run(&mut Bench::on(isa, 2));
                assert_same_bits(&format!("loss {row}"), &loss_alone, &loss[row..=row]);
                assert_same_bits(&format!("dx {row}"), &dx_alone, &dx[row * 20..][..20]);
            }
        }
    }
}

#[test]
fn without_a_target_there_is_neither_loss_nor_gradient() {
    for chunk in CHUNKS {
        let mut case = Case::new(DENSE, [17, 67, 20], chunk, Numerics::F32);
        case.targets.fill(IGNORED);
        let [loss, dx, dhead] = everywhere(Numerics::F32, |bench| case.run(bench));
        assert_eq!((loss, dx), (vec![0.0; 17], vec![0.0; 17 * 20]));
        assert_same_bits("dhead", &dhead, &case.dhead);
    }
}

#[test]
fn masked_rows_have_neither_loss_nor_gradient() {
    let case = Case::new(DENSE, [70, 130, 33], 7, Numerics::F32);
    let [loss, dx, _] = case.run(&mut Bench::new());
    let masked = case.targets.iter().filter(|&&target| target == IGNORED).count();
    assert!(masked > 5 && masked < 40, "{masked} masked rows");
    for ((target, loss), dx) in case.targets.iter().zip(&loss).zip(dx.chunks_exact(33)) {
        assert_eq!(*target == IGNORED, *loss == 0.0);
        assert_eq!(*target == IGNORED, dx.iter().all(|&d| d == 0.0));
    }
}

#[test]
fn the_scale_multiplies_the_gradients_only() {
    for numerics in BOTH {
        let mut case = Case::new(DENSE, [17, 67, 20], 5, numerics);
        case.dhead.fill(0.0);
        let [loss, dx, dhead] = case.run(&mut Bench::new());
        case.scale *= 4.0;
        let got = case.run(&mut Bench::new());
        assert_same_bits("loss", &got[0], &loss);
        assert_same_bits("dx", &got[1], &scaled(4.0, dx));
        assert_same_bits("dhead", &got[2], &scaled(4.0, dhead));
    }
}

#[test]
fn fewer_gradients_change_nothing_in_what_is_left() {
    let case = Case::new(DENSE, [17, 67, 20], 5, Numerics::Bf16);
    let [loss, dx, _] = case.run(&mut Bench::new());
    let bench = &mut Bench::new();
    let op = case.op(bench);
    let frozen = Gradients { dhead: None, ..op.gradients.unwrap() };
    bench.launch(Loss { gradients: Some(frozen), ..op });
    assert_same_bits("loss, frozen head", &bench.get(op.loss), &loss);
    assert_same_bits("dx, frozen head", &bench.get(frozen.dx), &dx);
    let bench = &mut Bench::new();
    let op = Loss { gradients: None, ..case.op(bench) };
    bench.launch(op);
    assert_same_bits("loss alone", &bench.get(op.loss), &loss);
}

#[test]
fn equal_and_extreme_logits() {
    let mut case = Case::new(DENSE, [5, 130, 33], 64, Numerics::F32);
    case.x.fill(0.0);
    let [loss, ..] = case.run(&mut Bench::new());
    let want: Vec<f64> = case.mask().iter().map(|&m| f64::from(m) * 130_f64.ln()).collect();
    assert_close("equal", &loss, &want, 1e-6);
    // Logits of some thousands: exponentials overflow unless the greatest is taken off first.
    case.x = scaled(1000.0, random(3, 5 * 33));
    case.w = random(4, 130 * 33);
    for numerics in BOTH {
        case.numerics = numerics;
        let [loss, ..] = everywhere(numerics, |bench| case.run(bench));
        assert!(loss.iter().any(|&loss| loss > 1000.0), "{loss:?}");
    }
}

/// Where rows have no target, fewer go through the product, and a few go another way.
#[test]
fn the_workspace_is_enough_for_any_number_of_trained_rows() {
    let shape @ [n, v, c] = [9, 300, 576];
    for (isa, numerics) in tiers().flat_map(|isa| BOTH.map(|numerics| (isa, numerics))) {
        let bench = &mut Bench::on(isa, 1);
        let op = Case::new(DENSE, shape, n, numerics).op(bench);
        let op = Loss { gradients: None, ..op };
        let target = Target::cpu(isa, 64);
        let given = op.cost(&target).workspace - 4 * (n * v + 2 * n * c + n);
        for rows in 1..=n {
            let product = product_cost(&target, numerics, [rows, v, c], Lie::Rows, 0);
            assert!(product.workspace <= given, "{isa:?} {numerics:?}: {rows} rows");
        }
    }
}

#[test]
fn the_workspace_is_exact_and_the_flops_are_the_products() {
    for shape @ [n, v, c] in SHAPES {
        for (chunk, numerics) in CHUNKS.into_iter().flat_map(|chunk| BOTH.map(|b| (chunk, b))) {
            for (isa, threads) in tiers().flat_map(|isa| [(isa, 1), (isa, 2)]) {
                let bench = &mut Bench::on(isa, threads);
                let mut case = Case::new(DENSE, shape, chunk, numerics);
                // The price is for every token being trained on, whatever the targets say.
                case.targets.fill(0);
                let trained = case.op(bench);
                let frozen = Gradients { dhead: None, ..trained.gradients.unwrap() };
                let target = bench.cpu.target();
                let ops = [
                    (Loss { gradients: None, ..trained }, 1),
                    (Loss { gradients: Some(frozen), ..trained }, 2),
                    (trained, 3),
                ];
                for (op, products) in ops {
                    bench.assert_workspace_is_exact(op);
                    assert_eq!(op.cost(&target).flops, (products * 2 * n * v * c) as u64);
                }
            }
        }
    }
}
