use super::*;

#[test]
fn alarms_are_right_or_false_and_scores_add_up() {
    let looked = look(5, 0..11);
    let scores = compare(&looked);
    assert_eq!(scores.len(), Method::ALL.len());
    for it in &scores {
        let sum: usize = it.by_course.values().map(|score| score.false_alarms).sum();
        assert_eq!(sum, it.all.false_alarms);
        assert_eq!(it.all.series, 11);
        assert!(it.all.recall.is_some_and(|recall| (0.0..=1.0).contains(&recall)));
        // Only the forecast has intervals.
        assert_eq!(it.all.coverage.is_some(), it.method == Method::Forecast);
    }
    assert_eq!(compare(&look(5, 0..11)), scores);
}

#[test]
fn quantiles_lie_between_values() {
    assert_eq!(quantile(&[], 0.5), None);
    assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), Some(2.0));
    assert_eq!(quantile(&[1.0, 2.0], 0.5), Some(1.5));
}
