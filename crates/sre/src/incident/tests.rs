use super::*;
use std::sync::LazyLock;

/// Three services, one of which is short of memory.
pub(crate) fn small() -> Incident {
    Incident::read(&SMALL).unwrap()
}

/// The example of the documentation.
static SMALL: LazyLock<&str> = LazyLock::new(|| {
    let page = include_str!("../../../../docs/incident.md");
    let (_, example) = page.split_once("```json\n").expect("an example");
    example.split_once("```").expect("its end").0
});

#[test]
fn a_document_survives_writing_and_reading() {
    let incident = small();
    let again = Incident::read(&serde_json::to_string(&incident).unwrap()).unwrap();
    assert_eq!(again, incident);
    assert_eq!(incident.evidence_ids().collect::<Vec<_>>(), ["m1", "m2", "l1", "e1", "c1"]);
    assert_eq!(incident.service_of("e1"), Some("cart"));
    assert_eq!(incident.service_of("e9"), None);
}

#[test]
fn what_contradicts_itself_is_refused_with_its_place() {
    for (from, to, expected) in [
        (r#""version": 1"#, r#""version": 2"#, "version: is 2, this program reads version 1"),
        (r#""end": "2026-03-01T10:10:00Z""#, r#""end": "2026-03-01T10:00:00Z""#, "end: is "),
        (r#"["cart", "search"]"#, r#"["cart", "serch"]"#, "services[0].calls: \"serch\" is not"),
        (r#""name": "search"}"#, r#""name": "cart"}"#, "services[2].name: \"cart\" is there twice"),
        (r#""id": "m2""#, r#""id": "m1""#, "metrics[1].id: \"m1\" is there twice"),
        (
            r#""id": "m2", "service": "search""#,
            r#""id": "m2", "service": "x""#,
            "metrics[1].service",
        ),
        (r#""limit": 536870912"#, r#""limit": 0"#, "metrics[0].limit: expected a number above 0"),
        (r#""id": "e1""#, r#""id": "say-none1""#, "events[0].id: \"say-none1\" is no id"),
        (r#""image 1.4 to 1.5""#, r#""  ""#, "changes[0].message: is empty"),
        (r#""step_seconds": 60"#, r#""step_seconds": 0"#, "metrics[0].step_seconds: is 0"),
        (r#""count": 6"#, r#""cuont": 6"#, "unknown field `cuont`"),
        (r#""level": "error""#, r#""level": "loud""#, "unknown variant `loud`"),
    ] {
        let broken = SMALL.replacen(from, to, 1);
        assert_ne!(broken, *SMALL, "{from}");
        let error = Incident::read(&broken).unwrap_err().to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn secrets_in_messages_are_masked_and_stay_out_of_errors() {
    let with = |from: &str, to: &str| {
        let changed = SMALL.replacen(from, to, 1);
        assert_ne!(changed, *SMALL, "{from}");
        changed
    };
    let planted = with("image 1.4 to 1.5", "set DB_PASSWORD=k7Jq2mVx9 on 10.0.0.7, asked a@b.org");
    let mut incident = Incident::read(&planted).unwrap();
    assert_eq!(incident.mask_secrets(), [("password", 1)].into());
    let message = &incident.changes[0].message;
    // Who and where is what an incident is about, and stays.
    assert_eq!(message, "set DB_PASSWORD=[REDACTED:password] on 10.0.0.7, asked a@b.org");
    assert_eq!(incident.mask_secrets(), Counts::new(), "once is enough");
    assert_eq!(small().mask_secrets(), Counts::new());

    let wrong = with(r#""count": 6"#, r#""count": "password=k7Jq2mVx9""#);
    let error = Incident::read(&wrong).unwrap_err().to_string();
    assert!(error.contains("[REDACTED:password]") && !error.contains("k7Jq"), "{error}");
}

#[test]
fn a_byte_order_mark_before_the_document_says_nothing() {
    assert_eq!(Incident::read(&format!("\u{feff}{}", *SMALL)).unwrap(), small());
}

/// What the small incident is refused for with this text in place of another.
fn refusal(from: &str, to: &str) -> String {
    let broken = SMALL.replace(from, to);
    assert_ne!(broken, *SMALL, "{from}");
    Incident::read(&broken).unwrap_err().to_string()
}

#[test]
fn names_with_characters_that_nobody_sees_are_refused() {
    let unseen = "an invisible or direction-changing character in it";
    for character in ['\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{200b}', '\u{200f}']
        .into_iter()
        .chain(['\u{2060}', '\u{feff}', '\u{ad}', '\u{61c}', '\u{2028}', '\u{e0041}'])
    {
        let code = format!("U+{:04X}", u32::from(character));
        for (from, to, place, at) in [
            (r#""id": "inc-1""#, r#""id": "inc-1@""#, "id", 6),
            (r#""name": "search""#, r#""name": "@search""#, "services[2].name", 1),
            (r#""node": "node-a""#, r#""node": "node@-a""#, "services[1].node", 5),
            (r#""id": "m2""#, r#""id": "m@2""#, "metrics[1].id", 2),
            (r#""id": "l1""#, r#""id": "l@1""#, "logs[0].id", 2),
            (r#""reason": "BackOff""#, r#""reason": "Back@Off""#, "events[0].reason", 5),
            (r#""id": "c1""#, r#""id": "c1@""#, "changes[0].id", 3),
        ] {
            let error = refusal(from, &to.replace('@', &character.to_string()));
            let expected = format!(
                "incident: {place}: has {unseen}, {code} as character {at}\nhint: remove it; names \
                 and ids are shown as they are"
            );
            assert_eq!(error, expected);
        }
    }
    let error = refusal(r#""id": "e1""#, r#""id": "e\u0007""#);
    assert!(error.starts_with("incident: events[0].id: has a control character in it, U+0007 as"));
    // Other scripts are names, and texts may hold what they like: they are made plain when shown.
    let named = SMALL.replace("\"node-a\"", "\"узел-é-節點\"");
    Incident::read(&named).unwrap();
    Incident::read(&SMALL.replace("image 1.4", "image\u{202e} 1.4")).unwrap();
}

#[test]
fn what_is_wrong_with_the_form_is_told_in_plain_text() {
    let key = format!("\"\\u001b[2J\u{202e}{}\": 1, \"version\"", "x".repeat(1000));
    let error = refusal("\"version\"", &key);
    assert!(error.starts_with("incident: unknown field `xxx"), "{error}");
    assert!(error.len() < 600 && !error.contains(['\u{1b}', '\u{202e}']), "{error}");
}

#[test]
fn the_schema_names_every_list() {
    let schema = Incident::schema();
    for list in ["services", "metrics", "logs", "events", "changes"] {
        assert!(schema["properties"][list].is_object(), "{list}");
    }
}

#[test]
fn the_schema_of_the_documentation_is_that_of_the_types() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/incident.schema.json");
    let expected = format!("{:#}\n", Incident::schema());
    if std::env::var_os("SREK_WRITE").is_some() {
        std::fs::write(file, &expected).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap_or_default();
    let hint = "SREK_WRITE=1 cargo test -p sre the_schema_of writes it";
    assert!(written == expected, "docs/incident.schema.json is not current: {hint}");
}

#[test]
fn text_from_a_cluster_becomes_plain() {
    assert_eq!(plain("a\nb\t c\u{202e}d\u{200b}\u{7}", 100), "a b cd ");
    assert_eq!(plain("äöü", 2), "äö…");
}

#[test]
fn a_way_of_calls_is_a_shortest_one_and_ends_in_circles() {
    let mut incident = small();
    incident.services[1].calls = vec!["web".into(), "search".into()];
    assert_eq!(incident.call_path("web", "search"), Some(vec!["web", "search"]));
    assert_eq!(incident.call_path("cart", "cart"), Some(vec!["cart"]));
    assert_eq!(incident.call_path("search", "web"), None);
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    let error = Incident::read(&" ".repeat(MOST_BYTES + 1)).unwrap_err().to_string();
    assert!(error.contains("at most 67108864 are read"), "{error}");
}

#[test]
fn colours_of_terminals_are_taken_out_whole() {
    let cases = [
        ("\u{1b}[31mERROR\u{1b}[0m pool exhausted", "ERROR pool exhausted"),
        ("\u{1b}[38;2;1;2;3mx\u{1b}[K", "x"),
        ("\u{1b}]0;title\u{7}y \u{1b}]8;;http://x\u{1b}\\z", "y \\z"),
        ("no escapes [31m", "no escapes [31m"),
        ("\u{1b}", ""),
        ("\u{1b}[", ""),
    ];
    for (text, expected) in cases {
        assert_eq!(without_escapes(text), expected, "{text:?}");
    }
}
