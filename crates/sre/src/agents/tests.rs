//! Every way in which a debate ends, with a model that says what it is told to.

use super::*;
use crate::answer::Said;
use crate::evidence::Options;
use crate::incident::tests::small;
use std::collections::VecDeque;
use text::grammar::Vocabulary;
use text::llm::{Completion, FinishReason, GenerateRequest, Llm, LlmError, LogLikelihood, Prompt};
use text::tokenizer::Tokenizer;

/// A model that is sure of a service and a cause, and proposes one action after the other.
struct Scripted {
    cause: &'static str,
    actions: VecDeque<&'static str>,
    /// The actions that the grammar allowed, each time.
    allowed: Vec<Vec<String>>,
}

impl Scripted {
    fn new(actions: &[&'static str]) -> Self {
        let actions = actions.iter().copied().collect();
        Self { cause: "memory-limit-too-low", actions, allowed: Vec::new() }
    }
}

impl Llm for Scripted {
    fn generate_streaming(
        &mut self,
        request: &GenerateRequest,
        _: &mut dyn FnMut(&str),
    ) -> Result<Completion, LlmError> {
        let schema = request.schema.as_ref().expect("answers are held to a schema").schema();
        let property = |name: &str| schema["properties"][name]["enum"].clone();
        let names = property("action");
        let names = names.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned());
        self.allowed.push(names.collect());
        let Some(action) = self.actions.pop_front() else {
            let (name, expected) = ("script", "one more action");
            return Err(LlmError::Request { name, value: "at its end".to_owned(), expected });
        };
        let (service, cause) = (&property("service")[0], &property("cause")[0]);
        let text = format!(
            "{{\"service\":{service},\"cause\":{cause},\"evidence\":[\"m1\"],\"action\":\"{action}\"}}"
        );
        let finish_reason = FinishReason::Complete;
        Ok(Completion { text, prompt_tokens: 100, completion_tokens: 20, finish_reason })
    }

    fn loglikelihood(&mut self, _: &str, _: &str) -> Result<LogLikelihood, LlmError> {
        unreachable!("distributions are asked for as such")
    }

    fn distribution(
        &mut self,
        _: &Prompt,
        written: &str,
        values: &[&str],
    ) -> Result<Vec<f64>, LlmError> {
        let liked = if written == Said::BEFORE_SERVICE { "s2" } else { self.cause };
        let rest = 0.1 / (values.len() - 1) as f64;
        let starts = |value: &&str| value.split('"').next() == Some(liked);
        Ok(values.iter().map(|value| if starts(value) { 0.9 } else { rest }).collect())
    }
}

fn shown() -> Pack {
    let tokens = |text: &str| text.split_whitespace().count();
    let options = Options { budget: 500, causes: &Cause::ALL, tokens: &tokens, excerpts: false };
    Pack::new(&small(), &options).unwrap()
}

fn hold(
    model: &mut Scripted,
    warden: &mut Warden<'_>,
    threshold: f64,
) -> Result<Debate, AnalystError> {
    hold_seeing(model, warden, threshold, true)
}

fn hold_seeing(
    model: &mut Scripted,
    warden: &mut Warden<'_>,
    threshold: f64,
    whole: bool,
) -> Result<Debate, AnalystError> {
    let texts = ["{\"service\":\"s1\",\"cause\":\"unknown\"}".to_owned()];
    let tokenizer = Tokenizer::train_bpe(texts.into_iter().map(Ok), 270).unwrap();
    let vocabulary = Vocabulary::of(&tokenizer).unwrap();
    let mut analyst = Analyst {
        llm: model,
        vocabulary: &vocabulary,
        frame: &|text| Ok(Prompt::Text(text.to_owned())),
        causes: &Cause::ALL,
        weights: None,
        threshold,
        deadline: None,
    };
    let bounds = Bounds { rounds: MOST_ROUNDS, whole };
    debate(&mut analyst, warden, &small(), &shown(), bounds)
}

fn deny(_: &Answer, _: &Incident) -> Verdict {
    Verdict::Denied { reasons: vec!["no-limits-by-hand: limits | come from\n`git`".to_owned()] }
}

fn outcome(actions: &[&'static str], warden: &mut Warden<'_>) -> Debate {
    hold(&mut Scripted::new(actions), warden, 0.0).unwrap()
}

#[test]
fn an_allowed_remedy_is_decided_in_one_round() {
    let debate = outcome(&["raise-memory-limit"], &mut |_, _| Verdict::Allowed);
    assert_eq!((&debate.outcome, &debate.verdict), (&Outcome::Decided, &Verdict::Allowed));
    let roles: Vec<_> = debate.transcript.iter().map(|entry| entry.from).collect();
    assert_eq!(roles, [Role::Orchestrator, Role::Analyst, Role::Warden, Role::Orchestrator]);
    assert_eq!(question(&debate, &small(), &shown()), None);
    // A transcript can be written and read again.
    let json = serde_json::to_string(&debate.transcript).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Entry>>(&json).unwrap(), debate.transcript);
}

