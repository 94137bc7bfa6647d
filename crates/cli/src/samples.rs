//! What a model writes after the beginning of a document, for reports.

use crate::machine::Machine;
use crate::report::Sample;
use crate::serving::Serving;
use crate::weights::Source;
use anyhow::Result;
use engine::EngineOptions;
use text::llm::{GenerateRequest, Prompt, Sampling};
use text::tokenizer::Tokenizer;

/// How tokens are chosen: near the likeliest, since small models go astray soon, yet not always it,
/// since they would repeat themselves.
const SAMPLING: Sampling = Sampling {
    temperature: 0.5,
    top_k: None,
    top_p: 0.9,
    min_p: 0.0,
    repetition_penalty: 1.0,
    seed: 1,
};

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Token ids of the beginning.
    pub(crate) ids: Vec<u32>,
    /// Most tokens to produce.
    pub(crate) max_tokens: usize,
}

/// Lets the model go on; the same models give the same texts.
///
/// # Errors
/// What the engine refuses, or weights that are damaged.
pub(crate) fn sample(
    machine: &Machine,
    source: &Source,
    tokenizer: &Tokenizer,
    (title, question): (&str, &Question),
) -> Result<Sample> {
    let Question { ids, max_tokens } = question;
    let context = source.config.context.min(ids.len() + max_tokens).max(2);
    let mut serving = Serving::new(machine, source, EngineOptions::new(1, context))?;
    let request = GenerateRequest {
        prompt: Prompt::Ids(ids.clone()),
        max_tokens: *max_tokens,
        sampling: SAMPLING,
        stop: Vec::new(),
        schema: None,
        deadline: None,
    };
    let completions = serving.engine(Some(tokenizer)).generate_batch(&[request])?;
    let text = completions.into_iter().next().map_or_else(String::new, |it| it.text);
    Ok(Sample { title: title.to_owned(), prompt: tokenizer.decode(ids), text })
}
