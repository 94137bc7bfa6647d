//! Continuous batching: a queue of requests, slots of the cache, and passes over both.
//!
//! A pass takes one token of every sequence that is decoding and, oldest first, tokens of prompts
//! until the prefill chunk is full. A finished sequence frees its slot for the next pass. None of
//! this shows in the result: the model computes the same bits for a token wherever it stands in a
//! pass, and every sequence has a sampler of its own.

#[cfg(test)]
mod tests;

use crate::sampler::Sampler;
use crate::sequence::{Parts, Sequence};
use crate::{EngineLayout, EngineOptions, Error, Result};
use model::{Model, Token};
use ops::Backend;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use text::grammar::{Constraint, Grammar};
use text::llm::{Completion, GenerateRequest, LlmError, Prompt};
use text::tokenizer::Tokenizer;

/// Names a request of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// Something that happened to a request. Its last event is `Finished` or `Failed`.
#[derive(Debug)]
pub enum Event {
    /// It produced a token, an end mark included.
    Token {
        /// The request.
        request: RequestId,
        /// The token.
        id: u32,
    },
    /// Text became certain: whole characters, before any stop string. Only with a tokenizer.
    Text {
        /// The request.
        request: RequestId,
        /// The text that follows what was certain before.
        text: String,
    },
    /// It is complete. Without a tokenizer the text is empty.
    Finished {
        /// The request.
        request: RequestId,
        /// All of it.
        completion: Completion,
    },
    /// It cannot go on; the others do.
    Failed {
        /// The request.
        request: RequestId,
        /// Why.
        error: Error,
    },
}

impl Event {
    /// Whose event it is.
    pub fn request(&self) -> RequestId {
        match self {
            Event::Token { request, .. }
            | Event::Text { request, .. }
            | Event::Finished { request, .. }
            | Event::Failed { request, .. } => *request,
        }
    }
}

/// Runs requests over a filled model.
pub struct Engine<'a, B: Backend> {
    pub(crate) backend: &'a mut B,
    pub(crate) model: &'a Model,
    pub(crate) tokenizer: Option<&'a Tokenizer>,
    pub(crate) layout: EngineLayout,
    /// Tokens that end a text.
    ends: Vec<u32>,
    requests: u64,
    waiting: VecDeque<Sequence<'a>>,
    /// With their slots, in the order in which they got them.
    running: Vec<(u32, Sequence<'a>)>,
    free: BTreeSet<u32>,
    /// By slot, the tokens whose keys and values it still holds: a prompt that begins like them
    /// need not be read again.
    held: Vec<Vec<u32>>,
    /// Events of requests that somebody else waits for.
    backlog: Vec<Event>,
    /// The pass that is being put together.
    tokens: Vec<Token>,
    picks: Vec<u32>,
    /// What the last pass took.
    pass_time: Duration,
    /// How much longer a pass is made to take.
    #[cfg(test)]
    slowed: Option<Duration>,
    /// (W,V).
    pub(crate) logits: Vec<f32>,
}

impl<'a, B: Backend> Engine<'a, B> {
    /// The backend that passes run on.
    pub fn backend_mut(&mut self) -> &mut B {
        self.backend
    }

    /// An engine with nothing to do. `layout` was made on this backend for this model, which is
    /// filled. Without a tokenizer, prompts are token ids and completions have no text.
    pub fn new(
        backend: &'a mut B,
        model: &'a Model,
        tokenizer: Option<&'a Tokenizer>,
        layout: EngineLayout,
    ) -> Self {
        let mut ends = model.config().eos.clone();
        ends.extend(tokenizer.iter().flat_map(|tokenizer| tokenizer.ends()));
        let options = *layout.options();
        Self {
            backend,
            model,
            tokenizer,
            ends,
            requests: 0,
            waiting: VecDeque::new(),
            running: Vec::with_capacity(options.slots),
            free: (0..options.slots as u32).collect(),
            held: (0..options.slots).map(|_| Vec::with_capacity(options.context)).collect(),
            backlog: Vec::new(),
            tokens: Vec::with_capacity(layout.serve.tokens()),
            picks: Vec::with_capacity(options.slots),
            pass_time: Duration::ZERO,
            #[cfg(test)]
            slowed: None,
            logits: vec![0.0; layout.serve.wanted() * model.config().vocab],
            layout,
        }
    }

    /// What it was laid out for.
    pub fn options(&self) -> &EngineOptions {
        self.layout.options()
    }

