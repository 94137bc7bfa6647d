//! How an adapter or a model was trained: the part of its [`Record`] with the settings that decide the
//! bits of what is computed with it.

use crate::job::Identity;
use crate::recipe::{HeadKind, NumericsKind};
use crate::record::is_hash;
use crate::{Error, Job, Record, Result};
use model::lora::Projection;
use model::{Base, Checkpoint, Config, Head};
use ops::{DType, Device, Isa, Numerics, Target};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a tier of a GPU begins with; the compute capability follows.
const GPU_TIER: &str = "cuda-sm";

/// How an adapter or a model was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// How products treated their operands.
    numerics: NumericsKind,
    /// How the seven projections were stored.
    base: Storage,
    /// How the output head was stored.
    head: HeadKind,
    /// The tier that it was trained on, see [`tier()`].
    tier: String,
    /// The recipe's.
    seed: u64,
    /// Steps of the optimizer behind it.
    step: u64,
    /// What the run read.
    pub(crate) inputs: Identity,
    /// SHA-256 of the chat template that the data set was written with, or `none`; absent in records of
    /// version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<String>,
    /// SHA-256 of the run's `resolved.toml`; absent in records of version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recipe: Option<String>,
}

/// How the projections were stored. [`Base::AsStored`] is told by the types in the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Storage {
    #[serde(rename = "f32")]
    F32,
    #[serde(rename = "bf16")]
    Bf16,
    #[serde(rename = "f16")]
    F16,
    /// Not all in one type.
    #[serde(rename = "mixed")]
    Mixed,
    #[serde(rename = "nf4")]
    Nf4,
    #[serde(rename = "nf4-dq")]
    Nf4Double,
}

impl Storage {
    /// What the run of a job uses.
    fn of(job: &Job) -> Result<Storage> {
        let spec = job.spec();
        Ok(match (spec.base, job.weights()) {
            (Base::Nf4, _) => Storage::Nf4,
            (Base::Nf4Double, _) => Storage::Nf4Double,
            (Base::AsStored, Some(weights)) if job.lora().is_some() => {
                Storage::in_files(weights, &spec.config)?
            }
            // Where every weight is trained, products see copies of the masters.
            (Base::AsStored, _) if spec.numerics != Numerics::F32 => Storage::Bf16,
            (Base::AsStored, _) => Storage::F32,
        })
    }

    fn in_files(weights: &Checkpoint, config: &Config) -> Result<Storage> {
        let mut found = None;
        for layer in 0..config.layers {
            for projection in Projection::ALL {
                let name = format!("model.layers.{layer}.{}.weight", projection.path());
                if !weights.is_dense(&name) {
                    // Were all projections in 4 bits alike, the base would have that name.
                    return Ok(Storage::Mixed);
                }
                let own = match weights.tensor(&name, &projection.shape(config))?.dtype {
                    DType::F32 => Storage::F32,
                    DType::Bf16 => Storage::Bf16,
                    _ => Storage::F16,
                };
                if *found.get_or_insert(own) != own {
                    return Ok(Storage::Mixed);
                }
            }
        }
        Ok(found.unwrap_or(Storage::Mixed))
    }

    fn base(self) -> Base {
        match self {
            Storage::Nf4 => Base::Nf4,
            Storage::Nf4Double => Base::Nf4Double,
            Storage::F32 | Storage::Bf16 | Storage::F16 | Storage::Mixed => Base::AsStored,
        }
    }
}

/// The name of a target's tier: that of the CPU's instruction set, or `cuda-sm86`.
pub fn tier(target: Target) -> String {
    match target.device {
        Device::Cpu { isa, .. } => isa.name().to_owned(),
        Device::Cuda { sm } => format!("{GPU_TIER}{sm}"),
    }
}

/// Whether two tiers give the same bits: one and the same, and in f32 all of the CPU.
pub(crate) fn tiers_agree(numerics: Numerics, one: &str, other: &str) -> bool {
    let cpu = |name| Isa::from_name(name).is_some();
    one == other || (numerics == Numerics::F32 && cpu(one) && cpu(other))
}

