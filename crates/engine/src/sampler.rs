//! From logits to a token. Pure: the same logits, settings, seed and history give the same token.
//!
//! The filters apply in the order that transformers applies them in, which is the order that
//! [`Sampling`] promises:
//!
//! 1. *repetition penalty* (Keskar et al., "CTRL", 2019, §4.1): the logit l of every token that
//!    occurred, in the prompt or since, becomes l / penalty where l > 0 and l · penalty elsewhere;
//!    once, however often the token occurred;
//! 2. *temperature* T: weights w = exp((l - max l) / T). T = 0 takes the largest l instead, the lowest
//!    id among equals, and stops here;
//! 3. *top-k*: the k largest, the lower id first among equals;
//! 4. *top-p*: of what is left, the shortest run of largest weights that has at least the share p of
//!    their sum;
//! 5. *min-p*: of what is left, weights of at least the share p of the largest one.
//!
//! llama.cpp, unless told otherwise, applies the temperature last; with T = 1 both orders agree.
//!
//! The random number of a draw is a function of the seed and of the number of tokens that the request
//! drew before. What is left is walked in the order of ids, until the running sum of weights passes
//! that share of their total. All of this is in f64 with `libm`, and sums run in a stated order, so
//! that the token does not depend on the platform.

#[cfg(test)]
mod tests;

use crate::Result;
use crate::error::check_finite;
use std::cmp::Ordering;
use text::llm::Sampling;

/// A token that may still be drawn.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u32,
    /// The logit after the penalty, then exp of its distance to the largest.
    weight: f64,
}

/// Chooses the tokens of one request.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    /// One bit per token id: whether it occurred.
    seen: Vec<u64>,
    /// Tokens chosen so far.
    step: u64,
    /// Scratch, kept so that only the first draw allocates.
    candidates: Vec<Candidate>,
}

/// Most host bytes of a sampler over `vocab` tokens.
pub(crate) fn host_bytes(vocab: usize) -> usize {
    vocab.div_ceil(64) * size_of::<u64>() + vocab * size_of::<Candidate>()
}

impl Sampler {
    /// A sampler over `vocab` tokens that has seen `prompt`. The settings are those of a request
    /// that passed its check.
    ///
    /// # Panics
    /// When a token of the prompt lies outside of the vocabulary.
    pub fn new(sampling: Sampling, vocab: usize, prompt: &[u32]) -> Self {
        let seen = vec![0; vocab.div_ceil(64)];
        let mut sampler = Self { sampling, seen, step: 0, candidates: Vec::new() };
        for &id in prompt {
            assert!((id as usize) < vocab, "token id {id}");
            sampler.note(id);
        }
        sampler
    }

    /// The next token, given the logits (V) of the last one; of those that `mask` allows, at least
    /// one of them, 32 to a word, the lowest id in the lowest bit. It counts as seen from here on.
    ///
    /// # Errors
    /// When a logit is not finite; the error names the step and the token.
    pub fn choose(&mut self, logits: &[f32], mask: Option<&[u32]>) -> Result<u32> {
        check_finite(logits, self.step)?;
        let id = if self.sampling.temperature == 0.0 {
            likeliest((0..).zip(logits).map(|(id, &logit)| match allows(mask, id) {
                true => self.penalized(id, logit),
                false => f64::NEG_INFINITY,
            }))
        } else {
            self.filter(logits, mask);
            self.draw()
        };
        self.step += 1;
        self.note(id);
        Ok(id)
    }

    /// Counts a token that was not chosen as seen.
    pub(crate) fn note(&mut self, id: u32) {
        self.seen[id as usize / 64] |= 1 << (id % 64);
    }

    fn penalized(&self, id: u32, logit: f32) -> f64 {
        let (logit, penalty) = (f64::from(logit), f64::from(self.sampling.repetition_penalty));
        match (self.seen[id as usize / 64] >> (id % 64)) & 1 {
            0 => logit,
            _ if logit > 0.0 => logit / penalty,
            _ => logit * penalty,
        }
    }

