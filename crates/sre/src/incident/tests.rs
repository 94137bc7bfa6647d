use super::*;

/// Three services, one of which is short of memory.
pub(crate) fn small() -> Incident {
    Incident::read(SMALL).unwrap()
}

const SMALL: &str = r#"{
  "version": 1, "id": "inc-1",
  "start": "2026-03-01T10:00:00Z", "end": "2026-03-01T10:10:00Z",
  "alert": {"service": "web", "message": "p99 latency of web above 1 s"},
  "services": [
    {"name": "web", "calls": ["cart", "search"]},
    {"name": "cart", "replicas": 2, "memory_limit_mib": 512, "node": "node-a"},
    {"name": "search"}
  ],
  "metrics": [
    {"id": "m1", "service": "cart", "name": "container_memory_working_set_bytes",
     "limit": 536870912, "start": "2026-03-01T09:50:00Z", "step_seconds": 60,
     "values": [2.0e8, 2.1e8, 2.0e8, 2.0e8, null, 2.1e8, 2.0e8, 2.0e8, 2.1e8, 2.0e8,
                3.0e8, 4.0e8, 5.0e8, 5.3e8, 5.3e8, 5.3e8, 5.3e8, 5.3e8, 5.3e8, 5.3e8]},
    {"id": "m2", "service": "search", "name": "http_requests_total:rate1m",
     "start": "2026-03-01T09:50:00Z", "step_seconds": 60,
     "values": [10, 11, 10, 9, 10, 11, 10, 10, 9, 10, 10, 11, 10, 10, 9, 10, 11, 10, 10, 10]}
  ],
  "logs": [
    {"id": "l1", "service": "web", "time": "2026-03-01T10:02:00Z", "level": "error",
     "message": "call to cart failed: connection reset", "count": 40}
  ],
  "events": [
    {"id": "e1", "service": "cart", "time": "2026-03-01T10:03:00Z", "kind": "Warning",
     "reason": "BackOff", "message": "back-off restarting failed container", "count": 6}
  ],
  "changes": [
    {"id": "c1", "service": "search", "time": "2026-03-01T09:20:00Z", "message": "image 1.4 to 1.5"}
  ]
}"#;

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
        assert_ne!(broken, SMALL, "{from}");
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