impl Provenance {
    /// Of what a job has trained after `step` steps on `target`.
    pub(crate) fn new(job: &Job, target: Target, step: u64) -> Result<Provenance> {
        let recipe = job.recipe();
        Ok(Provenance {
            numerics: recipe.model.numerics,
            base: Storage::of(job)?,
            head: job.spec().head.into(),
            tier: tier(target),
            seed: recipe.seed,
            step,
            inputs: job.identity()?.clone(),
            template: Some(job.dataset().template_hash().unwrap_or("none").to_owned()),
            recipe: Some(files::sha256(recipe.to_toml().as_bytes())),
        })
    }

    /// The same, trained on the tier of `other`: a run in f32 may have gone on on another one.
    pub(crate) fn on_tier_of(self, other: &Provenance) -> Provenance {
        Provenance { tier: other.tier.clone(), ..self }
    }

    /// Reads that of a directory; none where there is no record, as other programs write none, or one
    /// of something that was not trained here.
    ///
    /// # Errors
    /// As [`Record::read`].
    pub fn read(directory: &Path) -> Result<Option<Provenance>> {
        Ok(Record::read(directory)?.and_then(Record::into_training))
    }

    /// What no version of this program writes, in words.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        let gpu =
            |name: &str| name.strip_prefix(GPU_TIER).is_some_and(|sm| sm.parse::<u16>().is_ok());
        if Isa::from_name(&self.tier).is_none() && !gpu(&self.tier) {
            return Err(format!("tier is {:?}, which is none", self.tier));
        }
        if !self.inputs.is_well_formed() {
            return Err("inputs has a part that is no SHA-256".to_owned());
        }
        if !self.template.as_deref().is_none_or(|it| it == "none" || is_hash(it)) {
            return Err("template is no SHA-256".to_owned());
        }
        if !self.recipe.as_deref().is_none_or(is_hash) {
            return Err("recipe is no SHA-256".to_owned());
        }
        Ok(())
    }

    /// How products treated their operands.
    pub fn numerics(&self) -> Numerics {
        self.numerics.into()
    }

    /// How the seven projections were stored.
    pub fn base(&self) -> Base {
        self.base.base()
    }

    /// How the output head was stored.
    pub fn head(&self) -> Head {
        self.head.into()
    }

    /// SHA-256 of the tokenizer that made the data set, where there was one.
    pub fn tokenizer(&self) -> Option<&str> {
        Some(self.inputs.tokenizer.as_str()).filter(|it| *it != "none")
    }

    /// Refuses to use the adapter in `directory` over a model with another [`crate::fingerprint()`].
    ///
    /// # Errors
    /// As said.
    pub fn check_model(&self, directory: &Path, fingerprint: &str) -> Result<()> {
        if self.inputs.model == fingerprint {
            return Ok(());
        }
        let message = format!(
            "is an adapter for another base: that has the fingerprint {}, the one given {}\nhint: give the base that it was trained over",
            short(&self.inputs.model),
            short(fingerprint)
        );
        Err(Error::mismatch(directory, message))
    }

    /// What differs between how it was trained and how it is used, in words.
    pub fn differences(
        &self,
        (numerics, base, head): (Numerics, Base, Head),
        tier: &str,
    ) -> Vec<String> {
        let (own_base, own_head) = (self.base(), self.head());
        let mut parts = vec![
            ("numerics", self.numerics().name(), numerics.name()),
            ("base", own_base.name(), base.name()),
            ("head", own_head.name(), head.name()),
        ];
        if !tiers_agree(numerics, &self.tier, tier) {
            parts.push(("tier", &self.tier, tier));
        }
        let differing = parts.into_iter().filter(|(_, trained, used)| trained != used);
        differing
            .map(|(name, trained, used)| format!("trained with {name} {trained}, used with {used}"))
            .collect()
    }
}

/// The beginning of a hash, enough for people.
pub(crate) fn short(hash: &str) -> &str {
    &hash[..hash.len().min(12)]
}

#[cfg(test)]
mod tests;