    /// Leaves in `candidates` what may be drawn, in the order of ids, with its weight.
    fn filter(&mut self, logits: &[f32], mask: Option<&[u32]>) {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        let allowed = (0..).zip(logits).filter(|(id, _)| allows(mask, *id));
        candidates.extend(allowed.map(|(id, &logit)| {
            let weight = self.penalized(id, logit);
            Candidate { id, weight }
        }));
        let sampling = &self.sampling;
        if let Some(k) = sampling.top_k.filter(|&k| k < candidates.len()) {
            candidates.select_nth_unstable_by(k - 1, likelier);
            candidates.truncate(k);
            candidates.sort_unstable_by_key(|candidate| candidate.id);
        }
        let largest = candidates.iter().fold(f64::NEG_INFINITY, |most, c| most.max(c.weight));
        let temperature = f64::from(sampling.temperature);
        for Candidate { weight, .. } in &mut candidates {
            *weight = libm::exp((*weight - largest) / temperature);
        }
        if sampling.top_p < 1.0 {
            keep_share(&mut candidates, f64::from(sampling.top_p));
            candidates.sort_unstable_by_key(|candidate| candidate.id);
        }
        // The largest weight is exp(0), which is 1.
        let least = f64::from(sampling.min_p);
        candidates.retain(|candidate| candidate.weight >= least);
        self.candidates = candidates;
    }

    fn draw(&self) -> u32 {
        let total: f64 = self.candidates.iter().map(|candidate| candidate.weight).sum();
        let target = unit(self.sampling.seed, self.step) * total;
        let mut sum = 0.0;
        let passed = self.candidates.iter().find(|candidate| {
            sum += candidate.weight;
            sum > target
        });
        // The product may round up to the total; then it is the last one that has a weight.
        let last = || self.candidates.iter().rev().find(|candidate| candidate.weight > 0.0);
        passed.or_else(last).expect("the likeliest token is never filtered out").id
    }
}

fn allows(mask: Option<&[u32]>, id: u32) -> bool {
    mask.is_none_or(|words| {
        words.get(id as usize / 32).is_some_and(|word| (word >> (id % 32)) & 1 == 1)
    })
}

/// The index of the largest value, the lowest among equals.
pub(crate) fn likeliest(values: impl Iterator<Item = f64>) -> u32 {
    let mut best = (0, f64::NEG_INFINITY);
    for (id, value) in (0..).zip(values) {
        if value > best.1 {
            best = (id, value);
        }
    }
    best.0
}

/// The larger weight first, then the lower id.
fn likelier(a: &Candidate, b: &Candidate) -> Ordering {
    b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id))
}

/// Keeps the fewest candidates of largest weight that have at least `share` of the sum of weights.
/// They are few as a rule, so stretches of growing length are sorted instead of the whole list.
fn keep_share(candidates: &mut Vec<Candidate>, share: f64) {
    let enough = share * candidates.iter().map(|candidate| candidate.weight).sum::<f64>();
    let (mut sorted, mut sum) = (0, 0.0);
    while sorted < candidates.len() {
        let end = (sorted * 8).max(64).min(candidates.len());
        if end < candidates.len() {
            candidates[sorted..].select_nth_unstable_by(end - sorted, likelier);
        }
        candidates[sorted..end].sort_unstable_by(likelier);
        for index in sorted..end {
            sum += candidates[index].weight;
            if sum >= enough {
                candidates.truncate(index + 1);
                return;
            }
        }
        sorted = end;
    }
}

/// Uniform in [0, 1): number `step` of the stream that `seed` names.
fn unit(seed: u64, step: u64) -> f64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    // The seed is mixed first, so that streams of neighbouring seeds are not shifted copies.
    let bits = mix(mix(seed).wrapping_add(step.wrapping_add(1).wrapping_mul(GAMMA)));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// SplitMix64's output function (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
