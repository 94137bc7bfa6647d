//! No secret of the input is in a data set or in a message, whether its record could be read or
//! not.

use super::*;
use crate::secrets::Masking;
use crate::secrets::tests::planted::{Planted, longest_part, planted, without_masks};
use serde_json::json;

/// The 200 secrets that are planted, as records.
fn planted_lines(planted: &[Planted]) -> String {
    planted.iter().map(|it| json!({"text": it.text}).to_string() + "\n").collect()
}

#[test]
fn secrets_are_refused_with_their_places() {
    let planted = planted(200, 3);
    let files = [
        ("a.md".to_owned(), "# Fine\n\nNothing here.\n\npassword: hunter22x\n".to_owned()),
        ("b.md".to_owned(), planted[4].text.clone()),
    ];
    let error = |input: &Path| {
        let vocabulary = Vocabulary::Tokenizer(&TOKENIZER);
        try_build(input, vocabulary, &BuildOptions::new(4096)).unwrap_err()
    };
    let input = inputs(&files);
    let message = error(input.path());
    assert!(message.starts_with("2 secrets in the documents, nothing was written:\n"), "{message}");
    assert!(message.contains("input/a.md:5: password (hun…)"), "{message}");
    assert!(!message.contains("hunt") && !message.contains(&planted[4].secret), "{message}");
    let input = inputs(&[("x.jsonl".to_owned(), planted_lines(&planted))]);
    let message = error(&input.path().join("x.jsonl"));
    assert!(message.contains("input:1, line ") && message.contains("more\nhint: "), "{message}");
    assert!(planted.iter().all(|it| !message.contains(&it.secret)));
}

#[test]
fn masked_secrets_are_in_no_shard() {
    let planted = planted(200, 3);
    let input = inputs(&[("x.jsonl".to_owned(), planted_lines(&planted))]);
    let file = input.path().join("x.jsonl");
    let secrets = Secrets::Redact(Masking::PERSONAL);
    let duplicates = Duplicates::Keep;
    let options = BuildOptions { secrets, duplicates, ..BuildOptions::new(4096) };
    let sources = Sources::find(std::slice::from_ref(&file)).unwrap();
    let texts = clean_texts(&sources, &options, &mut |_| {}).unwrap();
    let tokenizer = Tokenizer::train_bpe(texts.into_iter().map(Ok), 600).unwrap();
    let vocabulary = Vocabulary::Tokenizer(&tokenizer);
    let (out, report) = try_build(&file, vocabulary, &options).unwrap();
    assert!(report.redacted.len() >= 12, "{:?}", report.redacted);
    assert!(report.redacted.values().sum::<u64>() >= 200);
    let dataset = open(&out);
    assert_eq!(dataset.len(), 200);
    for (plant, doc) in planted.iter().zip(dataset.docs()) {
        let text = tokenizer.decode(doc.ids);
        assert!(longest_part(&plant.secret, &without_masks(&text)) <= 4, "{text}");
    }
    let counts: BTreeMap<String, u64> =
        report.redacted.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
    assert_eq!(dataset.manifest.redacted, Some(counts));
}

/// Lines that are no records, with a text in the wrong place: as a value of another type than is
/// expected, as a name, and in JSON that is none.
fn malformed(text: &str) -> Vec<String> {
    let values = [
        json!(text),
        json!([text]),
        json!({"text": [text]}),
        json!({"text": {"password": text}}),
        json!({"text": "a", "id": [text]}),
        json!({"text": "a", "time": text}),
        json!({"text": "a", "labels": [text]}),
        json!({"input_ids": text, "labels": [1]}),
        json!({"messages": text}),
        json!({"messages": [text]}),
        json!({"messages": [{"role": text, "content": "x"}]}),
        json!({"messages": [{"role": "user", "content": {"text": text}}]}),
        json!({"messages": [{"role": "user", "content": "x", "train": text}]}),
        json!({"messages": [{"role": "user", "content": "x", text: 1}]}),
        json!({"conversations": [{"from": text, "value": "x"}]}),
        json!({"prompt": {"text": text}, "completion": "x"}),
        json!({text: "x"}),
    ];
    let whole = json!({"text": text}).to_string();
    let cut_off = whole[..whole.len() - 2].to_owned();
    let continued = format!("{whole} {whole}");
    let bare = text.replace(['\r', '\n'], " ");
    values.iter().map(ToString::to_string).chain([cut_off, continued, bare]).collect()
}

