use super::causes::wording;
use super::corpus::{Deck, DocumentKind, document, documents};
use super::template::{Pool, Slots, fill};
use super::*;
use crate::dice::Dice;
use crate::settings::{Part, Settings};
use crate::simulate::incident;
use sre::action::ActionKind;
use sre::cause::Cause;
use std::collections::BTreeSet;

#[test]
fn patterns_are_filled_or_not_used() {
    let mut dice = Dice::named(&[1]);
    let slots = Slots::from([("who", "cart [x] {y}".to_owned())]);
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        seen.extend(fill(&mut dice, "[a|b[c|]] {who}", &slots));
    }
    let expected = ["a cart [x] {y}", "b cart [x] {y}", "bc cart [x] {y}"];
    assert!(seen.iter().map(String::as_str).eq(expected), "{seen:?}");
    assert_eq!(fill(&mut dice, "{nobody}", &slots), None);
    let pool = Pool { train: &["{nobody}", "{who}"], test: &["{nobody}"] };
    assert!(pool.say(&mut dice, Part::Train, &slots).is_some());
    assert_eq!(pool.say(&mut dice, Part::Test, &slots), None);
}

#[test]
fn every_cause_has_its_own_words_and_the_parts_share_none() {
    let mut all = BTreeSet::new();
    for cause in Cause::ALL {
        let wording = wording(cause);
        assert_eq!(wording.cause, cause);
        for pool in [wording.symptom, wording.why, wording.fix, wording.prevention] {
            assert!(pool.train.len() >= 3 && pool.test.len() >= 2, "{cause}");
            for pattern in pool.train.iter().chain(pool.test) {
                assert!(all.insert(*pattern), "{pattern}");
            }
        }
        // What can be said when nothing but the service is known, and the action.
        let mut slots = Slots::from([("service", "cart".to_owned())]);
        let mut dice = Dice::named(&[2]);
        for part in [Part::Train, Part::Test] {
            assert!(wording.symptom.say(&mut dice, part, &slots).is_some(), "{cause}");
            assert!(wording.why.say(&mut dice, part, &slots).is_some(), "{cause}");
        }
        slots.insert("action", "wait".to_owned());
        for part in [Part::Train, Part::Test] {
            assert!(wording.fix.say(&mut dice, part, &slots).is_some(), "{cause}");
            assert!(wording.prevention.say(&mut dice, part, &slots).is_some(), "{cause}");
        }
    }
}

#[test]
fn statements_have_six_patterns_and_the_parts_share_none() {
    use super::statements as s;
    let pools = [
        s::NOTICED,
        s::STARTED,
        s::METRIC,
        s::EVENT,
        s::LOG,
        s::CHANGE,
        s::SPREAD,
        s::AT_HOME,
        s::TOGETHER,
        s::UNRELATED,
        s::SUFFERED,
        s::UNHARMED,
        s::DURATION,
        s::VERIFY,
        s::LESSON,
        s::SECOND,
    ];
    for pool in pools {
        assert!(pool.train.len() >= 6 && pool.test.len() >= 3, "{:?}", pool.train);
        assert!(pool.train.iter().all(|pattern| !pool.test.contains(pattern)));
    }
}

#[test]
fn a_document_is_a_function_of_seed_and_number() {
    let first = documents(Deck::Texts, 5, Part::Train, 0..40);
    for (number, one) in first.iter().enumerate() {
        assert_eq!(*one, document(Deck::Texts, 5, Part::Train, number as u64));
        assert_eq!(one.kind, Deck::Texts.kinds()[number % 10]);
    }
    assert_eq!(documents(Deck::Texts, 5, Part::Train, 7..31), first[7..31]);
    assert_ne!(first[0], document(Deck::Texts, 6, Part::Train, 0));
}

