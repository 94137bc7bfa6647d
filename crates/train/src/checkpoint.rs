//! What a stopped run needs to go on: a directory that appears whole or not at all.
//!
//! `checkpoint-<step>/` holds the f32 master copies as a PEFT or model directory, `moments.safetensors`,
//! `srek.json` (see [`Record`]), and `state.json`: where the run stands, its tier, the recipe,
//! fingerprints of the inputs, the hash of every other file and its own, the seal. All random numbers are functions of
//! seed, epoch and position, so these are the random counters.

use crate::job::Identity;
use crate::trainer::Trainer;
use crate::{Error, Job, Record, Result, provenance, record, versioned};
use model::{Checkpoint, save};
use ops::{Backend, DType, Target};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod check;
mod seal;

pub(crate) use seal::verdict;

/// Version of `state.json`; that before is the same without a seal.
const VERSION: u32 = 3;
const BEFORE: u32 = 2;
/// The largest `state.json` that is read.
const LIMIT_BYTES: u64 = 4 << 20;
pub(crate) const STATE: &str = "state.json";
pub(crate) const MOMENTS: &str = "moments.safetensors";
const PREFIX: &str = "checkpoint-";

/// Keys of a recipe that change no bit of the result, or whose content the fingerprints cover.
const FREE_KEYS: [&str; 10] = [
    "checkpoint.every",
    "checkpoint.keep",
    "memory.policy",
    "memory.device_mib",
    "memory.host_mib",
    "memory.embedding",
    "data.directory",
    "model.directory",
    "model.tokenizer",
    "model.adapter",
];

/// Where a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Steps that are done.
    pub step: u64,
    /// The present epoch, counted from 0.
    pub epoch: u64,
    /// Micro-batches of it that are done.
    pub cursor: usize,
    /// Tokens that went through the model so far.
    pub tokens: u64,
    /// Tokens that were trained so far.
    pub trained_tokens: u64,
    /// Held-out loss before the first step.
    #[serde(with = "exact")]
    pub initial: Option<f64>,
    /// The lowest held-out loss after a step.
    pub best: Option<Best>,
    /// The latest held-out loss.
    #[serde(with = "exact")]
    pub held_out: Option<f64>,
    /// Evaluations since the lowest one.
    pub stale: u64,
}

/// The best evaluation so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Its step.
    pub step: u64,
    /// Its held-out loss.
    #[serde(with = "exact_one")]
    pub loss: f64,
}

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    state: State,
    /// The tier that it was trained on.
    tier: String,
    identity: Identity,
    /// The resolved recipe as TOML.
    recipe: String,
    /// SHA-256 of every other file, by name.
    files: BTreeMap<String, String>,
    /// Its own hash; of version 2 none.
    #[serde(default)]
    seal: Option<String>,
}

/// The tensors of a checkpoint.
#[derive(Debug)]
pub struct Weights {
    /// Everything trained, f32.
    pub(crate) trained: Checkpoint,
    /// Both moments of each.
    pub(crate) moments: Checkpoint,
}

/// The directory of a step's checkpoint.
pub(crate) fn directory(run: &Path, step: u64) -> PathBuf {
    run.join(format!("{PREFIX}{step}"))
}

/// Writes the checkpoint of `state` into the run's directory.
pub(crate) fn write<B: Backend>(
    backend: &mut B,
    job: &Job,
    trainer: &Trainer,
    state: &State,
    run: &Path,
) -> Result<PathBuf> {
    let path = directory(run, state.step);
    let record = Record::trained(job, backend.target(), state.step)?;
    files::write_dir_atomic(&path, |inside| -> Result<()> {
        match job.lora() {
            Some(lora) => save::adapter(backend, trainer.model(), lora, &job.base_name(), inside)?,
            None => save::model(backend, trainer.model(), DType::F32, inside)?,
        }
        let params = trainer.model().params();
        trainer.optimizer().save(backend, params, &inside.join(MOMENTS))?;
        // What a device that failed gave is not what was trained.
        backend.finish()?;
        let saved = Saved {
            version: VERSION,
            state: state.clone(),
            tier: provenance::tier(backend.target()),
            identity: job.identity()?.clone(),
            recipe: job.recipe().to_toml(),
            files: record.write(inside)?,
            seal: Some(seal::open()),
        };
        let json = serde_json::to_string_pretty(&saved).expect("a state is plain data");
        let json = seal::close(&json);
        files::write_atomic(inside.join(STATE), |out| out.write_all(json.as_bytes()))?;
        Ok(())
    })?;
    Ok(path)
}

