use super::*;
use crate::evidence::Options;
use crate::incident::tests::small;

fn pack() -> Pack {
    let tokens = |text: &str| text.split_whitespace().count();
    Pack::new(
        &small(),
        &Options { budget: 500, causes: &Cause::ALL, tokens: &tokens, excerpts: false },
    )
    .unwrap()
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
fn where_nothing_is_wrong_no_service_is_at_fault() {
    let said = Said { cause: Cause::None, action: ActionKind::Nothing, ..said() };
    let answer = Answer::check(&said, 0.75, &pack(), &small()).unwrap();
    assert_eq!((answer.service, answer.cause), (None, Cause::None));
    // An action that nobody would propose then has no service to be carried out on.
    let said = Said { action: ActionKind::RaiseMemoryLimit, ..said };
    let action = Answer::check(&said, 0.75, &pack(), &small()).unwrap().action;
    assert_eq!((action.service, action.value), (None, None));
    // A label that does not exist stays an error.
    let wrong = Said { service: "s9".to_owned(), ..said };
    assert!(Answer::check(&wrong, 0.75, &pack(), &small()).is_err());
}

#[test]
fn a_fault_below_the_threshold_is_kept_and_not_named() {
    let incident = small();
    let answer = Answer::check(&said(), 0.3, &pack(), &incident).unwrap();
    assert_eq!(answer.clone().held_to(0.3, 0.1, &incident), answer);
    assert_eq!(answer.clone().held_to(0.0, 0.1, &incident), answer);
    let text = serde_json::to_string(&answer).unwrap();
    assert!(!text.contains("below_threshold"), "{text}");
    let held = answer.clone().held_to(0.5, 0.1, &incident);
    assert_eq!(
        serde_json::to_value(&held).unwrap(),
        json!({
            "service": "cart",
            "cause": "unknown",
            "confidence": 0.1,
            "below_threshold": {
                "cause": "memory-limit-too-low",
                "probability": 0.3,
                "threshold": 0.5,
            },
            "evidence": ["m1", "e1"],
            "action": {"kind": "escalate"},
        })
    );
    for answer in [answer, held] {
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
    }
    // What names no fault has nothing to withdraw.
    for cause in [Cause::None, Cause::Unknown] {
        let said = Said { cause, action: cause.remedy(), ..said() };
        let answer = Answer::check(&said, 0.3, &pack(), &incident).unwrap();
        assert_eq!(answer.clone().held_to(0.5, 0.1, &incident), answer);
    }
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
