use super::*;

#[test]
fn the_interval_of_coin_tosses_has_the_width_that_theory_says() {
    // 400 values with mean 1/2: standard error 0.025, so about ±0.049.
    let values: Vec<f64> = (0..400).map(|index| f64::from(index % 2)).collect();
    let interval = Interval::of(&values, 7).unwrap();
    assert_eq!(interval.mean, 0.5);
    assert!((interval.high - 0.549).abs() < 0.008, "{interval:?}");
    assert!((interval.low - 0.451).abs() < 0.008, "{interval:?}");
    assert_eq!(Interval::of(&values, 7), Some(interval));
}

#[test]
fn pairing_removes_what_is_hard_for_both() {
    let before: Vec<f64> = (0..200).map(|index| f64::from(index % 10)).collect();
    let after: Vec<f64> = before.iter().map(|value| value + 1.0).collect();
    let interval = Interval::of_difference(&before, &after, 1).unwrap();
    assert_eq!((interval.low, interval.mean, interval.high), (1.0, 1.0, 1.0));
    assert_eq!(Interval::of_difference(&before, &after[1..], 1), None);
    assert_eq!(Interval::of(&[], 1), None);
}
