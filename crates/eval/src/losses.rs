//! How well a model predicts texts: what tuning adds to one kind of text and takes from another.

use crate::interval::Interval;
use serde::{Deserialize, Serialize};
use text::llm::{Llm, LlmError};

#[cfg(test)]
mod tests;

/// How well the texts of one source are predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Where the texts are from.
    pub source: String,
    /// Their number, after long ones were cut.
    pub texts: usize,
    /// Their tokens.
    pub tokens: usize,
    /// Mean of -ln p(token | all before it), in nats.
    pub per_token: f64,
    /// The mean over texts of their own means, with an interval.
    pub by_text: Option<Interval>,
}

/// What a model loses on these texts, each read from its beginning. A text of more than `most`
/// bytes is cut into pieces at ends of lines.
///
/// # Errors
/// A piece that does not fit the model, or a failure of the model.
pub fn loss(
    llm: &mut dyn Llm,
    source: &str,
    texts: &[String],
    most: usize,
) -> Result<Loss, LlmError> {
    let (mut nats, mut tokens, mut means) = (0.0, 0, Vec::new());
    for piece in texts.iter().flat_map(|text| pieces(text, most)) {
        let likelihood = llm.loglikelihood("", piece)?;
        if likelihood.tokens > 0 {
            nats -= likelihood.sum;
            tokens += likelihood.tokens;
            means.push(-likelihood.sum / likelihood.tokens as f64);
        }
    }
    let per_token = nats / tokens.max(1) as f64;
    let by_text = Interval::of(&means, 0);
    Ok(Loss { source: source.to_owned(), texts: means.len(), tokens, per_token, by_text })
}

/// The text in pieces of whole lines of at most `most` bytes together. A longer line is cut at a
/// character.
pub fn pieces(text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > most {
        let whole = rest.floor_char_boundary(most);
        let end = rest[..whole].rfind('\n').map_or(whole, |end| end + 1);
        // A character that is longer than a piece is a piece of its own.
        let end = if end == 0 { rest.ceil_char_boundary(1) } else { end };
        pieces.push(&rest[..end]);
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}
