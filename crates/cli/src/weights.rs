//! A model directory, perhaps with an adapter, opened and ready to be laid out.

use crate::args::ModelArgs;
use anyhow::Result;
use model::{Base, Checkpoint, Config, Head, LoraConfig, Origin, Spec, Trained};
use ops::Numerics;

/// What the arguments name, opened.
pub(crate) struct Source {
    /// The model's shape.
    pub(crate) config: Config,
    weights: Checkpoint,
    adapter: Option<(LoraConfig, Checkpoint)>,
    base: Base,
    numerics: Numerics,
}

impl Source {
    /// Opens the directories.
    ///
    /// # Errors
    /// A file that is missing, damaged or of something else than a Llama.
    pub(crate) fn open(args: &ModelArgs) -> Result<Source> {
        let weights = Checkpoint::open(&args.model)?;
        let config = weights.config()?;
        let adapter = args.adapter.as_deref().map(LoraConfig::read).transpose()?;
        let (base, numerics) = (args.quant.base(), args.numerics.numerics());
        Ok(Source { config, weights, adapter, base, numerics })
    }

    /// What to lay out, for sequences of at most `positions` tokens.
    pub(crate) fn spec(&self, positions: usize) -> Spec {
        Spec {
            config: self.config.clone(),
            numerics: self.numerics,
            base: self.base,
            head: Head::AsStored,
            trained: Trained::Nothing(self.adapter.as_ref().map(|(lora, _)| lora.clone())),
            positions,
        }
    }

    /// Where the values come from.
    pub(crate) fn origin(&self) -> Origin<'_> {
        let adapter = self.adapter.as_ref().map(|(_, checkpoint)| checkpoint);
        Origin { weights: Some(&self.weights), adapter, seed: 0 }
    }
}
