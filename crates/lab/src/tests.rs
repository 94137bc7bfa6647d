use super::*;
use sre::action::ActionKind;
use sre::cause::Cause;
use sre::evidence::{Options, Pack};
use sre::incident::Incident;
use std::collections::BTreeMap;

mod difficulty;
mod leaks;
mod ranking;

/// Cheap and on the safe side of a tokenizer.
fn tokens(text: &str) -> usize {
    text.len().div_ceil(3)
}

fn pack(simulated: &Simulated, causes: &[Cause]) -> Pack {
    let options = Options { budget: 500, causes, tokens: &tokens, excerpts: false };
    Pack::new(&simulated.incident, &options).unwrap()
}

#[test]
fn incidents_are_well_formed_and_functions_of_their_number() {
    for part in [Part::Train, Part::Test] {
        let settings = Settings::new(7, part);
        for number in 0..60 {
            let simulated = incident(&settings, number);
            let json = serde_json::to_string(&simulated.incident).unwrap();
            assert!(Incident::read(&json).is_ok(), "{:?}", Incident::read(&json));
            assert_eq!(simulated, incident(&settings, number));
        }
        assert_ne!(incident(&settings, 0), incident(&Settings::new(8, part), 0));
    }
}

#[test]
fn every_fault_occurs_where_it_may() {
    let mut seen: BTreeMap<(Part, Cause), usize> = BTreeMap::new();
    for part in [Part::Train, Part::Test] {
        let settings = Settings::new(3, part);
        for number in 0..900 {
            let simulated = incident(&settings, number);
            let truth = &simulated.truth;
            *seen.entry((part, truth.fault)).or_default() += 1;
            if Settings::HELD_OUT_FAULTS.contains(&truth.fault) {
                assert_eq!(part, Part::Test);
                assert_eq!((truth.cause, truth.action), (Cause::Unknown, ActionKind::Escalate));
            }
        }
    }
    for cause in Settings::new(0, Part::Train).faults() {
        assert!(seen[&(Part::Train, cause)] > 10, "{cause}");
        assert!(seen[&(Part::Test, cause)] > 8, "{cause}");
    }
    for cause in Settings::HELD_OUT_FAULTS {
        assert!(seen[&(Part::Test, cause)] > 5, "{cause}");
    }
}

#[test]
fn the_right_answer_fits_the_pack_that_it_is_about() {
    for part in [Part::Train, Part::Test] {
        let settings = Settings::new(5, part);
        let causes = settings.causes();
        for number in 0..200 {
            let simulated = incident(&settings, number);
            let pack = pack(&simulated, &causes);
            let said = simulated.record(&pack);
            let answer = sre::answer::Answer::check(&said, 1.0, &pack, &simulated.incident);
            let answer = answer.unwrap();
            assert!(causes.contains(&answer.cause));
            assert!(answer.evidence.len() <= 4);
            assert!(answer.evidence.iter().all(|id| simulated.truth.evidence.contains(id)));
        }
    }
}

#[test]
#[ignore = "prints some prompts"]
fn show() {
    for part in [Part::Train, Part::Test] {
        let settings = Settings::new(1, part);
        for number in 0..12 {
            let simulated = incident(&settings, number);
            let pack = pack(&simulated, &settings.causes());
            let (shown, _) = pack.prompt.split_once("causes:").unwrap();
            println!(
                "--- {} {} {:?}",
                simulated.dialect, simulated.truth.fault, simulated.truth.second
            );
            println!("{shown}{}", simulated.record(&pack).text());
        }
    }
}
