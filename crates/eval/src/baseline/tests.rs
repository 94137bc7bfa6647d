use super::*;
use crate::example::Case;
use crate::example::tests::example;

/// Disks fill in s1, memory in s2; disks twice as often.
fn training() -> Vec<Example> {
    (0..30)
        .map(|index| match index % 3 {
            0 => example(Case::Known, Cause::MemoryLimitTooLow, "s2"),
            _ => example(Case::Known, Cause::DiskFull, "s1"),
        })
        .collect()
}

#[test]
fn the_majority_says_what_was_most_often_right() {
    let majority = Majority::train(&training());
    let prediction = majority.predict(&example(Case::Known, Cause::MemoryLimitTooLow, "s2"));
    let (cause, share) = prediction.cause().unwrap();
    assert_eq!(cause, Cause::DiskFull);
    assert!((share - 2.0 / 3.0).abs() < 1e-9);
    assert_eq!(prediction.services[0].0, "s1");
}

#[test]
fn the_most_frequent_fault_is_named_where_most_incidents_have_none() {
    let mut training = training();
    training.extend((0..50).map(|_| example(Case::Healthy, Cause::None, NO_SERVICE)));
    let asked = example(Case::Known, Cause::MemoryLimitTooLow, "s2");
    let majority = Majority::train(&training).predict(&asked);
    assert_eq!(majority.cause().unwrap().0, Cause::None);
    let fault = Majority::of_faults(&training).predict(&asked);
    let (cause, share) = fault.cause().unwrap();
    assert_eq!((cause, fault.services[0].0.as_str()), (Cause::DiskFull, "s1"));
    assert!((share - 2.0 / 3.0).abs() < 1e-9);
    assert!(fault.services.iter().all(|(label, _)| label != NO_SERVICE));
    assert!(fault.causes.iter().all(|(cause, _)| Cause::faults().contains(cause)));
    let names = all(&training).map(|(name, _)| name);
    let expected = ["majority", "most frequent fault", "logistic regression", "nearest neighbour"];
    assert_eq!(names, expected);
}

#[test]
fn methods_that_look_at_the_evidence_tell_causes_and_services_apart() {
    let training = training();
    let logistic = Logistic::train(&training);
    let nearest = Nearest::train(&training);
    // The services have changed places: what counts is what they show.
    for (cause, service) in [(Cause::DiskFull, "s2"), (Cause::MemoryLimitTooLow, "s1")] {
        let asked = example(Case::Known, cause, service);
        for method in [&logistic as &dyn Method, &nearest] {
            let prediction = method.predict(&asked);
            assert_eq!(prediction.cause().unwrap().0, cause);
            assert_eq!(prediction.services[0].0, service);
            let total: f64 = prediction.causes.iter().map(|(_, share)| share).sum();
            assert!((total - 1.0).abs() < 1e-9);
        }
    }
}

#[test]
fn words_that_training_never_saw_are_no_trouble() {
    let nearest = Nearest::train(&training());
    let mut asked = example(Case::Known, Cause::DiskFull, "s1");
    asked.pack.prompt = "quite other words\ncauses: disk-full".to_owned();
    assert!(nearest.predict(&asked).causes.iter().all(|(_, share)| share.is_finite()));
}
