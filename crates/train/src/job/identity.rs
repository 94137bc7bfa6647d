//! What the inputs of a run are: fingerprints that tell two runs apart.

use crate::{Error, Recipe, Result};
use files::{Map, Sha256};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use text::dataset::Dataset;

/// The largest file that is fingerprinted.
const LIMIT_BYTES: u64 = 1 << 44;
/// Bytes of a weight file's start that are hashed; its header with all names and shapes is there.
const START_BYTES: usize = 1 << 20;
/// Samples of the rest.
const SAMPLES: usize = 512;
/// Bytes of each.
const SAMPLE_BYTES: usize = 4096;

/// Hashes of what a run reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Of the model directory: `config.json` whole, of every weight file the size, the first MiB and
    /// 512 samples of 4 KiB, since hashing many gigabytes would delay every start. `new` where there
    /// is none.
    pub model: String,
    /// Of the adapter that training starts from, likewise; `new` where there is none.
    pub adapter: String,
    /// Of the tokenizer that made the data set; `none` where that came as token ids.
    pub tokenizer: String,
    /// Of the data set, with all its content.
    pub dataset: String,
}

impl Identity {
    /// Hashes the inputs of a recipe.
    ///
    /// # Errors
    /// A file that cannot be read, or a tokenizer that is not the one that made the data set.
    pub(super) fn new(
        recipe: &Recipe,
        dataset: &Dataset,
        tokenizer: Option<&Path>,
    ) -> Result<Identity> {
        if let (Some(path), Some(made_with)) = (tokenizer, dataset.tokenizer_hash()) {
            let found = files::sha256_file(path)?;
            if found != made_with {
                let message = format!(
                    "is not the tokenizer that made the data set {}: its hash is {found}, expected {made_with}\nhint: build the data set with this tokenizer",
                    recipe.data.directory.display()
                );
                return Err(Error::mismatch(path, message));
            }
        }
        let fingerprint = |directory: Option<&PathBuf>, config: &str| match directory {
            Some(directory) => fingerprint(directory, config),
            None => Ok("new".to_owned()),
        };
        Ok(Identity {
            model: fingerprint(recipe.model.directory.as_ref(), "config.json")?,
            adapter: fingerprint(recipe.model.adapter.as_ref(), "adapter_config.json")?,
            tokenizer: dataset.tokenizer_hash().unwrap_or("none").to_owned(),
            dataset: dataset.hash().to_owned(),
        })
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
}

/// Hashes a model or adapter directory.
fn fingerprint(directory: &Path, config: &str) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(files::sha256_file(directory.join(config))?.as_bytes());
    for path in weight_files(directory)? {
        let map = Map::open(&path, LIMIT_BYTES)?;
        hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update(&(map.len() as u64).to_le_bytes());
        let (start, rest) = map.split_at(START_BYTES.min(map.len()));
        hash.update(start);
        let stride = (rest.len() / SAMPLES).max(SAMPLE_BYTES);
        for sample in rest.chunks(stride) {
            hash.update(&sample[..SAMPLE_BYTES.min(sample.len())]);
        }
        // The end is where a copy that was cut short would differ.
        hash.update(&rest[rest.len().saturating_sub(SAMPLE_BYTES)..]);
    }
    Ok(hash.finish())
}

/// The safetensors files of a directory, sorted.
fn weight_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let io = |cause| files::Error::io(files::Operation::Read, directory)(cause);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|it| it == "safetensors") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