#[test]
fn documents_hold_no_answer_and_no_label() {
    let labels =
        Cause::ALL.map(Cause::name).into_iter().chain(ActionKind::ALL.map(ActionKind::name));
    let labels: Vec<_> = labels.filter(|label| label.contains('-')).collect();
    for part in [Part::Train, Part::Test] {
        let conversations = documents(Deck::Conversations, 11, part, 0..400);
        for document in documents(Deck::Texts, 11, part, 0..1_600).into_iter().chain(conversations)
        {
            let text = &document.text;
            // Cards have the form of an answer, and none of its names.
            let form = text.contains("{\"service\"") || text.contains("\"cause\"");
            assert!(!form || document.kind == DocumentKind::Card, "{text}");
            assert!(!text.contains("causes:") && !text.trim().is_empty(), "{text}");
            for label in &labels {
                assert!(!text.contains(label), "{label}: {text}");
            }
        }
    }
}

/// `srek data build` would refuse them.
#[test]
fn documents_hold_nothing_that_is_taken_for_a_secret() {
    let growing = Deck::Growing { documents: 1_000 };
    for (deck, seed) in [(Deck::Texts, 1), (Deck::Conversations, 4), (growing, 2)] {
        for document in documents(deck, seed, Part::Train, 0..1_000) {
            let turns = document.turns.iter().flat_map(|(asked, said)| [asked, said]);
            for text in turns.chain([&document.text]) {
                let found: Vec<&str> =
                    text::secrets::find(text).iter().map(|it| &text[it.range.clone()]).collect();
                assert_eq!(found, [""; 0], "{text}");
            }
        }
    }
}

#[test]
fn what_is_held_out_is_in_no_training_document() {
    let held_out: Vec<&str> = Settings::HELD_OUT_FAULTS
        .iter()
        .flat_map(|cause| {
            let words = wording(*cause);
            let pools = [words.symptom, words.why, words.fix, words.prevention];
            pools.into_iter().flat_map(|pool| pool.train.iter().chain(pool.test))
        })
        .flat_map(|pattern| longest_piece(pattern))
        .collect();
    let tests: Vec<&str> = Cause::ALL
        .iter()
        .flat_map(|cause| {
            let words = wording(*cause);
            [words.symptom, words.why, words.fix, words.prevention]
        })
        .flat_map(|pool| pool.test)
        .flat_map(|pattern| longest_piece(pattern))
        .collect();
    assert!(held_out.len() > 50 && tests.len() > 150, "{} {}", held_out.len(), tests.len());
    let growing = Deck::Growing { documents: 400 };
    let decks = [(Deck::Texts, 1_600), (Deck::Conversations, 400), (growing, 400)];
    let of = |(deck, many)| documents(deck, 12, Part::Train, 0..many);
    for document in decks.into_iter().flat_map(of) {
        for piece in held_out.iter().chain(&tests) {
            assert!(!document.text.contains(piece), "{piece}: {}", document.text);
        }
    }
}

/// The longest piece of a pattern that is the same in every sentence made of it, if it is one to be
/// recognised by.
fn longest_piece(pattern: &str) -> Option<&str> {
    let pieces = pattern.split(['{', '}', '[', ']', '|']);
    pieces.max_by_key(|piece| piece.len()).filter(|piece| piece.len() > 20)
}

#[test]
fn symptoms_come_before_the_cause_and_lines_are_true() {
    let settings = Settings::new(21, Part::Train);
    let tokens = |text: &str| text.len() / 3;
    let options =
        sre::evidence::Options { budget: 500, causes: &[], tokens: &tokens, excerpts: false };
    let mut checked = 0;
    for number in 0..120 {
        let simulated = incident(&settings, number);
        let pack = sre::evidence::Pack::new(&simulated.incident, &options).unwrap();
        let said = simulated.record(&pack);
        let text = post_mortem(&simulated, &pack, number);
        assert_eq!(text, post_mortem(&simulated, &pack, number));
        assert_ne!(text, post_mortem(&simulated, &pack, number + 1_000));
        for id in &said.evidence {
            checked += usize::from(text.contains(&format!("({id})")));
        }
        for place in ["{service}", "{who}", "{moved}", "{when}", "{date}", "{alert"] {
            assert!(!text.contains(place), "{text}");
        }
        let runbook = runbook(&simulated, &pack, number);
        assert!(runbook.lines().count() > 4, "{runbook}");
    }
    assert!(checked > 60, "{checked}");
}

