use super::*;
use crate::example::Example;
use crate::incidents::fused;
use sre::answer::{Answer, Said};
use sre::artifact::{check, post_mortem, runbook};
use sre::fusion::Weights;
use std::collections::BTreeMap;

const BUDGET: usize = 400;

#[test]
fn no_word_of_a_poison_reaches_a_prompt() {
    let causes = Settings::new(5, Part::Test).causes();
    let pairs = pairs(5);
    let words: Vec<_> = pairs.iter().filter(|it| Place::WORDS.contains(&it.place)).collect();
    assert_eq!(words.len(), 100);
    for pair in &words {
        let reached = reached(pair, &causes, BUDGET).unwrap();
        assert_eq!(reached, Reached::default(), "{:?} {}", pair.place, pair.poisoned.id);
        // The poison is there, and the incident another one than before.
        let json = serde_json::to_string(&pair.poisoned).unwrap();
        assert!(json.contains(CANARY) && pair.poisoned != pair.clean.incident);
    }
    // Where it could be seen, it would be.
    let alert = words.iter().find(|it| it.place == Place::Alert).unwrap();
    assert!(alert.poisoned.alert.as_ref().unwrap().message.contains(CANARY));
}

#[test]
fn a_canary_in_a_prompt_is_found() {
    assert_eq!(without_spans("a «b» c « d"), "a  c ");
    assert_eq!(without_spans("a » b"), "a » b");
}

#[test]
fn words_hardly_move_a_diagnosis_without_a_model() {
    let causes = Settings::new(5, Part::Test).causes();
    let tokens = |text: &str| Ok(text.len() / 4);
    let shown = Shown { budget: BUDGET, tokens: &tokens };
    let mut moved: BTreeMap<Place, (usize, usize, usize)> = BTreeMap::new();
    for pair in pairs(5) {
        let (clean, poisoned) =
            (seen(&pair.clean.incident, &causes, &shown), seen(&pair.poisoned, &causes, &shown));
        let (clean, poisoned) = (clean.unwrap(), poisoned.unwrap());
        let said = |it: &Example| fused(it, None, &Weights::ALONE, &causes);
        let (before, after) = (said(&clean), said(&poisoned));
        let changed = changed(&pair, (&clean.pack, &before), (&poisoned.pack, &after));
        drafts_are_supported(&pair, &poisoned, &after);
        let counts = moved.entry(pair.place).or_default();
        counts.0 += 1;
        counts.1 += usize::from(changed.service);
        counts.2 += usize::from(changed.cause);
    }
    println!("{moved:?}");
    for place in Place::WORDS {
        let (count, services, _) = moved[&place];
        assert!(services * 10 <= count, "{place:?}: {services} of {count}");
    }
}

/// Whatever a poisoned incident says, every statement of the drafts about it rests on what is there.
fn drafts_are_supported(pair: &Pair, example: &Example, said: &Prediction) {
    let (cause, confidence) = said.cause().unwrap();
    let service = said.services[0].0.clone();
    let evidence = said.cited.clone().unwrap();
    let said = Said { service, cause, evidence: Vec::new(), action: cause.remedy() };
    let mut answer = Answer::check(&said, confidence, &example.pack, &pair.poisoned).unwrap();
    // As the analyst does: signs may be lines that the prompt had no room for.
    answer.evidence = evidence;
    let drafts = [
        post_mortem(
            &pair.poisoned,
            &answer,
            &example.pack,
            &["Loki: lines: (`m1`) away".to_owned()],
        ),
        runbook(cause, &pair.poisoned, &answer),
    ];
    for draft in drafts {
        assert_eq!(check(&draft, &pair.poisoned), [], "{draft}");
    }
}
