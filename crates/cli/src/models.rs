//! What may be named where a model is expected.

use crate::embedded;
use crate::exit::usage;
use crate::gguf;
use crate::hub::{self, Name};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// The directory of the model that was named: one that is there is itself; a `.gguf` file has one in the
/// user's cache; `org/name` and `org/name@revision` are repositories of the hub, out of its cache or
/// fetched now.
///
/// # Errors
/// What may be meant as a directory or as a repository, a file that holds no model, or a repository that
/// cannot be had.
pub(crate) fn directory(named: &Path) -> Result<PathBuf> {
    if gguf::is_file(named) {
        if !named.exists() {
            return Err(usage(format!(
                "{}: there is no such file\nhint: name a directory with config.json and model.safetensors, a \
                 .gguf file, or a model of the hub as ORG/NAME",
                named.display()
            )));
        }
        return gguf::directory(named);
    }
    if let Some(file) = gguf::alone_in(named) {
        return gguf::directory(&file);
    }
    // `org/name` is told below, where the hub may have it.
    let is_path = named.is_absolute() || named.starts_with(".") || named.starts_with("..");
    if is_path && named.symlink_metadata().is_err() {
        return Err(usage(format!(
            "{}: there is no such directory\nhint: name a directory with config.json and model.safetensors, a \
             .gguf file, or a model of the hub as ORG/NAME",
            named.display()
        )));
    }
    let Some(name) = named.to_str().and_then(Name::parse) else { return Ok(named.to_owned()) };
    // A link that leads nowhere is meant as a path, too.
    if named.symlink_metadata().is_ok() {
        return Ok(named.to_owned());
    }
    // A mistyped path must not become a question to a server.
    if name.revision.is_none() && named.parent().is_some_and(Path::is_dir) {
        return Err(usage(format!(
            "{name}: there is no such directory\nhint: for the model of this name on the hub, write \
             {name}@main"
        )));
    }
    hub::directory(&name)
}

/// Where the licence of a model lies that was named as a GGUF file, or as a directory with one: beside it,
/// by its name and where links lead.
pub(crate) fn beside(named: Option<&Path>) -> Vec<PathBuf> {
    let Some(named) = named else { return Vec::new() };
    let file = if gguf::is_file(named) { Some(named.to_owned()) } else { gguf::alone_in(named) };
    let Some(file) = file else { return Vec::new() };
    let parent = |file: &Path| {
        file.parent()
            .map(|it| if it.as_os_str().is_empty() { Path::new(".") } else { it }.to_owned())
    };
    let place = file.canonicalize().ok().and_then(|place| parent(&place));
    parent(&file).into_iter().chain(place).collect()
}

/// As [`directory`], and the embedded model's where none was named.
///
/// # Errors
/// As [`directory`], or no place for the embedded model.
pub(crate) fn directory_or_embedded(named: Option<&Path>) -> Result<PathBuf> {
    named.map_or_else(embedded::directory, directory)
}
