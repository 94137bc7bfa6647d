//! Which tensors a base may hold, and what storage its files and the user's wishes come to.

use super::stored::{ABSMAX, NESTED_ABSMAX, NESTED_QUANT_MAP, QUANT_MAP, QUANT_STATE, SCALES};
use super::{Checkpoint, Kind, Wide};
use crate::gguf::FREQUENCIES;
use crate::lora::Projection;
use crate::{Base, Config, Error, Head, Result};
use rayon::prelude::*;

/// The name of the embedding.
pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
/// The name of a head of its own.
pub(crate) const HEAD: &str = "lm_head.weight";
/// The name of the last norm.
pub(crate) const NORM: &str = "model.norm.weight";

/// Elements compared at a time: whole blocks of every storage.
const COMPARED: usize = 1 << 16;

/// The name of a block's weight.
pub(crate) fn in_layer(layer: usize, module: &str) -> String {
    format!("model.layers.{layer}.{module}.weight")
}

impl Config {
    /// The tensor that the head's values are in.
    pub(crate) fn head_name(&self) -> &'static str {
        if self.tied { EMBEDDING } else { HEAD }
    }
}

impl Checkpoint {
    /// What storage of projections and head these files come to where `base` and `head` are asked
    /// for: a base that is in 4 bits already has a name, as has a head in 8 bits.
    ///
    /// # Errors
    /// When a projection is stored in 4 bits of another kind than asked for.
    pub fn form(&self, config: &Config, base: Base, head: Head) -> Result<(Base, Head)> {
        let mut common = None;
        for layer in 0..config.layers {
            for projection in Projection::ALL {
                let name = in_layer(layer, projection.path());
                let own = self.stored_base(&name);
                if own.is_some() && base != Base::AsStored && own != Some(base) {
                    self.stored(&name, projection.shape(config))?.check_base(base)?;
                }
                let own = own.unwrap_or(Base::AsStored);
                common = Some(if *common.get_or_insert(own) == own { own } else { Base::AsStored });
            }
        }
        let base = if base == Base::AsStored { common.unwrap_or(base) } else { base };
        let eight = self.has(&format!("{}{SCALES}", config.head_name()));
        Ok((base, if eight { Head::EightBit } else { head }))
    }

    /// Whether the weight of that name is neither in 4 bits nor in blocks.
    pub fn is_dense(&self, name: &str) -> bool {
        let blocks = self.entry(name).is_ok_and(|entry| matches!(entry.kind, Kind::Blocks(..)));
        self.stored_base(name).is_none() && !blocks
    }

    /// Refuses a base that holds something this program would leave out; the copy of a tied head is not
    /// missed.
    ///
    /// # Errors
    /// The first such tensor, or a head that is no copy.
    pub(crate) fn check_unused(&self, config: &Config) -> Result<()> {
        match self.names().find(|name| !self.is_used(name, config.layers)) {
            None => self.check_tied(config),
            Some(name) => {
                let message = "belongs to nothing that config.json describes";
                Err(Error::tensor(self.place(), name, message))
            }
        }
    }

    /// Refuses a head of its own in a model whose configuration says that the head is the embedding: which
    /// of the two is meant cannot be told where their values differ.
    fn check_tied(&self, config: &Config) -> Result<()> {
        if !config.tied || !self.has(HEAD) {
            return Ok(());
        }
        let shape = [config.vocab, config.hidden];
        let (table, head) = (self.stored(EMBEDDING, shape)?, self.stored(HEAD, shape)?);
        let (one, other) = (table.tensor(), head.tensor());
        let dense = table.is_dense() && head.is_dense() && one.dtype == other.dtype;
        let elements = shape[0] * shape[1];
        let same = |part: usize| {
            let first = part * COMPARED;
            let len = COMPARED.min(elements - first);
            let range = first * one.dtype.size()..(first + len) * one.dtype.size();
            let bytes = || one.bytes.bytes()[range.clone()] == other.bytes.bytes()[range.clone()];
            // Codes mean nothing without their scales; zeros of both signs are one.
            dense && bytes() || {
                let (mut left, mut right) = (vec![0.0; len], vec![0.0; len]);
                table.widen(first, &mut left);
                head.widen(first, &mut right);
                left == right
            }
        };
        if (0..elements.div_ceil(COMPARED)).into_par_iter().all(same) {
            return Ok(());
        }
        Err(other.refuse(format!(
            "differs from {EMBEDDING}, but config.json has tie_word_embeddings true, expected a copy or none\n\
             hint: where the model has a head of its own, set tie_word_embeddings to false in config.json"
        )))
    }

    /// Refuses an adapter that holds something beside these tensors, which this program would leave
    /// out.
    ///
    /// # Errors
    /// The first such tensor.
    pub(crate) fn check_known<'a>(&self, known: impl Iterator<Item = &'a str>) -> Result<()> {
        let known: std::collections::BTreeSet<&str> = known.collect();
        match self.names().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => {
                let message = "belongs to no module that adapter_config.json adapts in this model";
                Err(Error::tensor(self.place(), name, message))
            }
        }
    }

    fn is_used(&self, name: &str, layers: usize) -> bool {
        let name = self.weight_of(name);
        let Some(rest) = name.strip_prefix("model.layers.") else {
            // The frequencies' divisors of a GGUF file are in its shape.
            return [EMBEDDING, NORM, HEAD, FREQUENCIES].contains(&name);
        };
        let Some((layer, part)) = rest.split_once('.') else { return false };
        // Older exports store the frequencies, which follow from the configuration.
        let module = part.strip_suffix(".weight").unwrap_or(part);
        let others =
            ["input_layernorm", "post_attention_layernorm", "self_attn.rotary_emb.inv_freq"];
        layer.parse::<usize>().is_ok_and(|layer| layer < layers)
            && (others.contains(&module) || Projection::ALL.iter().any(|p| p.path() == module))
            && (part.ends_with(".weight") || part.ends_with(".inv_freq"))
    }

    /// The weight that a tensor is a part of: its own name where it is none of another one.
    fn weight_of<'a>(&self, name: &'a str) -> &'a str {
        let four = [ABSMAX, QUANT_MAP, NESTED_ABSMAX, NESTED_QUANT_MAP, QUANT_STATE];
        let of = |suffix: &str, mark: &str| {
            name.strip_suffix(suffix).filter(|weight| self.has(&format!("{weight}{mark}")))
        };
        let tables = |weight: &&str| [EMBEDDING, HEAD].contains(weight);
        let whole = four.iter().find_map(|suffix| of(suffix, QUANT_STATE));
        whole.or(of(SCALES, SCALES).filter(tables)).unwrap_or(name)
    }
}
