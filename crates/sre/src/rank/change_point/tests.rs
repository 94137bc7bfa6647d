use super::*;
use text::random::Numbers;

/// Noise around a level that changes at an index.
fn series(seed: u64, length: usize, change: Option<(usize, f64)>) -> Vec<f64> {
    let mut numbers = Numbers::named(&[seed]);
    let mut unit = || numbers.below(10_000) as f64 / 10_000.0 - 0.5;
    let level = |index: usize| change.filter(|it| index >= it.0).map_or(0.0, |it| it.1);
    (0..length).map(|index| 5.0 + level(index) + unit() + unit() + unit()).collect()
}

#[test]
fn a_new_level_is_found_where_it_begins_whatever_its_unit() {
    for seed in 0..20 {
        let calm = series(seed + 100, 200, None);
        let plain = series(seed, 200, Some((120, 4.0)));
        let found = change_points(&[plain.clone(), calm.clone()]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].abs_diff(120) <= 2, "{found:?}");
        let scaled: Vec<f64> = plain.iter().map(|value| 1e-6 * value - 300.0).collect();
        assert_eq!(change_points(&[scaled, calm]), found);
    }
}

#[test]
fn noise_constants_gaps_and_too_little_have_no_change() {
    let false_alarms: usize =
        (0..50).map(|seed| change_points(&[series(seed, 300, None)]).len()).sum();
    assert!(false_alarms <= 2, "{false_alarms}");
    assert!(change_points(&[]).is_empty());
    assert!(change_points(&[vec![1.0; 100]]).is_empty());
    assert!(change_points(&[vec![f64::NAN; 100]]).is_empty());
    assert!(change_points(&[vec![1.0, 2.0]]).is_empty());
    assert!(change_points(&[[1e300, -1e300, f64::INFINITY, 0.0].repeat(10)]).len() <= 10);
    let mut gaps = series(1, 200, Some((100, 5.0)));
    for index in (0..200).step_by(7) {
        gaps[index] = f64::NAN;
    }
    let found = change_points(&[gaps]);
    assert!(found.len() == 1 && found[0].abs_diff(100) <= 2, "{found:?}");
}

/// The factor that is updated a row at a time is that of the matrix summed up: after n samples the
/// scale is I plus the scatter around the prior mean, shrunk (Murphy, 2007, section 8).
#[test]
fn factors_are_those_of_the_scale_matrix() {
    let samples = [[1.0, 2.0], [0.5, -1.0], [3.0, 0.0], [-2.0, 1.5]];
    let mut run = Run::new(2);
    for sample in &samples {
        run.take(sample);
    }
    let n = samples.len() as f64;
    for row in 0..2 {
        for column in 0..=row {
            let squares: f64 = samples.iter().map(|it| it[row] * it[column]).sum();
            let sum = |at: usize| samples.iter().map(|it| it[at]).sum::<f64>();
            let unit = f64::from(u8::from(row == column));
            // I + Σ x xᵀ - κₙ μₙ μₙᵀ, with κₙ = 1 + n and μₙ = Σ x / κₙ.
            let expected = unit + squares - sum(row) * sum(column) / (1.0 + n);
            let found: f64 =
                (0..2).map(|at| run.factor[row * 2 + at] * run.factor[column * 2 + at]).sum();
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}

/// The density integrates to one: in one dimension a sum over a fine grid.
#[test]
fn predictions_are_densities() {
    let gammas = Gammas::new(1, 10);
    let mut run = Run::new(1);
    for value in [0.3, -1.0, 2.0] {
        let density = |at: i32| run.log_density(&[f64::from(at) * 0.01], &gammas).exp() * 0.01;
        let total: f64 = (-100_000..100_000).map(density).sum();
        assert!((total - 1.0).abs() < 1e-3, "{total} after {}", run.length);
        run.take(&[value]);
    }
}
