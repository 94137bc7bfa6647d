use super::*;
use crate::evidence::Options;
use crate::incident::tests::small;

fn pack() -> Pack {
    let tokens = |text: &str| text.split_whitespace().count();
    Pack::new(&small(), &Options { budget: 500, causes: &Cause::ALL, tokens: &tokens }).unwrap()
}

fn said() -> Said {
    Said {
        service: "s2".to_owned(),
        cause: Cause::MemoryLimitTooLow,
        evidence: vec!["m1".to_owned(), "e1".to_owned(), "m1".to_owned()],
        action: ActionKind::RaiseMemoryLimit,
    }
}

#[test]
fn the_text_of_an_answer_leads_through_the_places_where_distributions_are_read() {
    let text = said().text();
    let rest = text.strip_prefix(Said::BEFORE_SERVICE).unwrap().strip_prefix("s2").unwrap();
    assert!(rest.starts_with(Said::BEHIND_SERVICE));
    let rest = rest.strip_prefix(Said::BEFORE_CAUSE).unwrap();
    let rest = rest.strip_prefix("memory-limit-too-low").unwrap();
    assert!(rest.starts_with(Said::BEHIND_CAUSE));
    assert_eq!(Said::parse(&text).unwrap(), said());
}

#[test]
fn an_answer_is_in_names_and_says_nothing_twice() {
    let answer = Answer::check(&said(), 0.75, &pack(), &small()).unwrap();
    assert_eq!(answer.service.as_deref(), Some("cart"));
    assert_eq!(answer.evidence, ["m1", "e1"]);
    assert_eq!(answer.action.value, Some(768));
    let nobody = Said { service: NO_SERVICE.to_owned(), ..said() };
    assert_eq!(Answer::check(&nobody, 0.5, &pack(), &small()).unwrap().service, None);
}

#[test]
fn what_was_not_shown_cannot_be_named() {
    let wrong = Said { service: "s9".to_owned(), ..said() };
    let error = Answer::check(&wrong, 0.5, &pack(), &small()).unwrap_err().to_string();
    assert_eq!(error, "answer: \"s9\" is no service of the prompt");
    let wrong = Said { evidence: vec!["m2".to_owned()], ..said() };
    let error = Answer::check(&wrong, 0.5, &pack(), &small()).unwrap_err().to_string();
    assert_eq!(error, "answer: cites \"m2\", which was not shown");
    let error = Said::parse(&said().text().replace("memory-limit-too-low", "gremlins"));
    assert!(error.unwrap_err().to_string().contains("unknown variant `gremlins`"));
}

#[test]
fn the_schema_lists_what_can_be_named() {
    let schema = Said::schema(&pack(), &[Cause::DiskFull, Cause::Unknown]);
    assert_eq!(schema["properties"]["service"]["enum"], json!(["s1", "s2", "s3", "-"]));
    assert_eq!(schema["properties"]["cause"]["enum"], json!(["disk-full", "unknown"]));
    assert_eq!(schema["properties"]["evidence"]["items"]["enum"], json!(["c1", "m1", "e1", "l1"]));
}
