use super::*;
use crate::dataset::{BuildOptions, Vocabulary, build};
use std::fs;
use tempfile::TempDir;

fn tokenizer() -> Tokenizer {
    Tokenizer::train_bpe([Ok("the disk was full, the disk was slow")].into_iter(), 270).unwrap()
}

fn dataset(vocabulary: Vocabulary<'_>, lines: &str) -> (TempDir, Dataset) {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("data.jsonl");
    fs::write(&input, lines).unwrap();
    let out = directory.path().join("set");
    build(&[input], vocabulary, &BuildOptions::new(64), &out, &mut |_| {}).unwrap();
    let dataset = Dataset::open(&out).unwrap();
    (directory, dataset)
}

#[test]
fn counts_add_up() {
    let line = |tokens: usize, label: i32| {
        let ids = vec![1; tokens];
        let labels = vec![label; tokens];
        format!("{{\"input_ids\": {ids:?}, \"labels\": {labels:?}}}\n")
    };
    let lines: String = [(4, 1), (7, 1), (8, -100), (40, 1), (5, 1)]
        .map(|(tokens, label)| line(tokens, label))
        .concat();
    let (_directory, dataset) = dataset(Vocabulary::Ids { vocab_size: 2 }, &lines);
    let summary = summarize(&dataset, 2);
    assert_eq!((summary.documents, summary.tokens), (5, 64));
    assert_eq!((summary.trained_tokens, summary.masked_tokens), (52, 12));
    assert_eq!(summary.untrained_documents, 1);
    let bucket = |from, to, documents, tokens| Bucket { from, to, documents, tokens };
    assert_eq!(
        summary.histogram,
        [bucket(4, 7, 3, 16), bucket(8, 15, 1, 8), bucket(16, 31, 0, 0), bucket(32, 63, 1, 40)]
    );
    let longest: Vec<_> =
        summary.longest.iter().map(|it| (it.document, it.source.as_str(), it.tokens)).collect();
    assert_eq!(longest, [(3, "data.jsonl:4", 40), (2, "data.jsonl:3", 8)]);
}

#[test]
fn the_last_bucket_reaches_to_the_end() {
    let buckets = histogram(&[1, u32::MAX]);
    assert_eq!((buckets[0].from, buckets[0].to), (1, 1));
    assert_eq!((buckets[31].from, buckets[31].to), (1 << 31, u32::MAX));
}

#[test]
fn a_sample_shows_text_and_marks() {
    let tokenizer = tokenizer();
    let text = "the disk é";
    let (_directory, dataset) =
        dataset(Vocabulary::Tokenizer(&tokenizer), &format!("{{\"text\": \"{text}\"}}"));
    let sample = sample(&dataset, &tokenizer, 0).unwrap();
    assert_eq!(sample.source, "data.jsonl:1");
    let shown: String = sample.tokens.iter().map(|token| token.text.as_str()).collect();
    assert_eq!(shown, format!("<|begin_of_text|>{text}<|end_of_text|>"));
    assert!(!sample.tokens[0].trained);
    assert!(sample.tokens[1..].iter().all(|token| token.trained));
    // The two bytes of é are two tokens; the character shows with the second.
    let accent = sample.tokens.len() - 2;
    assert_eq!(
        (sample.tokens[accent - 1].text.as_str(), sample.tokens[accent].text.as_str()),
        ("", "é")
    );
}

#[test]
fn a_sample_that_cannot_be_is_refused() {
    let tokenizer = tokenizer();
    let other = Tokenizer::train_bpe([Ok("something else")].into_iter(), 263).unwrap();
    let (_directory, dataset) =
        dataset(Vocabulary::Tokenizer(&tokenizer), "{\"text\": \"disk full\"}");
    let error = sample(&dataset, &tokenizer, 1).unwrap_err().to_string();
    assert_eq!(error, "cannot show a document: document 1 was asked for, the last one is 0");
    let error = sample(&dataset, &other, 0).unwrap_err().to_string();
    assert!(error.ends_with("give the tokenizer that the data set was built with"), "{error}");
}
