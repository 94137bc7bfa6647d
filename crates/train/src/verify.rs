//! Whether a directory is what its record says, and whether what it was made of is what is given.

use crate::provenance::short;
use crate::record::{self, Record};
use crate::{Result, checkpoint};
use std::path::Path;

/// Beside a result, the recipe of its run.
const RECIPE: &str = "resolved.toml";
/// What no program loads as weights or settings, and people put beside a model, by how the names begin.
const DOCUMENTS: [&str; 6] = [".", "LICENSE", "NOTICE", "README", "USE_POLICY", checkpoint::STATE];
/// What a record says where there was nothing.
const NOTHING: [&str; 2] = ["new", "none"];

/// A part of what a record tells about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// A file, or what something was made of.
    pub name: String,
    /// What was found of it.
    pub verdict: Verdict,
}

/// What was found of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what the record says.
    AsRecorded,
    /// It is something else; in words.
    Changed(String),
    /// The file is not there.
    Missing,
    /// The file was not there when the record was written, and may be loaded.
    Added,
    /// The record says nothing of it.
    NotRecorded,
    /// The record says that there was nothing of this kind.
    Nothing,
    /// There is nothing to compare with; what would be needed, in words.
    NotCompared(&'static str),
}

impl Verdict {
    /// Whether the part is not what it was.
    pub fn differs(&self) -> bool {
        matches!(self, Verdict::Changed(_) | Verdict::Missing | Verdict::Added)
    }

    /// Its name, the same for all parts.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::AsRecorded => "as recorded",
            Verdict::Changed(_) => "changed",
            Verdict::Missing => "missing",
            Verdict::Added => "added",
            Verdict::NotRecorded => "not recorded",
            Verdict::Nothing => "none",
            Verdict::NotCompared(_) => "not compared",
        }
    }

    /// What else there is to say.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Verdict::Changed(words) => Some(words),
            Verdict::NotCompared(words) => Some(words),
            _ => None,
        }
    }
}

/// A hash that was found, or why there is none.
pub type Found = std::result::Result<String, String>;

/// What is given to compare with: nothing, or one and more of a kind.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The fingerprint of a model.
    pub model: Option<Found>,
    /// SHA-256 of tokenizers.
    pub tokenizers: Vec<Found>,
    /// SHA-256 of chat templates.
    pub templates: Vec<Found>,
    /// The hash of a data set.
    pub dataset: Option<Found>,
}

/// Compares every file of a directory with its record; `watch` is told how many bytes of which file
/// were read so far.
///
/// # Errors
/// A file that cannot be read.
pub fn files(
    record: &Record,
    directory: &Path,
    watch: &mut dyn FnMut(&str, u64),
) -> Result<Vec<Part>> {
    let Some(listed) = record.files() else {
        return Ok(vec![Part { name: "files".to_owned(), verdict: Verdict::NotRecorded }]);
    };
    let mut parts = Vec::new();
    for (name, recorded) in listed {
        let file = directory.join(name);
        let verdict = match file.metadata() {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Verdict::Missing,
            Ok(metadata) if !metadata.is_file() => {
                Verdict::Changed("it is no file any more".to_owned())
            }
            _ => {
                watch(name, 0);
                let found = files::sha256_file_watched(&file, &mut |done| watch(name, done))?;
                compared(Some(recorded), &[Ok(found)], "")
            }
        };
        parts.push(Part { name: name.clone(), verdict });
    }
    let checkpoint = listed.contains_key(checkpoint::MOMENTS);
    if checkpoint {
        let verdict = checkpoint::verdict(directory)?;
        parts.push(Part { name: checkpoint::STATE.to_owned(), verdict });
    }
    for name in record::names(directory)? {
        let known = name == record::FILE || checkpoint && name == checkpoint::STATE;
        if known || listed.contains_key(&name) {
            continue;
        }
        let document = DOCUMENTS.iter().any(|start| name.starts_with(start));
        let verdict = if document { Verdict::NotRecorded } else { Verdict::Added };
        parts.push(Part { name: name.escape_debug().to_string(), verdict });
    }
    Ok(parts)
}

/// Compares what a directory was made of with what is given.
///
/// # Errors
/// A recipe beside it that cannot be read.
pub fn inputs(record: &Record, directory: &Path, given: &Given) -> Result<Vec<Part>> {
    let (training, made) = (record.training.as_ref(), record.made.as_ref());
    let inputs = training.map(|it| &it.inputs);
    let base = made.map(|it| &it.model).or(inputs.map(|it| &it.model));
    let with = match &given.model {
        Some(_) => "the model has none",
        None => "give --model",
    };
    let text = |part: Option<&String>, found: &[Found], with| {
        compared(part.map(String::as_str), found, with)
    };
    let tokenizer = inputs.map(|it| &it.tokenizer);
    let template = training.and_then(|it| it.template.as_ref());
    let dataset = inputs.map(|it| &it.dataset);
    let parts = [
        ("base", text(base, given.model.as_slice(), with)),
        ("tokenizer", text(tokenizer, &given.tokenizers, with)),
        ("template", text(template, &given.templates, with)),
        ("data set", text(dataset, given.dataset.as_slice(), "give --data")),
        ("recipe", recipe(record, directory)?),
    ];
    let part = |(name, verdict): (&str, _)| Part { name: name.to_owned(), verdict };
    Ok(parts.into_iter().map(part).collect())
}

/// The recipe that stands beside a run's result.
fn recipe(record: &Record, directory: &Path) -> Result<Verdict> {
    let recorded = record.training.as_ref().and_then(|it| it.recipe.as_deref());
    if directory.join(checkpoint::STATE).exists() {
        // The run may have gone on with other settings of what changes no bit.
        return Ok(compared(recorded, &[], "state.json holds it"));
    }
    let beside = directory.canonicalize().ok().and_then(|it| Some(it.parent()?.join(RECIPE)));
    match beside.filter(|file| record.made.is_none() && file.is_file()) {
        Some(file) => Ok(compared(recorded, &[Ok(files::sha256_file(file)?)], "")),
        None => Ok(compared(recorded, &[], "there is no resolved.toml beside it")),
    }
}

/// What a record says of a part, and what was found; `with` is what would be needed to compare.
fn compared(recorded: Option<&str>, found: &[Found], with: &'static str) -> Verdict {
    let Some(recorded) = recorded else { return Verdict::NotRecorded };
    if NOTHING.contains(&recorded) {
        return Verdict::Nothing;
    }
    let differing = found.iter().find(|it| !matches!(it, Ok(hash) if hash == recorded));
    match differing {
        None if found.is_empty() => Verdict::NotCompared(with),
        None => Verdict::AsRecorded,
        Some(Ok(hash)) => Verdict::Changed(format!(
            "its hash is {}, recorded is {}",
            short(hash),
            short(recorded)
        )),
        Some(Err(words)) => Verdict::Changed(words.clone()),
    }
}

#[cfg(test)]
mod tests;
