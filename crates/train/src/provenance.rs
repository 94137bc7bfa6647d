//! `srek.json`: the record beside every adapter, model and checkpoint of how it came about, with the
//! settings that decide the bits of what is computed with it.

use crate::job::Identity;
use crate::recipe::{HeadKind, NumericsKind};
use crate::{Error, Job, Result, versioned};
use model::lora::Projection;
use model::{Base, Checkpoint, Config, Head};
use ops::{DType, Device, Isa, Numerics, Target};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Its name.
pub(crate) const FILE: &str = "srek.json";
/// Version of the format.
const VERSION: u32 = 1;
/// The largest one that is read.
const LIMIT_BYTES: u64 = 1 << 20;
/// What a tier of a GPU begins with; the compute capability follows.
const GPU_TIER: &str = "cuda-sm";

/// How an adapter or a model came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    version: u32,
    /// Version of the program that wrote it.
    srek: String,
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
    inputs: Identity,
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
            (Base::AsStored, _) if spec.numerics == Numerics::Bf16 => Storage::Bf16,
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
pub(crate) fn tier(target: Target) -> String {
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
            version: VERSION,
            srek: env!("CARGO_PKG_VERSION").to_owned(),
            numerics: recipe.model.numerics,
            base: Storage::of(job)?,
            head: job.spec().head.into(),
            tier: tier(target),
            seed: recipe.seed,
            step,
            inputs: job.identity()?.clone(),
        })
    }

    /// Writes it into a directory.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(self).expect("a record is plain data");
        json.push(b'\n');
        Ok(files::write_atomic(directory.join(FILE), |out| out.write_all(&json))?)
    }

    /// Reads that of a directory; none where there is no such file, as other programs write none.
    ///
    /// # Errors
    /// A file that cannot be read, or says what no version of this program wrote.
    pub fn read(directory: &Path) -> Result<Option<Provenance>> {
        let file = directory.join(FILE);
        if matches!(file.symlink_metadata(), Err(e) if e.kind() == std::io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let text = files::read_to_string(&file, LIMIT_BYTES)?;
        let wrong = |message: String| {
            let hint = "hint: without the file, the settings are those of the command line";
            Error::mismatch(&file, format!("not a record of srek: {message}\n{hint}"))
        };
        let record: Provenance = versioned::parse(&text, VERSION).map_err(wrong)?;
        let gpu =
            |name: &str| name.strip_prefix(GPU_TIER).is_some_and(|sm| sm.parse::<u16>().is_ok());
        if Isa::from_name(&record.tier).is_none() && !gpu(&record.tier) {
            return Err(wrong(format!("tier is {:?}, which is none", record.tier)));
        }
        if !record.inputs.is_well_formed() {
            return Err(wrong("inputs has a part that is no SHA-256".to_owned()));
        }
        Ok(Some(record))
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
fn short(hash: &str) -> &str {
    &hash[..hash.len().min(12)]
}

#[cfg(test)]
mod tests;
