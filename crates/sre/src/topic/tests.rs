//! Topics, values and names of texts, and that nothing of a text itself gets through.

use super::slot::{Slot, direction, slots};
use super::{OTHER, Said, topics, words};
use proptest::prelude::*;

fn said(text: &str, label: &dyn Fn(&str) -> Option<String>) -> String {
    Said::of(text, label).to_string()
}

fn nobody(_: &str) -> Option<String> {
    None
}

fn shop(name: &str) -> Option<String> {
    let names = ["web", "cart", "cart-db"];
    names.iter().position(|it| *it == name).map(|place| format!("s{}", place + 1))
}

#[test]
fn topics_are_told_by_beginnings_of_words() {
    let cases: [(&str, &[&str]); 12] = [
        ("x509: certificate has expired", &["certificate", "ended"]),
        ("java.lang.OutOfMemoryError: Java heap space", &["memory", "errors"]),
        ("dial tcp 10.0.0.7:5432: ECONNREFUSED", &["refused", "connection"]),
        ("getaddrinfo ENOTFOUND db", &["name lookup"]),
        ("write /data/1: no space left on device", &["no space", "write"]),
        ("accept: too many open files", &["connection", "open files"]),
        ("context deadline exceeded", &["timeout", "slow"]),
        ("Verbindung zu db abgebrochen: Zeitüberschreitung", &["connection", "timeout", "errors"]),
        ("certain blocked clocks", &["clock", "waiting"]),
        ("retrieved 12 rows", &[]),
        ("NullPointerException at Cart.java", &["defect"]),
        ("", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(topics(text), expected, "{text}");
    }
}

#[test]
fn values_are_told_by_their_form() {
    let kinds = |text: &str| slots(text).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(kinds("took 2500 ms of 3s"), [Slot::Duration, Slot::Duration]);
    assert_eq!(kinds("cpu limit 500m to 250m"), [Slot::Size, Slot::Size]);
    assert_eq!(kinds("heap at 93 % (93%)"), [Slot::Percent, Slot::Percent]);
    assert_eq!(kinds("GET /cart/7 from 10.1.2.3:80"), [Slot::Path, Slot::Address]);
    assert_eq!(kinds("until 2026-03-01T10:00:00Z"), [Slot::Time]);
    assert_eq!(kinds("trace=4bf92f3577b34da6 db.shop.svc:5432"), [Slot::Id, Slot::Host]);
    assert_eq!(kinds("no values here"), []);
}

#[test]
fn a_change_of_a_number_has_a_direction() {
    assert_eq!(direction("memory limit 1Gi to 512Mi"), Some("lowered"));
    assert_eq!(direction("replicas 2 to 4"), Some("raised"));
    assert_eq!(direction("limit 512Mi to 3"), None);
    assert_eq!(direction("pool size 5 to 5"), None);
    assert_eq!(direction("image 1.4 to 1.5"), None);
    assert_eq!(direction("image web:1.4.0 to web:1.5.0"), None);
}

#[test]
fn services_are_named_by_their_id() {
    assert_eq!(said("call to cart-db failed after 30 ms", &shop), "errors / s3 duration");
    assert_eq!(said("cart: timeout", &shop), "timeout / s2");
    assert_eq!(said("lookup cart.shop.svc: SERVFAIL", &shop), "name lookup / s2 host");
    // A part of a word is no name.
    assert_eq!(said("cartoon webbed", &shop), OTHER);
    assert_eq!(said("web web web", &shop), "other / s1");
}

#[test]
fn the_words_are_short_different_and_reachable() {
    let mut names = std::collections::BTreeSet::new();
    for (topic, marks) in words::TOPICS {
        assert!(names.insert(*topic), "{topic} stands twice");
        assert!(topic.len() <= 16 && topic.bytes().all(|b| b.is_ascii_lowercase() || b == b' '));
        for mark in marks.split('|') {
            assert!(
                !mark.is_empty() && !mark.starts_with(' ') && *mark == mark.to_lowercase(),
                "{mark:?}"
            );
            assert!(topics(mark).contains(topic), "{mark:?} does not reach {topic}");
        }
    }
}

#[test]
fn only_the_front_of_a_long_text_is_looked_at() {
    let long = format!("{}certificate expired", "ä".repeat(1 << 20));
    assert_eq!(said(&long, &nobody), OTHER);
}

proptest! {
    #[test]
    fn nothing_of_a_text_gets_through(text in "\\PC{0,200}|.{0,200}") {
        let known: std::collections::BTreeSet<&str> = words::TOPICS
            .iter()
            .flat_map(|(topic, _)| topic.split(' '))
            .chain([OTHER, "/", "host", "address", "path", "time", "duration", "percent", "size", "id", "number"])
            .collect();
        for word in said(&text, &nobody).split(' ') {
            prop_assert!(known.contains(word), "{word:?} of {text:?}");
        }
    }
}
