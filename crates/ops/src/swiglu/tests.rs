use super::*;
use crate::Numerics;
use crate::test_bench::{
    Bench, assert_close, assert_slopes, everywhere, gradients, leaf, random, scaled, values_of,
    wide,
};

/// Elements; a task takes 4096.
const LENGTHS: [usize; 7] = [1, 3, 16, 61, 4096, 4097, 10_007];

/// h, dg and du.
fn run(bench: &mut Bench, gate: &[f32], up: &[f32], dh: &[f32]) -> [Vec<f32>; 3] {
    let (gate, up, dh) = (bench.f32(gate), bench.f32(up), bench.f32(dh));
    let h = bench.garbage(dh.len);
    bench.launch(Forward { gate, up, h });
    let h = bench.get(h);
    bench.launch(Backward { dh, gate, up });
    [h, bench.get(gate), bench.get(up)]
}

#[test]
fn forward_and_backward_agree_with_autograd() {
    for len in LENGTHS {
        let (gate, up, dh) = (scaled(3.0, random(1, len)), random(2, len), random(3, len));
        let [h, dg, du] = everywhere(Numerics::F32, |bench| run(bench, &gate, &up, &dh));
        let (g, u) = (leaf(&gate, len), leaf(&up, len));
        let denominator = (g.neg().unwrap().exp().unwrap() + 1.0).unwrap();
        let want = ((g.as_tensor() / denominator).unwrap() * u.as_tensor()).unwrap();
        let [want_dg, want_du] = gradients(&want, &dh, [&g, &u]);
        assert_close(&format!("h {len}"), &h, &values_of(&want), 1e-6);
        assert_close(&format!("dg {len}"), &dg, &want_dg, 1e-6);
        assert_close(&format!("du {len}"), &du, &want_du, 1e-6);
    }
}

#[test]
fn the_backward_is_the_slope_of_the_forward() {
    for len in LENGTHS {
        let (gate, up, dh) = (scaled(2.0, random(4, len)), random(5, len), random(6, len));
        let [_, dg, du] = run(&mut Bench::new(), &gate, &up, &dh);
        let project = |gate: &[f64], up: &[f64]| {
            let h = gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u);
            h.zip(&dh).map(|(h, &dh)| h * f64::from(dh)).sum::<f64>()
        };
        let (wide_gate, wide_up) = (wide(&gate), wide(&up));
        assert_slopes(&format!("dg {len}"), |gate| project(gate, &wide_up), &gate, &dg);
        assert_slopes(&format!("du {len}"), |up| project(&wide_gate, up), &up, &du);
    }
}

#[test]
fn far_from_zero_it_is_the_gate_or_nothing() {
    let gate = [-1e30, -1000.0, -88.0, 0.0, 88.0, 1000.0, 1e30];
    let [h, dg, du] = everywhere(Numerics::F32, |b| run(b, &gate, &[1.0; 7], &[1.0; 7]));
    assert_close("h", &h, &[0.0, 0.0, 0.0, 0.0, 88.0, 1000.0, 1e30_f32.into()], 1e-6);
    assert_close("dg", &dg, &[0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0], 1e-6);
    assert_eq!(du, h);
}
