use super::*;

fn skipping(context: u32) -> BuildOptions {
    BuildOptions { refused: Refused::Skip, ..BuildOptions::new(context) }
}

fn refusal(source: &str, reason: &str) -> Refusal {
    Refusal { source: source.to_owned(), reason: reason.to_owned() }
}

#[test]
fn records_that_cannot_train_are_named() {
    let cases = [
        (
            "{\"input_ids\": [1, 10], \"labels\": [1, 2]}",
            "input:1: input_ids[1] is 10, the vocabulary has 10 ids",
        ),
        (
            "{\"input_ids\": [1, 2], \"labels\": [1, -1]}",
            "input:1: labels[1] is -1, expected -100 or an id of the 10 in the vocabulary",
        ),
        (
            "{\"input_ids\": [1, 2], \"labels\": [1, 10]}",
            "input:1: labels[1] is 10, expected -100 or an id of the 10 in the vocabulary",
        ),
        (
            "{\"input_ids\": [1, 2], \"labels\": [1, 8589934590]}",
            "input:1: labels[1] is 8589934590, expected -100 or an id of the 10 in the vocabulary",
        ),
        (
            "{\"input_ids\": [1,1,1,1,1,1,1,1,1], \"labels\": [1,1,1,1,1,1,1,1,1]}",
            "input:1: the document has 9 tokens, the context holds 8\nhint: use a longer context, \
             or ask for long documents to be split",
        ),
        (
            "{\"text\": \"disk full\"}",
            "input:1: a text needs a tokenizer, and there is none\nhint: give the tokenizer of the \
             model, or records with input_ids and labels",
        ),
        (
            "\n \n",
            "input: no document found\nhint: directories are searched for .md and .txt; .jsonl files are named themselves, as DIR/*.jsonl",
        ),
        (
            "{\"input_ids\": [1, 2], \"labels\": [1, -100]}\n{\"input_ids\": [1], \"labels\": [1]}",
            "input: none of the 3 tokens in 2 documents is trained\nhint: a document's first token \
             never trains, and a label of -100 masks its token",
        ),
    ];
    for (lines, problem) in cases {
        assert_eq!(build_lines(lines, 10).unwrap_err(), problem);
    }
}

#[test]
fn the_first_error_of_the_input_is_the_one_reported() {
    // The second line cannot be encoded, the third cannot be read: reading runs ahead.
    let lines = "{\"input_ids\": [1], \"labels\": [1]}\n{\"input_ids\": [99], \"labels\": [1]}\nx";
    let error = build_lines(lines, 10).unwrap_err();
    assert_eq!(error, "input:2: input_ids[0] is 99, the vocabulary has 10 ids");
}

#[test]
fn what_is_refused_is_left_out_and_listed() {
    let long = "word ".repeat(300);
    let lines = [
        serde_json::json!({"text": "the disk was full"}).to_string(),
        "{\"text\": 7}".to_owned(),
        serde_json::json!({"text": long}).to_string(),
        serde_json::json!({"text": "fine\npassword: hunter22x\npassword: hunter33x"}).to_string(),
        format!("{{\"text\": \"{}\"}}", "x".repeat(4000)),
        // Left out before: it repeats nothing that is kept.
        serde_json::json!({"text": long}).to_string(),
        serde_json::json!({"text": "the node was lost"}).to_string(),
    ];
    let directory = inputs(&[("data.jsonl".to_owned(), lines.join("\n"))]);
    let input = directory.path().join("data.jsonl");
    let limits = Limits { line_bytes: 2000, ..Limits::STANDARD };
    let options = BuildOptions { limits, ..skipping(64) };
    let vocabulary = Vocabulary::Tokenizer(&TOKENIZER);
    let (out, report) = try_build(&input, vocabulary, &options).unwrap();
    let dataset = open(&out);
    let sources: Vec<&str> = dataset.docs().map(|it| it.source).collect();
    assert_eq!(sources, ["data.jsonl:1", "data.jsonl:7"]);
    assert_eq!((report.records, report.alike.duplicates), (7, 0));
    let tokens = TOKENIZER.encode(&long).unwrap().len() + 2;
    let too_long = format!("the document has {tokens} tokens, the context holds 64");
    let expected = [
        refusal(
            "data.jsonl:2",
            "not a record: invalid type: integer `7`, expected a string (byte 10 of the line)",
        ),
        refusal("data.jsonl:3", &too_long),
        refusal("data.jsonl:4", "2 secrets, the first: line 2 of the text: password (hun…)"),
        refusal("data.jsonl:5", "the line has more than 2000 bytes, the limit of a line"),
        refusal("data.jsonl:6", &too_long),
    ];
    assert_eq!(report.left_out.first, expected);
    assert_eq!(report.left_out.records, 5);
    assert_eq!(dataset.refused(), Some(&report.left_out));
    // A vocabulary is learned from the same records, but for those that are only too long.
    let sources = Sources::find(&[input]).unwrap();
    assert_eq!(clean_texts(&sources, &options, &mut |_| {}).unwrap().len(), 4);
}

#[test]
fn files_that_are_no_documents_are_left_out_too() {
    let input =
        inputs(&[("a.md".to_owned(), "fine".to_owned()), ("b.md".to_owned(), " ".to_owned())]);
    fs::write(input.path().join("c.md"), b"caf\xe9").unwrap();
    let vocabulary = Vocabulary::Tokenizer(&TOKENIZER);
    let (_, report) = try_build(input.path(), vocabulary, &skipping(64)).unwrap();
    let reasons: Vec<&str> = report.left_out.first.iter().map(|it| it.reason.as_str()).collect();
    assert_eq!(reasons, ["the document is empty", "byte 3 is not UTF-8"]);
    assert!(report.left_out.first[1].source.ends_with("/c.md"));
    assert!(!report.left_out.first[1].source.starts_with('/'));
}

#[test]
fn where_nothing_is_left_the_first_reason_is_the_error() {
    let input = inputs(&[("data.jsonl".to_owned(), "x\n{\"text\": \"\"}\n".to_owned())]);
    let vocabulary = Vocabulary::Tokenizer(&TOKENIZER);
    let file = input.path().join("data.jsonl");
    let error = try_build(&file, vocabulary, &skipping(64)).unwrap_err();
    assert!(error.starts_with("input:1: not a record: expected value"), "{error}");
    // What is about a file and not about a record is an error either way.
    let options =
        BuildOptions { limits: Limits { file_bytes: 3, ..Limits::STANDARD }, ..skipping(64) };
    let error = try_build(&file, vocabulary, &options).unwrap_err();
    assert_eq!(error, "input: the file has more than 3 bytes, the limit of a file");
}

#[test]
fn long_reasons_are_clipped() {
    let line = "{\"prompt\": \"why?\", \"completion\": \"disk\"}\n{\"text\": \"a\"}";
    let source = format!("{{{{ raise_exception('{}') }}}}", "not this one, ".repeat(100));
    let input =
        inputs(&[("data.jsonl".to_owned(), line.to_owned()), ("chat.jinja".to_owned(), source)]);
    let template = Template::from_file(&input.path().join("chat.jinja"), Date::STANDARD).unwrap();
    let vocabulary = Vocabulary::Chat { tokenizer: &TOKENIZER, template: &template };
    let (_, report) =
        try_build(&input.path().join("data.jsonl"), vocabulary, &skipping(64)).unwrap();
    let reason = &report.left_out.first[0].reason;
    assert!(reason.contains("it refuses the conversation: not this one, not"), "{reason}");
    assert!(reason.ends_with('…') && reason.chars().count() == 301, "{reason}");
}
