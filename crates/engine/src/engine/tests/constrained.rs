//! Texts that are held to a schema.

use super::options;
use crate::EngineOptions;
use crate::tests::{CONTEXT, Outcome, Rig, drain, tokenizer};
use std::sync::Arc;
use std::time::{Duration, Instant};
use text::grammar::{Grammar, Vocabulary};
use text::llm::{FinishReason, GenerateRequest, Llm, Prompt, Sampling};
use text::tokenizer::Tokenizer;

const SCHEMA: &str = r#"{ "type": "object", "additionalProperties": false,
    "required": ["cause", "severity"],
    "properties": { "cause": { "type": "string", "maxLength": 20 },
        "severity": { "enum": ["critical", "high", "low"] },
        "evidence": { "type": "array", "items": { "type": "integer", "minimum": 10 }, "minItems": 1 } } }"#;

fn grammar(tokenizer: &Tokenizer, schema: &str) -> Arc<Grammar> {
    let vocabulary = Vocabulary::of(tokenizer).unwrap();
    Grammar::json(&serde_json::from_str(schema).unwrap(), &vocabulary).unwrap()
}

fn held(grammar: &Arc<Grammar>, max_tokens: usize, seed: u64) -> GenerateRequest {
    GenerateRequest {
        prompt: Prompt::Text("the pod".to_owned()),
        max_tokens,
        sampling: Sampling { temperature: 1.0, seed, ..Sampling::GREEDY },
        stop: Vec::new(),
        schema: Some(grammar.clone()),
        deadline: None,
    }
}

fn check(text: &str) {
    let value: serde_json::Value = serde_json::from_str(text).expect(text);
    assert!(value["cause"].as_str().unwrap().chars().count() <= 20, "{text}");
    assert!(["critical", "high", "low"].contains(&value["severity"].as_str().unwrap()), "{text}");
    if let Some(evidence) = value.get("evidence") {
        let all = evidence.as_array().unwrap();
        assert!(!all.is_empty() && all.iter().all(|it| it.as_i64().unwrap() >= 10), "{text}");
    }
}

/// The same text alone, in a batch and in any chunk, valid with any number of tokens.
#[test]
fn a_held_text_is_valid_and_depends_on_its_request_alone() {
    let tokenizer = tokenizer();
    let grammar = grammar(&tokenizer, SCHEMA);
    let room = [40, 41, 45, 60, 80, 80, 80, 80];
    let requests: Vec<_> = (0..).zip(room).map(|(seed, room)| held(&grammar, room, seed)).collect();
    let run = |slots, chunk| -> Vec<Outcome> {
        let mut rig = Rig::random(options(slots, chunk));
        let mut engine = rig.engine(Some(&tokenizer));
        let ids: Vec<_> = requests.iter().map(|it| engine.submit(it).unwrap()).collect();
        drain(&mut engine, &ids)
    };
    let alone = run(1, 512);
    for (outcome, room) in alone.iter().zip(room) {
        let completion = outcome.completion.as_ref().unwrap();
        assert_eq!(
            (&completion.text, completion.completion_tokens),
            (&outcome.text, outcome.ids.len())
        );
        assert_eq!(outcome.text, tokenizer.decode(&outcome.ids));
        assert!(outcome.ids.len() <= room);
        check(&outcome.text);
    }
    for (slots, chunk) in [(1, 1), (3, 7), (8, 2), (8, 512)] {
        assert!(run(slots, chunk) == alone, "{slots} slots, chunk {chunk}");
    }
    let reasons: Vec<_> =
        alone.iter().map(|it| it.completion.as_ref().unwrap().finish_reason).collect();
    assert!(reasons.contains(&FinishReason::Closed), "{reasons:?}");
    assert!(reasons.iter().all(|it| [FinishReason::Closed, FinishReason::Complete].contains(it)));
}

