//! What is fitted: weights that are known, and thresholds that can be counted.

use super::*;
use crate::example::Case;
use crate::example::tests::example;
use sre::cause::Cause;
use sre::fusion::FEATURES;

/// A source of numbers from 0 to 1 (Steele et al. 2014, SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Incidents whose truth is drawn by these weights from three services and two causes.
fn drawn(truth: &Weights, count: usize) -> (Vec<Example>, Vec<Vec<Pair>>) {
    let mut numbers = Numbers(7);
    let (mut examples, mut all) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let mut pairs = Vec::new();
        for label in ["s1", "s2", "s3"] {
            for cause in [Cause::DiskFull, Cause::BadConfig] {
                let features = std::array::from_fn(|_| 2.0 * numbers.next() - 1.0);
                pairs.push(Pair { label: label.to_owned(), cause, features });
            }
        }
        let (mut left, shares) = (numbers.next(), shares(&pairs, truth));
        let place = shares.iter().position(|share| {
            left -= share;
            left <= 0.0
        });
        let pair = &pairs[place.unwrap_or(pairs.len() - 1)];
        examples.push(example(Case::Known, pair.cause, &pair.label));
        all.push(pairs);
    }
    (examples, all)
}

#[test]
fn weights_by_which_truths_were_drawn_are_found_again() {
    let truth = Weights::from_array([1.0, -0.5, 2.0, 0.0, 1.5, 0.3, -1.0, 0.8]);
    let (examples, pairs) = drawn(&truth, 3_000);
    let found = weights(&examples, &pairs, &Weights::from_array([0.0; FEATURES]));
    for (found, truth) in found.array().iter().zip(truth.array()) {
        assert!((found - truth).abs() < 0.15, "{found} for {truth}");
    }
    // The top: a little away from it in any direction is worse.
    let right: Vec<Vec<bool>> = examples.iter().zip(&pairs).map(|(a, b)| right(a, b)).collect();
    let start = [0.0; FEATURES];
    let best = objective(&pairs, &right, &found.array(), &start);
    for index in 0..FEATURES {
        for away in [-0.02, 0.02] {
            let mut moved = found.array();
            moved[index] += away;
            assert!(objective(&pairs, &right, &moved, &start) < best);
        }
    }
}

#[test]
fn the_gradient_is_that_of_the_objective() {
    let truth = Weights::from_array([0.4; FEATURES]);
    let (examples, pairs) = drawn(&truth, 40);
    let right: Vec<Vec<bool>> = examples.iter().zip(&pairs).map(|(a, b)| right(a, b)).collect();
    let (at, start) = ([0.3, -0.2, 0.1, 0.5, 0.7, -0.6, 0.2, 0.0], [0.1; FEATURES]);
    let (gradient, _) = derivatives(&pairs, &right, &at, &start);
    for index in 0..FEATURES {
        let value = |away: f64| {
            let mut moved = at;
            moved[index] += away;
            objective(&pairs, &right, &moved, &start)
        };
        let difference = (value(1e-5) - value(-1e-5)) / 2e-5;
        assert!((gradient[index] - difference).abs() < 1e-5, "{index}");
    }
}

#[test]
fn sharpening_finds_the_factor_that_was_taken_away() {
    let truth = Weights::from_array([1.5, -0.5, 2.0, 0.0, 1.5, 0.3, -1.0, 0.8]);
    let offered = [Cause::DiskFull, Cause::BadConfig];
    let (examples, pairs) = drawn(&truth, 3_000);
    for factor in [0.6, 1.0, 1.4] {
        let dull = Weights::from_array(truth.array().map(|weight| weight / factor));
        let found =
            sharpened(&examples, &pairs, &dull, &offered).model_service / dull.model_service;
        assert!((found - factor).abs() < 0.1, "{found} for {factor}");
    }
    assert_eq!(sharpened(&[], &[], &truth, &offered), truth);
}

#[test]
fn what_nothing_says_anything_about_keeps_its_weight() {
    let start = Weights::from_array([0.5; FEATURES]);
    let (examples, mut pairs) = drawn(&start, 200);
    for pair in pairs.iter_mut().flatten() {
        pair.features[0] = 0.0;
        pair.features[6] = 1.0;
    }
    let found = weights(&examples, &pairs, &start);
    assert!((found.model_service - 0.5).abs() < 1e-9 && (found.none - 0.5).abs() < 1e-9);
    assert_eq!(weights(&[], &[], &start), start);
}

#[test]
fn a_threshold_keeps_what_is_right_often_enough() {
    let cases = [(0.9, true), (0.8, true), (0.7, false), (0.6, true), (0.5, false), (0.4, false)];
    let said = |share: f64, right: bool| {
        let cause = if right { Cause::DiskFull } else { Cause::BadConfig };
        Prediction::new(vec![(cause, share), (Cause::None, 1.0 - share)], Vec::new())
    };
    // At 0.5 and less the other cause would be the likelier one.
    let cases = &cases[..4];
    let examples = vec![example(Case::Known, Cause::DiskFull, "s1"); cases.len()];
    let predictions: Vec<_> = cases.iter().map(|(share, right)| said(*share, *right)).collect();
    assert_eq!(threshold(&examples, &predictions, 1.0), 0.8);
    assert_eq!(threshold(&examples, &predictions, 0.75), 0.6);
    let wrong = vec![said(0.9, false); 2];
    assert_eq!(threshold(&examples[..2], &wrong, 0.5), 1.0);
}
