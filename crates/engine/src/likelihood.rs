//! Log-probabilities of given tokens: how likely the model finds a continuation.

#[cfg(test)]
mod tests;

use crate::error::check_finite;
use crate::sampler::likeliest;
use crate::{Engine, EngineLayout, Error, Result};
use model::Token;
use ops::Backend;
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
            return Ok(LogLikelihood { sum: 0.0, tokens: 0, greedy: true });
        }
        let (slot, held) = self.take_slot(&ids)?;
        let likelihood = self.score(slot, &ids, context.len(), held)?;
        self.give_slot(slot, &ids[..ids.len() - 1]);
        Ok(likelihood)
    }

    /// The log-likelihood of each of these continuations, given as all tokens and how many of them
    /// are context: the bits of [`Engine::loglikelihood_of`] for each. What all contexts begin with
    /// is read once; the continuations then follow it one after another in the same slot, where
    /// each token sees only what stands before it.
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
        let (slot, held) = self.take_slot(first)?;
        let mut likelihoods = Vec::with_capacity(whole.len());
        for (index, (ids, scored)) in whole.iter().enumerate() {
            let cached = if index == 0 { held } else { shared };
            likelihoods.push(self.score(slot, ids, *scored, cached)?);
        }
        self.give_slot(slot, &first[..shared]);
        Ok(likelihoods)
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
        let mut likelihood = LogLikelihood { sum: 0.0, tokens: 0, greedy: true };
        // Nothing comes after the last token, and the one before the first scored one predicts it.
        let (end, predicting) = (ids.len() - 1, scored - 1);
        let mut start = held.min(predicting);
        while start < end {
            let stop = end.min(start + chunk).min(predicting.max(start) + serve.wanted());
            let pass: Vec<Token> = (start..stop)
                .map(|index| Token { id: ids[index], slot, position: index as u32 })
                .collect();
            let first = predicting.clamp(start, stop);
            let picks: Vec<u32> = (first..stop).map(|index| (index - start) as u32).collect();
            let logits = &mut self.logits[..picks.len() * vocab];
            serve.run(self.backend, self.model, cache, &pass, (&picks, logits))?;
            for (row, &id) in logits.chunks_exact(vocab).zip(&ids[first + 1..]) {
                check_finite(row, likelihood.tokens as u64)?;
                likelihood.sum += log_probability(row, id);
                likelihood.greedy &= likeliest(row.iter().copied().map(f64::from)) == id;
                likelihood.tokens += 1;
            }
            start = stop;
        }
        Ok(likelihood)
    }
}

/// Leading tokens that all share and that none needs the logits of: of the context, all but the
/// token that predicts the first scored one.
fn shared_prefix(whole: &[(Vec<u32>, usize)]) -> usize {
    let Some((first, _)) = whole.first() else { return 0 };
    let common = |(ids, scored): &(Vec<u32>, usize)| {
        let common = ids.iter().zip(first).take_while(|(a, b)| a == b).count();
        common.min(scored - 1)
    };
    whole.iter().map(common).min().unwrap_or(0)
}

/// ln softmax(logits)[id], in nats: l - max - ln Σ exp(l' - max), in f64, the sum in the order of ids.
fn log_probability(logits: &[f32], id: u32) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| libm::exp(f64::from(logit) - largest)).sum();
    f64::from(logits[id as usize]) - largest - libm::log(sum)
}
