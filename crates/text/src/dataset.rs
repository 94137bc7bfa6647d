//! A data set: tokenized documents in memory-mapped shards, built once and read many times.
//!
//! A data set is a directory with `data-00000.shard`, `data-00001.shard`, … (see `dataset/format.rs`
//! for their bytes) and `dataset.json`, which counts and names them. [`build()`] makes it from files,
//! [`Dataset::open`] trusts none of it: versions, lengths, checksums and every number inside are
//! checked before the first document is given out, and a document is then two slices of the map.

use crate::record::Time;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod build;
mod clean;
mod encode;
mod format;
mod pieces;
mod refusals;
mod shard;
mod similar;
mod split;
#[cfg(test)]
mod tests;

pub use build::{BuildOptions, Report, build, clean_texts};
pub use clean::Secrets;
pub use encode::{LongDocument, Vocabulary};
pub use refusals::{LeftOut, Refusal, Refused};
pub use similar::{Alike, Duplicate, Duplicates};
pub use split::Split;

use shard::Shard;

/// The file that names the shards.
const MANIFEST: &str = "dataset.json";

/// The form of `dataset.json` that is written and read.
const MANIFEST_VERSION: u64 = 5;

/// Largest `dataset.json` that is read: enough for 300 000 shards.
const MANIFEST_LIMIT_BYTES: u64 = 64 << 20;

/// The file name of a shard.
fn shard_name(number: usize) -> String {
    format!("data-{number:05}.shard")
}

/// What `dataset.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u64,
    /// Tokens that no document exceeds.
    context: u32,
    /// One more than the largest id that may occur.
    vocab_size: u32,
    /// Hash of the tokenizer; none where the documents came as token ids.
    tokenizer_sha256: Option<String>,
    /// Hash of the chat template; none where conversations went through none.
    template_sha256: Option<String>,
    documents: u64,
    tokens: u64,
    trained_tokens: u64,
    /// How many of each kind were masked; none where secrets were refused.
    redacted: Option<BTreeMap<String, u64>>,
    /// Records that came as token ids and could not be looked through.
    unchecked_records: u64,
    /// Records that said the same as one before and were left out; none where they were kept.
    removed_duplicates: Option<u64>,
    /// Groups that are one, because records in them are alike.
    joined_groups: Vec<[u64; 2]>,
    /// Records that were left out for what is wrong with them; none where they were an error.
    refused: Option<LeftOut>,
    shards: Vec<ShardEntry>,
    /// Of all the rest; see [`Manifest::checksum`].
    sha256: String,
}

impl Manifest {
    /// The hash of the description as JSON without blanks, its `sha256` empty.
    fn checksum(&self) -> String {
        let rest = Self { sha256: String::new(), ..self.clone() };
        files::sha256(&serde_json::to_vec(&rest).expect("counts and names are JSON"))
    }
}

/// What `dataset.json` says of one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShardEntry {
    file: String,
    documents: u64,
    tokens: u64,
    trained_tokens: u64,
    /// Of the whole file, so that `sha256sum` says the same.
    sha256: String,
}

/// One document of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doc<'a> {
    /// Token ids, T of them, each below the vocabulary's size; 1 <= T <= context.
    pub ids: &'a [u32],
    /// T labels, unshifted: `labels[t]` belongs to `ids[t]`, and is predicted from `ids[..t]`. -100
    /// is not trained, and the first one always is -100: nothing precedes it.
    pub labels: &'a [i32],
    /// Where it came from: a file, a line of a file, or its own id, with `#1`, `#2`, … behind it
    /// for the parts of a document that was split.
    pub source: &'a str,
}

/// A data set that was opened and found whole.
#[derive(Debug)]
pub struct Dataset {
    manifest: Manifest,
    hash: String,
    shards: Vec<Shard>,
    /// For each shard the documents in the shards before it.
    starts: Vec<usize>,
}

impl Dataset {
    /// Opens a data set and checks all of it, in parallel over the shards.
    ///
    /// # Errors
    /// A file that is missing, damaged, of another version or not part of this data set, or a data
    /// set from which nothing can be learned.
    pub fn open(directory: &Path) -> Result<Self> {
        files::recover_dir(directory)?;
        let path = directory.join(MANIFEST);
        let bytes = files::read(&path, MANIFEST_LIMIT_BYTES)?;
        let wrong = |problem: String| Error::Dataset { path: path.clone(), problem };
        let manifest = read_manifest(&bytes).map_err(wrong)?;
        check_manifest(&manifest).map_err(wrong)?;
        let opened: Vec<Result<Shard>> = manifest
            .shards
            .par_iter()
            .map(|entry| open_shard(&directory.join(&entry.file), entry, &manifest))
            .collect();
        let shards = opened.into_iter().collect::<Result<Vec<_>>>()?;
        let mut documents = 0;
        let starts = shards
            .iter()
            .map(|shard| {
                let start = documents;
                documents += shard.len();
                start
            })
            .collect();
        if manifest.trained_tokens == 0 {
            return Err(Error::NothingTrained {
                from: directory.display().to_string(),
                documents: manifest.documents,
                tokens: manifest.tokens,
            });
        }
        Ok(Self { manifest, hash: files::sha256(&bytes), shards, starts })
    }

