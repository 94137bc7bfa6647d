//! Nothing of the test may be known from training, and no prompt may give its answer away.

use super::{Part, Settings, pack};
use crate::dice::Dice;
use crate::many;
use crate::topology::Topology;
use sre::cause::Cause;
use std::collections::{BTreeMap, BTreeSet};

/// The prompts of these incidents without the list of options, and the incidents' service names.
fn prompts(part: Part, count: u64) -> Vec<(String, Vec<String>, &'static str)> {
    let settings = Settings::new(21, part);
    let causes = settings.causes();
    many(&settings, 0..count, |simulated| {
        let prompt = pack(&simulated, &causes).prompt;
        let (shown, options) = prompt.split_once("causes: ").unwrap();
        assert_eq!(options.split_whitespace().count(), causes.len());
        let names = simulated.incident.services.into_iter().map(|it| it.name).collect();
        (shown.to_owned(), names, simulated.dialect)
    })
}

#[test]
fn no_label_stands_in_a_prompt_outside_the_options() {
    let mut spelled = 0;
    let mut all = prompts(Part::Train, 400);
    all.extend(prompts(Part::Test, 400));
    for (shown, ..) in &all {
        let lower = shown.to_lowercase();
        // A "none" or an "unknown" is a word of any log.
        for cause in Cause::faults() {
            assert!(!lower.contains(cause.name()), "{cause}: {shown}");
            spelled += usize::from(lower.contains(&cause.name().replace('-', " ")));
        }
    }
    assert!(spelled * 50 < all.len(), "{spelled} of {} prompts spell a label", all.len());
}

#[test]
fn names_and_dialects_of_the_test_are_new() {
    let (train, test) = (prompts(Part::Train, 200), prompts(Part::Test, 200));
    let names = |all: &[(String, Vec<String>, &'static str)]| -> BTreeSet<String> {
        all.iter().flat_map(|(_, names, _)| names.clone()).collect()
    };
    assert!(names(&train).is_disjoint(&names(&test)));
    let dialects = |all: &[(String, Vec<String>, &'static str)]| -> BTreeSet<&str> {
        all.iter().map(|(_, _, dialect)| *dialect).collect()
    };
    let new: Vec<_> = dialects(&test).difference(&dialects(&train)).copied().collect();
    assert_eq!(new, ["statsd"]);
    assert_eq!(dialects(&train).len(), 4);
}

#[test]
fn what_is_normal_for_a_service_is_new() {
    let ranges = |part: Part| {
        let mut all: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for number in 0..200 {
            let dice = &mut Dice::named(&[number, part as u64]);
            for it in Topology::new(dice, part).services {
                all.entry("memory limit").or_default().insert(it.memory_limit_mib);
                all.entry("CPU limit").or_default().insert(it.cpu_limit_millicores);
                all.entry("replicas").or_default().insert(it.replicas);
                for (name, value) in [
                    ("work", it.work),
                    ("failing", it.failing),
                    ("memory use", it.memory_use),
                    ("CPU use", it.cpu_use),
                    ("load", it.outside_load),
                ] {
                    // Positive numbers are in the order of their bits.
                    all.entry(name).or_default().extend((value > 0.0).then_some(value.to_bits()));
                }
            }
        }
        all
    };
    let (train, test) = (ranges(Part::Train), ranges(Part::Test));
    for (name, values) in &train {
        let other = &test[name];
        assert!(values.is_disjoint(other) && values.len() > 2 && other.len() > 2, "{name}");
        let apart = values.last() < other.first() || other.last() < values.first();
        assert!(apart || name.ends_with("limit"), "{name}: ranges overlap");
    }
}

/// Runs of four words, numbers and labels apart.
fn runs(text: &str) -> BTreeSet<String> {
    let words: Vec<&str> =
        text.split_whitespace().filter(|word| !word.chars().any(|c| c.is_ascii_digit())).collect();
    words.windows(4).map(|four| four.join(" ")).collect()
}

#[test]
fn no_test_prompt_is_nearly_a_training_prompt() {
    let train: Vec<_> = prompts(Part::Train, 1000).iter().map(|it| runs(&it.0)).collect();
    let mut holders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, runs) in train.iter().enumerate() {
        for run in runs {
            holders.entry(run).or_default().push(number);
        }
    }
    let (mut near, mut most) = (0, 0.0f64);
    for (shown, ..) in prompts(Part::Test, 250) {
        let own = runs(&shown);
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for number in own.iter().filter_map(|run| holders.get(run.as_str())).flatten() {
            *shared.entry(*number).or_default() += 1;
        }
        // Jaccard similarity with every training prompt that shares anything.
        let similar = shared
            .iter()
            .map(|(number, both)| *both as f64 / (own.len() + train[*number].len() - both) as f64);
        let closest = similar.fold(0.0, f64::max);
        near += usize::from(closest >= 0.5);
        most = most.max(closest);
    }
    println!("closest pair: {most:.2} of their runs of four words, {near} from half of them on");
    // Prompts have words of one closed list, so short ones are more alike than their incidents.
    assert!(near <= 2 && most < 0.6, "{near}, {most}");
}
