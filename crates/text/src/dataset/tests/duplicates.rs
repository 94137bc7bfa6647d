use super::*;
use crate::Place;
use crate::dataset::similar::Unions;

const LONG: &str = "At nine the disk of the primary filled with write ahead logs because the archive \
                    job had failed for two days without an alert and nobody looked at its queue until \
                    the primary refused every write and checkout stopped for eleven minutes in all";

/// A question with its answer, in the group of an incident.
fn asked(group: &str, prompt: &str, completion: &str) -> String {
    let line = serde_json::json!({ "group": group, "prompt": prompt, "completion": completion });
    format!("{line}\n")
}

fn built(lines: &str, duplicates: Duplicates) -> (TempDir, Report) {
    let directory = inputs(&[("data.jsonl".to_owned(), lines.to_owned())]);
    let input = directory.path().join("data.jsonl");
    let plain = Template::plain(Date::STANDARD);
    let vocabulary = Vocabulary::Chat { tokenizer: &TOKENIZER, template: &plain };
    let options = BuildOptions { duplicates, ..BuildOptions::new(2048) };
    let (out, mut report) = try_build(&input, vocabulary, &options).unwrap();
    for it in &mut report.alike.first {
        (it.place.path, it.first.path) = ("in".into(), "in".into());
    }
    (out, report)
}

fn sources(dataset: &Dataset) -> Vec<&str> {
    dataset.docs().map(|it| it.source).collect()
}

#[test]
fn duplicates_are_left_out_and_named() {
    let near = LONG.replace("eleven", "twelve");
    let other = prose(3);
    let lines: String = [LONG, &other, &near, &LONG.to_uppercase(), "short", "short one"]
        .iter()
        .map(|text| serde_json::json!({ "text": text }).to_string() + "\n")
        .collect();
    let (out, report) = built(&lines, Duplicates::Remove);
    let dataset = open(&out);
    let kept = ["data.jsonl:1", "data.jsonl:2", "data.jsonl:5", "data.jsonl:6"];
    assert_eq!(sources(&dataset), kept);
    assert_eq!((report.records, report.documents, report.alike.duplicates), (6, 4, 2));
    assert_eq!(dataset.manifest.removed_duplicates, Some(2));
    let words = LONG.split_whitespace().count() as f64;
    let runs = words - 4.0;
    // The word that differs is the fourth from the end: four runs have it.
    let similarity = (runs - 4.0) / (runs + 4.0);
    let [first, second] = &report.alike.first[..] else { panic!("{:?}", report.alike) };
    let line = |number| Place { path: "in".into(), line: Some(number) };
    assert_eq!(*first, Duplicate { place: line(3), first: line(1), similarity });
    assert_eq!(*second, Duplicate { place: line(4), first: line(1), similarity: 1.0 });

    let (out, report) = built(&lines, Duplicates::Keep);
    let dataset = open(&out);
    assert_eq!((dataset.len(), report.alike.duplicates), (6, 2));
    assert_eq!(dataset.manifest.removed_duplicates, None);
    let groups = dataset.groups();
    assert_eq!([groups[2], groups[3]], [groups[0]; 2]);
    assert_eq!(groups.iter().collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn another_answer_is_kept_on_the_same_side() {
    let near = LONG.replace("eleven", "twelve");
    let lines = [
        asked("INC-1", LONG, "disk full"),
        asked("INC-2", &near, "archive job failed"),
        asked("INC-2", "What was the cause of all this?", "no idea"),
        asked("INC-3", LONG, "disk full"),
        asked("INC-3", "Who was on call?", "nobody"),
        asked("INC-4", "Which node was it?", "node 7"),
    ]
    .concat();
    let (out, report) = built(&lines, Duplicates::Remove);
    let dataset = open(&out);
    assert_eq!((report.alike.duplicates, report.alike.answered_otherwise), (1, 1));
    assert_eq!((dataset.len(), report.conversations), (5, 5));
    // What was left out belonged to INC-3, so the rest of INC-3 is about the same.
    let groups = dataset.groups();
    assert_eq!(groups[..4], [groups[0]; 4]);
    assert_ne!(groups[4], groups[0]);
    for seed in 0..20 {
        let split = dataset.split(0.5, seed).unwrap();
        let sides = [split.train, split.held_out];
        assert!(sides.contains(&vec![0, 1, 2, 3]), "{sides:?}");
    }
}

#[test]
fn what_is_too_long_is_an_error_even_if_it_was_there_before() {
    let lines = "{\"input_ids\": [1, 2], \"labels\": [1, 2]}\n".repeat(2)
        + &"{\"input_ids\": [1,1,1,1,1,1,1,1,1], \"labels\": [1,1,1,1,1,1,1,1,1]}\n".repeat(2);
    assert!(build_lines(&lines, 10).unwrap_err().starts_with("input:3: the document has 9"));
}

#[test]
fn simulated_words_that_share_their_list_of_causes_are_not_alike() {
    // Two thirds of every text are the same.
    let causes: String = (0..60).map(|cause| format!(" cause-{cause}")).collect();
    let line = |number: usize| {
        let own: String = (0..30).map(|word| format!(" m{}", number * 31 + word)).collect();
        asked(&format!("INC-{number}"), &format!("{own} causes:{causes}"), "{\"cause\": \"none\"}")
    };
    let (out, report) = built(&(0..300).map(line).collect::<String>(), Duplicates::Remove);
    assert_eq!(open(&out).len(), 300);
    assert_eq!(report.alike, Alike::default());
}

proptest! {
    /// Whatever pairs a description names: groups are one exactly where pairs lead from one to another.
    #[test]
    fn unions_are_what_pairs_reach(pairs in prop::collection::vec([0..12u64, 0..12u64], 0..20)) {
        let mut unions = Unions::default();
        let mut sets: Vec<BTreeSet<u64>> = (0..12).map(|it| BTreeSet::from([it])).collect();
        for pair in &pairs {
            let [one, two] = pair.map(|it| sets.iter().position(|set| set.contains(&it)).unwrap());
            prop_assert_eq!(unions.join(*pair), one != two);
            if one != two {
                let joined = std::mem::take(&mut sets[two]);
                sets[one].extend(joined);
            }
        }
        for set in sets.iter().filter(|set| !set.is_empty()) {
            for &group in set {
                prop_assert_eq!(unions.first(group), *set.first().unwrap());
            }
        }
    }
}