/// What stands in a checkpoint beside `state.json`.
fn file_names(job: &Job) -> [&'static str; 4] {
    match job.lora() {
        Some(_) => ["adapter_model.safetensors", "adapter_config.json", MOMENTS, record::FILE],
        None => ["model.safetensors", "config.json", MOMENTS, record::FILE],
    }
}

/// Reads a checkpoint of this very job, to go on from it on `target`.
///
/// # Errors
/// When it is damaged, or belongs to another recipe, other inputs or another tier: what differs is
/// named.
pub(crate) fn read(path: &Path, job: &Job, target: Target) -> Result<(State, Weights)> {
    let (saved, text) = saved(path)?;
    check_belonging(&saved, path, job, target)?;
    check::state(&saved.state, job).map_err(|message| damaged(&path.join(STATE), &message))?;
    check_files(&saved, path, job)?;
    seal::check(&saved, &text, path)?;
    let moments = Checkpoint::open_files(path, &[MOMENTS.into()])?;
    Ok((saved.state, Weights { trained: trained(path, job)?, moments }))
}

/// Makes sure that a checkpoint's files are those that were written.
///
/// # Errors
/// The file that is not.
pub(crate) fn verify(path: &Path, job: &Job) -> Result<()> {
    let (saved, text) = saved(path)?;
    check_files(&saved, path, job)?;
    seal::check(&saved, &text, path)
}

/// Reads `state.json` and compares its step with the directory's name; gives its text, too.
fn saved(path: &Path) -> Result<(Saved, String)> {
    let file = path.join(STATE);
    let text = files::read_to_string(&file, LIMIT_BYTES)?;
    let saved =
        parse(&text).map_err(|message| damaged(&file, &format!("not a run's state: {message}")))?;
    let step = saved.state.step;
    if path.file_name() != directory(path, step).file_name() {
        let message = format!("is at step {step}, unlike its directory's name");
        return Err(damaged(&file, &message));
    }
    Ok((saved, text))
}

/// Reads either version.
fn parse(text: &str) -> std::result::Result<Saved, String> {
    let before = matches!(versioned::version(text), Ok(BEFORE));
    let saved: Saved = versioned::parse(text, if before { BEFORE } else { VERSION })?;
    if saved.seal.is_some() == before {
        return Err(if before { "unknown field `seal`" } else { "missing field `seal`" }.to_owned());
    }
    Ok(saved)
}

/// Refuses a checkpoint of another run.
fn check_belonging(saved: &Saved, path: &Path, job: &Job, target: Target) -> Result<()> {
    let differing = saved.identity.differences(job.identity()?);
    if !differing.is_empty() {
        let message = format!(
            "belongs to another run, which has another {}\nhint: resume with the inputs it was trained on, or start a new run",
            differing.join(", another ")
        );
        return Err(Error::checkpoint(path, message));
    }
    let changed = changed_keys(&saved.recipe, &job.recipe().to_toml())
        .map_err(|e| damaged(&path.join(STATE), &format!("its recipe cannot be read: {e}")))?;
    if !changed.is_empty() {
        let message = format!(
            "belongs to another recipe: {}\nhint: resume with the recipe it was trained with, or start a new run",
            changed.join("; ")
        );
        return Err(Error::checkpoint(path, message));
    }
    let (before, now) = (&saved.tier, provenance::tier(target));
    if !provenance::tiers_agree(job.spec().numerics, before, &now) {
        let option = match before.starts_with("cuda") {
            true => "--gpu 0 on such a device".to_owned(),
            false => format!("--tier {before}"),
        };
        let message = format!(
            "was trained on the tier {before:?}, this run is on {now:?}, which rounds differently\nhint: resume with {option}, or start a new run"
        );
        return Err(Error::checkpoint(path, message));
    }
    Ok(())
}