    /// Requests that wait for a slot.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Requests that have a slot.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Queues a request. It may produce what the context leaves room for, at least one token, even
    /// if it asks for more, and then ends with `FinishReason::Length`.
    ///
    /// # Errors
    /// A setting without meaning, a prompt that is empty, too long or not in the vocabulary, text
    /// where there is no tokenizer, or a schema of another vocabulary or without a text that is short
    /// enough. Nothing is queued then.
    pub fn submit(&mut self, request: &GenerateRequest) -> Result<RequestId> {
        request.check()?;
        if self.tokenizer.is_none() && !request.stop.is_empty() {
            return Err(Error::NoTokenizer { what: "a stop string" });
        }
        let ids = self.prompt_ids(&request.prompt)?;
        let (context, vocab) = (self.options().context, self.model.config().vocab);
        if ids.len() >= context {
            return Err(Error::TooLong { prompt_tokens: ids.len(), more: 1, context });
        }
        let limit = context.min(ids.len().saturating_add(request.max_tokens));
        let constraint = match &request.schema {
            Some(grammar) => Some(self.constraint(grammar, limit - ids.len())?),
            None => None,
        };
        let id = RequestId(self.requests);
        self.requests += 1;
        self.waiting.push_back(Sequence::new(Parts {
            request: id,
            limit,
            constraint,
            deadline: request.deadline.and_then(|time| Instant::now().checked_add(time)),
            sampler: Sampler::new(request.sampling.clone(), vocab, &ids),
            ids,
            tokenizer: self.tokenizer,
            stop: request.stop.clone(),
        }));
        Ok(id)
    }

    /// A constraint whose shortest text has room.
    fn constraint(&self, grammar: &Arc<Grammar>, room: usize) -> Result<Constraint> {
        let vocabulary = grammar.vocabulary();
        let same = self.tokenizer.is_none_or(|tokenizer| tokenizer.hash() == vocabulary.hash());
        if !same || vocabulary.size() > self.model.config().vocab {
            let (name, value) = ("schema", "compiled for another tokenizer".to_owned());
            return Err(LlmError::Request { name, value, expected: "this engine's" }.into());
        }
        let constraint = Constraint::new(grammar)?;
        let shortest = constraint.forced().len() + constraint.closing().len();
        if shortest > room {
            return Err(LlmError::SchemaTooLong { shortest, room }.into());
        }
        Ok(constraint)
    }

    /// The tokens of a prompt: at least one, all in the vocabulary.
    pub(crate) fn prompt_ids(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let ids = match (prompt, self.tokenizer) {
            (Prompt::Ids(ids), _) => ids.clone(),
            (Prompt::Text(text), Some(tokenizer)) => {
                let mut ids = vec![tokenizer.bos()];
                ids.extend(tokenizer.encode(text)?);
                ids
            }
            (Prompt::Text(_), None) => return Err(Error::NoTokenizer { what: "a text" }),
        };
        self.check_ids(&ids)?;
        Ok(ids)
    }

    pub(crate) fn check_ids(&self, ids: &[u32]) -> Result<()> {
        if ids.is_empty() {
            let (name, value, expected) = ("prompt", "empty".to_owned(), "at least one token");
            return Err(LlmError::Request { name, value, expected }.into());
        }
        let vocab = self.model.config().vocab;
        match ids.iter().position(|&id| id as usize >= vocab) {
            None => Ok(()),
            Some(index) => Err(Error::Token { index, id: ids[index], vocab }),
        }
    }

    /// Forgets a request, waiting or running; false if it is neither.
    pub fn cancel(&mut self, request: RequestId) -> bool {
        if let Some(index) = self.waiting.iter().position(|it| it.request == request) {
            self.waiting.remove(index);
            return true;
        }
        let Some(index) = self.running.iter().position(|(_, it)| it.request == request) else {
            return false;
        };
        let (slot, _) = self.running.remove(index);
        self.free.insert(slot);
        true
    }

    /// Runs one pass and gives what came of it, or what is left from passes that ran meanwhile for
    /// others. Empty when no request waits or runs, and after a pass over prompts alone.
    ///
    /// # Errors
    /// What the backend reports; every request stands where it stood before the pass.
    pub fn step(&mut self) -> Result<Vec<Event>> {
        if !self.backlog.is_empty() {
            return Ok(std::mem::take(&mut self.backlog));
        }
        self.advance()
    }

