//! One request on its way: its tokens, how far they are in the cache, and the text so far.

use crate::Result;
use crate::engine::{Event, RequestId};
use crate::sampler::Sampler;
use crate::stop::StopFilter;
use std::time::{Duration, Instant};
use text::grammar::Constraint;
use text::llm::{Completion, FinishReason};
use text::tokenizer::{Stream, Tokenizer};

/// A request that waits or runs.
#[derive(Debug)]
pub(crate) struct Sequence<'a> {
    pub(crate) request: RequestId,
    /// Prompt, then what was produced.
    ids: Vec<u32>,
    prompt_tokens: usize,
    /// Leading tokens that need no event any more: the prompt, then those that had theirs.
    announced: usize,
    /// Leading tokens whose keys and values are in the cache.
    cached: usize,
    /// Tokens of the pass that is being put together.
    taken: usize,
    /// Most tokens, prompt included.
    limit: usize,
    sampler: Sampler,
    constraint: Option<Constraint>,
    /// When to close at the latest.
    deadline: Option<Instant>,
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
    /// Its closing path fits into the limit.
    pub(crate) constraint: Option<Constraint>,
    /// Only beside a constraint.
    pub(crate) deadline: Option<Instant>,
    pub(crate) tokenizer: Option<&'a Tokenizer>,
    pub(crate) stop: Vec<String>,
}

impl<'a> Sequence<'a> {
    pub(crate) fn new(parts: Parts<'a>) -> Self {
        let Parts { request, mut ids, limit, mut sampler, constraint, deadline, tokenizer, stop } =
            parts;
        let prompt_tokens = ids.len();
        let writer = |tokenizer: &'a Tokenizer| Writer {
            stream: tokenizer.stream_after(tokenizer.after(&ids)),
            filter: StopFilter::new(stop),
        };
        let writer = tokenizer.map(writer);
        for &id in constraint.iter().flat_map(Constraint::forced) {
            ids.push(id);
            sampler.note(id);
        }
        Self {
            request,
            prompt_tokens,
            announced: prompt_tokens,
            ids,
            cached: 0,
            taken: 0,
            limit,
            sampler,
            constraint,
            deadline,
            writer,
            text: String::new(),
        }
    }

    /// All tokens so far.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The tokens whose keys and values are in the cache.
    pub(crate) fn cached(&self) -> &[u32] {
        &self.ids[..self.cached]
    }

    /// Begins behind as many tokens as the slot holds already; the last one is always read, since
    /// its logits are wanted.
    pub(crate) fn begin_after(&mut self, held: usize) {
        self.cached = held.min(self.ids.len() - 1);
    }

    /// Takes part in the next pass: with its last token where only that one is missing in the
    /// cache, else with at most `budget` tokens of its prompt, or of what was forced, which are
    /// subtracted. Gives their ids and first position.
    pub(crate) fn take(&mut self, budget: &mut usize) -> (&[u32], usize) {
        let pending = self.ids.len() - self.cached;
        if pending == 1 && self.cached > 0 {
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
        let end = match self.constraint {
            Some(_) => self.constrained(logits),
            None => self.free(logits, ends),
        };
        match end {
            Ok(end) => self.announce(end, events),
            Err(error) => {
                events.push(Event::Failed { request: self.request, error });
                true
            }
        }
    }

    /// Appends the next token.
    fn free(&mut self, logits: &[f32], ends: &[u32]) -> Result<Option<FinishReason>> {
        let id = self.sampler.choose(logits, None)?;
        self.ids.push(id);
        Ok(match id {
            id if ends.contains(&id) => Some(FinishReason::EndOfText),
            _ if self.ids.len() == self.limit => Some(FinishReason::Length),
            _ => None,
        })
    }

    /// Appends the next token that fits and what it forces, or closes.
    fn constrained(&mut self, logits: &[f32]) -> Result<Option<FinishReason>> {
        let Some(constraint) = &mut self.constraint else { return Ok(None) };
        let Some(mask) = constraint.mask()? else { return Ok(Some(self.complete())) };
        let id = self.sampler.choose(logits, Some(mask))?;
        // The closing path fits and is not empty, so there is room for one.
        if !constraint.accept(id, self.limit - self.ids.len() - 1)? {
            return Ok(Some(self.complete()));
        }
        self.ids.push(id);
        for &id in constraint.forced() {
            self.ids.push(id);
            self.sampler.note(id);
        }
        Ok(constraint.is_complete().then_some(FinishReason::Complete))
    }

    /// Appends the closing path. Nothing of it needs the model.
    fn complete(&mut self) -> FinishReason {
        let closing = self.constraint.as_ref().map_or(&[][..], Constraint::closing);
        self.ids.extend(closing);
        if closing.is_empty() { FinishReason::Complete } else { FinishReason::Closed }
    }

    /// Whether a pass of this duration would end behind the deadline.
    pub(crate) fn is_overdue(&self, now: Instant, pass: Duration) -> bool {
        self.deadline.is_some_and(|deadline| now + pass > deadline)
    }

    /// Ends a sequence that is overdue.
    pub(crate) fn close(&mut self, events: &mut Vec<Event>) {
        let end = self.complete();
        self.announce(Some(end), events);
    }

    /// Makes events of the new tokens; true at the end.
    fn announce(&mut self, mut end: Option<FinishReason>, events: &mut Vec<Event>) -> bool {
        let request = self.request;
        for index in self.announced..self.ids.len() {
            let id = self.ids[index];
            events.push(Event::Token { request, id });
            let Some(writer) = &mut self.writer else { continue };
            let last = index + 1 == self.ids.len();
            let (piece, stopped) = writer.push(id, end.filter(|_| last));
            if stopped {
                end = Some(FinishReason::Stop);
            }
            if !piece.is_empty() {
                self.text.push_str(&piece);
                events.push(Event::Text { request, text: piece });
            }
        }
        self.announced = self.ids.len();
        let Some(finish_reason) = end else { return false };
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
