//! The buffers of an engine, laid out before the first request.

#[cfg(test)]
mod tests;

use crate::{Error, Result};
use model::{Cache, Model, Serve, Token};
use ops::{Backend, Dry};

/// Logits rows that a pass has at least and at most for scoring, so that a text of many tokens takes
/// few passes; between them as many as take this many bytes.
const SCORED_ROWS: [usize; 2] = [32, 512];
const SCORED_BYTES: usize = 16 << 20;

/// Most slots that may be asked for: more would be a mistake, and fail for want of memory.
const MOST_SLOTS: usize = 1 << 10;
/// Most prompt tokens of a pass that may be asked for.
const MOST_PREFILL: usize = 1 << 16;

/// How much an engine does at a time. Nothing here changes what a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Sequences that run at once; further requests wait.
    pub slots: usize,
    /// Most tokens of a sequence, prompt and completion together.
    pub context: usize,
    /// Most prompt tokens that a pass takes beside the decoding sequences.
    pub prefill_chunk: usize,
}

impl EngineOptions {
    /// The usual prefill chunk: large enough for the products to run at full speed.
    pub const PREFILL_CHUNK: usize = 512;

    /// Options for `slots` sequences of at most `context` tokens, with the usual prefill chunk.
    pub fn new(slots: usize, context: usize) -> Self {
        Self { slots, context, prefill_chunk: Self::PREFILL_CHUNK }
    }

    fn check(&self, model: &Model) -> Result<()> {
        let wrong = |name, value, expected| Err(Error::Option { name, value, expected });
        let positions = model.spec().positions;
        if positions < 2 {
            let expected = "at least 2, a token of the prompt and one that follows";
            return wrong("the model's longest sequence", positions, expected.to_owned());
        }
        if !(2..=positions).contains(&self.context) {
            let expected = format!("2 to {positions}, the longest sequence of this model");
            return wrong("context", self.context, expected);
        }
        // Rows of the cache are counted in 32 bits.
        let most = MOST_SLOTS.min(u32::MAX as usize / self.context);
        if !(1..=most).contains(&self.slots) {
            return wrong("slots", self.slots, format!("1 to {most}"));
        }
        if !(1..=MOST_PREFILL).contains(&self.prefill_chunk) {
            return wrong("prefill_chunk", self.prefill_chunk, format!("1 to {MOST_PREFILL}"));
        }
        Ok(())
    }

    /// Most tokens of a pass. A sequence is either decoding or still reading its prompt, so the
    /// whole chunk and a token of every slot never meet.
    fn tokens(&self) -> usize {
        let chunk = self.prefill_chunk.min(self.slots * self.context);
        self.slots - 1 + chunk
    }
}

/// KV cache and serving pass of an engine.
#[derive(Clone, Debug)]
pub struct EngineLayout {
    pub(crate) options: EngineOptions,
    pub(crate) cache: Cache,
    pub(crate) serve: Serve,
}

impl EngineLayout {
    /// Lays out cache and pass on top of a laid-out model; it only allocates. On [`Dry`], followed
    /// by [`EngineLayout::rehearse`], this is the plan.
    ///
    /// # Errors
    /// When an option has no meaning for this model.
    pub fn layout<B: Backend>(
        backend: &mut B,
        model: &Model,
        options: EngineOptions,
    ) -> Result<EngineLayout> {
        options.check(model)?;
        let [least, most] = SCORED_ROWS;
        let fitting = SCORED_BYTES / (model.config().vocab * size_of::<f32>());
        let rows = options.slots.max(fitting.clamp(least, most).min(options.context));
        let cache = Cache::layout(backend, model, options.slots, options.context);
        let serve = Serve::layout(backend, model, &cache, options.tokens(), rows);
        Ok(EngineLayout { options, cache, serve })
    }

    /// Counts the largest pass, and with it the workspaces of every pass that can come.
    ///
    /// # Errors
    /// None on this backend; the pass itself may have some on others.
    pub fn rehearse(&mut self, dry: &mut Dry, model: &Model) -> Result<()> {
        let (tokens, rows) = (self.serve.tokens(), self.serve.wanted());
        let pass = vec![Token { id: 0, slot: 0, position: 0 }; tokens];
        let picks = vec![0; rows];
        let mut logits = vec![0.0; rows * model.config().vocab];
        self.serve.run(dry, model, &self.cache, &pass, (&picks, &mut logits))?;
        // On a device few tokens go through other kernels, whose workspaces can be larger.
        for few in 1..=tokens.min(ops::qlinear::FEW) {
            let picks = vec![0; few.min(rows)];
            self.serve.run(dry, model, &self.cache, &pass[..few], (&picks, &mut logits))?;
        }
        Ok(())
    }

    /// What it was laid out for.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Most host bytes that a running engine takes beside the backend's own: logits on their way
    /// to the samplers, the samplers, and token ids. Waiting requests and texts come on top.
    pub fn host_bytes(&self, model: &Model) -> usize {
        let vocab = model.config().vocab;
        let logits = self.serve.wanted() * vocab * size_of::<f32>();
        // Of the sequence, and what its slot holds.
        let ids = 2 * self.options.context * size_of::<u32>();
        let pass = self.serve.tokens() * size_of::<Token>();
        logits + pass + self.options.slots * (crate::sampler::host_bytes(vocab) + ids)
    }
}
