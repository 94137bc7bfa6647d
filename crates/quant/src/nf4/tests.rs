//! NF4 against bitsandbytes' own bits, against its definition, and on hostile input.

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::golden::{Golden, assert_same, bits, normal, with_threads};

fn encoded(values: &[f32]) -> (Vec<u8>, Vec<f32>) {
    let mut codes = vec![0; code_bytes(values.len())];
    let mut absmax = vec![0.0; blocks(values.len())];
    encode(values, &mut codes, &mut absmax).expect("finite values");
    (codes, absmax)
}

fn decoded(codes: &[u8], absmax: &[f32], count: usize) -> Vec<f32> {
    let mut out = vec![0.0; count];
    decode_f32(codes, absmax, &mut out);
    out
}

/// The bits of `count` weights decoded to the type that `case` names.
fn decoded_as(case: &str, codes: &[u8], absmax: &[f32], count: usize) -> Vec<u32> {
    if case.ends_with("bfloat16") {
        let mut out = vec![bf16::ZERO; count];
        decode_bf16(codes, absmax, &mut out);
        out.iter().map(|value| u32::from(value.to_bits())).collect()
    } else if case.ends_with("float16") {
        let mut out = vec![f16::ZERO; count];
        decode_f16(codes, absmax, &mut out);
        out.iter().map(|value| u32::from(value.to_bits())).collect()
    } else {
        bits(&decoded(codes, absmax, count))
    }
}

fn golden_bits(golden: &Golden, case: &str, name: &str) -> Vec<u32> {
    if case.ends_with("float32") {
        bits(&golden.f32(name))
    } else {
        golden.bits16(name).into_iter().map(u32::from).collect()
    }
}

#[test]
fn codes_absmax_and_decoded_weights_equal_bitsandbytes() {
    let golden = Golden::read("nf4.safetensors");
    let cases = golden.cases(".values");
    assert_eq!(cases.len(), 36, "12 weights in 3 types");
    for case in cases {
        let values = golden.f32(&format!("{case}.values"));
        let (codes, absmax) = encoded(&values);
        assert_same(&codes, &golden.u8(&format!("{case}.codes")), &format!("{case}: codes"));
        let expected = bits(&golden.f32(&format!("{case}.absmax")));
        assert_same(&bits(&absmax), &expected, &format!("{case}: absmax"));
        let expected = golden_bits(&golden, &case, &format!("{case}.decoded"));
        let found = decoded_as(&case, &codes, &absmax, values.len());
        assert_same(&found, &expected, &format!("{case}: decoded"));
    }
}

#[test]
fn double_quantized_weights_equal_bitsandbytes() {
    let golden = Golden::read("nf4.safetensors");
    for case in golden.cases(".double.q") {
        let values = golden.f32(&format!("{case}.values"));
        let (codes, plain) = encoded(&values);
        let mut q = vec![0; plain.len()];
        let mut nested = vec![0.0; double_quant::blocks(plain.len())];
        let offset = double_quant::encode(&plain, &mut q, &mut nested).expect("finite values");
        assert_same(&q, &golden.u8(&format!("{case}.double.q")), &format!("{case}: q"));
        let expected = golden.f32(&format!("{case}.double.nested"));
        assert_eq!(bits(&nested), bits(&expected), "{case}: nested");
        let expected = golden.f32(&format!("{case}.double.offset"));
        assert_eq!(bits(&[offset]), bits(&expected), "{case}: offset");

        let view = Absmax::Double { q: &q, map: double_quant::map(), nested: &nested, offset };
        Nf4 { codes: &codes, absmax: view }.check(values.len()).expect("arrays that fit");
        let mut absmax = vec![0.0; view.len()];
        view.get_into(0, &mut absmax);
        let expected = golden_bits(&golden, &case, &format!("{case}.double.decoded"));
        let found = decoded_as(&case, &codes, &absmax, values.len());
        assert_same(&found, &expected, &format!("{case}: decoded"));
    }
}

#[test]
fn every_byte_decodes_to_high_nibble_first() {
    let codes: Vec<u8> = (0..=255).collect();
    let absmax = [0.37f32; 8];
    let out = decoded(&codes, &absmax, 512);
    for (byte, pair) in out.chunks(2).enumerate() {
        assert_eq!(pair, [CODE[byte >> 4] * 0.37, CODE[byte & 15] * 0.37]);
    }
}