/// Compares every file with its hash.
fn check_files(saved: &Saved, path: &Path, job: &Job) -> Result<()> {
    let names = file_names(job);
    if let Some(name) = saved.files.keys().find(|name| !names.contains(&name.as_str())) {
        let message = format!("lists the file {name:?}, which no checkpoint has");
        return Err(damaged(&path.join(STATE), &message));
    }
    for name in names {
        let file = path.join(name);
        let Some(expected) = saved.files.get(name) else {
            return Err(damaged(&path.join(STATE), &format!("has no hash of {name}")));
        };
        if !file.is_file() {
            return Err(damaged(&file, "is missing"));
        }
        let found = files::sha256_file(&file)?;
        if found != *expected {
            let message =
                format!("is not what was written: its SHA-256 is {found}, expected {expected}");
            return Err(damaged(&file, &message));
        }
    }
    Ok(())
}

/// A checkpoint that cannot be what was written.
pub(crate) fn damaged(path: &Path, message: &str) -> Error {
    let hint = "remove this checkpoint to go on from the one before it, or start a new run";
    Error::checkpoint(path, format!("{message}\nhint: {hint}"))
}

/// The same of what a model found in the files of the checkpoint in `directory`.
pub(crate) fn damaged_tensor(error: Error, directory: &Path) -> Error {
    match error {
        Error::Model(model::Error::Tensor { path, tensor, message })
            if path.starts_with(directory) =>
        {
            let message = message.split("\nhint: ").next().unwrap_or_default();
            damaged(&path, &format!("tensor {tensor}: {message}"))
        }
        other => other,
    }
}

/// Opens what a checkpoint has of the trained tensors.
pub(crate) fn trained(path: &Path, job: &Job) -> Result<Checkpoint> {
    Ok(match job.lora() {
        Some(_) => Checkpoint::open_files(path, &["adapter_model.safetensors".into()])?,
        None => Checkpoint::open(path)?,
    })
}

/// The keys of two recipes that differ where they must not, with both values.
fn changed_keys(before: &str, now: &str) -> std::result::Result<Vec<String>, String> {
    let flat = |text: &str| -> std::result::Result<_, String> {
        let table: toml::Table = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        let mut keys = BTreeMap::new();
        flatten("", &toml::Value::Table(table), &mut keys);
        Ok(keys)
    };
    let (before, now) = (flat(before)?, flat(now)?);
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    let value = |value: Option<&String>| value.map_or("absent".to_owned(), Clone::clone);
    Ok(names
        .into_iter()
        .filter(|name| !FREE_KEYS.contains(&name.as_str()) && before.get(*name) != now.get(*name))
        .map(|name| {
            let (before, now) = (value(before.get(name)), value(now.get(name)));
            format!("{name} was {before}, is {now}")
        })
        .collect())
}

fn flatten(key: &str, value: &toml::Value, keys: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(&key, value, keys);
            }
        }
        other => {
            keys.insert(key.to_owned(), other.to_string());
        }
    }
}

/// The checkpoints of a run, oldest first.
///
/// # Errors
/// When the directory cannot be read; a missing one has none.
pub fn checkpoints(run: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let io = |cause| Error::Files(files::Error::io(files::Operation::Read, run)(cause));
    let mut found = Vec::new();
    if !run.exists() {
        return Ok(found);
    }
    for entry in std::fs::read_dir(run).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let step = name.strip_prefix(PREFIX).and_then(|digits| digits.parse::<u64>().ok());
        // The name must be the one that this step would be written under.
        if let Some(step) = step.filter(|step| path == directory(run, *step) && path.is_dir()) {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Removes all but the `keep` newest checkpoints up to the present step and the best one.
pub(crate) fn prune(run: &Path, keep: usize, state: &State) -> Result<()> {
    let mut old = checkpoints(run)?;
    old.retain(|(step, _)| *step <= state.step);
    old.truncate(old.len().saturating_sub(keep));
    for (step, path) in old {
        if state.best.is_some_and(|best| best.step == step) {
            continue;
        }
        std::fs::remove_dir_all(&path)
            .map_err(files::Error::io(files::Operation::Replace, &path))?;
    }
    Ok(())
}

/// A float as its shortest exact decimal text: JSON readers may round the last bit of a number.
mod exact_one {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&format!("{value:?}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a number")))
    }
}

/// The same for a float that may be absent.
mod exact {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, out: S) -> Result<S::Ok, S::Error> {
        value.map(|value| format!("{value:?}")).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        let text: Option<String> = Option::deserialize(from)?;
        let parse = |text: String| {
            text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a number")))
        };
        text.map(parse).transpose()
    }
}

#[cfg(test)]
mod tests;
