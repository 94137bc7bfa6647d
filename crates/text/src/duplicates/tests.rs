use super::*;
use crate::random::Numbers;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A text of this many words, no two runs of which are alike but by chance.
fn words(seed: u64, count: usize) -> Vec<String> {
    let mut numbers = Numbers::named(&[seed]);
    (0..count).map(|_| format!("w{}", numbers.below(100_000))).collect()
}

/// Similarity as its definition has it, over the runs themselves.
fn jaccard(one: &str, two: &str) -> f64 {
    let runs = |text: &str| -> BTreeSet<Vec<String>> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        words.windows(5.min(words.len().max(1))).map(<[String]>::to_vec).collect()
    };
    let (one, two) = (runs(one), runs(two));
    one.intersection(&two).count() as f64 / one.union(&two).count() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Words are exchanged here and there: found exactly where the definition says so.
    #[test]
    fn what_is_found_is_what_the_definition_says(
        seed in 0..1000u64,
        count in 1..400usize,
        changed in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let one = words(seed, count);
        let mut two = one.clone();
        changed.iter().for_each(|at| two[at.index(count)] = "other".to_owned());
        let (one, two) = (one.join(" "), two.join("\n").to_uppercase());
        let expected = jaccard(&one, &two);
        let found = between(&[one], &[two]);
        // At the threshold itself a pair may be overlooked, very rarely.
        if expected >= 0.82 || (expected < SIMILAR && !found.is_empty()) {
            prop_assert_eq!(found, [Pair { test: 0, train: 0, similarity: expected }]);
        }
    }
}

#[test]
fn a_changed_word_is_near_and_half_a_text_is_not() {
    let long = words(1, 300);
    let mut changed = long.clone();
    changed[150] = "elsewhere".to_owned();
    let train = [words(2, 300).join(" "), long.join(" "), changed.join(" ")];
    let test = [changed.join("  "), long[..150].join(" "), words(3, 300).join(" "), String::new()];
    let found = between(&train, &test);
    assert_eq!(found, [Pair { test: 0, train: 2, similarity: 1.0 }]);
    let found = between(&train[..2], &test);
    let (both, either) = (291.0, 301.0);
    assert_eq!(found, [Pair { test: 0, train: 1, similarity: both / either }]);
    assert!(between(&[""], &["a"]).is_empty());
}

#[test]
fn texts_with_more_runs_than_are_kept_are_estimated() {
    let long = words(5, 40_000);
    let mut near = long.clone();
    (0..40_000).step_by(100).for_each(|at| near[at] = "x".to_owned());
    let mut far = long.clone();
    (0..40_000).step_by(20).for_each(|at| far[at] = "x".to_owned());
    let found = between(&[long.join(" ")], &[near.join(" "), far.join(" ")]);
    // 5 of 100 runs differ: 95 of 105 are in both. Of 20, 15 of 25.
    assert_eq!(found.len(), 1);
    assert!((found[0].similarity - 95.0 / 105.0).abs() < 0.015, "{found:?}");
}

fn conversation(system: &str, prompt: &str, answer: &str) -> Fingerprint {
    let turns = [(Role::System, system), (Role::User, prompt), (Role::Assistant, answer)];
    let messages = turns.map(|(role, content)| Message::new(role, content));
    Fingerprint::of(&Content::Messages(messages.to_vec().into()))
}

#[test]
fn conversations_are_the_same_by_question_and_answer() {
    let mut index = Index::default();
    assert_eq!(index.insert(conversation("Be brief.", "Why is the disk full?", "Logs.")), 0);
    let cases = [
        (conversation("Answer in JSON.", "why is  the disk\nfull?", " Logs."), Some(0)),
        (conversation("Be brief.", "Why is the disk full?", "Backups."), None),
        (conversation("Be brief.", "Why is the disk full?", "logs."), None),
    ];
    for (fingerprint, duplicate) in cases {
        let found = index.find(&fingerprint);
        assert_eq!(found.prompts, [(0, 1.0)]);
        assert_eq!(found.duplicate.map(|it| it.0), duplicate);
    }
    let other = conversation("Be brief.", "Why is the node full?", "Logs.");
    assert_eq!(index.find(&other), Likeness::default());
    // Where nobody asks, the answer is what is compared.
    let [one, two] = ["Disk full.", "Node lost."].map(|it| conversation("Report.", "", it));
    index.insert(one);
    assert_eq!(index.find(&two), Likeness::default());
    assert_eq!(index.insert(two), 2);
}

#[test]
fn token_ids_are_the_same_where_they_are_equal() {
    let tokens = |ids: &[u32], labels: &[i64]| {
        Fingerprint::of(&Content::Tokens { ids: ids.to_vec(), labels: labels.to_vec() })
    };
    let mut index = Index::default();
    index.insert(tokens(&[1, 2, 3], &[1, 2, 3]));
    assert_eq!(index.find(&tokens(&[1, 2, 3], &[1, 2, 3])).duplicate, Some((0, 1.0)));
    let masked = index.find(&tokens(&[1, 2, 3], &[-100, 2, 3]));
    assert_eq!((masked.prompts, masked.duplicate), (vec![(0, 1.0)], None));
    assert_eq!(index.find(&tokens(&[1, 2, 4], &[1, 2, 3])), Likeness::default());
}

#[test]
fn very_many_that_are_alike_take_bounded_work() {
    let base = words(9, 200);
    let mut index = Index::default();
    for number in 0..600 {
        let mut text = base.clone();
        text[100] = format!("number{number}");
        index.insert(Fingerprint::of_text(&text.join(" ")));
    }
    let found = index.find(&Fingerprint::of_text(&base.join(" ")));
    assert!((LOOKED_AT..600).contains(&found.prompts.len()), "{}", found.prompts.len());
    // An equal one is found however many came behind it.
    let mut first = base.clone();
    first[100] = "number0".to_owned();
    let found = index.find(&Fingerprint::of_text(&first.join(" ")));
    assert_eq!(found.duplicate, Some((0, 1.0)));
}