/// Ways to treat secrets.
fn treatments() -> [Secrets; 2] {
    [Secrets::Refuse, Secrets::Redact(Masking::PERSONAL)]
}

/// That no more of any secret is in a text than what chance and its first characters give.
fn assert_holds_none(text: &str, planted: &[Planted]) {
    for Planted { secret, maker, .. } in planted {
        assert!(longest_part(secret, text) < 8, "{maker}: {secret} is in\n{text}");
    }
}

#[test]
fn secrets_of_malformed_records_are_in_no_data_set() {
    let planted = planted(25, 5);
    let wrong: Vec<String> = planted.iter().flat_map(|it| malformed(&it.text)).collect();
    let right = (0..3).map(|number| json!({"text": prose(number)}).to_string());
    let lines: Vec<String> = right.chain(wrong.iter().cloned()).collect();
    let input = inputs(&[("data.jsonl".to_owned(), lines.join("\n"))]);
    let file = input.path().join("data.jsonl");
    for secrets in treatments() {
        let options = BuildOptions { secrets, refused: Refused::Skip, ..BuildOptions::new(256) };
        let (out, report) = try_build(&file, Vocabulary::Tokenizer(&TOKENIZER), &options).unwrap();
        assert_eq!((report.documents, report.left_out.records), (3, wrong.len() as u64));
        assert_eq!(report.left_out.first.len(), wrong.len());
        for (name, bytes) in files_of(&out.path().join("set")) {
            assert_holds_none(&format!("{name}\n{}", String::from_utf8_lossy(&bytes)), &planted);
        }
        for doc in open(&out).docs() {
            assert_holds_none(&TOKENIZER.decode(doc.ids), &planted);
        }
        assert_holds_none(&format!("{report:?}"), &planted);
        let sources = Sources::find(std::slice::from_ref(&file)).unwrap();
        assert_eq!(clean_texts(&sources, &options, &mut |_| {}).unwrap().len(), 3);
    }
}

#[test]
fn secrets_of_malformed_records_are_in_no_error() {
    let planted = planted(25, 5);
    let wrong: Vec<String> = planted.iter().flat_map(|it| malformed(&it.text)).collect();
    let input = inputs(&[("data.jsonl".to_owned(), wrong.join("\n"))]);
    let sources = Sources::find(&[input.path().join("data.jsonl")]).unwrap();
    let errors: Vec<String> = record::read(&sources, Limits::STANDARD)
        .map(|record| record.unwrap_err().to_string())
        .collect();
    assert_eq!(errors.len(), wrong.len());
    assert_holds_none(&errors.join("\n"), &planted);
    // What stops a build, and what is reported where every record was left out.
    for line in malformed(&planted[15].text) {
        let input = inputs(&[("data.jsonl".to_owned(), line)]);
        let file = input.path().join("data.jsonl");
        for secrets in treatments() {
            for refused in [Refused::Stop, Refused::Skip] {
                let options = BuildOptions { secrets, refused, ..BuildOptions::new(256) };
                let vocabulary = Vocabulary::Tokenizer(&TOKENIZER);
                let error = try_build(&file, vocabulary, &options).unwrap_err();
                assert!(error.starts_with("input:1: "), "{error}");
                assert_holds_none(&error, &planted[15..16]);
            }
        }
    }
}

#[test]
fn the_names_of_refused_files_are_masked_too() {
    let key = format!("AKIA{}", "Q3ZT7NWX5RBL2KVD");
    let input = inputs(&[
        ("a.md".to_owned(), "the disk was full".to_owned()),
        (format!("{key}.md"), " ".to_owned()),
    ]);
    let options = BuildOptions { refused: Refused::Skip, ..BuildOptions::new(256) };
    let vocabulary = Vocabulary::Tokenizer(&TOKENIZER);
    let (_, report) = try_build(input.path(), vocabulary, &options).unwrap();
    let source = &report.left_out.first[0].source;
    assert!(source.ends_with("/[REDACTED:aws-access-key].md"), "{source}");
}