#[test]
fn answers_of_lookups_stand_in_the_pack() {
    let mut checked = 0;
    for document in documents(Deck::Texts, 3, Part::Train, 0..2_000) {
        if document.kind != DocumentKind::Lookup {
            continue;
        }
        let (pack, lines) = document.text.split_once("\n\n").unwrap();
        for line in lines.lines().filter_map(|line| line.strip_prefix("line ")) {
            let (id, rest) = line.split_once(" is about ").unwrap();
            let label = rest.trim_end_matches('.');
            let row = format!("{id} {label} ");
            assert!(pack.lines().any(|line| line.starts_with(&row)), "{row}\n{pack}");
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn answers_of_conversations_are_json_about_the_pack() {
    let mut checked = 0;
    for document in documents(Deck::Texts, 3, Part::Train, 0..400) {
        assert_eq!(document.turns.is_empty(), document.kind != DocumentKind::Talk);
        let Some((first, _)) = document.turns.first() else { continue };
        for (asked, answered) in &document.turns {
            assert!(asked.ends_with(['?', '.']), "{asked}");
            let answer: serde_json::Value = serde_json::from_str(answered).unwrap();
            let listed = ["lines", "labels"].map(|key| answer[key].as_array().cloned());
            let ids = listed.into_iter().flatten().flatten().chain([answer["label"].clone()]);
            for id in ids.filter(|id| !id.is_null()) {
                assert!(has_line(first, id.as_str().unwrap()), "{id} in {first}");
                checked += 1;
            }
        }
    }
    assert!(checked > 300, "{checked}");
}

#[test]
fn explanations_name_lines_and_services_of_the_pack() {
    let mut named = 0;
    for document in documents(Deck::Conversations, 4, Part::Train, 0..200) {
        assert!(!document.turns.is_empty());
        let [(asked, said)] = &document.turns[..] else { continue };
        if document.kind == DocumentKind::Card {
            continue;
        }
        assert!(asked.contains("services:\n") && asked.ends_with(['?', '.']), "{asked}");
        for word in said.split(|c: char| !c.is_ascii_alphanumeric()) {
            let number = word.strip_prefix(['s', 'c', 'm', 'e', 'l']);
            if number.is_some_and(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit())) {
                assert!(has_line(asked, word), "{word} of {said}\nin {asked}");
                named += 1;
            }
        }
    }
    assert!(named > 200, "{named}");
}

#[test]
fn growing_conversations_begin_with_a_line_or_two_and_keep_what_tells_the_fault() {
    let deck = Deck::Growing { documents: 1_000 };
    let shown = |asked: &str| asked.lines().filter(|line| is_evidence(line)).count();
    let (mut hints, mut told) = (0, 0);
    for (number, document) in documents(deck, 6, Part::Train, 0..1_000).into_iter().enumerate() {
        let most = [2, 4, 8, 16, 32][number / 200];
        let (asked, said) = &document.turns[0];
        assert!(shown(asked) <= most && asked.starts_with(['a', 's']), "{most}: {asked}");
        if document.kind == DocumentKind::Hint {
            let cannot = ["to name a cause", "is missing here", "a human has to look"];
            hints += 1;
            told += usize::from(!cannot.iter().any(|why| said.contains(why)));
        }
    }
    // Even from two lines most causes can be told, as the telling ones are among them.
    assert!(told * 10 > hints * 8, "{told} of {hints}");
    // Beyond the growth there are whole packs.
    assert_eq!(deck.lines(5_000), Some(32));
    assert!(document(deck, 6, Part::Train, 5_000).text.len() > 200);
}

/// Whether a line of the pack begins with this id.
fn has_line(pack: &str, id: &str) -> bool {
    pack.lines().any(|line| line.split(' ').next() == Some(id))
}

/// Whether it is a line of evidence, as `m12 s3 …`.
fn is_evidence(line: &str) -> bool {
    let mut words = line.split(' ');
    let id = words.next().and_then(|word| word.strip_prefix(['c', 'm', 'e', 'l']));
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    id.is_some_and(is_number)
        && words.next().and_then(|it| it.strip_prefix('s')).is_some_and(is_number)
}

#[test]
fn cards_say_the_same_in_the_form_of_answers_and_name_no_answer() {
    let cards = asked_and_answered(DocumentKind::Card, 0..2_000);
    let mut seen = BTreeSet::new();
    for (asked, said, answer) in &cards {
        let on = |key: &str| {
            let line = asked.lines().find_map(|line| line.strip_prefix(&format!("{key}: ")));
            line.unwrap_or_default()
        };
        for key in ["service", "cause", "action"] {
            assert_eq!(answer[key], on(key), "{said}");
        }
        let cited = answer["evidence"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
        assert!(cited.eq(on("evidence").split_whitespace()), "{said}");
        // The order of keys is that of an answer, so that its tokens are.
        let places = ["service", "cause", "evidence", "action"].map(|key| said.find(key).unwrap());
        assert!(places.is_sorted(), "{said}");
        let error = sre::answer::Said::parse(said).unwrap_err().to_string();
        assert!(error.contains("unknown variant"), "{error}");
        seen.extend(on("cause").split('-').map(str::to_owned));
    }
    assert!(cards.len() > 200, "{}", cards.len());
    let words = Settings::new(1, Part::Train).causes();
    let words = words.iter().flat_map(|cause| cause.name().split('-')).filter(|it| it.len() > 1);
    let missing: Vec<_> = words.filter(|word| !seen.contains(*word)).collect();
    assert!(missing.is_empty(), "never written: {missing:?}");
}

#[test]
fn titles_say_in_joined_words_what_explanations_say_and_name_no_answer() {
    let titles = asked_and_answered(DocumentKind::Title, 0..700);
    let mut about = BTreeSet::new();
    for (asked, said, answer) in &titles {
        let service = answer["about"].as_str().unwrap();
        assert!(service == "-" || has_line(asked, service), "{said}\n{asked}");
        about.insert(service.to_owned());
        for key in ["title", "remedy"] {
            let words: Vec<&str> = answer[key].as_str().unwrap().split('-').collect();
            assert!((1..=8).contains(&words.len()), "{said}");
            let plain = |word: &&str| word.bytes().all(|it| it.is_ascii_alphanumeric());
            assert!(words.iter().all(plain), "{said}");
        }
        for known in Cause::ALL.map(Cause::name).into_iter().filter(|it| it.contains('-')) {
            assert!(!said.contains(known), "{known}: {said}");
        }
    }
    assert!(titles.len() > 200, "{}", titles.len());
    assert!(about.len() > 6 && about.contains("-"), "{about:?}");
}

/// Questions, answers and what the answers' JSON holds, of the conversations of one turn of that kind.
fn asked_and_answered(
    kind: DocumentKind,
    numbers: std::ops::Range<u64>,
) -> Vec<(String, String, serde_json::Value)> {
    let documents = documents(Deck::Conversations, 7, Part::Train, numbers).into_iter();
    let turn = |document: corpus::Document| {
        let [(asked, said)] = &document.turns[..] else { panic!("{:?}", document.turns) };
        (asked.clone(), said.clone(), serde_json::from_str(said).unwrap())
    };
    documents.filter(|document| document.kind == kind).map(turn).collect()
}
