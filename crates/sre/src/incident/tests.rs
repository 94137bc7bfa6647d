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
        (r#""id": "e1""#, r#""id": "e 1""#, "events[0].id: has a blank"),
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
fn the_schema_names_every_list() {
    let schema = Incident::schema();
    for list in ["services", "metrics", "logs", "events", "changes"] {
        assert!(schema["properties"][list].is_object(), "{list}");
    }
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
