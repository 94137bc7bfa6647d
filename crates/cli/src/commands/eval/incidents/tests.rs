use super::*;

/// A few incidents of each side.
fn laboratory() -> Laboratory {
    let tokens = |text: &str| Ok(text.len().div_ceil(3));
    let shown = Shown { budget: 500, tokens: &tokens };
    let made =
        |part, count| examples(&Settings::new(5, part), 0..count, &shown).expect("a large budget");
    let (train, test) = (made(Part::Train, 30), made(Part::Test, 40));
    let overlap = Overlap::of(&train, &test);
    let causes = Settings::new(5, Part::Test).causes();
    Laboratory { train, test, held_out: Vec::new(), causes, seed: 1, overlap }
}

/// Lets somebody answer always rightly, or never.
fn answer(incidents: &mut Incidents, name: &str, right: bool) {
    let say = |example: &Example| {
        let cause = if right { example.cause } else { Cause::ClockSkew };
        let services = example.services.iter().map(|label| (label.clone(), 1.0)).collect();
        Prediction::new(vec![(cause, 1.0)], services)
    };
    let predictions: Vec<_> = incidents.laboratory.test.iter().map(say).collect();
    incidents.keep(name, (predictions, Vec::new()));
}

/// The names of the differences.
fn names(differences: &[Difference]) -> Vec<(&str, &str)> {
    differences.iter().map(|it| (it.to.as_str(), it.from.as_str())).collect()
}

#[test]
fn one_tuned_model_is_compared_with_every_other_method() {
    let mut incidents = Incidents::new(laboratory());
    for (name, right) in [("few-shot base", false), ("base", false), ("tuned", true)] {
        answer(&mut incidents, name, right);
    }
    let differences = incidents.differences();
    let others = [
        "majority",
        "most frequent fault",
        "logistic regression",
        "nearest neighbour",
        "ranking",
        "ranking and signs",
        "few-shot base",
        "base",
    ];
    assert_eq!(names(&differences), others.map(|other| ("tuned", other)));
    let over_base = differences[7].cause_top1.expect("known faults");
    assert_eq!((over_base.low, over_base.high), (1.0, 1.0));
    // It is one row and not a mean beside it.
    assert_eq!(incidents.scores().len(), 9);
    let (text, json) = incidents.findings();
    assert!(text.contains("tuned minus base in cause top-1: 1.00 (1.00 to 1.00), in "), "{text}");
    assert!(text.contains("\nmost frequent fault "), "{text}");
    assert_eq!(json["differences"][0]["from"], "majority");
    assert_eq!((&json["leaks"], &json["near_duplicates"]), (&json!(0), &json!(0)));
    assert_eq!(json["train_checked"], 30);
}

#[test]
fn the_mean_of_the_seeds_is_compared_and_no_control() {
    let mut incidents = Incidents::new(laboratory());
    answer(&mut incidents, "base", false);
    for (name, right) in [("tuned, seed 1", true), ("tuned, seed 2", false)] {
        answer(&mut incidents, name, right);
        incidents.compare_last();
    }
    answer(&mut incidents, "control: shuffled causes", false);
    let differences = incidents.differences();
    let others = [
        "majority",
        "most frequent fault",
        "logistic regression",
        "nearest neighbour",
        "ranking",
        "ranking and signs",
        "base",
        "control: shuffled causes",
    ];
    assert_eq!(names(&differences), others.map(|other| ("tuned, mean of 2 seeds", other)));
    // Of two seeds one is right about every incident: half right, whichever incidents are drawn.
    for difference in &differences[6..] {
        let interval = difference.cause_top1.expect("known faults");
        assert_eq!((interval.low, interval.mean, interval.high), (0.5, 0.5, 0.5));
    }
    let scores = incidents.scores();
    let methods: Vec<_> = scores[6..].iter().map(|it| it.method.as_str()).collect();
    let expected = [
        "base",
        "tuned, seed 1",
        "tuned, seed 2",
        "control: shuffled causes",
        "tuned, mean of 2 seeds",
    ];
    assert_eq!(methods, expected);
    assert_eq!(scores.last(), Some(&incidents.score_of_target()));
}

#[test]
fn incidents_that_give_answers_away_are_refused() {
    let Laboratory { mut train, test, overlap, .. } = laboratory();
    assert_eq!(overlap, Overlap { train: 30, leaks: 0, near_duplicates: 0 });
    assert!(overlap.checked().is_ok());
    train[3].pack.prompt.insert_str(0, "Disk-Full\n");
    let leaking = Overlap::of(&train, &test);
    assert_eq!((leaking.leaks, overlap.and(leaking).leaks), (1, 1));
    let error = leaking.checked().expect_err("a leak").to_string();
    assert!(error.contains("outside of the options: 1, ") && error.contains("\nhint: "), "{error}");
    // What is learned from another seed is looked at like the first.
    let mut shared = laboratory();
    let mut other = laboratory();
    shared.check_with(&other).expect("nothing is given away");
    assert_eq!(shared.overlap.train, 60);
    other.train = test.clone();
    let error = shared.check_with(&other).expect_err("the test itself").to_string();
    let faults = test.iter().filter(|it| it.case != Case::Healthy).count();
    assert!(faults > 30 && faults < 40, "{faults}");
    let said = format!("nearly one of 100 of training: {faults}; ");
    assert!(error.contains(&said), "{error}");
}

#[test]
fn what_a_grammar_makes_true_is_called_so() {
    let mut incidents = Incidents::new(laboratory());
    answer(&mut incidents, "tuned", true);
    if let Some(tuned) = incidents.said.last_mut() {
        for (said, example) in tuned.predictions.iter_mut().zip(&incidents.laboratory.test) {
            let shown = example.pack.items.iter().map(|item| item.id.clone());
            said.cited = Some(shown.filter(|id| example.support.contains(id)).take(1).collect());
        }
        tuned.valid_unheld = Interval::of(&[1.0, 0.0], 1);
    }
    let (text, json) = incidents.findings();
    assert!(text.contains("tuned cites evidence that supports in 1.00 of all cases, at random 0."));
    assert!(text.contains("by the grammar what it cites exists, in 1.00\n"), "{text}");
    assert!(text.contains("valid answers without the grammar in 0.50 of 2\n"), "{text}");
    let tuned = &json["scores"][6]["citations"];
    assert!(tuned["at_random"].as_f64().is_some_and(|it| it > 0.0 && it < 1.0), "{tuned}");
}
