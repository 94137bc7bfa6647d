//! Models that are made up for a benchmark: their shapes, and random weights.

use super::cases::SEED;
use super::scratch::Scratch;
use crate::machine::Machine;
use anyhow::Result;
use model::{Base, Config, Embedding, Head, Model, Origin, Spec, Trained};
use ops::{Backend, Cpu, DType, Dry, Isa, Numerics, Target};
use std::path::PathBuf;

/// A model's shape under a name.
pub(super) struct Size {
    /// What rows call it.
    pub(super) name: &'static str,
    hidden: usize,
    ffn: usize,
    layers: usize,
    heads: usize,
    pub(super) vocab: usize,
}

/// The sizes, smallest first.
pub(super) const SIZES: [Size; 2] = [
    Size { name: "4M", hidden: 256, ffn: 704, layers: 4, heads: 4, vocab: 2048 },
    Size { name: "26M", hidden: 512, ffn: 1408, layers: 8, heads: 8, vocab: 4096 },
];

impl Size {
    fn config(&self) -> Config {
        Config {
            hidden: self.hidden,
            ffn: self.ffn,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.heads / 2,
            head_dim: self.hidden / self.heads,
            vocab: self.vocab,
            eps: 1e-5,
            rope_theta: 500_000.0,
            rope_scaling: None,
            tied: false,
            context: 8192,
            bos: None,
            eos: Vec::new(),
        }
    }

    /// Writes a checkpoint of random weights and returns its directory.
    pub(super) fn write(&self, machine: &Machine, scratch: &Scratch) -> Result<PathBuf> {
        let spec = Spec {
            config: self.config(),
            numerics: Numerics::Bf16,
            base: Base::AsStored,
            head: Head::AsStored,
            embedding: Embedding::OnDevice,
            trained: Trained::Everything,
            positions: 1,
        };
        let origin = Origin { weights: None, adapter: None, seed: SEED };
        let target = Target::cpu(Isa::detect(), machine.threads);
        let mut dry = Dry::new(target);
        Model::layout(&mut dry, &spec, &origin)?;
        let mut backend = Cpu::new(target, dry.trace().peak);
        let mut model = Model::layout(&mut backend, &spec, &origin)?;
        model.fill(&mut backend, &origin)?;
        let directory = scratch.path().join(self.name);
        files::create_dir_all(&directory)?;
        model::save::model(&mut backend, &model, DType::Bf16, &directory)?;
        Ok(directory)
    }
}
