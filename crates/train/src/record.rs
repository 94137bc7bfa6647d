//! `srek.json`: the record beside every adapter, model and checkpoint of what it is made of: a hash of
//! every file beside it, how it was trained, and of what it was made afterwards.

use crate::provenance::Provenance;
use crate::{Error, Job, Result, versioned};
use ops::Target;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// Its name.
pub(crate) const FILE: &str = "srek.json";
/// The files of an adapter, as PEFT names them.
pub(crate) const ADAPTER_FILES: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];
/// Version of the format. One of version 1 has the fields of `training` beside `version` and `srek`,
/// and hashes of no files.
const VERSION: u32 = 2;
const BEFORE: u32 = 1;
/// The largest one that is read.
const LIMIT_BYTES: u64 = 1 << 20;
/// The longest version of a program, and the longest name of a file.
const NAME_BYTES: usize = 200;

/// What a directory holds and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    version: u32,
    /// Version of the program that wrote it.
    srek: String,
    /// The commit that the program was built from, where whoever built it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// SHA-256 of every other file, by name; of version 1 none.
    files: BTreeMap<String, String>,
    /// Of what it was made, where that was no training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made: Option<Made>,
    /// How it, or what it was made of, was trained, where that was here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) training: Option<Provenance>,
}

/// Of what something was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// What made it.
    pub by: Maker,
    /// The fingerprint of the weights, see [`crate::fingerprint()`].
    pub model: String,
    /// That of the adapter, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
}

/// What makes one model or adapter of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Maker {
    /// Stored in 4 bits.
    Quantize,
    /// Written for other programs.
    Export,
}

impl Record {
    /// Of what a job has trained after `step` steps on `target`.
    pub(crate) fn trained(job: &Job, target: Target, step: u64) -> Result<Record> {
        let training = Some(Provenance::new(job, target, step)?);
        Ok(Record { training, ..Record::empty() })
    }

    /// Of what was made of something else, whose own record is `before`.
    pub fn made(made: Made, before: Option<Record>) -> Record {
        let training = before.and_then(Record::into_training);
        Record { made: Some(made), training, ..Record::empty() }
    }

    fn empty() -> Record {
        Record {
            version: VERSION,
            srek: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("SREK_COMMIT").map(str::to_owned),
            files: BTreeMap::new(),
            made: None,
            training: None,
        }
    }

    /// The same, trained on the tier of `other`.
    pub(crate) fn on_tier_of(self, other: &Record) -> Record {
        match (self.training, &other.training) {
            (Some(own), Some(before)) => Record { training: Some(own.on_tier_of(before)), ..self },
            (training, _) => Record { training, ..self },
        }
    }

