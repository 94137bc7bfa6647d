use super::*;

fn interval(mean: f64, low: f64, high: f64) -> Interval {
    Interval { mean, low, high, count: 40 }
}

/// Four measures of five methods.
pub(crate) fn example() -> Figure {
    let methods = ["majority", "nearest neighbour", "logistic regression", "base", "tuned"];
    let measures = ["cause top-1", "cause top-3", "service top-1", "service top-3"];
    let group = |(index, measure): (usize, &str)| {
        let value = |(method, name): (usize, &str)| {
            let mean = 0.14 + 0.15 * method as f64 + 0.04 * index as f64;
            (name.to_owned(), interval(mean, mean - 0.05, mean + 0.045))
        };
        Group {
            measure: measure.into(),
            bars: methods.into_iter().enumerate().map(value).collect(),
        }
    };
    let groups: Vec<_> = measures.into_iter().enumerate().map(group).collect();
    bars("What the methods get right", "Means with 95 % intervals; longer is better.", &groups)
}

fn attribute(line: &str, name: &str) -> f64 {
    let behind = line.split(&format!(" {name}=\"")).nth(1).unwrap_or_else(|| panic!("{line}"));
    behind.split('"').next().unwrap().parse().unwrap()
}

#[test]
fn bars_are_as_long_as_their_values_and_say_them() {
    let methods = [("majority", 0.2), ("base", 0.4), ("tuned", 0.8)];
    let bars_of =
        |_| methods.map(|(name, mean)| (name.into(), interval(mean, mean - 0.1, mean + 0.1)));
    let groups = ["cause top-1", "service top-1"]
        .map(|measure| Group { measure: measure.into(), bars: bars_of(()).into() });
    let figure = bars("Accuracy", "", &groups);
    for svg in &figure.svg {
        let rects: Vec<&str> = svg.lines().filter(|it| it.starts_with("<rect")).collect();
        assert_eq!(rects.len(), 6);
        let unit = attribute(rects[0], "width") / 0.2;
        for (rect, (name, mean)) in rects.iter().zip(methods.iter().cycle()) {
            assert!((attribute(rect, "width") - mean * unit).abs() < 0.2, "{name}: {rect}");
        }
        for number in ["0.20", "0.40", "0.80"] {
            assert_eq!(svg.matches(&format!(">{number}</text>")).count(), 2, "{number}");
        }
        assert!(svg.contains("cause top-1 (n = 40)"));
        assert!(svg.contains("95 % interval 0.300 to 0.500"));
        let whiskers: Vec<&str> = svg.lines().filter(|it| it.contains("\"whisker\"")).collect();
        assert_eq!(whiskers.len(), 18);
        let long = attribute(whiskers[0], "x2") - attribute(whiskers[0], "x1");
        assert!((long - 0.2 * unit).abs() < 0.3, "{long}");
    }
    assert!(
        figure.svg[0].contains("class=\"accent\"") && figure.svg[0].contains("class=\"plain\"")
    );
}

#[test]
fn odd_values_stay_within_the_drawing() {
    let odd = [
        interval(f64::NAN, f64::NAN, f64::NAN),
        interval(0.5, f64::NAN, f64::NAN),
        interval(1.0, 1.0, 1.0),
        interval(7.0, -3.0, 9.0),
    ];
    let group = Group {
        measure: "<m>".into(),
        bars: odd.into_iter().map(|it| ("<script>".to_owned() + &"n".repeat(90), it)).collect(),
    };
    let figure = bars("<t>", "<n>", &[group, Group { measure: "none".into(), bars: vec![] }]);
    for (svg, width) in figure.svg.iter().zip([super::super::WIDE, NARROW]) {
        assert!(!svg.contains("NaN") && !svg.contains("<script") && !svg.contains("<m>"), "{svg}");
        assert!(svg.contains(">no value</text>") && svg.contains(">no values</text>"));
        for line in svg.lines().filter(|it| it.starts_with("<rect")) {
            assert!(attribute(line, "x") + attribute(line, "width") <= width, "{line}");
        }
    }
    for groups in [&[][..], &[Group { measure: "m".into(), bars: vec![] }]] {
        assert!(bars("t", "n", groups).svg[1].contains("no values"));
    }
}
