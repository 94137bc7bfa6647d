//! Double quantization against bitsandbytes' own bits and against its definition.

use proptest::prelude::*;

use super::*;
use crate::golden::{Golden, assert_same, bits, normal, with_threads};

fn encoded(absmax: &[f32]) -> (Vec<u8>, Vec<f32>, f32) {
    let mut q = vec![0; absmax.len()];
    let mut nested = vec![0.0; blocks(absmax.len())];
    let offset = encode(absmax, &mut q, &mut nested).expect("finite values");
    (q, nested, offset)
}

#[test]
fn the_map_is_that_of_bitsandbytes() {
    let golden = Golden::read("double.safetensors");
    assert_same(&bits(map()), &bits(&golden.f32("map")), "map");
    assert!(map().is_sorted());
}

#[test]
fn bytes_scales_offset_and_decoded_values_equal_bitsandbytes() {
    let golden = Golden::read("double.safetensors");
    for case in golden.cases(".absmax") {
        let absmax = golden.f32(&format!("{case}.absmax"));
        let (q, nested, offset) = encoded(&absmax);
        let expected = golden.f32(&format!("{case}.offset"));
        assert_eq!(bits(&[offset]), bits(&expected), "{case}: offset {offset} {expected:?}");
        let expected = bits(&golden.f32(&format!("{case}.nested")));
        assert_same(&bits(&nested), &expected, &format!("{case}: nested"));
        assert_same(&q, &golden.u8(&format!("{case}.q")), &format!("{case}: q"));
        let mut out = vec![0.0; absmax.len()];
        decode(&q, map(), &nested, offset, &mut out);
        let expected = bits(&golden.f32(&format!("{case}.decoded")));
        assert_same(&bits(&out), &expected, &format!("{case}: decoded"));
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let absmax: Vec<f32> = normal(100_003, 9).into_iter().map(f32::abs).collect();
    let one = with_threads(1, || encoded(&absmax));
    let many = with_threads(5, || encoded(&absmax));
    assert_eq!((one.0, bits(&one.1), one.2.to_bits()), (many.0, bits(&many.1), many.2.to_bits()));
}

#[test]
fn values_that_cannot_be_scaled_are_refused() {
    let (mut q, mut nested) = ([0; 3], [0.0; 1]);
    let error = encode(&[1.0, f32::NAN, f32::INFINITY], &mut q, &mut nested).expect_err("a NaN");
    assert_eq!(error.to_string(), "element 1 is NaN, expected a finite number");
    let error = encode(&[f32::MAX; 3], &mut q, &mut nested).expect_err("an infinite sum");
    assert_eq!(error, Error::AbsmaxRange { count: 3 });
    let error = encode(&[f32::MAX, f32::MIN, f32::MIN], &mut q, &mut nested);
    assert_eq!(error, Err(Error::AbsmaxRange { count: 3 }));
    assert_eq!(encode(&[], &mut [], &mut []), Ok(0.0));
}

proptest! {
    /// The sum of the slow, obvious kind in f64 agrees to rounding, at any length.
    #[test]
    fn the_mean_is_a_mean(values in prop::collection::vec(0f32..1.0, 1..3000)) {
        let exact = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
        prop_assert!((f64::from(mean(&values)) - exact).abs() <= 1e-6);
    }

    /// The chosen level is the nearest one but for the grid's step of 2 / 65535.
    #[test]
    fn a_near_level_is_chosen(absmax in prop::collection::vec(0f32..1.0, 2..600)) {
        let (q, nested, offset) = encoded(&absmax);
        for (i, value) in absmax.iter().enumerate() {
            let scale = nested[i / BLOCK];
            let target = value - offset;
            let error = (map()[usize::from(q[i])] * scale - target).abs();
            let best = map().iter().map(|level| (level * scale - target).abs()).fold(f32::MAX, f32::min);
            prop_assert!(error <= best + scale * 3.2e-5, "{error} {best}");
        }
    }
}