#[test]
fn mean_errors_over_a_normal_weight_are_those_of_bitsandbytes() {
    // bitsandbytes' own test expects, for 1024 x 1024 numbers of N(0, 1) in blocks of 64, a mean
    // absolute error of 0.072798 (deviation 7.4e-5) and a mean relative error of 0.203339 (3.4e-4),
    // and allows seven deviations.
    let values = normal(1024 * 1024, 5);
    let (codes, absmax) = encoded(&values);
    let out = decoded(&codes, &absmax, values.len());
    let errors = || values.iter().zip(&out).map(|(x, y)| f64::from(x - y).abs());
    let count = values.len() as f64;
    let absolute = errors().sum::<f64>() / count;
    let relative =
        errors().zip(&values).map(|(e, x)| e / (f64::from(*x).abs() + 1e-8)).sum::<f64>() / count;
    println!("mean absolute error {absolute:.6}, mean relative error {relative:.6}");
    assert!((absolute - 0.072798).abs() < 7.0 * 7.4e-5, "{absolute}");
    assert!((relative - 0.203339).abs() < 7.0 * 3.4e-4, "{relative}");
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let values = normal(5 * TASK + 77, 6);
    let one = with_threads(1, || encoded(&values));
    for threads in [2, 7] {
        let many = with_threads(threads, || encoded(&values));
        assert_eq!(one.0, many.0);
        assert_eq!(bits(&one.1), bits(&many.1));
        let out = with_threads(threads, || decoded(&one.0, &one.1, values.len()));
        assert_eq!(bits(&out), bits(&decoded(&one.0, &one.1, values.len())));
    }
}

#[test]
fn a_number_that_is_not_finite_is_named_by_its_first_position() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for first in [0, 63, 64, TASK + 130, 3 * TASK + 4] {
            let mut values = normal(3 * TASK + 5, 7);
            values[first..].iter_mut().step_by(1000).for_each(|value| *value = bad);
            let mut codes = vec![0; code_bytes(values.len())];
            let mut absmax = vec![0.0; blocks(values.len())];
            let error = encode(&values, &mut codes, &mut absmax).expect_err("not finite");
            assert!(matches!(error, Error::NotFinite { index, .. } if index == first), "{error}");
        }
    }
    let error = Error::NotFinite { index: 12, value: f32::INFINITY };
    assert_eq!(error.to_string(), "element 12 is inf, expected a finite number");
}

#[test]
fn a_view_whose_arrays_do_not_fit_is_refused() {
    let (codes, absmax) = encoded(&normal(200, 8));
    let weight = Nf4 { codes: &codes, absmax: Absmax::F32(&absmax) };
    weight.check(200).expect("arrays that fit");
    weight.check(199).expect("an odd count has as many bytes");
    let error = weight.check(300).expect_err("too few codes");
    assert_eq!(error.to_string(), "codes has 100 entries, expected 150");
    let error = Nf4 { codes: &codes, absmax: Absmax::F32(&absmax[1..]) }.check(200);
    assert_eq!(error.expect_err("too few").to_string(), "absmax has 3 entries, expected 4");
    let double = Absmax::Double { q: &[0; 4], map: double_quant::map(), nested: &[], offset: 0.0 };
    let error = Nf4 { codes: &codes, absmax: double }.check(200).expect_err("no nested scale");
    assert_eq!(error.to_string(), "nested_absmax has 0 entries, expected 1");
}

proptest! {
    /// The definition, without any of the fast path's structure: no level is nearer than the chosen
    /// one by more than rounding, and the absmax of a block is its largest magnitude.
    #[test]
    fn the_nearest_level_is_chosen(
        values in prop::collection::vec(-1e3f32..1e3, 1..200),
        scale in -30i32..30,
    ) {
        let values: Vec<f32> = values.iter().map(|value| value * 2f32.powi(scale)).collect();
        let (codes, absmax) = encoded(&values);
        let out = decoded(&codes, &absmax, values.len());
        for (i, (value, out)) in values.iter().zip(&out).enumerate() {
            let block = values.chunks(BLOCK).nth(i / BLOCK).expect("a block");
            let largest = block.iter().fold(0.0f32, |m, x| m.max(x.abs())).max(SMALLEST_DIVISOR);
            prop_assert!(absmax[i / BLOCK] == largest || largest == SMALLEST_DIVISOR);
            let error = (value - out).abs();
            let best = CODE.iter().map(|level| (value - level * largest).abs()).fold(f32::MAX, f32::min);
            prop_assert!(error <= best + largest * 1e-6, "{value} became {out}");
        }
    }

    /// What was decoded once encodes to the same codes and scales again.
    #[test]
    fn encoding_is_stable(values in prop::collection::vec(-1f32..1.0, 1..300)) {
        let (codes, absmax) = encoded(&values);
        let out = decoded(&codes, &absmax, values.len());
        let again = encoded(&out);
        prop_assert_eq!(codes, again.0);
        prop_assert_eq!(bits(&absmax), bits(&again.1));
    }

    /// Any finite bits at all: no panic, and every weight stays within its block's range.
    #[test]
    fn any_finite_value_is_encoded(words in prop::collection::vec(any::<u32>(), 1..200)) {
        let values: Vec<f32> =
            words.into_iter().map(f32::from_bits).filter(|value| value.is_finite()).collect();
        let (codes, absmax) = encoded(&values);
        for (i, out) in decoded(&codes, &absmax, values.len()).into_iter().enumerate() {
            prop_assert!(out.abs() <= absmax[i / BLOCK]);
        }
    }
}
