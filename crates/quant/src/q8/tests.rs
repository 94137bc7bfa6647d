//! The 8-bit format against its stated error, by hand-worked values, and on hostile input.

use proptest::prelude::*;

use super::*;
use crate::golden::{bits, normal, with_threads};

fn encoded(values: &[f32]) -> (Vec<i8>, Vec<f32>) {
    let mut codes = vec![0; values.len()];
    let mut scales = vec![0.0; blocks(values.len())];
    encode(values, &mut codes, &mut scales).expect("finite values");
    (codes, scales)
}

fn decoded(codes: &[i8], scales: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; codes.len()];
    decode(codes, scales, &mut out);
    out
}

fn assert_within_bound(values: &[f32]) -> Result<(), TestCaseError> {
    let (codes, scales) = encoded(values);
    let out = decoded(&codes, &scales);
    for (values, out) in values.chunks(BLOCK).zip(out.chunks(BLOCK)) {
        let absmax = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (value, out) in values.iter().zip(out) {
            let error = (f64::from(*value) - f64::from(*out)).abs();
            prop_assert!(error <= f64::from(max_error(absmax)), "{value} became {out}");
        }
    }
    Ok(())
}

#[test]
fn halves_round_to_even_and_signs_mirror() {
    // The scale is 1, so codes are the values rounded.
    let (codes, scales) = encoded(&[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -127.0, 0.49, 126.5]);
    assert_eq!(codes, [127, 0, 2, 2, 0, -2, -127, 0, 126]);
    assert_eq!(scales, [1.0]);
}

#[test]
fn blocks_have_their_own_scale_and_the_last_may_be_short() {
    let mut values = vec![0.0; 3 * BLOCK + 1];
    values[0] = 254.0;
    values[BLOCK] = -1e-3;
    values[3 * BLOCK] = 12.7;
    let (codes, scales) = encoded(&values);
    assert_eq!(scales, [2.0, 1e-3 / 127.0, 0.0, 12.7 / 127.0]);
    assert_eq!((codes[0], codes[BLOCK], codes[3 * BLOCK]), (127, -127, 127));
    assert_eq!(codes.iter().filter(|code| **code != 0).count(), 3);
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let values = normal(4 * TASK + 9, 10);
    let one = with_threads(1, || encoded(&values));
    let many = with_threads(6, || encoded(&values));
    assert_eq!((one.0, bits(&one.1)), (many.0, bits(&many.1)));
}

#[test]
fn a_number_that_is_not_finite_is_named_by_its_first_position() {
    let mut values = normal(2 * TASK, 11);
    values[TASK + 65] = f32::NEG_INFINITY;
    values[2 * TASK - 1] = f32::NAN;
    let error = encode(&values, &mut vec![0; 2 * TASK], &mut vec![0.0; 2 * TASK / BLOCK]);
    let expected = Error::NotFinite { index: TASK + 65, value: f32::NEG_INFINITY };
    assert_eq!(error, Err(expected));
}

proptest! {
    #[test]
    fn the_error_stays_within_the_stated_bound(
        values in prop::collection::vec(-1f32..1.0, 1..200),
        scale in -149i32..127,
    ) {
        let values: Vec<f32> =
            values.iter().map(|value| (f64::from(*value) * 2f64.powi(scale)) as f32).collect();
        assert_within_bound(&values)?;
    }

    #[test]
    fn any_finite_value_stays_within_the_stated_bound(
        words in prop::collection::vec(any::<u32>(), 1..200),
    ) {
        let values: Vec<f32> =
            words.into_iter().map(f32::from_bits).filter(|value| value.is_finite()).collect();
        assert_within_bound(&values)?;
    }
}
