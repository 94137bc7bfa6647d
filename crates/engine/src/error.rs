//! What can go wrong between a request and its completion.

use text::llm::LlmError;

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no completion.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option of the engine has no meaning for this model.
    #[error("{name} is {value}, expected {expected}")]
    Option {
        /// The option.
        name: &'static str,
        /// Its value.
        value: usize,
        /// Its range, in words.
        expected: String,
    },

    /// A request that the engine cannot take, whatever the model.
    #[error(transparent)]
    Request(#[from] LlmError),

    /// A prompt, with what has to come after it, that does not fit the context.
    #[error(
        "the prompt has {prompt_tokens} tokens and needs room for {more} more, the context holds \
         {context}\nhint: shorten the prompt or use a longer context"
    )]
    TooLong {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens that have to fit after it.
        more: usize,
        /// Tokens that the context holds.
        context: usize,
    },

    /// A token id that the model does not have.
    #[error(
        "token {index} is {id}, outside of the vocabulary of {vocab}\nhint: use the \
         tokenizer that belongs to the model"
    )]
    Token {
        /// Its place in what was given, from 0.
        index: usize,
        /// The id.
        id: u32,
        /// V.
        vocab: usize,
    },

    /// Text was asked for or given where there is no tokenizer.
    #[error("{what} cannot be used without a tokenizer\nhint: give the prompt as token ids")]
    NoTokenizer {
        /// What needs one.
        what: &'static str,
    },

    /// A text that is not made of its tokens' bytes.
    #[error(
        "the tokenizer changes the text, so where the continuation begins among its {tokens} tokens \
         is unknown"
    )]
    TextChanged {
        /// Tokens of context and continuation together.
        tokens: usize,
    },

    /// The model computed something that is no number.
    #[error("step {step}: the logit of token {token} is {value}, expected a finite number")]
    NotFinite {
        /// The request's own step: tokens produced, or scored, before.
        step: u64,
        /// The first such token id.
        token: u32,
        /// Its logit.
        value: f32,
    },

    /// A text could not be encoded.
    #[error(transparent)]
    Text(#[from] text::Error),

    /// The model or its device failed.
    #[error(transparent)]
    Model(#[from] model::Error),
}

impl From<Error> for LlmError {
    fn from(error: Error) -> Self {
        match error {
            Error::Request(error) => error,
            Error::TooLong { prompt_tokens, more, context } => {
                LlmError::PromptTooLong { prompt_tokens, max_tokens: more, context }
            }
            Error::Text(error) => LlmError::Text(error),
            other => LlmError::Model(Box::new(other)),
        }
    }
}

/// Refuses logits (V) that are not all finite.
pub(crate) fn check_finite(logits: &[f32], step: u64) -> Result<()> {
    match logits.iter().position(|logit| !logit.is_finite()) {
        None => Ok(()),
        Some(token) => Err(Error::NotFinite { step, token: token as u32, value: logits[token] }),
    }
}
