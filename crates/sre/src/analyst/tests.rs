use super::*;
use crate::action::ActionKind;
use crate::answer::BelowThreshold;
use crate::evidence::Options;
use crate::incident::tests::small;
use text::llm::{Completion, FinishReason, LogLikelihood};
use text::tokenizer::Tokenizer;

/// A model that is sure of one service, and of one cause where that service is at fault.
struct Sure {
    service: &'static str,
    cause: &'static str,
    /// What it writes as evidence.
    evidence: &'static str,
    asked: Vec<String>,
}

impl Llm for Sure {
    fn generate_streaming(
        &mut self,
        request: &GenerateRequest,
        _sink: &mut dyn FnMut(&str),
    ) -> Result<Completion, LlmError> {
        let schema = request.schema.as_ref().expect("answers are held to a schema").schema();
        let only = |property: &str| schema["properties"][property]["enum"][0].clone();
        let text = format!(
            "{{\"service\":{},\"cause\":{},\"evidence\":{},\"action\":\"raise-memory-limit\"}}",
            only("service"),
            only("cause"),
            self.evidence
        );
        let finish_reason = FinishReason::Complete;
        Ok(Completion { text, prompt_tokens: 100, completion_tokens: 20, finish_reason })
    }

    fn loglikelihood(&mut self, _: &str, _: &str) -> Result<LogLikelihood, LlmError> {
        unreachable!("distributions are asked for as such")
    }

    fn distribution(
        &mut self,
        _prompt: &Prompt,
        written: &str,
        values: &[&str],
    ) -> Result<Vec<f64>, LlmError> {
        self.asked.push(written.to_owned());
        let (liked, behind) = match written {
            Said::BEFORE_SERVICE => (self.service, Said::BEHIND_SERVICE),
            _ => (self.cause, Said::BEHIND_CAUSE),
        };
        let knows = written == Said::BEFORE_SERVICE || written.contains(self.service);
        let liked = format!("{liked}{behind}");
        let found = values.iter().position(|value| *value == liked).filter(|_| knows);
        let share = |index| match found {
            Some(place) if place == index => 0.8,
            Some(_) => 0.2 / (values.len() - 1) as f64,
            None => 1.0 / values.len() as f64,
        };
        Ok((0..values.len()).map(share).collect())
    }
}

fn ask(model: &mut Sure, threshold: f64) -> Result<Diagnosis, AnalystError> {
    let texts = ["{\"service\":\"s1\",\"cause\":\"unknown\"}".to_owned()];
    let tokenizer = Tokenizer::train_bpe(texts.into_iter().map(Ok), 270).unwrap();
    let vocabulary = Vocabulary::of(&tokenizer).unwrap();
    let tokens = |text: &str| text.split_whitespace().count();
    let options = Options { budget: 500, causes: &Cause::ALL, tokens: &tokens, excerpts: false };
    let pack = Pack::new(&small(), &options).unwrap();
    let mut analyst = Analyst {
        llm: model,
        vocabulary: &vocabulary,
        frame: &|text| Ok(Prompt::Text(text.to_owned())),
        causes: &Cause::ALL,
        weights: None,
        threshold,
        deadline: None,
    };
    analyst.diagnose(&small(), &pack)
}

fn sure() -> Sure {
    let evidence = "[\"m1\",\"e1\"]";
    Sure { service: "s2", cause: "memory-limit-too-low", evidence, asked: Vec::new() }
}

#[test]
fn the_likeliest_service_and_cause_become_the_answer() {
    let mut model = sure();
    let diagnosis = ask(&mut model, 0.5).unwrap();
    assert_eq!(diagnosis.answer.service.as_deref(), Some("cart"));
    assert_eq!(diagnosis.answer.cause, Cause::MemoryLimitTooLow);
    assert_eq!(diagnosis.answer.evidence, ["m1", "e1"]);
    assert_eq!(diagnosis.answer.action.value, Some(768));
    assert_eq!(diagnosis.services[0], ("s2".to_owned(), 0.8));
    let total: f64 = diagnosis.causes.iter().map(|(_, share)| share).sum();
    assert!((total - 1.0).abs() < 1e-12);
    // Of three services asked, the one at fault has 0.8 of 0.9333 and is sure to 0.8.
    let expected = (0.8 * 0.8 + 2.0 * (0.2 / 3.0) / 26.0) / (0.8 + 2.0 * 0.2 / 3.0);
    assert!((diagnosis.answer.confidence - expected).abs() < 1e-12);
    assert_eq!(model.asked.len(), 4);
}

#[test]
fn below_the_threshold_a_human_is_asked() {
    let diagnosis = ask(&mut sure(), 0.9).unwrap();
    assert_eq!(diagnosis.answer.cause, Cause::Unknown);
    assert_eq!(diagnosis.answer.action.kind, ActionKind::Escalate);
    let (cause, probability) = diagnosis.causes[0];
    assert_eq!(cause, Cause::MemoryLimitTooLow);
    let likeliest = BelowThreshold { cause, probability, threshold: 0.9 };
    assert_eq!(diagnosis.answer.below_threshold, Some(likeliest));
    // The confidence is that of the cause in the answer, and what the model said stays as it was.
    let unknown = diagnosis.causes.iter().find(|(cause, _)| *cause == Cause::Unknown).unwrap();
    assert_eq!(diagnosis.answer.confidence, unknown.1);
    assert!(unknown.1 < 0.1, "{}", unknown.1);
    assert_eq!(diagnosis.said.cause, Cause::MemoryLimitTooLow);
    assert_eq!(ask(&mut sure(), 0.5).unwrap().answer.below_threshold, None);
}

#[test]
fn where_nothing_is_wrong_no_service_is_named() {
    let diagnosis = ask(&mut Sure { cause: "none", ..sure() }, 0.9).unwrap();
    assert_eq!(diagnosis.answer.cause, Cause::None);
    assert_eq!(diagnosis.answer.service, None);
    assert_eq!(diagnosis.answer.below_threshold, None);
    assert_eq!(diagnosis.said.service, "s2");
}

#[test]
fn a_model_without_a_grammar_cannot_cite_what_was_not_shown() {
    let mut model = Sure { evidence: "[\"m2\"]", ..sure() };
    let error = ask(&mut model, 0.0).unwrap_err().to_string();
    assert_eq!(error, "answer: cites \"m2\", which was not shown");
}
