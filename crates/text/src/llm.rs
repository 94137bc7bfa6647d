//! The narrow waist: the two things that anyone may ask of a language model.
//!
//! Whoever runs a model implements [`Llm`]; whoever needs one depends on nothing else. There is no
//! tensor here, no device and no asynchrony.

#[cfg(test)]
mod tests;

use crate::grammar::Grammar;
use std::sync::Arc;
use std::time::Duration;

/// What a completion continues.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// Plain text: encoded with the begin mark in front; nothing in it becomes a special token.
    Text(String),
    /// Token ids as they are, special ones included: what a chat template renders to.
    Ids(Vec<u32>),
}

/// How the next token is chosen. The filters apply in this order: repetition penalty,
/// temperature, top-k, top-p, min-p.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token and makes the filters irrelevant.
    pub temperature: f32,
    /// Keep this many of the likeliest tokens; `None` keeps all.
    pub top_k: Option<usize>,
    /// Keep the fewest likeliest tokens whose probabilities sum to at least this, in (0, 1]; 1
    /// keeps all.
    pub top_p: f32,
    /// Keep tokens of at least this share of the likeliest token's probability, in [0, 1]; 0
    /// keeps all.
    pub min_p: f32,
    /// Positive logits of tokens that already occurred are divided by this, negative ones
    /// multiplied; above 0, and 1 changes nothing.
    pub repetition_penalty: f32,
    /// Names the random numbers of this request: the same request with the same seed gives the
    /// same tokens, whatever else runs beside it.
    pub seed: u64,
}

impl Sampling {
    /// Always the likeliest token.
    pub const GREEDY: Self = Self {
        temperature: 0.0,
        top_k: None,
        top_p: 1.0,
        min_p: 0.0,
        repetition_penalty: 1.0,
        seed: 0,
    };
}

/// A request to continue a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateRequest {
    /// What to continue.
    pub prompt: Prompt,
    /// Most tokens to produce, at least 1. Prompt and these together must fit the context.
    pub max_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The completion ends before the first occurrence of any of these, none of them empty.
    pub stop: Vec<String>,
    /// Holds the text to a schema: it is then always complete and valid. Where the tokens run out,
    /// it is closed the shortest way that is known.
    pub schema: Option<Arc<Grammar>>,
    /// Only with a schema: the text is closed when, by the time that the passes before took, one
    /// more would end later than this after the request was made. So the text then depends on how
    /// fast the machine is; without a deadline it does not.
    pub deadline: Option<Duration>,
}

impl GenerateRequest {
    /// The first setting that has no meaning, as an error that names it, its value and its range.
    ///
    /// # Errors
    /// [`LlmError::Request`].
    pub fn check(&self) -> Result<(), LlmError> {
        let sampling = &self.sampling;
        let wrong = |name: &'static str, value: String, expected: &'static str| {
            Err(LlmError::Request { name, value, expected })
        };
        if self.max_tokens == 0 {
            return wrong("max_tokens", "0".to_owned(), "at least 1");
        }
        if !(sampling.temperature.is_finite() && sampling.temperature >= 0.0) {
            return wrong("temperature", sampling.temperature.to_string(), "a number from 0 up");
        }
        if sampling.top_k == Some(0) {
            return wrong("top_k", "0".to_owned(), "at least 1, or none");
        }
        if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
            return wrong("top_p", sampling.top_p.to_string(), "above 0 and at most 1");
        }
        if !(0.0..=1.0).contains(&sampling.min_p) {
            return wrong("min_p", sampling.min_p.to_string(), "from 0 to 1");
        }
        let penalty = sampling.repetition_penalty;
        if !(penalty.is_finite() && penalty > 0.0) {
            return wrong("repetition_penalty", penalty.to_string(), "a number above 0");
        }
        if self.stop.iter().any(String::is_empty) {
            return wrong("stop", "\"\"".to_owned(), "strings that are not empty");
        }
        if self.schema.is_some() && !self.stop.is_empty() {
            let value = format!("{:?}", self.stop[0]);
            return wrong(
                "stop",
                value,
                "none beside a schema, which says itself where the text ends",
            );
        }
        if let (None, Some(deadline)) = (&self.schema, self.deadline) {
            return wrong("deadline", format!("{deadline:?}"), "none without a schema");
        }
        Ok(())
    }
}

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// A stop string came up; it is not part of the text.
    Stop,
    /// `max_tokens` were produced.
    Length,
    /// The model produced its end mark.
    EndOfText,
    /// The text fits its schema, and nothing can follow.
    Complete,
    /// As `Complete`, but tokens or time ran out and the closing path was taken.
    Closed,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The continuation, without the prompt, the end mark and the stop string.
    pub text: String,
    /// Tokens of the prompt, the begin mark included.
    pub prompt_tokens: usize,
    /// Tokens that were produced, an end mark and the tokens of a stop string included.
    pub completion_tokens: usize,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// How likely a model finds a continuation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogLikelihood {
    /// Sum over the continuation's tokens of ln p(token | everything before it), in nats.
    pub sum: f64,
    /// Tokens of the continuation.
    pub tokens: usize,
    /// Whether every token of the continuation was the likeliest one in its place.
    pub greedy: bool,
}

