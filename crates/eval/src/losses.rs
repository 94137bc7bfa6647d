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
    /// Their number, after long ones were cut into pieces.
    pub texts: usize,
    /// Their tokens.
    pub tokens: usize,
    /// Mean of -ln p(token | all before it), in nats.
    pub per_token: f64,
    /// The mean over texts of their own means, with an interval.
    pub by_text: Option<Interval>,
    /// These means, in the order of the texts; too many for a report.
    #[serde(skip)]
    means: Vec<f64>,
}

impl Loss {
    /// How much more a token costs than `before`, where another model read the same texts: the mean
    /// over texts, compared one by one. `None` where the texts are others.
    pub fn minus(&self, before: &Loss) -> Option<Interval> {
        Interval::of_difference(&before.means, &self.means, 0)
    }
}

/// What a model loses on these texts, each read from its beginning. A text of more than `most`
/// bytes is cut as [`pieces`] says.
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
    Ok(Loss { source: source.to_owned(), texts: means.len(), tokens, per_token, by_text, means })
}

/// What ends a sentence: a mark and a blank.
const SENTENCE_ENDS: [&str; 6] = [". ", ".\n", "? ", "?\n", "! ", "!\n"];

/// The text in pieces of at most `most` bytes that end where the text has an end of its own.
pub fn pieces(text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > most {
        let (piece, behind) = rest.split_at(end_of_piece(rest, most));
        pieces.push(piece);
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(rest);
    }
    pieces
}

/// Where the first piece of a longer text ends: with a paragraph, a sentence or a line, the first
/// of these that leaves it more than half of its bytes; else with the last of them, else anywhere.
fn end_of_piece(text: &str, most: usize) -> usize {
    let whole = text.floor_char_boundary(most);
    let last = |mark: &&str| text[..whole].rfind(*mark).map(|at| at + mark.len());
    let sentence = SENTENCE_ENDS.iter().filter_map(last).max();
    let ends = [last(&"\n\n"), sentence, last(&"\n")].into_iter().flatten();
    let end = ends.clone().find(|end| 2 * *end > most).or(ends.max()).unwrap_or(whole);
    // A character that is longer than a piece is a piece of its own.
    if end == 0 { text.ceil_char_boundary(1) } else { end }
}
