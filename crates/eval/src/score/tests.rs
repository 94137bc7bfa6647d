use super::*;
use crate::example::tests::example;

fn said(cause: Cause, confidence: f64, service: &str) -> Prediction {
    let rest = (Cause::BadRollout, (1.0 - confidence) / 2.0);
    let last = (Cause::BadConfig, (1.0 - confidence) / 2.0);
    Prediction::new(vec![rest, last, (cause, confidence)], vec![(service.to_owned(), 1.0)])
}

#[test]
fn hits_are_counted_by_case() {
    let examples = [
        example(Case::Known, Cause::DiskFull, "s1"),
        example(Case::Known, Cause::BadConfig, "s2"),
        example(Case::Healthy, Cause::None, "-"),
    ];
    let predictions = [
        said(Cause::DiskFull, 0.8, "s1"),
        said(Cause::DiskFull, 0.6, "s1"),
        said(Cause::None, 0.9, "-"),
    ];
    let hits = Hits::of(&examples, &predictions, &[Case::Known]);
    assert_eq!(hits.cause_top1, [1.0, 0.0]);
    assert_eq!(hits.cause_top3, [1.0, 1.0]);
    assert_eq!(hits.service_top1, [1.0, 0.0]);
    let accuracy = hits.accuracy(1).unwrap();
    assert_eq!((accuracy.cause_top1.mean, accuracy.cause_top1.count), (0.5, 2));
    let hits = Hits::of(&examples, &predictions, &[Case::Healthy]);
    assert_eq!(hits.service_top1, [1.0]);
    assert_eq!(Hits::of(&examples, &predictions, &[Case::Two]).accuracy(1), None);
}

#[test]
fn runs_are_averaged_example_by_example() {
    let examples = [
        example(Case::Known, Cause::DiskFull, "s1"),
        example(Case::Healthy, Cause::None, "-"),
        example(Case::Known, Cause::BadConfig, "s2"),
    ];
    let always = |cause: Cause| examples.each_ref().map(|_| said(cause, 0.9, "s1"));
    let (disk, none) = (always(Cause::DiskFull), always(Cause::ClockSkew));
    let hits = Hits::of_runs(&examples, &[&disk[..], &none[..]], &[Case::Known]);
    assert_eq!(hits.cause_top1, [0.5, 0.0]);
    // Among three likeliest stands a bad configuration, in both runs.
    assert_eq!(hits.cause_top3, [0.5, 1.0]);
    assert_eq!(hits.service_top1, [1.0, 0.0]);
    assert_eq!(
        Hits::of_runs(&examples, &[&disk[..]], &Case::ALL),
        Hits::of(&examples, &disk, &Case::ALL)
    );
    assert_eq!(Hits::of_runs(&examples, &[], &[Case::Known]), Hits::default());
}

#[test]
fn either_cause_of_two_is_right() {
    let mut both = example(Case::Two, Cause::DiskFull, "s1");
    both.second_cause = Some(Cause::DnsFailure);
    assert!(said(Cause::DnsFailure, 0.9, "s1").cause_in_top(&both, 1));
    assert!(!said(Cause::CpuThrottling, 0.9, "s1").cause_in_top(&both, 1));
}

#[test]
fn calibration_is_the_distance_between_confidence_and_accuracy() {
    let examples: Vec<_> = (0..10).map(|_| example(Case::Known, Cause::DiskFull, "s1")).collect();
    // Ten answers at confidence 0.85, six of them right.
    let predictions: Vec<_> = (0..10)
        .map(|index| {
            let cause = if index < 6 { Cause::DiskFull } else { Cause::ClockSkew };
            said(cause, 0.85, "s1")
        })
        .collect();
    let calibration = Calibration::of(&examples, &predictions);
    assert!((calibration.expected_error - 0.25).abs() < 1e-12);
    assert_eq!(calibration.bins[8].count, 10);
    assert!((calibration.bins[8].accuracy - 0.6).abs() < 1e-12);
}

#[test]
fn the_area_counts_pairs() {
    assert_eq!(area(&[3.0, 4.0], &[1.0, 2.0]), Some(1.0));
    assert_eq!(area(&[1.0, 4.0], &[2.0, 3.0]), Some(0.5));
    assert_eq!(area(&[2.0], &[2.0]), Some(0.5));
    assert_eq!(area(&[], &[2.0]), None);
}

#[test]
fn abstention_wants_silence_where_nothing_can_be_named() {
    let examples = [
        example(Case::Known, Cause::DiskFull, "s1"),
        example(Case::HeldOut, Cause::Unknown, "s1"),
        example(Case::Healthy, Cause::None, "-"),
    ];
    let predictions = [
        said(Cause::DiskFull, 0.9, "s1"),
        said(Cause::DiskFull, 0.5, "s1"),
        said(Cause::None, 0.8, "-"),
    ];
    let abstention = Abstention::of(&examples, &predictions).unwrap();
    assert_eq!(
        (abstention.healthy, abstention.held_out, abstention.known),
        (Some(1.0), Some(0.0), Some(0.0))
    );
    assert_eq!(abstention.auroc, 1.0);
}

#[test]
fn citations_must_exist_and_support() {
    let examples = [example(Case::Known, Cause::DiskFull, "s1")];
    let mut prediction = said(Cause::DiskFull, 0.9, "s1");
    assert_eq!(citations(&examples, &[prediction.clone()]), None);
    prediction.cited = Some(vec!["m1".to_owned(), "m2".to_owned(), "x".to_owned()]);
    let found = citations(&examples, &[prediction]).unwrap();
    assert_eq!(found.grounded, 1.0);
    assert!((found.exist - 2.0 / 3.0).abs() < 1e-12);
    assert!((found.support - 1.0 / 3.0).abs() < 1e-12);
    // One of the two that are shown supports the answer.
    assert_eq!(found.at_random, 0.5);
}
