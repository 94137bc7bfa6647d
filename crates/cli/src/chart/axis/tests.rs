use super::*;

#[test]
fn axes_are_round_and_cover_everything() {
    let axis = Axis::around([1.23, 5.9].into_iter(), 6.0);
    assert_eq!(axis, Axis { low: 1.0, high: 6.0, step: 1.0 });
    assert_eq!(axis.labels().collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(axis.text(2.0), "2");
    let within = Axis::over([-31.0, 52.0].into_iter(), 5.0);
    assert_eq!(within.labels().collect::<Vec<_>>(), [-20.0, 0.0, 20.0, 40.0]);
    let unit: Vec<_> = Axis::UNIT.labels().map(|it| Axis::UNIT.text(it)).collect();
    assert_eq!(unit, ["0", "0.25", "0.50", "0.75", "1.00"]);
}

#[test]
fn no_values_give_an_empty_range() {
    let cases: [&[f64]; 7] = [
        &[2.0, 2.0],
        &[0.0],
        &[f64::NAN],
        &[],
        &[f64::INFINITY, 1.0],
        &[1e12, 1e12],
        &[-1.7e308, 1.7e308],
    ];
    for values in cases {
        for axis in
            [Axis::around(values.iter().copied(), 4.0), Axis::over(values.iter().copied(), 4.0)]
        {
            assert!(axis.high > axis.low && axis.step > 0.0, "{values:?}: {axis:?}");
            assert!(axis.share(axis.low) == 0.0 && axis.share(axis.high) == 1.0);
            assert!((1..20).contains(&axis.labels().count()), "{values:?}: {axis:?}");
            let texts: Vec<_> = axis.labels().map(|it| axis.text(it)).collect();
            assert!(texts.windows(2).all(|two| two[0] != two[1]), "{texts:?}");
        }
    }
}

#[test]
fn short_numbers_have_three_digits_and_a_letter() {
    for (value, text) in [
        (0.0, "0"),
        (0.0234, "0.023"),
        (1.0, "1"),
        (12.345, "12.3"),
        (123.4, "123"),
        (999.6, "1k"),
        (1500.0, "1.5k"),
        (2.5e9, "2.5G"),
        (-2048.0, "-2.05k"),
        (1e-5, "1.0e-5"),
        (4e20, "4.0e20"),
    ] {
        assert_eq!(short(value), text, "{value}");
    }
}