    /// Writes it into a directory in which everything else stands already. Gives the hash of every
    /// file that is then there, itself included.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn write(&self, directory: &Path) -> Result<BTreeMap<String, String>> {
        let mut files = BTreeMap::new();
        for name in names(directory)? {
            let hash = files::sha256_file(directory.join(&name))?;
            files.insert(name, hash);
        }
        files.remove(FILE);
        let record = Record { files, ..self.clone() };
        let mut json = serde_json::to_vec_pretty(&record).expect("a record is plain data");
        json.push(b'\n');
        files::write_atomic(directory.join(FILE), |out| out.write_all(&json))?;
        let mut files = record.files;
        files.insert(FILE.to_owned(), files::sha256(&json));
        Ok(files)
    }

    /// Reads that of a directory; none where there is no such file, as other programs write none.
    ///
    /// # Errors
    /// A file that cannot be read, or says what no version of this program wrote.
    pub fn read(directory: &Path) -> Result<Option<Record>> {
        let file = directory.join(FILE);
        use std::io::ErrorKind::{NotADirectory, NotFound};
        // Who loads from a file in the directory's place says what is wrong with it.
        if matches!(file.symlink_metadata(), Err(e) if [NotFound, NotADirectory].contains(&e.kind()))
        {
            return Ok(None);
        }
        let text = files::read_to_string(&file, LIMIT_BYTES)?;
        let checked = parse(&text).and_then(|record| record.check().map(|()| record));
        checked.map(Some).map_err(|message| {
            let hint = "hint: without the file, the settings are those of the command line";
            Error::mismatch(&file, format!("not a record of srek: {message}\n{hint}"))
        })
    }

    /// What no version of this program writes, in words.
    fn check(&self) -> std::result::Result<(), String> {
        let plain = |text: &str| {
            text.len() <= NAME_BYTES && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        };
        let said = [("srek", Some(&self.srek)), ("commit", self.commit.as_ref())];
        for (name, text) in said {
            if let Some(text) = text.filter(|text| !plain(text)) {
                return Err(format!("{name} is {:?}, which is no version", cut(text)));
            }
        }
        for (name, hash) in &self.files {
            // Also keeps paths that lead out of the directory away.
            let mut parts = Path::new(name).components();
            let one =
                matches!(parts.next(), Some(Component::Normal(part)) if part == name.as_str());
            if !one || !plain(name) || name == FILE {
                return Err(format!("files has {:?}, which is no name of a file", cut(name)));
            }
            if !is_hash(hash) {
                return Err(format!("files has no SHA-256 of {name}"));
            }
        }
        if let Some(Made { model, adapter, .. }) = &self.made
            && !(is_hash(model) && adapter.as_deref().is_none_or(is_hash))
        {
            return Err("made has a part that is no SHA-256".to_owned());
        }
        self.training.as_ref().map_or(Ok(()), Provenance::check)
    }

    /// Version of the program that wrote it, with its commit where that is known.
    pub fn program(&self) -> String {
        match &self.commit {
            Some(commit) => format!("srek {}, commit {commit}", self.srek),
            None => format!("srek {}", self.srek),
        }
    }

    /// Whether this program made it of something, other than by training.
    pub fn is_made(&self) -> bool {
        self.made.is_some()
    }

    /// SHA-256 of every other file of the directory; none in records of version 1, which list none.
    pub fn files(&self) -> Option<&BTreeMap<String, String>> {
        (self.version != BEFORE).then_some(&self.files)
    }

    /// How it was trained, where that was here.
    pub fn training(&self) -> Option<&Provenance> {
        self.training.as_ref()
    }

    /// As [`Record::training`].
    pub fn into_training(self) -> Option<Provenance> {
        self.training
    }

    /// Refuses to use the adapter in `directory` when it is not what was written, or over a model with
    /// another [`crate::fingerprint()`] than it was trained over. Its files are small.
    ///
    /// # Errors
    /// As said.
    pub fn check_adapter(&self, directory: &Path, fingerprint: &str) -> Result<()> {
        if let Some(training) = &self.training {
            training.check_model(directory, fingerprint)?;
        }
        for name in ADAPTER_FILES {
            let Some(recorded) = self.files.get(name) else { continue };
            let file = directory.join(name);
            let found = files::sha256_file(&file)?;
            if found != *recorded {
                let message = format!(
                    "is not what was written: its SHA-256 is {found}, recorded is {recorded}\nhint: `srek verify` names all that differs; without {FILE} the adapter is used as it is"
                );
                return Err(Error::mismatch(&file, message));
            }
        }
        Ok(())
    }
}

/// Reads either version; the later one has other fields.
fn parse(text: &str) -> std::result::Result<Record, String> {
    let told = |error: serde_json::Error| error.to_string();
    match versioned::version(text) {
        Ok(BEFORE) => {}
        Ok(VERSION) | Err(_) => return versioned::parse(text, VERSION),
        Ok(found) => return Err(format!("version {found}, expected {BEFORE} or {VERSION}")),
    }
    let mut fields: serde_json::Map<_, _> = serde_json::from_str(text).map_err(told)?;
    fields.remove("version");
    let srek = fields.remove("srek").ok_or("missing field `srek`")?;
    let srek = serde_json::from_value(srek).map_err(told)?;
    let training = serde_json::from_value(fields.into()).map_err(told)?;
    Ok(Record { version: BEFORE, srek, commit: None, training: Some(training), ..Record::empty() })
}

/// As much of a text as a message repeats.
fn cut(text: &str) -> String {
    text.chars().take(NAME_BYTES).collect()
}

/// Whether a text is a SHA-256 as this program writes it.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The names of what stands in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Result<Vec<String>> {
    let io = files::Error::io(files::Operation::Read, directory);
    let entries = std::fs::read_dir(directory).and_then(|entries| {
        entries.map(|it| Ok(it?.file_name().to_string_lossy().into_owned())).collect()
    });
    let mut names: Vec<String> = entries.map_err(io)?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