#[test]
fn an_empty_seat_allows_nothing_and_stops_nothing() {
    let debate = outcome(&["raise-memory-limit"], &mut nobody);
    assert_eq!(debate.outcome, Outcome::Decided);
    assert!(matches!(debate.verdict, Verdict::Unknown { .. }));
}

#[test]
fn what_does_not_help_is_asked_again_with_what_does() {
    let mut model = Scripted::new(&["warm-cache", "raise-memory-limit"]);
    let debate = hold(&mut model, &mut nobody, 0.0).unwrap();
    assert_eq!(debate.outcome, Outcome::Decided);
    assert_eq!(debate.diagnosis.answer.action.kind, ActionKind::RaiseMemoryLimit);
    assert_eq!(model.allowed[1], ["raise-memory-limit", "escalate"]);
    assert_eq!(debate.transcript.iter().map(|it| it.round).max(), Some(2));
}

#[test]
fn what_is_denied_is_not_offered_again_and_nothing_left_asks_a_human() {
    let mut model = Scripted::new(&["raise-memory-limit", "restart", "escalate"]);
    let debate = hold(&mut model, &mut deny, 0.0).unwrap();
    assert_eq!(debate.outcome, Outcome::Question { why: Why::NothingAllowed });
    assert!(!model.allowed[1].iter().any(|it| it == "raise-memory-limit"));
    assert!(!model.allowed[2].iter().any(|it| it == "restart" || it == "raise-memory-limit"));
    let page = question(&debate, &small(), &shown()).unwrap();
    assert!(page.lines().count() <= 45, "{page}");
    for part in ["## What is likely", "## Who is suspect", "`cart`", "## What was refused"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // Words of a policy stay on their line and in their span.
    assert!(page.contains("`` no-limits-by-hand: limits | come from `git` ``"), "{page}");
}

#[test]
fn a_model_that_turns_in_circles_is_stopped() {
    let actions = ["raise-memory-limit", "restart", "raise-memory-limit", "restart"];
    let debate = outcome(&actions, &mut deny);
    assert_eq!(debate.outcome, Outcome::Question { why: Why::Circle });
    assert_eq!(debate.transcript.iter().map(|it| it.round).max(), Some(3));
    let debate = outcome(&["restart", "restart"], &mut deny);
    assert_eq!(debate.outcome, Outcome::Question { why: Why::Circle });
}

#[test]
fn rounds_are_bounded() {
    let actions = ["raise-memory-limit", "restart", "roll-back", "drain-node", "warm-cache"];
    let debate = outcome(&actions, &mut deny);
    assert_eq!(debate.outcome, Outcome::Question { why: Why::RoundsUsed });
    assert_eq!(debate.transcript.iter().map(|it| it.round).max(), Some(MOST_ROUNDS));
}

#[test]
fn what_is_not_known_is_a_question() {
    let mut model = Scripted::new(&["escalate"]);
    let debate = hold(&mut model, &mut nobody, 0.99).unwrap();
    assert_eq!(debate.outcome, Outcome::Question { why: Why::NotKnown });
    let page = question(&debate, &small(), &shown()).unwrap();
    assert!(page.contains("no cause is probable enough") && !page.contains("refused"), "{page}");
    let debate =
        hold(&mut Scripted { cause: "unknown", ..Scripted::new(&["escalate"]) }, &mut nobody, 0.0);
    assert_eq!(debate.unwrap().outcome, Outcome::Question { why: Why::NotKnown });
}

#[test]
fn nothing_wrong_is_a_decision() {
    let mut model = Scripted { cause: "none", ..Scripted::new(&["nothing"]) };
    let debate = hold(&mut model, &mut nobody, 0.5).unwrap();
    assert_eq!((debate.outcome, debate.diagnosis.answer.cause), (Outcome::Decided, Cause::None));
}

#[test]
fn nothing_wrong_is_a_question_where_a_source_could_not_be_read() {
    let mut model = Scripted { cause: "none", ..Scripted::new(&["nothing"]) };
    let debate = hold_seeing(&mut model, &mut nobody, 0.5, false).unwrap();
    assert_eq!(debate.outcome, Outcome::Question { why: Why::TooLittleSeen });
}

#[test]
fn a_model_that_fails_is_an_error() {
    let error = hold(&mut Scripted::new(&[]), &mut nobody, 0.0).unwrap_err();
    assert!(matches!(error, AnalystError::Llm(_)), "{error}");
}
