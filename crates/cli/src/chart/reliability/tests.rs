use super::*;

fn calibration(bins: &[(usize, f64, f64)]) -> Calibration {
    let bins =
        bins.iter().map(|&(count, confidence, accuracy)| Bin { count, confidence, accuracy });
    Calibration { expected_error: 0.1234, bins: bins.collect() }
}

/// A base model that is too sure, and a tuned one that is not.
pub(crate) fn example() -> Figure {
    let bins = |gain: f64| -> Vec<(usize, f64, f64)> {
        let bin = |index: usize| {
            let confidence = 0.05 + 0.1 * index as f64;
            (index * index * 3, confidence, confidence * gain)
        };
        (0..10).map(bin).collect()
    };
    let methods =
        [("base".into(), calibration(&bins(0.6))), ("tuned".into(), calibration(&bins(0.97)))];
    let note =
        "How often an answer is right that is so sure; on the dashed line as often as it says.";
    reliability("Confidence", note, &methods)
}

#[test]
fn filled_bins_are_points_by_count() {
    let tuned = calibration(&[(0, 0.0, 0.0), (25, 0.25, 0.5), (100, 1.0, 1.0)]);
    let base = calibration(&[(10, 0.5, 0.5)]);
    let figure = reliability("Calibration", "", &[("base".into(), base), ("tuned".into(), tuned)]);
    for svg in &figure.svg {
        let points: Vec<&str> = svg.lines().filter(|it| it.starts_with("<circle")).collect();
        assert_eq!(points.len(), 3);
        assert!(
            points[1].contains(" r=\"5.5\"") && points[2].contains(" r=\"11.0\""),
            "{points:?}"
        );
        assert!(points[1].contains("confidence 0.25, right 0.50, n = 25"));
    }
    assert_eq!(figure.legend[1].text, "tuned: expected calibration error 0.123 (n = 125)");
    assert_eq!(figure.legend[1].colour, Colour::Accent);
    assert_ne!(figure.legend[0].colour, figure.legend[1].colour);
}

#[test]
fn points_lie_where_their_values_are() {
    let panel = Panel { corner: [10.0, 20.0], side: 100.0 };
    assert_eq!(panel.place(0.0, 0.0), [10.0, 120.0]);
    assert_eq!(panel.place(1.0, 0.75), [110.0, 45.0]);
}

#[test]
fn nothing_to_show_is_said() {
    let none = ("<tuned>".to_owned(), calibration(&[]));
    let odd = ("odd".to_owned(), calibration(&[(3, f64::NAN, 0.5)]));
    let figure = reliability("t", "n", &[none, odd]);
    assert!(figure.svg.iter().all(|svg| !svg.contains("<circle") && !svg.contains("<tuned>")));
    assert_eq!(figure.legend[0].text, "<tuned>: no answers");
    assert!(reliability("t", "n", &[]).svg[0].contains("no values"));
}
