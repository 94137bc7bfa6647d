use super::*;
use crate::Numerics;
use crate::test_bench::{
    Bench, assert_close, assert_same_bits, assert_slopes, constant, everywhere, gradients,
    integers, leaf, random, values_of, wide,
};
use candle_core::Tensor;

/// Llama 3.1's.
const SCALING: Scaling = Scaling { factor: 8.0, low: 1.0, high: 4.0, original_context: 8192 };
/// N, H, D, with or without scaling.
const CASES: [([usize; 3], Option<Scaling>); 6] = [
    ([1, 1, 2], None),
    ([3, 2, 6], None),
    ([17, 1, 20], Some(SCALING)),
    ([7, 3, 64], Some(SCALING)),
    ([5, 4, 128], Some(SCALING)),
    ([40, 2, 16], None),
];
/// Rows of the tables.
const POSITIONS: usize = 600;

fn rotated(
    bench: &mut Bench,
    op: ([usize; 3], Direction),
    from: [&[f32]; 2],
    at: &[u32],
) -> Vec<f32> {
    let ([_, _, head_dim], direction) = op;
    let [x, table] = from.map(|values| bench.f32(values));
    let positions = bench.put(at);
    bench.launch(Rotate { x, positions, table, head_dim, direction });
    bench.get(x)
}

/// The angles (N,D/2) of the positions, from the definition of the frequencies.
fn angles(at: &[u32], head_dim: usize, scaling: Option<Scaling>) -> Vec<f64> {
    let frequency = |i: usize| {
        let f = 500_000_f64.powf(-((2 * i) as f64) / head_dim as f64);
        let Some(Scaling { factor, low, high, original_context }) = scaling else { return f };
        let [factor, low, high] = [factor, low, high].map(f64::from);
        // How often the wave fits into the original context, and how far that lies between the ends.
        let turns = original_context as f64 * f / (2.0 * std::f64::consts::PI);
        let share = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        f * (share + (1.0 - share) / factor)
    };
    // The product is taken in f32, as the table's contract says.
    let angle = |p: u32, i: usize| f64::from(p as f32 * frequency(i) as f32);
    at.iter().flat_map(|&p| (0..head_dim / 2).map(move |i| angle(p, i))).collect()
}

/// The rotation by candle's elementary operations.
fn composed(x: &Tensor, angles: &[f64]) -> Tensor {
    let (n, _, d) = x.dims3().unwrap();
    let part = |f: fn(f64) -> f64| {
        let values: Vec<f64> = angles.iter().map(|&angle| f(angle)).collect();
        Tensor::from_vec(values, (n, 1, d / 2), x.device()).unwrap()
    };
    let (cos, sin) = (part(f64::cos), part(f64::sin));
    let (low, high) = (x.narrow(2, 0, d / 2).unwrap(), x.narrow(2, d / 2, d / 2).unwrap());
    let times = |x: &Tensor, factor: &Tensor| x.broadcast_mul(factor).unwrap();
    let first = (times(&low, &cos) - times(&high, &sin)).unwrap();
    let second = (times(&high, &cos) + times(&low, &sin)).unwrap();
    Tensor::cat(&[first, second], 2).unwrap()
}

#[test]
fn forward_and_backward_agree_with_autograd() {
    for (shape @ [n, h, d], scaling) in CASES {
        let what = format!("{shape:?} {scaling:?}");
        let at = integers(1, n, POSITIONS);
        let (x, dy) = (random(2, n * h * d), random(3, n * h * d));
        let table = table(&frequencies(d, 500_000.0, scaling), POSITIONS);
        let [y, dx] = everywhere(Numerics::F32, |bench| {
            let y = rotated(bench, (shape, Direction::Forward), [&x, &table], &at);
            [y, rotated(bench, (shape, Direction::Backward), [&dy, &table], &at)]
        });
        let leaf = leaf(&x, (n, h, d));
        let want = composed(&leaf, &angles(&at, d, scaling));
        let [want_dx] = gradients(&want, &dy, [&leaf]);
        assert_close(&format!("y {what}"), &y, &values_of(&want), 1e-5);
        assert_close(&format!("dx {what}"), &dx, &want_dx, 1e-5);
    }
}

