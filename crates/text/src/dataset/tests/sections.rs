use super::*;

const MARKDOWN: &str = "# Checkout was down\n\nFor an hour.\n\n## Timeline\n\nAt nine it broke.\n\n\
                        ### Detection\n\nAn alert rang.\n\n### Repair\n\n```sh\n# restart it\nrestart \
                        api\n```\n\n| who | when |\n|---|---|\n| jo | 10 |\n\n## Actions\n\n- add disks\n";

fn built(long_documents: LongDocument, context: u32) -> std::result::Result<Dataset, String> {
    let files =
        [("x.md".to_owned(), MARKDOWN.to_owned()), ("y.txt".to_owned(), "short".to_owned())];
    let input = inputs(&files);
    let options = BuildOptions { long_documents, sections: true, ..BuildOptions::new(context) };
    let (out, report) = try_build(input.path(), Vocabulary::Tokenizer(&TOKENIZER), &options)?;
    assert_eq!((report.records, report.split_records), (2, 1));
    Ok(open(&out))
}

/// A document with what is not trained in brackets.
fn shown(doc: Doc<'_>) -> String {
    let split = doc.labels.iter().position(|&it| it != MASKED).unwrap();
    let [path, text] = [&doc.ids[..split], &doc.ids[split..]].map(|ids| TOKENIZER.decode(ids));
    format!("[{path}]{text}")
}

#[test]
fn pieces_are_whole_sections_under_their_headings() {
    let section = |title: &str| {
        let at = MARKDOWN.find(title).unwrap();
        let end = MARKDOWN[at + 3..].find("\n#").map_or(MARKDOWN.len(), |end| at + 3 + end + 1);
        // The comment in the code is no heading.
        if title.contains("Repair") {
            &MARKDOWN[at..MARKDOWN.find("## Act").unwrap()]
        } else {
            &MARKDOWN[at..end]
        }
    };
    let size = |text: &str| TOKENIZER.encode(text).unwrap().len();
    let path = "# Checkout was down\n\n## Timeline\n\n";
    // As long as the longest section with its headings and the two marks.
    let context = (size(section("### Repair"))
        + size("# Checkout was down\n\n")
        + size("## Timeline\n\n")
        + 2) as u32;
    let dataset = built(LongDocument::Refuse, context).unwrap();
    let pieces: Vec<String> = dataset.docs().map(shown).collect();
    let repair = format!("[{path}]{}", section("### Repair"));
    assert!(pieces.contains(&repair), "{pieces:#?}");
    assert_eq!(pieces.last().unwrap(), "[]short");
    // All that trains, in its order, is the document.
    let whole: String =
        pieces[..pieces.len() - 1].iter().map(|it| it.split_once(']').unwrap().1).collect();
    assert_eq!(whole, MARKDOWN);
    for (number, doc) in dataset.docs().take(pieces.len() - 1).enumerate() {
        assert!(doc.source.ends_with(&format!("/x.md#{}", number + 1)), "{}", doc.source);
        assert!(
            number == 0 || pieces[number].starts_with("[# Checkout was down\n\n"),
            "{pieces:#?}"
        );
    }
    let error = built(LongDocument::Refuse, context - 1).unwrap_err();
    assert_eq!(
        error,
        format!(
            "input/x.md: the section at line 13 has {context} tokens with the headings above it, the \
             context holds {}\nhint: use a longer context, or ask for long documents to be split",
            context - 1
        )
    );
    let split = built(LongDocument::Split, context - 1).unwrap();
    let whole: String = split
        .docs()
        .take(split.len() - 1)
        .map(|it| shown(it).split_once(']').unwrap().1.to_owned())
        .collect();
    assert_eq!(whole, MARKDOWN);
}

#[test]
fn what_fits_is_not_cut() {
    let input = inputs(&[("x.md".to_owned(), MARKDOWN.to_owned())]);
    let options = BuildOptions { sections: true, ..BuildOptions::new(2048) };
    let (out, _) = try_build(input.path(), Vocabulary::Tokenizer(&TOKENIZER), &options).unwrap();
    assert_eq!(open(&out).docs().map(shown).collect::<Vec<_>>(), [format!("[]{MARKDOWN}")]);
}