    /// The number of documents, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a data set without a document cannot exist")]
    pub fn len(&self) -> usize {
        self.manifest.documents as usize
    }

    /// A document, straight from the map.
    ///
    /// # Panics
    /// If `index` is not below [`Dataset::len`].
    pub fn doc(&self, index: usize) -> Doc<'_> {
        assert!(index < self.len(), "document {index} of {}", self.len());
        let shard = self.starts.partition_point(|&start| start <= index) - 1;
        self.shards[shard].doc(index - self.starts[shard])
    }

    /// All documents in order.
    pub fn docs(&self) -> impl Iterator<Item = Doc<'_>> {
        self.shards.iter().flat_map(|shard| (0..shard.len()).map(|index| shard.doc(index)))
    }

    /// The number of tokens of every document.
    pub fn lengths(&self) -> Vec<u32> {
        self.docs().map(|doc| doc.ids.len() as u32).collect()
    }

    /// When what each document tells of happened, where it says so.
    pub fn times(&self) -> impl Iterator<Item = Option<Time>> {
        self.shards.iter().flat_map(Shard::times)
    }

    /// Tokens of all documents.
    pub fn total_tokens(&self) -> u64 {
        self.manifest.tokens
    }

    /// Tokens that are trained: those whose label is not -100. At least 1.
    pub fn trained_tokens(&self) -> u64 {
        self.manifest.trained_tokens
    }

    /// Tokens that no document exceeds.
    pub fn context(&self) -> u32 {
        self.manifest.context
    }

    /// Ids and labels are below this.
    pub fn vocab_size(&self) -> u32 {
        self.manifest.vocab_size
    }

    /// The hash of the tokenizer that made the tokens; `None` where they came as token ids.
    pub fn tokenizer_hash(&self) -> Option<&str> {
        self.manifest.tokenizer_sha256.as_deref()
    }

    /// The hash of the chat template that conversations went through; `None` without one.
    pub fn template_hash(&self) -> Option<&str> {
        self.manifest.template_sha256.as_deref()
    }

    /// Records that were left out when it was built, because they were too long, had secrets or were
    /// malformed; `None` where such records were an error.
    pub fn refused(&self) -> Option<&LeftOut> {
        self.manifest.refused.as_ref()
    }

    /// A SHA-256 that names this data set with all its content.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// Reads the description. Its version comes first: another one has other fields.
fn read_manifest(bytes: &[u8]) -> std::result::Result<Manifest, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u64,
    }
    let wrong = |error| format!("not a data set's description: {error}");
    let Versioned { version } = serde_json::from_slice(bytes).map_err(wrong)?;
    if version != MANIFEST_VERSION {
        return Err(format!(
            "version {version}, expected {MANIFEST_VERSION}\nhint: build the data set anew"
        ));
    }
    serde_json::from_slice(bytes).map_err(wrong)
}

/// What can be checked before any shard is opened.
fn check_manifest(manifest: &Manifest) -> std::result::Result<(), String> {
    if manifest.sha256 != manifest.checksum() {
        return Err("it was changed after it was written\nhint: build the data set anew".to_owned());
    }
    if manifest.shards.is_empty() {
        return Err("it names no shard".to_owned());
    }
    let mut sums = [0_u64; 3];
    for (number, entry) in manifest.shards.iter().enumerate() {
        // Also keeps paths that lead out of the directory away.
        if entry.file != shard_name(number) {
            return Err(format!(
                "shard {number} is {:?}, expected {}",
                entry.file,
                shard_name(number)
            ));
        }
        let counts = [entry.documents, entry.tokens, entry.trained_tokens];
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum = sum.checked_add(count).ok_or("its counts are beyond 64 bits")?;
        }
    }
    let totals = [manifest.documents, manifest.tokens, manifest.trained_tokens];
    if sums != totals {
        return Err(format!("the shards sum to {sums:?}, the totals are {totals:?}"));
    }
    Ok(())
}

fn open_shard(path: &Path, entry: &ShardEntry, manifest: &Manifest) -> Result<Shard> {
    let shard = Shard::open(path)?;
    let header = shard.header();
    let belongs = shard.sha256() == entry.sha256
        && (header.documents, header.tokens, header.trained)
            == (entry.documents, entry.tokens, entry.trained_tokens)
        && (header.context, header.vocab_size) == (manifest.context, manifest.vocab_size)
        && header.tokenizer_hash == manifest.tokenizer_sha256;
    if !belongs {
        let problem = format!("it is whole, but not the shard that {MANIFEST} describes");
        return Err(wrong_shard(path, problem));
    }
    Ok(shard)
}

fn wrong_shard(path: &Path, problem: impl Into<String>) -> Error {
    Error::Dataset { path: PathBuf::from(path), problem: problem.into() }
}
