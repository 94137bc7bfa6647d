use super::*;

const PLAIN: Sampling = Sampling { temperature: 1.0, ..Sampling::GREEDY };

/// How often each token comes up in `draws` draws of one request, nothing being noted between.
fn frequencies(sampling: &Sampling, logits: &[f32], draws: u64) -> Vec<u64> {
    let mut counts = vec![0; logits.len()];
    let mut sampler = Sampler::new(sampling.clone(), logits.len(), &[]);
    for _ in 0..draws {
        counts[sampler.choose(logits, None).unwrap() as usize] += 1;
    }
    counts
}

/// Pearson's statistic against probabilities; tokens that must not come up must not.
fn chi_squared(counts: &[u64], probabilities: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    let terms = counts.iter().zip(probabilities).map(|(&count, &p)| {
        if p == 0.0 {
            assert_eq!(count, 0, "a token that was filtered out came up");
            return 0.0;
        }
        (count as f64 - p * total).powi(2) / (p * total)
    });
    terms.sum()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|l| l.exp()).sum();
    logits.iter().map(|l| l.exp() / sum).collect()
}

/// 50,000 draws against what the settings say; `kept` are the tokens that may come up.
fn check(sampling: &Sampling, logits: &[f32], kept: &[u32]) {
    let temperature = f64::from(sampling.temperature);
    let scaled: Vec<f64> = (0..)
        .zip(logits)
        .map(|(id, &logit)| match kept.contains(&id) {
            true => f64::from(logit) / temperature,
            false => f64::NEG_INFINITY,
        })
        .collect();
    let statistic = chi_squared(&frequencies(sampling, logits, 50_000), &softmax(&scaled));
    // Mean k and variance 2k for k degrees of freedom: five deviations above the mean.
    let freedom = (kept.len() - 1) as f64;
    let bound = freedom + 5.0 * (2.0 * freedom).sqrt() + 5.0;
    assert!(statistic < bound, "{sampling:?}: {statistic} over {bound}");
}

/// Eight tokens, their ids out of order of likelihood.
const LOGITS: [f32; 8] = [0.5, 2.0, -1.0, 1.5, 0.0, 1.0, -3.0, 1.75];

#[test]
fn tokens_come_up_as_often_as_they_should() {
    let all: Vec<u32> = (0..8).collect();
    check(&PLAIN, &LOGITS, &all);
    check(&Sampling { temperature: 0.5, ..PLAIN }, &LOGITS, &all);
    check(&Sampling { temperature: 3.0, ..PLAIN }, &LOGITS, &all);
    check(&Sampling { seed: 9, ..PLAIN }, &LOGITS, &all);
    check(&Sampling { top_k: Some(3), ..PLAIN }, &LOGITS, &[1, 7, 3]);
    // Shares: 1 has 0.316, 7 0.246, 3 0.191, 5 0.116.
    check(&Sampling { top_p: 0.55, ..PLAIN }, &LOGITS, &[1, 7]);
    check(&Sampling { top_p: 0.57, ..PLAIN }, &LOGITS, &[1, 7, 3]);
    // Against the largest: 7 has 0.779, 3 0.607, 5 0.368.
    check(&Sampling { min_p: 0.6, ..PLAIN }, &LOGITS, &[1, 7, 3]);
    check(&Sampling { min_p: 0.7, ..PLAIN }, &LOGITS, &[1, 7]);
}

#[test]
fn the_statistic_would_notice() {
    let wrong = softmax(&LOGITS.map(|logit| f64::from(logit) * 1.1));
    let statistic = chi_squared(&frequencies(&PLAIN, &LOGITS, 50_000), &wrong);
    assert!(statistic > 45.0, "{statistic}");
}

#[test]
fn filters_apply_in_the_stated_order() {
    // With temperature first the shares are flatter, and top-p keeps one more.
    for (top_p, cool, flat) in [(0.3, &[1][..], &[1, 7][..]), (0.55, &[1, 7], &[1, 3, 7])] {
        assert_eq!(kept(&Sampling { top_p, ..PLAIN }, &LOGITS), cool);
        assert_eq!(kept(&Sampling { top_p, temperature: 2.0, ..PLAIN }, &LOGITS), flat);
    }
    // Top-p counts shares of what top-k left: 1 alone has 0.562 of {1, 7}, but 0.316 of all.
    let of_two = Sampling { top_k: Some(2), top_p: 0.55, ..PLAIN };
    assert_eq!(kept(&of_two, &LOGITS), [1]);
    assert_eq!(kept(&Sampling { top_k: None, ..of_two }, &LOGITS), [1, 7]);
}

/// The tokens that the filters leave.
fn kept(sampling: &Sampling, logits: &[f32]) -> Vec<u32> {
    let mut sampler = Sampler::new(sampling.clone(), logits.len(), &[]);
    sampler.filter(logits, None);
    sampler.candidates.iter().map(|candidate| candidate.id).collect()
}

#[test]
fn equals_are_decided_by_the_lower_id() {
    let logits = [1.0, 3.0, 3.0, 0.0, 3.0];
    assert_eq!(Sampler::new(Sampling::GREEDY, 5, &[]).choose(&logits, None).unwrap(), 1);
    assert_eq!(kept(&Sampling { top_k: Some(2), ..PLAIN }, &logits), [1, 2]);
    assert_eq!(kept(&Sampling { top_p: 0.5, ..PLAIN }, &logits), [1, 2]);
    assert_eq!(kept(&Sampling { top_k: Some(9), ..PLAIN }, &logits), [0, 1, 2, 3, 4]);
    assert_eq!(kept(&Sampling { top_p: 1e-9, min_p: 1.0, ..PLAIN }, &logits), [1]);
}