#[test]
fn the_backward_is_the_slope_of_the_forward() {
    for (shape @ [n, h, d], scaling) in CASES {
        let at = integers(4, n, POSITIONS);
        let (x, dy) = (random(5, n * h * d), random(6, n * h * d));
        let table = table(&frequencies(d, 500_000.0, scaling), POSITIONS);
        let bench = &mut Bench::new();
        let dx = rotated(bench, (shape, Direction::Backward), [&dy, &table], &at);
        let angles = angles(&at, d, scaling);
        let project = |x: &[f64]| {
            let mut sum = 0.0;
            for (head, (x, dy)) in x.chunks_exact(d).zip(dy.chunks_exact(d)).enumerate() {
                for i in 0..d / 2 {
                    let (sin, cos) = angles[head / h * (d / 2) + i].sin_cos();
                    sum += (x[i] * cos - x[i + d / 2] * sin) * f64::from(dy[i]);
                    sum += (x[i + d / 2] * cos + x[i] * sin) * f64::from(dy[i + d / 2]);
                }
            }
            sum
        };
        assert_slopes(&format!("{shape:?}"), project, &x, &dx);
    }
}

#[test]
fn a_position_is_all_that_matters() {
    let shape @ [n, h, d] = [9, 2, 20];
    let at = integers(7, n, POSITIONS);
    let x = random(8, n * h * d);
    let table = table(&frequencies(d, 10_000.0, None), POSITIONS);
    let forward = (shape, Direction::Forward);
    let together = rotated(&mut Bench::new(), forward, [&x, &table], &at);
    for (row, position) in at.iter().enumerate() {
        let own = &x[row * h * d..][..h * d];
        let alone = rotated(&mut Bench::new(), forward, [own, &table], &[*position]);
        assert_same_bits("alone", &alone, &together[row * h * d..][..h * d]);
        let unmoved = rotated(&mut Bench::new(), forward, [own, &table], &[0]);
        assert_same_bits("position 0", &unmoved, own);
    }
}

#[test]
fn the_table_holds_cosines_and_sines() {
    for (d, scaling) in [(2, None), (20, Some(SCALING)), (128, Some(SCALING))] {
        let every: Vec<u32> = (0..50).chain([8191]).collect();
        let table = table(&frequencies(d, 500_000.0, scaling), 8192);
        assert_eq!(table.len(), 8192 * d);
        for &p in &every {
            let angles = angles(&[p], d, scaling);
            let want: Vec<f64> =
                angles.iter().map(|a| a.cos()).chain(angles.iter().map(|a| a.sin())).collect();
            // A last bit in an f32 frequency is 8191 · 6e-8 in the angle.
            let tolerance = 1e-6 + 1e-7 * f64::from(p);
            assert_close(&format!("{d} at {p}"), &table[p as usize * d..][..d], &want, tolerance);
        }
    }
}

#[test]
fn llama3_scaling_keeps_high_and_divides_low_frequencies() {
    let plain = frequencies(128, 500_000.0, None);
    let scaled = frequencies(128, 500_000.0, Some(SCALING));
    let wavelength = |f: f32| 2.0 * std::f32::consts::PI / f;
    let (mut kept, mut divided, mut blended) = (0, 0, 0);
    for (plain, scaled) in plain.into_iter().zip(scaled) {
        if wavelength(plain) < 2048.0 {
            kept += 1;
            assert_eq!(scaled, plain);
        } else if wavelength(plain) > 8192.0 {
            divided += 1;
            assert_eq!(scaled, plain / 8.0);
        } else {
            blended += 1;
            assert!(plain / 8.0 < scaled && scaled < plain);
        }
    }
    assert!(kept > 20 && divided > 20 && blended > 3, "{kept} {divided} {blended}");
    assert_close("first", &frequencies(4, 10_000.0, None), &[1.0, 0.01], 1e-7);
}

#[test]
fn turning_back_restores_x() {
    let shape @ [n, h, d] = [13, 2, 64];
    let at = integers(9, n, POSITIONS);
    let x = random(10, n * h * d);
    let table = table(&frequencies(d, 500_000.0, None), POSITIONS);
    let bench = &mut Bench::new();
    let turned = rotated(bench, (shape, Direction::Forward), [&x, &table], &at);
    let back = rotated(bench, (shape, Direction::Backward), [&turned, &table], &at);
    assert_close("back", &back, &wide(&x), 1e-6);
    let moved = constant(&turned, n * h * d);
    assert_ne!(values_of(&moved), wide(&x));
}
