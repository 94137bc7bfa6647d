//! The engine as anybody's language model.

use crate::likelihood::alike;
use crate::{Engine, Error, Result};
use ops::Backend;
use text::llm::{
    Completion, GenerateRequest, Llm, LlmError, LogLikelihood, Prompt, check_values, normalized,
};
use text::tokenizer::Tokenizer;

impl<B: Backend> Llm for Engine<'_, B> {
    /// Unlike [`Engine::submit`], which gives what the context leaves room for, this refuses a
    /// request whose prompt and `max_tokens` do not fit together, as the trait demands.
    fn generate_streaming(
        &mut self,
        request: &GenerateRequest,
        sink: &mut dyn FnMut(&str),
    ) -> std::result::Result<Completion, LlmError> {
        request.check()?;
        let ids = self.prompt_ids(&request.prompt)?;
        let (prompt_tokens, max_tokens) = (ids.len(), request.max_tokens);
        let context = self.options().context;
        if prompt_tokens.saturating_add(max_tokens) > context {
            return Err(LlmError::PromptTooLong { prompt_tokens, max_tokens, context });
        }
        let request = GenerateRequest { prompt: Prompt::Ids(ids), ..request.clone() };
        let completions = self.generate_batch_streaming(&[request], &mut |_, piece| sink(piece))?;
        Ok(completions.into_iter().next().expect("one request has one completion"))
    }

    fn loglikelihood(
        &mut self,
        context: &str,
        continuation: &str,
    ) -> std::result::Result<LogLikelihood, LlmError> {
        let tokenizer = self.tokenizer.ok_or(Error::NoTokenizer { what: "a text" })?;
        let (ids, scored) = split(tokenizer, &[tokenizer.bos()], context, continuation)?;
        Ok(self.loglikelihood_of(&ids[..scored], &ids[scored..])?)
    }

    /// Reads what prompt and values share once.
    fn distribution(
        &mut self,
        prompt: &Prompt,
        written: &str,
        values: &[&str],
    ) -> std::result::Result<Vec<f64>, LlmError> {
        check_values(values)?;
        let tokenizer = self.tokenizer.ok_or(Error::NoTokenizer { what: "a text" })?;
        let (head, context) = match prompt {
            Prompt::Text(text) => (vec![tokenizer.bos()], format!("{text}{written}")),
            Prompt::Ids(ids) => (ids.clone(), written.to_owned()),
        };
        let whole: Result<Vec<_>> =
            values.iter().map(|value| split(tokenizer, &head, &context, value)).collect();
        let likelihoods = self.loglikelihoods_of(&from_where_they_part(whole?))?;
        let sums: Vec<f64> = likelihoods.iter().map(|likelihood| likelihood.sum).collect();
        Ok(normalized(&sums))
    }
}

/// The same, scored from the first token that differs. Where the start of one value makes a token together
/// with the end of the context (`":"-` beside `":"`, `s1`), those tokens compete, too.
fn from_where_they_part(mut whole: Vec<(Vec<u32>, usize)>) -> Vec<(Vec<u32>, usize)> {
    let behind = whole.iter().map(|(_, scored)| *scored).min().unwrap_or(0);
    let part = alike(&whole).min(behind);
    whole.iter_mut().for_each(|(_, scored)| *scored = part);
    whole
}

/// `head` and behind it the tokens of the whole text, and how many of all of them stand before the
/// first one that reaches into the continuation.
fn split(
    tokenizer: &Tokenizer,
    head: &[u32],
    context: &str,
    continuation: &str,
) -> Result<(Vec<u32>, usize)> {
    let whole = format!("{context}{continuation}");
    let after = tokenizer.after(head);
    let text = tokenizer.encode_after(after, &whole)?;
    if tokenizer.decode_after(after, &text) != whole {
        return Err(Error::TextChanged { tokens: text.len() });
    }
    let length = |id: &u32| tokenizer.token_bytes(*id).map_or(0, <[u8]>::len);
    // A space that the tokenizer puts in front of a text is in its tokens, too.
    let put = text.iter().map(length).sum::<usize>() - whole.len();
    let mut end = 0;
    let reaches = text.iter().position(|id| {
        end += length(id);
        end > put + context.len()
    });
    let scored = head.len() + reaches.unwrap_or(text.len());
    Ok(([head, &text].concat(), scored))
}
