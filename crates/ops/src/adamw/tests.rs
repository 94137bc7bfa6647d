use super::*;
use crate::test_bench::{Bench, assert_close, assert_same_bits, everywhere, random, scaled, wide};
use crate::{Backend, DType, Numerics, Space};
use half::bf16;

/// Elements; a task takes 4096.
const LENGTHS: [usize; 5] = [1, 37, 4096, 4097, 10_007];
const STEPS: usize = 10;
const BETAS: [f64; 2] = [0.9, 0.999];
const EPS: f64 = 1e-8;
const DECAY: f64 = 0.05;
const CLIP: f64 = 0.3;

/// The learning rate changes from step to step, as a schedule has it.
fn rate(step: usize) -> f64 {
    1e-2 / step as f64
}

fn gradient(step: usize, len: usize) -> Vec<f32> {
    // Neighbours lie up to four decades apart, as the gradients of different layers do.
    let factors = [1e-3, 1e-2, 0.1, 1.0, 10.0].into_iter().cycle();
    random(step as u64, len).iter().zip(factors).map(|(g, factor)| g * factor).collect()
}

fn size(step: usize) -> StepSize {
    let correction = |beta: f64| 1.0 - beta.powi(step as i32);
    StepSize {
        lr: rate(step) as f32,
        beta1: BETAS[0],
        beta2: BETAS[1],
        eps: EPS as f32,
        decay: DECAY as f32,
        correction1: correction(BETAS[0]) as f32,
        root_correction2: correction(BETAS[1]).sqrt() as f32,
        clip: CLIP as f32,
    }
}

/// w, m, v and out after ten steps; v has `width` elements.
fn run(bench: &mut Bench, start: &[f32], width: usize, dtype: DType) -> [Vec<f32>; 4] {
    let len = start.len();
    let [w, m, v] = [start, &vec![0.0; len], &vec![0.0; width]].map(|values| bench.pinned(values));
    let g = bench.pinned(start);
    let out = bench.cpu.alloc("out", Space::Pinned, dtype, len);
    for step in 1..=STEPS {
        bench.cpu.write(g, &gradient(step, len));
        bench.launch(Update { w, m, v, g, out, size: size(step) });
    }
    let out = match dtype {
        DType::F32 => bench.get(out),
        _ => {
            let mut values = vec![bf16::ZERO; len];
            bench.cpu.read(out, &mut values);
            values.iter().map(|v| v.to_f32()).collect()
        }
    };
    [bench.get(w), bench.get(m), bench.get(v), out]
}

/// `torch.optim.AdamW` in f64, an element at a time: w, m and v.
fn restated(start: &[f32]) -> [Vec<f64>; 3] {
    let mut w = wide(start);
    let [mut m, mut v] = [(); 2].map(|()| vec![0.0; start.len()]);
    for step in 1..=STEPS {
        let lr = rate(step);
        let correction = BETAS.map(|beta| 1.0 - beta.powi(step as i32));
        for (i, g) in gradient(step, start.len()).into_iter().enumerate() {
            let g = f64::from(g) * CLIP;
            w[i] -= lr * DECAY * w[i];
            m[i] += (g - m[i]) * (1.0 - BETAS[0]);
            v[i] = BETAS[1] * v[i] + (1.0 - BETAS[1]) * g * g;
            let denominator = v[i].sqrt() / correction[1].sqrt() + EPS;
            w[i] -= lr / correction[0] * m[i] / denominator;
        }
    }
    [w, m, v]
}

#[test]
fn ten_steps_are_those_of_torch() {
    for len in LENGTHS {
        let start = scaled(0.02, random(100, len));
        let [w, m, v, out] = everywhere(Numerics::F32, |b| run(b, &start, start.len(), DType::F32));
        let [want_w, want_m, want_v] = restated(&start);
        assert_close(&format!("m {len}"), &m, &want_m, 1e-6);
        let root = |values: &[f64]| values.iter().map(|v| v.sqrt()).collect::<Vec<_>>();
        let root_v: Vec<f32> = v.iter().map(|v| v.sqrt()).collect();
        assert_close(&format!("√v {len}"), &root_v, &root(&want_v), 1e-6);
        let moved: Vec<f32> = w.iter().zip(&start).map(|(w, start)| w - start).collect();
        let want: Vec<f64> =
            want_w.iter().zip(&start).map(|(w, &start)| w - f64::from(start)).collect();
        assert_close(&format!("w {len}"), &moved, &want, 2e-6);
        assert_same_bits("out", &out, &w);
    }
}

/// Coupled Adam in f64, an element at a time: w, m, and v by column.
fn restated_coupled(start: &[f32], width: usize) -> [Vec<f64>; 3] {
    let (mut w, mut m, mut v) = (wide(start), vec![0.0; start.len()], vec![0.0; width]);
    let rows = start.len() / width;
    for step in 1..=STEPS {
        let lr = rate(step);
        let correction = BETAS.map(|beta| 1.0 - beta.powi(step as i32));
        let g: Vec<f64> =
            gradient(step, start.len()).into_iter().map(|g| f64::from(g) * CLIP).collect();
        for d in 0..width {
            let mean = (0..rows).map(|row| g[row * width + d].powi(2)).sum::<f64>() / rows as f64;
            v[d] = BETAS[1] * v[d] + (1.0 - BETAS[1]) * mean;
        }
        for (i, g) in g.into_iter().enumerate() {
            w[i] -= lr * DECAY * w[i];
            m[i] += (g - m[i]) * (1.0 - BETAS[0]);
            let denominator = v[i % width].sqrt() / correction[1].sqrt() + EPS;
            w[i] -= lr / correction[0] * m[i] / denominator;
        }
    }
    [w, m, v]
}

