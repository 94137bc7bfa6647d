use super::*;

fn drawn(draw: impl Fn(&mut Svg)) -> String {
    let mut svg = Svg::new(200.0, 100.0);
    draw(&mut svg);
    svg.elements
}

#[test]
fn what_has_no_place_is_not_drawn() {
    let nothing = drawn(|svg| {
        svg.line("a", [0.0, f64::NAN, 1.0, 1.0]);
        svg.bar("a", [0.0, 0.0, f64::INFINITY, 1.0], "");
        svg.point("a", [f64::NAN, 0.0, 1.0], "");
        svg.mark("a", [f64::NEG_INFINITY, 0.0], "");
        svg.text("a", Anchor::Middle, [f64::NAN, 0.0], "x");
        svg.curve("a", &[[0.0, f64::NAN], [f64::INFINITY, 1.0]]);
        svg.curve("a", &[]);
    });
    assert_eq!(nothing, "");
}

#[test]
fn curves_keep_their_gaps_and_their_lonely_points() {
    let points = [[0.0, 1.0], [1.0, 2.0], [2.0, f64::NAN], [3.0, 4.0], [4.0, f64::NAN], [5.0, 1.0]];
    let curve = drawn(|svg| svg.curve("a", &points));
    assert!(curve.contains("d=\"M0.0 1.0L1.0 2.0M3.0 4.0L3.0 4.0M5.0 1.0L5.0 1.0\""), "{curve}");
}

#[test]
fn of_many_points_the_extremes_stay() {
    let mut points: Vec<_> = (0..100_000).map(|it| [f64::from(it) / 1000.0, 50.0]).collect();
    points[12_345][1] = 3.0;
    points[12_346][1] = 97.0;
    let kept = thinned(&points);
    assert!(kept.len() <= 400, "{}", kept.len());
    assert!(kept.contains(&points[12_345]) && kept.contains(&points[12_346]));
    assert!(kept.windows(2).all(|two| two[0][0] < two[1][0]));
    assert!(kept[0] == points[0] && kept.last() == points.last());
}

#[test]
fn texts_are_escaped_and_cut_and_cannot_turn_round() {
    let long = "<b>\"&\u{202e}\u{1b}[2J".to_owned() + &"x".repeat(500);
    let text = drawn(|svg| svg.text("a", Anchor::Start, [100.0, 0.0], &long));
    assert!(text.contains("&lt;b&gt;&quot;&amp;") && text.contains('…'), "{text}");
    assert!(!text.contains(['\u{202e}', '\u{1b}']) && !text.contains("<b>"), "{text}");
    assert!(text.contains("<title>&lt;b&gt;"), "the whole is its tip: {text}");
    let fits = drawn(|svg| svg.text("a", Anchor::Start, [0.0, 0.0], "short"));
    assert!(fits.contains(">short</text>"), "{fits}");
    let element = Svg::new(10.0, 20.0).element("wide", "a \"b\"");
    assert!(element.contains("viewBox=\"0 0 10 20\" role=\"img\" aria-label=\"a &quot;b&quot;\""));
}
