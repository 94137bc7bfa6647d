//! What the inputs of a run are: fingerprints that tell two runs apart.

use crate::record::is_hash;
use crate::{Error, Job, Recipe, Record, Result, fingerprint};
use model::Checkpoint;
use serde::{Deserialize, Serialize};
use std::path::Path;
use text::dataset::Dataset;

/// Hashes of what a run reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Of the model directory, see [`fingerprint()`]; `new` where there is none.
    pub model: String,
    /// Of the adapter that training starts from, likewise; `new` where there is none.
    pub adapter: String,
    /// SHA-256 of the tokenizer that made the data set; `none` where that came as token ids.
    pub tokenizer: String,
    /// Of the data set, with all its content.
    pub dataset: String,
}

impl Identity {
    /// Hashes the inputs of a job.
    ///
    /// # Errors
    /// A file that cannot be read, or an adapter to start from that was trained over another model
    /// or changed since.
    pub(super) fn new(job: &Job) -> Result<Identity> {
        let of = |weights: Option<&Checkpoint>, config: &str| match weights {
            Some(weights) => fingerprint(weights, config),
            None => Ok("new".to_owned()),
        };
        let identity = Identity {
            model: of(job.weights(), "config.json")?,
            adapter: of(job.adapter(), "adapter_config.json")?,
            tokenizer: job.dataset().tokenizer_hash().unwrap_or("none").to_owned(),
            dataset: job.dataset().hash().to_owned(),
        };
        if let Some(directory) = job.adapter().map(Checkpoint::directory)
            && let Some(record) = Record::read(directory)?
        {
            record.check_adapter(directory, &identity.model)?;
        }
        Ok(identity)
    }

    /// The names of what differs.
    pub(crate) fn differences(&self, other: &Identity) -> Vec<&'static str> {
        let parts = [
            ("model", &self.model, &other.model),
            ("adapter to start from", &self.adapter, &other.adapter),
            ("tokenizer", &self.tokenizer, &other.tokenizer),
            ("data set", &self.dataset, &other.dataset),
        ];
        parts.into_iter().filter(|(_, a, b)| a != b).map(|(name, ..)| name).collect()
    }

    /// Whether every part is a hash, or the word that stands for none.
    pub(crate) fn is_well_formed(&self) -> bool {
        let parts = [(&self.model, "new"), (&self.adapter, "new"), (&self.tokenizer, "none")];
        parts.into_iter().all(|(part, none)| part == none || is_hash(part))
            && is_hash(&self.dataset)
    }
}

/// Refuses a tokenizer that is not the one that made the data set.
///
/// # Errors
/// As said, or a file that cannot be read.
pub(super) fn check_tokenizer(
    recipe: &Recipe,
    dataset: &Dataset,
    tokenizer: Option<&Path>,
) -> Result<()> {
    let (Some(path), Some(made_with)) = (tokenizer, dataset.tokenizer_hash()) else {
        return Ok(());
    };
    let found = files::sha256_file(path)?;
    if found == made_with {
        return Ok(());
    }
    let message = format!(
        "is not the tokenizer that made the data set {}: its hash is {found}, expected {made_with}\nhint: build the data set with this tokenizer",
        recipe.data.directory.display()
    );
    Err(Error::mismatch(path, message))
}