    /// Whether [`Engine::step`] has nothing more to give.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty() && self.backlog.is_empty()
    }

    fn advance(&mut self) -> Result<Vec<Event>> {
        while !self.free.is_empty() {
            let Some(mut sequence) = self.waiting.pop_front() else { break };
            let Some((slot, common)) = self.free_slot(sequence.ids()) else { break };
            sequence.begin_after(common);
            self.running.push((slot, sequence));
        }
        let mut events = self.close_overdue();
        if self.running.is_empty() {
            return Ok(events);
        }
        let begun = Instant::now();
        self.gather();
        let vocab = self.model.config().vocab;
        let logits = &mut self.logits[..self.picks.len() * vocab];
        let EngineLayout { cache, serve, .. } = &mut self.layout;
        if let Err(error) =
            serve.run(self.backend, self.model, cache, &self.tokens, (&self.picks, logits))
        {
            // What was closed is not lost.
            self.backlog.append(&mut events);
            return Err(error.into());
        }
        #[cfg(test)]
        self.slowed.into_iter().for_each(std::thread::sleep);
        self.pass_time = begun.elapsed();
        let mut rows = self.logits.chunks_exact(vocab);
        let (ends, free, held) = (&self.ends, &mut self.free, &mut self.held);
        self.running.retain_mut(|(slot, sequence)| {
            let row = if sequence.wants_logits() { rows.next() } else { None };
            let ended = sequence.advance(row, ends, &mut events);
            if ended {
                free.insert(*slot);
                sequence.cached().clone_into(&mut held[*slot as usize]);
            }
            !ended
        });
        Ok(events)
    }

    /// Closes the texts for which another pass would come too late, waiting ones too.
    fn close_overdue(&mut self) -> Vec<Event> {
        let (now, pass) = (Instant::now(), self.pass_time);
        let mut events = Vec::new();
        let mut stays = |sequence: &mut Sequence<'_>| {
            let overdue = sequence.is_overdue(now, pass);
            if overdue {
                sequence.close(&mut events);
            }
            !overdue
        };
        self.waiting.retain_mut(&mut stays);
        let free = &mut self.free;
        self.running.retain_mut(|(slot, sequence)| stays(sequence) || !free.insert(*slot));
        events
    }

    /// Puts the next pass together: its tokens, and after which of them logits are wanted.
    fn gather(&mut self) {
        self.tokens.clear();
        self.picks.clear();
        let mut budget = self.layout.options.prefill_chunk;
        for (slot, sequence) in &mut self.running {
            let (ids, first) = sequence.take(&mut budget);
            self.tokens.extend((first as u32..).zip(ids).map(|(position, &id)| Token {
                id,
                slot: *slot,
                position,
            }));
            if sequence.wants_logits() {
                self.picks.push(self.tokens.len() as u32 - 1);
            }
        }
    }

    /// A free slot, taken, and how many of these tokens it holds already. Runs passes until there is
    /// one; their events wait for [`Engine::step`].
    pub(crate) fn take_slot(&mut self, ids: &[u32]) -> Result<(u32, usize)> {
        loop {
            if let Some(found) = self.free_slot(ids) {
                return Ok(found);
            }
            let events = self.advance()?;
            self.backlog.extend(events);
        }
    }

    /// The free slot that holds most of these tokens' beginning, taken, and how many those are.
    pub(crate) fn free_slot(&mut self, ids: &[u32]) -> Option<(u32, usize)> {
        let common = |slot: &u32| {
            let held = &self.held[*slot as usize];
            held.iter().zip(ids).take_while(|(a, b)| a == b).count()
        };
        // Of equals the first.
        let (slot, common) =
            self.free.iter().map(|slot| (*slot, common(slot))).rev().max_by_key(|it| it.1)?;
        self.free.remove(&slot);
        // What comes behind will be overwritten; this much stays true whatever happens.
        self.held[slot as usize].truncate(common);
        Some((slot, common))
    }

    /// Gives a slot back that now holds these tokens.
    pub(crate) fn give_slot(&mut self, slot: u32, held: &[u32]) {
        held.clone_into(&mut self.held[slot as usize]);
        self.free.insert(slot);
    }

    /// Runs these requests to their ends, several at a time. Other requests of this engine go on
    /// too; their events wait for [`Engine::step`].
    ///
    /// # Errors
    /// The first error of any of them; the others are then given up.
    pub fn generate_batch(&mut self, requests: &[GenerateRequest]) -> Result<Vec<Completion>> {
        self.generate_batch_streaming(requests, &mut |_, _| {})
    }

    /// As [`Engine::generate_batch`], handing every piece of text that became certain to `sink`,
    /// with the index of its request.
    ///
    /// # Errors
    /// The first error of any of them; the others are then given up.
    pub fn generate_batch_streaming(
        &mut self,
        requests: &[GenerateRequest],
        sink: &mut dyn FnMut(usize, &str),
    ) -> Result<Vec<Completion>> {
        let mut batch = Vec::with_capacity(requests.len());
        let completions = self.run_batch(requests, &mut batch, sink);
        if completions.is_err() {
            for request in batch {
                self.cancel(request);
            }
        }
        completions
    }

    /// Submits and runs; `batch` gets what was submitted, also in case of an error.
    fn run_batch(
        &mut self,
        requests: &[GenerateRequest],
        batch: &mut Vec<RequestId>,
        sink: &mut dyn FnMut(usize, &str),
    ) -> Result<Vec<Completion>> {
        for request in requests {
            batch.push(self.submit(request)?);
        }
        let mut completions: Vec<Option<Completion>> = vec![None; batch.len()];
        let mut left = batch.len();
        while left > 0 {
            let mut failure = None;
            for event in self.advance()? {
                // Submitted one after another, they are in ascending order.
                let Ok(index) = batch.binary_search(&event.request()) else {
                    self.backlog.push(event);
                    continue;
                };
                match event {
                    Event::Token { .. } => {}
                    Event::Text { text, .. } => sink(index, &text),
                    Event::Finished { completion, .. } => {
                        completions[index] = Some(completion);
                        left -= 1;
                    }
                    Event::Failed { error, .. } => failure = failure.or(Some(error)),
                }
            }
            if let Some(error) = failure {
                return Err(error);
            }
        }
        Ok(completions.into_iter().flatten().collect())
    }
}
