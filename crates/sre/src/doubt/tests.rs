use super::*;
use crate::answer::Said;
use crate::evidence::{Options, Pack};
use crate::incident::tests::small;

/// The answer that a model gave with these words about the example of the documentation, held to a
/// threshold.
fn answer(said: (&str, Cause, &[&str], ActionKind), threshold: f64) -> Answer {
    let incident = small();
    let tokens = |text: &str| text.split_whitespace().count();
    let options = Options { budget: 500, causes: &Cause::ALL, tokens: &tokens, excerpts: false };
    let pack = Pack::new(&incident, &options).unwrap();
    let (service, cause, evidence, action) = said;
    let evidence = evidence.iter().map(|&id| id.to_owned()).collect();
    let said = Said { service: service.to_owned(), cause, evidence, action };
    let answer = Answer::check(&said, 0.5, &pack, &incident).unwrap();
    answer.held_to(threshold, 0.1, &incident)
}

#[test]
fn parts_that_do_not_fit_each_other_are_named() {
    let (memory, raise) = (Cause::MemoryLimitTooLow, ActionKind::RaiseMemoryLimit);
    for (said, expected) in [
        // s2 is `cart`, whose metric m1 is; c1 is a change of `search`.
        (("s2", memory, ["m1"].as_slice(), raise), [].as_slice()),
        (("s2", memory, &["c1", "m1"], raise), &[]),
        (("s2", memory, &["m1"], ActionKind::Escalate), &[]),
        (("s2", memory, &[], raise), &[Doubt::NothingCited]),
        (("s2", memory, &["c1"], raise), &[Doubt::EvidenceElsewhere]),
        (("s2", memory, &["m1"], ActionKind::RenewCertificate), &[Doubt::OtherRemedy]),
        (("s2", memory, &["m1"], ActionKind::Nothing), &[Doubt::OtherRemedy]),
        (
            ("s2", memory, &["c1"], ActionKind::RollBack),
            &[Doubt::EvidenceElsewhere, Doubt::OtherRemedy],
        ),
        (("-", Cause::None, &[], ActionKind::Nothing), &[Doubt::SignsOfTrouble]),
        (("s2", Cause::Unknown, &["c1"], ActionKind::Escalate), &[Doubt::EvidenceElsewhere]),
    ] {
        assert_eq!(Doubt::of(&answer(said, 0.0), &small()), expected, "{said:?}");
    }
}

#[test]
fn errors_and_warnings_speak_against_a_good_day() {
    let nothing = answer(("-", Cause::None, &[], ActionKind::Nothing), 0.0);
    let with = |change: &dyn Fn(&mut Incident)| {
        let mut incident = small();
        change(&mut incident);
        Doubt::of(&nothing, &incident)
    };
    assert_eq!(with(&|it| it.logs.clear()), [Doubt::SignsOfTrouble], "warnings");
    assert_eq!(with(&|it| it.events.clear()), [Doubt::SignsOfTrouble], "errors");
    let calm = with(&|it| {
        it.events.clear();
        it.logs[0].before = it.logs[0].count;
    });
    assert_eq!(calm, [], "as often as before");
}

#[test]
fn words_that_anybody_may_have_written_are_no_proof() {
    let said = ("s2", Cause::MemoryLimitTooLow, ["e1"].as_slice(), ActionKind::RaiseMemoryLimit);
    let of_reason = |reason: &str| {
        let mut incident = small();
        incident.events[0].reason = reason.to_owned();
        Doubt::of(&answer(said, 0.0), &incident)
    };
    assert_eq!(of_reason("OOMKilling"), []);
    assert_eq!(of_reason("Failed"), [Doubt::WordsAlone], "whatever its message says");
}

#[test]
fn a_cause_that_is_not_named_is_doubted_for_its_evidence_only() {
    let said = ("s2", Cause::MemoryLimitTooLow, [].as_slice(), ActionKind::RollBack);
    assert_eq!(Doubt::of(&answer(said, 0.9), &small()), [Doubt::NothingCited]);
}
