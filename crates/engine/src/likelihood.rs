//! Log-probabilities of given tokens: how likely the model finds a continuation.

#[cfg(test)]
mod tests;

use crate::error::check_finite;
use crate::sampler::likeliest;
use crate::{Engine, EngineLayout, Error, Result};
use model::Token;
use ops::Backend;
use std::ops::Range;
use text::llm::LogLikelihood;

impl<B: Backend> Engine<'_, B> {
    /// Sum of ln p(token | everything before it) over `continuation`, after `context`, and whether
    /// each of its tokens was the likeliest, the lowest id among equals. Both are read once, in
    /// passes of as many tokens as the layout has room for.
    ///
    /// # Errors
    /// An empty context, tokens outside of the vocabulary or more of them than the context holds,
    /// logits that are not finite, or what the backend reports.
    pub fn loglikelihood_of(
        &mut self,
        context: &[u32],
        continuation: &[u32],
    ) -> Result<LogLikelihood> {
        self.check_ids(context)?;
        let ids = [context, continuation].concat();
        self.check_ids(&ids)?;
        let most = self.options().context;
        if ids.len() > most {
            let (prompt_tokens, more) = (context.len(), continuation.len());
            return Err(Error::TooLong { prompt_tokens, more, context: most });
        }
        if continuation.is_empty() {
            return Ok(NOTHING);
        }
        let (slot, held) = self.take_slot(&ids)?;
        let likelihood = self.score(slot, &ids, context.len(), held)?;
        self.give_slot(slot, &ids[..ids.len() - 1]);
        Ok(likelihood)
    }

    /// The log-likelihood of each of these continuations, given as all tokens and how many of them
    /// are context: the bits of [`Engine::loglikelihood_of`] for each. What all contexts begin with
    /// is read once and copied to the other free slots; as many continuations as there are slots,
    /// and as a pass has room for, then go through the model together.
    ///
    /// # Errors
    /// As [`Engine::loglikelihood_of`].
    pub fn loglikelihoods_of(&mut self, whole: &[(Vec<u32>, usize)]) -> Result<Vec<LogLikelihood>> {
        let most = self.options().context;
        for (ids, scored) in whole {
            self.check_ids(&ids[..*scored])?;
            self.check_ids(ids)?;
            if ids.len() > most {
                let more = ids.len() - scored;
                return Err(Error::TooLong { prompt_tokens: *scored, more, context: most });
            }
        }
        let shared = shared_prefix(whole);
        let Some((first, _)) = whole.first() else { return Ok(Vec::new()) };
        let (slot, held) = self.take_slot(&first[..shared])?;
        let mut slots = vec![slot];
        while slots.len() < whole.len()
            && let Some((free, _)) = self.free_slot(&[])
        {
            slots.push(free);
        }
        let likelihoods = self.read_shared(slot, &first[..shared], held).and_then(|()| {
            for &other in &slots[1..] {
                self.layout.cache.copy(self.backend, slot, other, shared);
            }
            self.score_together(whole, &slots, shared)
        });
        for &slot in &slots {
            let kept = if likelihoods.is_ok() { shared } else { 0 };
            self.give_slot(slot, &first[..kept]);
        }
        likelihoods
    }

    /// Reads tokens into a slot that holds the first `held` of them.
    fn read_shared(&mut self, slot: u32, ids: &[u32], held: usize) -> Result<()> {
        let EngineLayout { cache, serve, options } = &mut self.layout;
        let chunk = serve.tokens().min(options.prefill_chunk);
        for start in (held..ids.len()).step_by(chunk) {
            let stop = ids.len().min(start + chunk);
            let pass: Vec<Token> = tokens(ids, start..stop, slot).collect();
            serve.run(self.backend, self.model, cache, &pass, (&[], &mut []))?;
        }
        Ok(())
    }

    /// Scores continuations in slots that all hold the `shared` first tokens.
    fn score_together(
        &mut self,
        whole: &[(Vec<u32>, usize)],
        slots: &[u32],
        shared: usize,
    ) -> Result<Vec<LogLikelihood>> {
        let (room, rows) = (self.layout.serve.tokens(), self.layout.serve.wanted());
        let mut likelihoods = Vec::with_capacity(whole.len());
        let mut left = whole;
        while !left.is_empty() {
            let (mut read, mut wanted) = (0, 0);
            let fits = |(ids, scored): &&(Vec<u32>, usize)| {
                read += ids.len() - 1 - shared;
                wanted += ids.len() - scored;
                read <= room && wanted <= rows
            };
            let together = left.iter().take(slots.len()).take_while(fits).count();
            let (now, later) = left.split_at(together.max(1));
            if together == 0 {
                // Too long for one pass: by itself, in several.
                let (ids, scored) = &now[0];
                likelihoods.push(self.read(slots[0], ids, *scored, shared)?);
            } else {
                self.score_pass(now, slots, shared, &mut likelihoods)?;
            }
            left = later;
        }
        Ok(likelihoods)
    }

    /// One pass over continuations, each in a slot of its own.
    fn score_pass(
        &mut self,
        now: &[(Vec<u32>, usize)],
        slots: &[u32],
        shared: usize,
        likelihoods: &mut Vec<LogLikelihood>,
    ) -> Result<()> {
        let (mut pass, mut picks, mut scored) = (Vec::new(), Vec::new(), Vec::new());
        for ((ids, first), &slot) in now.iter().zip(slots) {
            let end = ids.len() - 1;
            // The token before a scored one predicts it.
            picks.extend((first - 1..end).map(|index| (pass.len() + index - shared) as u32));
            scored.push(&ids[*first..]);
            pass.extend(tokens(ids, shared..end, slot));
        }
        let vocab = self.model.config().vocab;
        let EngineLayout { cache, serve, .. } = &mut self.layout;
        let logits = &mut self.logits[..picks.len() * vocab];
        if !pass.is_empty() {
            serve.run(self.backend, self.model, cache, &pass, (&picks, &mut *logits))?;
        }
        let mut rows = logits.chunks_exact(vocab);
        for ids in scored {
            let mut likelihood = NOTHING;
            for (row, &id) in rows.by_ref().take(ids.len()).zip(ids) {
                add(&mut likelihood, row, id)?;
            }
            likelihoods.push(likelihood);
        }
        Ok(())
    }

    /// Reads `ids` into a slot, which holds the first `held` of them, and scores those from index
    /// `scored` on. After an error the slot is free again.
    fn score(
        &mut self,
        slot: u32,
        ids: &[u32],
        scored: usize,
        held: usize,
    ) -> Result<LogLikelihood> {
        let likelihood = self.read(slot, ids, scored, held);
        if likelihood.is_err() {
            // Nothing is known of what stands in it now.
            self.give_slot(slot, &[]);
        }
        likelihood
    }

    fn read(
        &mut self,
        slot: u32,
        ids: &[u32],
        scored: usize,
        held: usize,
    ) -> Result<LogLikelihood> {
        let vocab = self.model.config().vocab;
        let EngineLayout { cache, serve, options } = &mut self.layout;
        let chunk = serve.tokens().min(options.prefill_chunk);
        let mut likelihood = NOTHING;
        // Nothing comes after the last token, and the one before the first scored one predicts it.
        let (end, predicting) = (ids.len() - 1, scored - 1);
        let mut start = held.min(predicting);
        while start < end {
            let stop = end.min(start + chunk).min(predicting.max(start) + serve.wanted());
            let pass: Vec<Token> = tokens(ids, start..stop, slot).collect();
            let first = predicting.clamp(start, stop);
            let picks: Vec<u32> = (first..stop).map(|index| (index - start) as u32).collect();
            let logits = &mut self.logits[..picks.len() * vocab];
            serve.run(self.backend, self.model, cache, &pass, (&picks, logits))?;
            for (row, &id) in logits.chunks_exact(vocab).zip(&ids[first + 1..]) {
                add(&mut likelihood, row, id)?;
            }
            start = stop;
        }
        Ok(likelihood)
    }
}

