//! One request on its way: its tokens, how far they are in the cache, and the text so far.

use crate::engine::{Event, RequestId};
use crate::sampler::Sampler;
use crate::stop::StopFilter;
use text::llm::{Completion, FinishReason};
use text::tokenizer::{Stream, Tokenizer};

/// A request that waits or runs.
#[derive(Debug)]
pub(crate) struct Sequence<'a> {
    pub(crate) request: RequestId,
    /// Prompt, then what was produced.
    ids: Vec<u32>,
    prompt_tokens: usize,
    /// Leading tokens whose keys and values are in the cache.
    cached: usize,
    /// Tokens of the pass that is being put together.
    taken: usize,
    /// Most tokens, prompt included.
    limit: usize,
    sampler: Sampler,
    writer: Option<Writer<'a>>,
    text: String,
}

/// What a sequence is made of.
pub(crate) struct Parts<'a> {
    pub(crate) request: RequestId,
    /// The prompt, at least one token.
    pub(crate) ids: Vec<u32>,
    /// Most tokens, prompt included.
    pub(crate) limit: usize,
    pub(crate) sampler: Sampler,
    pub(crate) tokenizer: Option<&'a Tokenizer>,
    pub(crate) stop: Vec<String>,
}

impl<'a> Sequence<'a> {
    pub(crate) fn new(parts: Parts<'a>) -> Self {
        let Parts { request, ids, limit, sampler, tokenizer, stop } = parts;
        let writer = |tokenizer: &'a Tokenizer| Writer {
            stream: tokenizer.stream(),
            filter: StopFilter::new(stop),
        };
        Self {
            request,
            prompt_tokens: ids.len(),
            ids,
            cached: 0,
            taken: 0,
            limit,
            sampler,
            writer: tokenizer.map(writer),
            text: String::new(),
        }
    }

    /// Takes part in the next pass: a decoding sequence with its last token, a new one with at most
    /// `budget` tokens of its prompt, which are subtracted. Gives their ids and first position.
    pub(crate) fn take(&mut self, budget: &mut usize) -> (&[u32], usize) {
        let pending = self.ids.len() - self.cached;
        if self.ids.len() > self.prompt_tokens {
            self.taken = pending;
        } else {
            self.taken = pending.min(*budget);
            *budget -= self.taken;
        }
        (&self.ids[self.cached..][..self.taken], self.cached)
    }

    /// Whether, after the pass that [`Sequence::take`] was for, every token is in the cache: then
    /// that pass computes the logits of the next one.
    pub(crate) fn wants_logits(&self) -> bool {
        self.cached + self.taken == self.ids.len()
    }

    /// The pass ran, and `logits` (V) are those after the last token if they were wanted. Appends
    /// what came of it; true when the sequence is at its end.
    pub(crate) fn advance(
        &mut self,
        logits: Option<&[f32]>,
        ends: &[u32],
        events: &mut Vec<Event>,
    ) -> bool {
        self.cached += std::mem::take(&mut self.taken);
        let Some(logits) = logits else { return false };
        let request = self.request;
        let id = match self.sampler.choose(logits) {
            Ok(id) => id,
            Err(error) => {
                events.push(Event::Failed { request, error });
                return true;
            }
        };
        self.ids.push(id);
        events.push(Event::Token { request, id });
        let mut finish_reason = match id {
            id if ends.contains(&id) => Some(FinishReason::EndOfText),
            _ if self.ids.len() == self.limit => Some(FinishReason::Length),
            _ => None,
        };
        if let Some(writer) = &mut self.writer {
            let (piece, stopped) = writer.push(id, finish_reason);
            if stopped {
                finish_reason = Some(FinishReason::Stop);
            }
            if !piece.is_empty() {
                self.text.push_str(&piece);
                events.push(Event::Text { request, text: piece });
            }
        }
        let Some(finish_reason) = finish_reason else { return false };
        let completion = Completion {
            text: std::mem::take(&mut self.text),
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.ids.len() - self.prompt_tokens,
            finish_reason,
        };
        events.push(Event::Finished { request, completion });
        true
    }
}

/// From tokens to text that is certain.
#[derive(Debug)]
struct Writer<'a> {
    stream: Stream<'a>,
    filter: StopFilter,
}

impl Writer<'_> {
    /// The text that became certain with this token, and whether a stop string came up. An end mark
    /// is no text, and at the end nothing is held back.
    fn push(&mut self, id: u32, end: Option<FinishReason>) -> (String, bool) {
        let mut decoded = String::new();
        if end != Some(FinishReason::EndOfText) {
            decoded.extend(self.stream.push(id));
        }
        if end.is_some() {
            decoded.extend(self.stream.finish());
        }
        let mut certain = self.filter.push(&decoded);
        if end.is_some() {
            certain.push_str(&self.filter.finish());
        }
        (certain, self.filter.stopped())
    }
}