/// Why a model gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// A setting of the request has no meaning.
    #[error("{name} is {value}, expected {expected}")]
    Request {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// Its range, in words.
        expected: &'static str,
    },

    /// Prompt and completion do not fit the context together.
    #[error(
        "the prompt has {prompt_tokens} tokens and {max_tokens} more are asked for, the context \
         holds {context}\nhint: shorten the prompt or ask for fewer tokens"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens that were asked for.
        max_tokens: usize,
        /// Tokens that the context holds.
        context: usize,
    },

    /// Even the shortest text that fits the schema is too long.
    #[error(
        "the shortest text that fits the schema has {shortest} tokens, there is room for {room}\nhint: \
         ask for more tokens, or shorten the prompt"
    )]
    SchemaTooLong {
        /// Tokens of the shortest text that was found.
        shortest: usize,
        /// Tokens that `max_tokens` and the context leave.
        room: usize,
    },

    /// The text could not be encoded.
    #[error(transparent)]
    Text(#[from] crate::Error),

    /// The model itself failed.
    #[error("the model failed: {0}")]
    Model(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A language model.
pub trait Llm {
    /// Continues the prompt, handing every finished piece of text to `sink` as soon as it is
    /// certain: whole characters, and nothing that may still turn out to be part of a stop string.
    /// The pieces in their order are the completion's text.
    ///
    /// # Errors
    /// A request that has no meaning or does not fit, before anything was handed over; or a
    /// failure of the model.
    fn generate_streaming(
        &mut self,
        request: &GenerateRequest,
        sink: &mut dyn FnMut(&str),
    ) -> Result<Completion, LlmError>;

    /// Continues the prompt.
    ///
    /// # Errors
    /// As [`Llm::generate_streaming`].
    fn generate(&mut self, request: &GenerateRequest) -> Result<Completion, LlmError> {
        self.generate_streaming(request, &mut |_| {})
    }

    /// How likely `continuation` is after `context`. The tokens are those of the whole text; the
    /// first one that reaches into the continuation is the first that counts.
    ///
    /// # Errors
    /// A text that does not fit, or a failure of the model.
    fn loglikelihood(
        &mut self,
        context: &str,
        continuation: &str,
    ) -> Result<LogLikelihood, LlmError>;

    /// How probable the model finds each of these values after `prompt` and what is already written
    /// of the answer: p(value) over the sum of all of them, in their order, where p is that of the
    /// tokens from the first one on in which the values differ. Tokens are those of the whole text, and may
    /// reach over the ends of a value (`","` is one of Llama 3's). So give every value what follows it in
    /// the text, up to the end of a word: `disk-full","evidence` and not `disk-full"`, whose last token no
    /// model has seen in that place. Then a value that begins another competes fairly with it, too.
    ///
    /// After a prompt of ids the answer is encoded by itself, as it is after a chat template; after a
    /// text, as one text with it.
    ///
    /// # Errors
    /// No value, one that is empty or does not fit, or a failure of the model.
    fn distribution(
        &mut self,
        prompt: &Prompt,
        written: &str,
        values: &[&str],
    ) -> Result<Vec<f64>, LlmError>;
}

/// Refuses lists of values that have no distribution.
///
/// # Errors
/// [`LlmError::Request`]: no value, or an empty one.
pub fn check_values(values: &[&str]) -> Result<(), LlmError> {
    if values.is_empty() || values.iter().any(|value| value.is_empty()) {
        let (name, expected) = ("values", "at least one, none of them empty");
        return Err(LlmError::Request { name, value: format!("{values:?}"), expected });
    }
    Ok(())
}

/// exp(l) over the sum of exp(l'), in the order given; the largest is taken off first.
pub fn normalized(log_probabilities: &[f64]) -> Vec<f64> {
    let largest = log_probabilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = log_probabilities.iter().map(|l| libm::exp(l - largest)).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}