/// Forced tokens are read together: as few passes as there were choices.
#[test]
fn what_is_forced_takes_no_pass_of_its_own() {
    let tokenizer = tokenizer();
    let grammar = grammar(
        &tokenizer,
        r#"{ "type": "object", "additionalProperties": false,
        "required": ["root_cause_of_the_incident", "next"],
        "properties": { "root_cause_of_the_incident": { "enum": ["xa", "yb"] }, "next": { "enum": ["roll back", "drain"] } } }"#,
    );
    let mut rig = Rig::random(EngineOptions::new(1, CONTEXT));
    let mut engine = rig.engine(Some(&tokenizer));
    let id = engine.submit(&held(&grammar, 90, 1)).unwrap();
    let (mut passes, mut tokens) = (0, 0);
    while !engine.is_idle() {
        passes += 1;
        for event in engine.step().unwrap() {
            assert_eq!(event.request(), id);
            tokens += usize::from(matches!(event, crate::Event::Token { .. }));
        }
    }
    assert!(tokens > 25 && passes <= 12, "{tokens} tokens in {passes} passes");
}

#[test]
fn a_schema_that_does_not_fit_is_refused_before_anything_is_produced() {
    let tokenizer = tokenizer();
    let grammar = grammar(&tokenizer, SCHEMA);
    let mut rig = Rig::random(EngineOptions::new(1, CONTEXT));
    let mut engine = rig.engine(Some(&tokenizer));
    let error = engine.submit(&held(&grammar, 5, 0)).unwrap_err().to_string();
    let (shortest, rest) = error
        .strip_prefix("the shortest text that fits the schema has ")
        .and_then(|text| text.split_once(' '))
        .unwrap();
    let hint = "tokens, there is room for 5\nhint: ask for more tokens, or shorten the prompt";
    assert_eq!(rest, hint);
    let shortest: usize = shortest.parse().unwrap();
    assert!(engine.is_idle() && engine.submit(&held(&grammar, shortest - 1, 0)).is_err());
    let completion = engine.generate(&held(&grammar, shortest, 0)).unwrap();
    assert_eq!(completion.completion_tokens, shortest);
    check(&completion.text);
    let other = Tokenizer::train_bpe(std::iter::once(Ok("other text, other text")), 280).unwrap();
    let error = engine.submit(&held(&super::constrained::grammar(&other, SCHEMA), 80, 0));
    assert_eq!(
        error.unwrap_err().to_string(),
        "schema is compiled for another tokenizer, expected this engine's"
    );
}

/// With a deadline, a text is valid however slow the passes are: here they are made to take 20 ms.
#[test]
fn a_deadline_is_kept_and_the_text_is_valid() {
    let tokenizer = tokenizer();
    let grammar = grammar(&tokenizer, SCHEMA);
    for (deadline, passes) in [(0, 0), (50, 3), (10_000, 200)] {
        let mut rig = Rig::random(options(2, 4));
        let mut engine = rig.engine(Some(&tokenizer));
        engine.slowed = Some(Duration::from_millis(20));
        let deadline = Duration::from_millis(deadline);
        let mut request = held(&grammar, 80, 3);
        request.deadline = Some(deadline);
        // The third one waits for a slot, perhaps for ever.
        let started = Instant::now();
        let ids = [(); 3].map(|()| engine.submit(&request).unwrap());
        let mut ran = 0;
        let mut texts = Vec::new();
        while !engine.is_idle() {
            ran += 1;
            for event in engine.step().unwrap() {
                if let crate::Event::Finished { completion, request } = event {
                    assert!(ids.contains(&request));
                    texts.push(completion.text);
                }
            }
        }
        let took = started.elapsed();
        assert_eq!(texts.len(), 3);
        texts.iter().for_each(|text| check(text));
        assert!(ran <= passes + 1, "{ran} passes");
        assert!(took <= deadline + Duration::from_millis(200), "{took:?} for {deadline:?}");
    }
}