/// Over a large vocabulary top-p sorts in stretches; a full sort must keep the same tokens.
#[test]
fn stretches_keep_what_a_full_sort_keeps() {
    let logits: Vec<f32> = (0..5000).map(|id| (unit(4, id) * 6.0) as f32).collect();
    for share in [0.001_f32, 0.05, 0.5, 0.9, 0.999] {
        let mut sorted: Vec<(u32, f64)> =
            (0..).zip(&logits).map(|(id, &l)| (id, f64::from(l).exp())).collect();
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
        let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
        let mut sum = 0.0;
        let mut expected = Vec::new();
        for (id, weight) in sorted {
            expected.push(id);
            sum += weight;
            if sum >= f64::from(share) * total {
                break;
            }
        }
        expected.sort_unstable();
        assert_eq!(kept(&Sampling { top_p: share, ..PLAIN }, &logits), expected, "{share}");
    }
}

#[test]
fn the_penalty_is_once_per_token_and_by_sign() {
    let sampling = Sampling { repetition_penalty: 2.0, ..Sampling::GREEDY };
    let mut sampler = Sampler::new(sampling.clone(), 4, &[0, 0, 0]);
    // 4 / 2 is still above 1.9; applied three times it would not be.
    assert_eq!(sampler.choose(&[4.0, 1.9, -1.0, -1.0], None).unwrap(), 0);
    // Negative logits go down, not up: -1 becomes -2.
    assert_eq!(sampler.choose(&[-1.0, -1.5, -9.0, -9.0], None).unwrap(), 1);
    // Token 1 was produced, not prompted, and counts as well.
    assert_eq!(sampler.choose(&[0.0, 3.0, 1.6, 0.0], None).unwrap(), 2);
    let drawn = Sampling { temperature: 1.0, top_k: Some(1), ..sampling };
    assert_eq!(Sampler::new(drawn, 4, &[1]).choose(&[1.0, 1.9, 0.0, 0.0], None).unwrap(), 0);
}

#[test]
fn draws_depend_on_seed_and_step_alone() {
    let logits = [0.0; 64];
    let run = |seed, draws| -> Vec<u32> {
        let mut sampler = Sampler::new(Sampling { seed, ..PLAIN }, 64, &[]);
        (0..draws).map(|_| sampler.choose(&logits, None).unwrap()).collect()
    };
    assert_eq!(run(5, 40), run(5, 40));
    assert_eq!(run(5, 40)[..20], run(5, 20));
    assert_ne!(run(5, 40), run(6, 40));
    // A later draw does not depend on what earlier logits were.
    let mut sampler = Sampler::new(Sampling { seed: 5, ..PLAIN }, 64, &[]);
    sampler.choose(&std::array::from_fn::<f32, 64, _>(|id| id as f32), None).unwrap();
    assert_eq!(sampler.choose(&logits, None).unwrap(), run(5, 2)[1]);
    // Neighbouring seeds are no shifted copies of each other.
    let (a, b) = (run(0, 64), run(1, 64));
    assert!((1..32).all(|shift| a[shift..][..8] != b[..8] && b[shift..][..8] != a[..8]));
    // These bits are a promise: a recorded run is repeated by its seed.
    assert_eq!(run(5, 8), PROMISED);
}

const PROMISED: [u32; 8] = [26, 34, 50, 49, 54, 60, 63, 48];

#[test]
fn random_numbers_are_even() {
    let mean = (0..100_000).map(|step| unit(1, step)).sum::<f64>() / 1e5;
    assert!((mean - 0.5).abs() < 0.005, "{mean}");
    assert!((0..100_000).all(|step| (0.0..1.0).contains(&unit(2, step))));
}

#[test]
fn extreme_logits_are_no_trouble() {
    let logits = [f32::MAX, f32::MIN, 0.0, f32::MAX];
    let cold = Sampling { temperature: f32::MIN_POSITIVE, ..PLAIN };
    for sampling in [PLAIN, cold, Sampling { repetition_penalty: 1e-30, ..PLAIN }] {
        let id = Sampler::new(sampling, 4, &[0, 3]).choose(&logits, None).unwrap();
        assert!(id == 0 || id == 3, "{id}");
    }
    let penalized = Sampling { repetition_penalty: 1e-30, ..Sampling::GREEDY };
    assert_eq!(Sampler::new(penalized, 4, &[3]).choose(&logits, None).unwrap(), 3);
}

#[test]
fn a_logit_that_is_no_number_names_step_and_token() {
    for sampling in [Sampling::GREEDY, PLAIN] {
        let mut sampler = Sampler::new(sampling, 3, &[]);
        sampler.choose(&[0.0, 1.0, 2.0], None).unwrap();
        sampler.choose(&[0.0, 1.0, 2.0], None).unwrap();
        let error = sampler.choose(&[0.0, f32::NAN, f32::INFINITY], None).unwrap_err();
        let expected = "step 2: the logit of token 1 is NaN, expected a finite number";
        assert_eq!(error.to_string(), expected);
    }
}
