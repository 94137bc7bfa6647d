//! What a model writes after the beginning of a document, for reports.

use crate::machine::Machine;
use crate::report::Sample;
use crate::serving::Serving;
use crate::weights::Source;
use anyhow::Result;
use engine::EngineOptions;
use text::llm::{GenerateRequest, Prompt, Sampling};
use text::tokenizer::Tokenizer;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Token ids of the beginning.
    pub(crate) ids: Vec<u32>,
    /// Most tokens to produce.
    pub(crate) max_tokens: usize,
}

/// Lets the model go on, always with the likeliest token.
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
        sampling: Sampling::GREEDY,
        stop: Vec::new(),
    };
    let completions = serving.engine(Some(tokenizer)).generate_batch(&[request])?;
    let text = completions.into_iter().next().map_or_else(String::new, |it| it.text);
    Ok(Sample { title: title.to_owned(), prompt: tokenizer.decode(ids), text })
}
