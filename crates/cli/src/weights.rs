//! A model directory, perhaps with an adapter, opened and ready to be laid out.

use crate::args::ModelArgs;
use anyhow::Result;
use model::{Base, Checkpoint, Config, Head, LoraConfig, Origin, Spec, Trained};
use ops::Numerics;
use std::path::Path;

/// How a model is held and computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Storage of the seven projections.
    pub(crate) base: Base,
    /// Storage of the head.
    pub(crate) head: Head,
    /// How products treat their operands.
    pub(crate) numerics: Numerics,
}

/// A model and perhaps an adapter, opened.
pub(crate) struct Source {
    /// The model's shape.
    pub(crate) config: Config,
    weights: Checkpoint,
    adapter: Option<(LoraConfig, Checkpoint)>,
    form: Form,
}

impl Source {
    /// Opens what the arguments name.
    ///
    /// # Errors
    /// As [`Source::at`].
    pub(crate) fn open(args: &ModelArgs) -> Result<Source> {
        let form = Form {
            base: args.quant.base(),
            head: Head::AsStored,
            numerics: args.numerics.numerics(),
        };
        Source::at(&args.model, args.adapter.as_deref(), form)
    }

    /// Opens the directories.
    ///
    /// # Errors
    /// A file that is missing, damaged or of something else than a Llama.
    pub(crate) fn at(model: &Path, adapter: Option<&Path>, form: Form) -> Result<Source> {
        let weights = Checkpoint::open(model)?;
        let config = weights.config()?;
        let adapter = adapter.map(LoraConfig::read).transpose()?;
        Ok(Source { config, weights, adapter, form })
    }

    /// What to lay out, for sequences of at most `positions` tokens.
    pub(crate) fn spec(&self, positions: usize) -> Spec {
        Spec {
            config: self.config.clone(),
            numerics: self.form.numerics,
            base: self.form.base,
            head: self.form.head,
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
