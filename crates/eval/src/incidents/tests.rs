use super::*;
use lab::Part;
use std::collections::BTreeSet;

fn made(part: Part, count: u64) -> Vec<Example> {
    let tokens = |text: &str| Ok(text.len().div_ceil(3));
    examples(&Settings::new(5, part), 0..count, &Shown { budget: 500, tokens: &tokens }).unwrap()
}

#[test]
fn examples_are_of_every_case_and_their_answers_fit_them() {
    let test = made(Part::Test, 200);
    for (case, count) in counts(&test) {
        assert!(count > 0, "{case:?}");
    }
    for example in &test {
        let said = Said::parse(&example.answer).unwrap();
        assert!(example.is_cause(said.cause), "{}", example.id);
        let silent = matches!(said.cause, Cause::None | Cause::Unknown);
        assert_eq!(
            silent,
            !matches!(example.case, Case::Known | Case::Two) || said.cause == Cause::Unknown
        );
        assert!(said.evidence.iter().all(|id| example.support.contains(id)), "{}", example.id);
    }
    assert!(made(Part::Train, 200).iter().all(|it| it.case != Case::HeldOut));
    assert_eq!(leaks(&test), Vec::<String>::new());
    assert_eq!(duplicates(&made(Part::Train, 200), &test), []);
    let mut near = test.clone();
    near[3].pack.prompt = near[3].pack.prompt.replacen("from +0m", "from +1m", 1);
    let found = duplicates(&near, &test[3..4]);
    assert!(found.len() == 1 && found[0].train == 3, "{found:?}");
    for label in ["certificate-expired", "Certificate-Expired"] {
        let mut leaking = test[0].clone();
        leaking.pack.prompt.insert_str(0, &format!("{label} here\n"));
        assert_eq!(leaks(&[leaking]), [test[0].id.clone()]);
    }
}

#[test]
fn an_incident_with_other_names_and_numbers_is_a_duplicate() {
    let test = made(Part::Test, 20);
    let renamed = |example: &Example| {
        let mut copy = example.clone();
        copy.pack.prompt = copy.pack.prompt.replace('1', "77");
        for (number, name) in copy.pack.services.iter_mut().enumerate() {
            let other = format!("renamed{number}");
            copy.pack.prompt = copy.pack.prompt.replace(name.as_str(), &other);
            *name = other;
        }
        copy
    };
    let copies: Vec<_> = test.iter().map(renamed).collect();
    let found = duplicates(&copies, &test);
    let found: Vec<_> = found.iter().map(|it| it.test).collect();
    let faults: Vec<_> = (0..20).filter(|it| test[*it].case != Case::Healthy).collect();
    assert!(found == faults && (1..20).contains(&found.len()), "{found:?}");
}

#[test]
fn scores_and_differences_follow_the_predictions() {
    let test = made(Part::Test, 120);
    let right = |example: &Example| {
        let services = example.services.iter().map(|label| (label.clone(), 1.0)).collect();
        Prediction::new(vec![(example.cause, 1.0)], services)
    };
    let wrong = |_: &Example| Prediction::new(vec![(Cause::ClockSkew, 1.0)], Vec::new());
    let (right, wrong): (Vec<_>, Vec<_>) = test.iter().map(|it| (right(it), wrong(it))).unzip();
    let score = Score::of("right", &test, &right, 1);
    assert_eq!(score.known.as_ref().unwrap().cause_top1.mean, 1.0);
    assert_eq!(score.calibration.expected_error, 0.0);
    assert_eq!(Score::of("wrong", &test, &wrong, 1).known.unwrap().cause_top3.mean, 0.0);
    let (right, wrong): (&[_], &[_]) = (&right, &wrong);
    let difference = Difference::between(("wrong", &[wrong]), ("right", &[right]), &test, 1);
    assert_eq!((difference.from.as_str(), difference.to.as_str()), ("wrong", "right"));
    assert_eq!(difference.cause_top1.unwrap().low, 1.0);
    // Two seeds, one of which is always right: every incident is right in one half of them.
    let mean = Score::of_runs("mean", &test, &[right, wrong], 1);
    let half = mean.known.unwrap().cause_top1;
    assert_eq!((half.low, half.mean, half.high), (0.5, 0.5, 0.5));
    assert_eq!(half.count, test.iter().filter(|it| it.case == Case::Known).count());
    let answers: usize = mean.calibration.bins.iter().map(|bin| bin.count).sum();
    assert_eq!(answers, 2 * test.len());
    let difference = Difference::between(("wrong", &[wrong]), ("mean", &[right, wrong]), &test, 1);
    assert_eq!(difference.cause_top1.unwrap().high, 0.5);
    assert_eq!(Score::of_runs("right", &test, &[right], 1), score);
    let text = serde_json::to_string(&score).unwrap();
    assert!(text.contains("\"method\":\"right\""), "{text}");
}

#[test]
fn a_text_that_cannot_be_counted_is_an_error() {
    let tokens = |_: &str| Err(text::Error::NoDocuments { inputs: "none".into() });
    let made =
        examples(&Settings::new(5, Part::Test), 0..1, &Shown { budget: 500, tokens: &tokens });
    assert!(made.is_err());
    let ids: BTreeSet<_> = self::made(Part::Test, 50).into_iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), 50);
}