#[test]
fn rows_may_share_their_second_moment() {
    // Widths around the 64 columns of a task.
    for (rows, width) in [(1000, 1), (3, 63), (129, 64), (40, 200)] {
        let start = scaled(0.02, random(102, rows * width));
        let [w, m, v, out] = everywhere(Numerics::F32, |b| run(b, &start, width, DType::F32));
        let [want_w, want_m, want_v] = restated_coupled(&start, width);
        assert_eq!(v.len(), width);
        assert_close(&format!("m {rows} x {width}"), &m, &want_m, 1e-6);
        assert_close(&format!("v {rows} x {width}"), &v, &want_v, 1e-6);
        let moved: Vec<f32> = w.iter().zip(&start).map(|(w, start)| w - start).collect();
        let want: Vec<f64> =
            want_w.iter().zip(&start).map(|(w, &start)| w - f64::from(start)).collect();
        assert_close(&format!("w {rows} x {width}"), &moved, &want, 2e-6);
        assert_same_bits("out", &out, &w);
    }
}

#[test]
fn a_row_with_a_small_gradient_moves_little_where_v_is_shared() {
    let g: Vec<f32> = (0..8).map(|i| if i < 4 { 1.0 } else { 1e-4 }).collect();
    let moved = |width: usize| {
        let bench = &mut Bench::new();
        let [w, m] = [(); 2].map(|()| bench.pinned(&[0.0; 8]));
        let (v, out) = (bench.pinned(&vec![0.0; width]), bench.pinned(&[0.0; 8]));
        let g = bench.pinned(&g);
        bench.launch(Update { w, m, v, g, out, size: StepSize { decay: 0.0, ..size(1) } });
        let w = bench.get(w);
        w[4] / w[0]
    };
    assert!(moved(8) > 0.99, "with its own it moves as far as any");
    assert!((moved(4) - 1e-4).abs() < 1e-8, "with a shared one in proportion");
}

#[test]
fn the_device_copy_is_rounded_and_the_master_is_not() {
    let start = scaled(0.02, random(101, 4099));
    let [w, _, _, out] = everywhere(Numerics::F32, |b| run(b, &start, start.len(), DType::Bf16));
    let [exact, ..] = run(&mut Bench::new(), &start, start.len(), DType::F32);
    assert_same_bits("w", &w, &exact);
    let rounded: Vec<f32> = w.iter().map(|&w| bf16::from_f32(w).to_f32()).collect();
    assert_same_bits("out", &out, &rounded);
}

#[test]
fn without_a_gradient_only_decay_moves_w() {
    let bench = &mut Bench::new();
    let [w, m, v, g] = [[2.0, -1.0], [0.0; 2], [0.0; 2], [0.0; 2]].map(|v| bench.pinned(&v));
    let out = bench.pinned(&[0.0; 2]);
    bench.launch(Update { w, m, v, g, out, size: StepSize { lr: 0.5, decay: 0.25, ..size(1) } });
    assert_eq!(
        [bench.get(w), bench.get(m), bench.get(v)],
        [vec![1.75, -0.875], vec![0.0; 2], vec![0.0; 2]]
    );
}

#[test]
fn the_squared_norm_is_the_sum_of_squares() {
    for len in LENGTHS {
        let g = gradient(3, len);
        let [partial] = everywhere(Numerics::F32, |bench| {
            let (g, partial) =
                (bench.pinned(&g), bench.pinned(&vec![f32::NAN; len.div_ceil(4096)]));
            bench.launch(SquaredNorm { g, partial });
            [bench.get(partial)]
        });
        let want: Vec<f64> =
            g.chunks(NORM_STRETCH).map(|g| g.iter().map(|&g| f64::from(g).powi(2)).sum()).collect();
        assert_close(&format!("{len}"), &partial, &want, 1e-6);
    }
}

#[test]
fn the_price_counts_every_buffer() {
    let bench = &mut Bench::new();
    let [w, m, v, g, out] = [(); 5].map(|()| bench.pinned(&vec![0.0; 5000]));
    let target = bench.cpu.target();
    let update = Update { w, m, v, g, out, size: size(1) }.cost(&target);
    assert_eq!([update.read, update.written], [4 * 4 * 5000, 4 * 4 * 5000]);
    let shared = Update { w, m, v: v.slice(0, 100), g, out, size: size(1) }.cost(&target);
    assert_eq!([shared.read, shared.written], [4 * (4 * 5000 + 100), 4 * (3 * 5000 + 100)]);
    let norm = SquaredNorm { g, partial: out.slice(0, 2) }.cost(&target);
    assert_eq!([norm.read, norm.written, norm.flops], [4 * 5000, 8, 2 * 5000]);
}
