use super::*;

const DOCUMENT: &str = "\
# Certificates ran out

## Summary
All calls to the *ledger* failed with a TLS error.

## Timeline

| Time | Event |
|:-----|:------|
| 08:00 | The certificate of the ledger expired |

## Contributing Factors
- Nobody renewed the certificate.

## Impact on users
Orders were late.
";

#[test]
fn only_what_was_to_be_seen_is_shown() {
    let incident = incident("PM1", DOCUMENT).unwrap();
    assert_eq!(incident.alert.as_ref().unwrap().message, "Certificates ran out");
    let lines: Vec<_> = incident.logs.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(
        lines,
        [
            "All calls to the *ledger* failed with a TLS error.",
            "Time Event",
            "08:00 The certificate of the ledger expired",
            "Orders were late."
        ]
    );
    // What was made by hand is an incident like any other.
    let again = Incident::read(&serde_json::to_string(&incident).unwrap()).unwrap();
    assert_eq!(again, incident);
}

#[test]
fn a_document_becomes_an_example_with_its_label() {
    let tokens = |text: &str| Ok(text.len() / 3);
    let causes = [Cause::CertificateExpired, Cause::None, Cause::Unknown];
    let shown = Shown { budget: 300, tokens: &tokens };
    let made = |cause| {
        let label = Label { document: "PM1".into(), cause };
        example(&label, DOCUMENT, &causes, &shown).unwrap().unwrap()
    };
    let known = made(Cause::CertificateExpired);
    assert_eq!((known.case, known.cause), (Case::Known, Cause::CertificateExpired));
    assert!(known.pack.prompt.contains("«The certificate of"), "{}", known.pack.prompt);
    assert!(!known.pack.prompt.contains("Nobody renewed"));
    assert!(known.is_service("s1"));
    let other = made(Cause::DiskFull);
    assert_eq!((other.case, other.cause), (Case::HeldOut, Cause::Unknown));
    assert_eq!(
        example(
            &Label { document: "PM2".into(), cause: Cause::DnsFailure },
            "text",
            &causes,
            &shown
        )
        .unwrap(),
        None
    );
}

#[test]
fn the_beginning_of_a_long_document_is_shown_in_its_order() {
    let words: Vec<_> = (0..400).map(|number| format!("word{number}")).collect();
    let document = format!("# Long\n\n## Summary\n{}\n", words.join(" "));
    let label = Label { document: "PM3".into(), cause: Cause::DiskFull };
    let tokens = |text: &str| Ok(text.len() / 3);
    let shown = Shown { budget: 600, tokens: &tokens };
    let made = example(&label, &document, &[Cause::DiskFull], &shown).unwrap().unwrap();
    let words = made.pack.prompt.split([' ', '\n', '«', '»']);
    let words: Vec<_> = words.collect();
    let place = |word: &str| words.iter().position(|it| *it == word);
    let places: Vec<_> = (0..60).filter_map(|number| place(&format!("word{number}"))).collect();
    assert_eq!(places.len(), 60, "{}", made.pack.prompt);
    assert!(places.is_sorted(), "{}", made.pack.prompt);
}

#[test]
fn labels_are_read_with_their_lines() {
    let good = "{\"document\": \"PM1\", \"cause\": \"bad-config\"}\n\n";
    assert_eq!(labels(good).unwrap()[0].cause, Cause::BadConfig);
    let bad = labels(&format!("{good}{{\"document\": \"PM2\", \"cause\": \"gremlins\"}}"));
    assert!(bad.unwrap_err().starts_with("line 3: unknown variant `gremlins`"));
}

/// Every label of the project names a document, where the real ones are there.
#[test]
fn the_real_post_mortems_are_labelled() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("datasets/labels/dfds.jsonl")).unwrap();
    let labels = labels(&text).unwrap();
    assert_eq!(labels.len(), 39);
    let Ok(entries) = std::fs::read_dir(root.join("../shared/data/postmortems")) else {
        crate::skip::skip("no real post-mortems beside the checkout");
        return;
    };
    let files: Vec<_> = entries.map(|it| it.unwrap().path()).collect();
    for label in labels {
        let begins = |path: &&std::path::PathBuf| {
            path.file_name().unwrap().to_string_lossy().starts_with(&label.document)
        };
        let file = files.iter().find(begins).expect("a document of this name");
        let markdown = std::fs::read_to_string(file).unwrap();
        assert!(incident(&label.document, &markdown).is_some(), "{}", label.document);
    }
}
