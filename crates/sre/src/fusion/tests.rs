use super::{FEATURES, Heard, Suspects, Weights, pairs, shares};
use crate::analyst::Opinion;
use crate::answer::NO_SERVICE;
use crate::cause::Cause;
use crate::evidence::{Options, Pack};
use crate::incident::tests::small;

fn pack() -> Pack {
    let tokens = |text: &str| text.len() / 3;
    let options = Options { budget: 2_000, causes: &Cause::ALL, tokens: &tokens, excerpts: false };
    Pack::new(&small(), &options).unwrap()
}

fn suspects(scores: &[(&str, f64)]) -> Suspects {
    let scores = scores.iter().map(|(label, score)| ((*label).to_owned(), *score)).collect();
    Suspects { scores, measured: true }
}

/// A model that is sure of one service and one cause.
fn heard(service: &str, cause: Cause, pack: &Pack) -> Heard {
    let mut labels = pack.labels();
    labels.push(NO_SERVICE.to_owned());
    let rest = 0.1 / (labels.len() - 1) as f64;
    let share = |label: &String| if label == service { 0.9 } else { rest };
    let services = labels.iter().map(|label| (label.clone(), share(label))).collect();
    let few = 0.1 / (Cause::ALL.len() - 1) as f64;
    let row = Cause::ALL.map(|it| if it == cause { 0.9 } else { few }).to_vec();
    Heard { services, causes: vec![(service.to_owned(), row)] }
}

#[test]
fn pairs_are_what_an_answer_could_name() {
    let pack = pack();
    let pairs = pairs(&pack, &Cause::ALL, &suspects(&[("s2", 0.9)]), None);
    let faults = Cause::faults().len();
    // Each service with a fault or unknown, and nobody with none or unknown.
    assert_eq!(pairs.len(), 3 * (faults + 1) + 2);
    assert!(pairs.iter().all(|pair| (pair.cause == Cause::None) <= (pair.label == NO_SERVICE)));
    let unknown = pairs.iter().find(|it| it.label == "s2" && it.cause == Cause::Unknown).unwrap();
    assert_eq!(unknown.features, [0.0, 0.0, 0.9, 1.0, 0.0, 1.0, 0.0, 0.0]);
    let total: f64 = shares(&pairs, &Weights::ALONE).iter().sum();
    assert!((total - 1.0).abs() < 1e-12);
}

#[test]
fn witnesses_that_agree_are_surer_than_each_and_one_outweighs_a_model_that_errs() {
    let pack = pack();
    let by_signs = |label: &str| suspects(&[(label, 1.2)]);
    let opinion = |suspects: &Suspects, heard: Option<&Heard>| {
        let pairs = pairs(&pack, &Cause::ALL, suspects, heard);
        Opinion::fused(&pairs, &Weights::TUNED, &Cause::ALL)
    };
    let right = heard("s2", Cause::MemoryLimitTooLow, &pack);
    let both = opinion(&by_signs("s2"), Some(&right));
    assert_eq!((both.service.as_str(), both.cause()), ("s2", Cause::MemoryLimitTooLow));
    let ranked = opinion(&by_signs("s2"), None);
    let model = Opinion::alone(&right, &Cause::ALL);
    assert!(both.services[0].1 > ranked.services[0].1 && both.services[0].1 > model.services[0].1);
    let total: f64 = both.causes.iter().map(|(_, share)| share).sum();
    assert!((total - 1.0).abs() < 1e-9);
}

#[test]
fn a_quiet_ranking_speaks_for_none_only_where_something_was_measured() {
    let pack = pack();
    let none = |suspects: &Suspects| {
        let pairs = pairs(&pack, &Cause::ALL, suspects, None);
        let opinion = Opinion::fused(&pairs, &Weights::ALONE, &Cause::ALL);
        opinion.causes.iter().find(|(cause, _)| *cause == Cause::None).unwrap().1
    };
    assert!(none(&suspects(&[])) > 2.0 * none(&Suspects::default()));
}

#[test]
fn weights_that_were_read_are_checked() {
    assert!(Weights::TUNED.checked().is_ok());
    for wrong in [f64::NAN, f64::INFINITY, 101.0] {
        let mut array = [0.0; FEATURES];
        array[3] = wrong;
        assert!(Weights::from_array(array).checked().is_err(), "{wrong}");
    }
    let json = serde_json::to_string(&Weights::TUNED).unwrap();
    assert_eq!(serde_json::from_str::<Weights>(&json).unwrap(), Weights::TUNED);
}

#[test]
fn suspects_are_the_services_of_the_pack_in_the_order_of_the_ranking() {
    let (incident, pack) = (small(), pack());
    let found = Suspects::of(&incident, &pack);
    assert!(found.measured);
    assert!(found.scores.is_sorted_by(|a, b| a.1 >= b.1));
    assert!(found.scores.iter().all(|(label, _)| pack.service(label).is_some()));
}
