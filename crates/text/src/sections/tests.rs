use super::*;
use proptest::prelude::*;

/// Every section as its first line and the headings above it.
fn outline(markdown: &str) -> Vec<String> {
    let sections = of(markdown);
    let name = |section: &Section<'_>| section.text.lines().next().unwrap_or("").to_owned();
    let path = |section: &Section<'_>| -> String {
        section.above.iter().map(|&it| name(&sections[it]) + " > ").collect()
    };
    sections.iter().map(|it| format!("{}: {}{}", it.line, path(it), name(it))).collect()
}

#[test]
fn headings_open_sections_under_their_path() {
    let markdown =
        "intro\n# Title\ntext\n## Impact\n### Who\nall\n## Cause\n#hash\n####### seven\n#\n";
    let expected = [
        "1: intro",
        "2: # Title",
        "4: # Title > ## Impact",
        "5: # Title > ## Impact > ### Who",
        "7: # Title > ## Cause",
        "10: #",
    ];
    assert_eq!(outline(markdown), expected);
    assert_eq!(of(markdown)[3].heading, Some("### Who\n"));
}

#[test]
fn what_only_looks_like_a_heading_is_none() {
    let whole = [
        "---\ntitle: x\n# no: heading\n---\ntext\n",
        "```sh\n# restart\n```\n",
        "~~~~\n# a\n~~~\n```\n# b\n~~~~\n",
        "- item\n    ```\n    # a\n# b\n    ```\n",
        "```\n# to the end\n",
        "    # indented code\n",
        "| a | b |\n|---|---|\n| # | 1 |\n",
        "a\nb\n---\n",
        "text\n\n---\n\nmore\n",
        "- item\n---\n",
        "> # quoted\n",
    ];
    for markdown in whole {
        assert_eq!(of(markdown).len(), 1, "{markdown}");
        assert_eq!(of(markdown)[0].heading, None, "{markdown}");
    }
    // Inline code opens nothing.
    assert_eq!(outline("```x```\n# a\n").len(), 2);
}

#[test]
fn underlined_headings_count() {
    let markdown = "Title\n=====\r\n\ntext\n\n Impact \n---\nx\n";
    assert_eq!(outline(markdown), ["1: Title", "6: Title >  Impact "]);
    assert_eq!(of(markdown)[0].heading, Some("Title\n=====\r\n"));
}

proptest! {
    /// Nothing is lost or moved, whatever is written.
    #[test]
    fn sections_are_the_document(
        lines in prop::collection::vec(
            prop_oneof![
                Just("# a"), Just("## b"), Just("---"), Just("==="), Just("```"), Just("~~~"),
                Just("text"), Just(""), Just("| t |"), Just("é \u{2028}"), Just("   ### c\r"),
            ],
            0..30,
        ),
        end in prop_oneof![Just(""), Just("\n")],
    ) {
        let markdown = lines.join("\n") + end;
        let sections = of(&markdown);
        let texts: String = sections.iter().map(|it| it.text).collect();
        prop_assert_eq!(&texts, &markdown);
        for (number, section) in sections.iter().enumerate() {
            prop_assert!(!section.text.is_empty());
            prop_assert!(section.above.iter().all(|&it| it < number));
            prop_assert!(section.above.is_sorted());
        }
    }
}