/// Of no token.
const NOTHING: LogLikelihood = LogLikelihood { sum: 0.0, tokens: 0, greedy: true };

/// These of the tokens, for a pass.
fn tokens(ids: &[u32], range: Range<usize>, slot: u32) -> impl Iterator<Item = Token> {
    range.map(move |index| Token { id: ids[index], slot, position: index as u32 })
}

/// Adds the token that these logits were of.
fn add(likelihood: &mut LogLikelihood, logits: &[f32], id: u32) -> Result<()> {
    check_finite(logits, likelihood.tokens as u64)?;
    likelihood.sum += log_probability(logits, id);
    likelihood.greedy &= likeliest(logits.iter().copied().map(f64::from)) == id;
    likelihood.tokens += 1;
    Ok(())
}

/// Leading tokens that all share and that none needs the logits of: of the context, all but the
/// token that predicts the first scored one.
fn shared_prefix(whole: &[(Vec<u32>, usize)]) -> usize {
    let before = whole.iter().map(|(_, scored)| scored - 1).min().unwrap_or(0);
    alike(whole).min(before)
}

/// Leading tokens that all share.
pub(crate) fn alike(whole: &[(Vec<u32>, usize)]) -> usize {
    let Some((first, _)) = whole.first() else { return 0 };
    let common =
        |(ids, _): &(Vec<u32>, usize)| ids.iter().zip(first).take_while(|(a, b)| a == b).count();
    whole.iter().map(common).min().unwrap_or(0)
}

/// ln softmax(logits)[id], in nats: l - max - ln Σ exp(l' - max), in f64, the sum in the order of ids.
fn log_probability(logits: &[f32], id: u32) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| libm::exp(f64::from(logit) - largest)).sum();
    f64::from(logits[id as usize]) - largest - libm::log(sum)
}
