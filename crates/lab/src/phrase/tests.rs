use super::*;
use std::collections::BTreeSet;

const TABLES: [&[Words]; 4] = [english::WORDS, german::WORDS, changes::WORDS, kubernetes::WORDS];

#[test]
fn the_parts_share_no_wording_but_what_kubernetes_prints() {
    for (phrase, train, test) in [english::WORDS, german::WORDS, changes::WORDS].concat() {
        assert!(!train.is_empty() && !test.is_empty(), "{phrase:?}");
        // The agent's own line is printed by Kubernetes, too.
        let shared: Vec<_> = train.iter().filter(|it| test.contains(it)).collect();
        assert!(shared.is_empty(), "{phrase:?}: {shared:?}");
    }
}

#[test]
fn every_phrase_is_in_one_table_and_every_place_has_a_name() {
    const PLACES: [&str; 15] = [
        "callee", "svc", "host", "setting", "date", "n", "ms", "path", "key", "node", "pod",
        "image", "most", "old", "new",
    ];
    let mut seen = BTreeSet::new();
    for (phrase, train, test) in [english::WORDS, changes::WORDS, kubernetes::WORDS].concat() {
        assert!(seen.insert(phrase), "{phrase:?} is there twice");
        for wording in train.iter().chain(test) {
            let places = wording.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
            places.for_each(|place| assert!(PLACES.contains(&place), "{wording}"));
        }
    }
    assert!(TABLES.iter().all(|table| !table.is_empty()));
    for fault in sre::cause::Cause::faults().iter().flat_map(|cause| crate::fault::of(*cause)) {
        let lines = fault.lines.iter().map(|it| it.phrase);
        let events = fault.events.iter().map(|it| it.message);
        let changes = fault.changes.iter().map(|it| it.phrase);
        lines.chain(events).chain(changes).for_each(|it| assert!(seen.contains(&it), "{it:?}"));
    }
}

#[test]
fn places_are_filled() {
    assert_eq!(fill("a {x} {y}{x}", &[("x", "1"), ("y", "{x}")]), "a 1 {x}1");
    assert_eq!(fill("a { b", &[]), "a { b");
}
