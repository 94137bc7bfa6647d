use super::*;
use text::random::Numbers;

/// A run of 400 steps.
pub(crate) fn example() -> Figure {
    let mut numbers = Numbers::named(&[4]);
    let loss = |step: u64| 3.0 + 4.0 * (-(step as f64) / 90.0).exp();
    let train =
        (1..=400).map(|step| (step, loss(step) + 0.004 * (numbers.below(100) as f64 - 50.0)));
    let held_out = (0..=8).map(|step| (50 * step, loss(50 * step) + 0.12));
    let losses = Losses { train: train.collect(), held_out: held_out.collect() };
    losses.figure("Loss per trained token")
}

#[test]
fn every_finite_value_is_drawn_and_no_other() {
    let losses = Losses {
        train: vec![(1, 3.0), (2, f64::NAN), (3, 1.0)],
        held_out: vec![(0, 3.5), (3, 1.5), (4, f64::INFINITY)],
    };
    let figure = losses.figure("a < b");
    for svg in &figure.svg {
        assert!(svg.contains("aria-label=\"a &lt; b. "), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("<title>held out, step 3: 1.5000</title>"));
        let train = svg.lines().find(|it| it.contains("class=\"plain curve\"")).unwrap();
        assert_eq!(train.matches('M').count(), 2, "a gap: {train}");
    }
    assert_eq!(figure.legend[0].text, "training loss, 1.000 at step 3");
}

#[test]
fn names_at_the_ends_do_not_cover_each_other() {
    let losses = Losses { train: vec![(1, 2.0), (9, 1.0)], held_out: vec![(0, 2.1), (9, 1.001)] };
    let svg = &losses.figure("t").svg[0];
    let height = |name: &str| -> f64 {
        let line = svg.lines().find(|it| it.ends_with(&format!(">{name}</text>"))).unwrap();
        line.split(" y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
    };
    assert!(height("training") - height("held out") > 13.0, "{svg}");
}

#[test]
fn nothing_and_one_point_give_a_figure() {
    for losses in [Losses::default(), Losses { train: vec![(7, 2.5)], ..Losses::default() }] {
        let figure = losses.figure("t");
        assert!(figure.svg.iter().all(|svg| !svg.contains("NaN") && svg.ends_with("</svg>\n")));
        assert_eq!(figure.legend.len(), 2);
    }
}
