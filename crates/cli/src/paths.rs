//! Paths for results, checked before anything is computed.

use crate::exit::usage;
use anyhow::Result;
use std::path::{Component, Path, PathBuf};
use train::{Recipe, Record};

/// Checks the directory of a run: one that can be made, apart from everything that the run reads.
///
/// # Errors
/// Something else stands there, or it is, holds or lies in an input.
pub(crate) fn check_run(out: &Path, recipe: &Recipe) -> Result<()> {
    let model = &recipe.model;
    let inputs = [
        ("model.directory", model.directory.as_deref()),
        ("model.adapter", model.adapter.as_deref()),
        ("model.tokenizer", model.tokenizer.as_deref()),
        ("data.directory", Some(recipe.data.directory.as_path())),
    ];
    let named = inputs.into_iter().filter_map(|(name, path)| Some((name, path?)));
    check_directory(out, named)
}

/// Makes the directory that an output goes into, where there is none yet.
///
/// # Errors
/// Something else stands in the way, or the disk.
pub(crate) fn make_parent(out: &Path) -> Result<()> {
    match out.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => Ok(files::create_dir_all(parent)?),
        None => Ok(()),
    }
}

/// Checks an output directory against inputs and what they are called. Symbolic links are followed.
///
/// # Errors
/// Something else than a directory stands there, or it is, holds or lies in an input.
pub(crate) fn check_directory<'a>(
    out: &Path,
    inputs: impl IntoIterator<Item = (&'a str, &'a Path)>,
) -> Result<()> {
    files::check_dir(out)?;
    let place = resolved(out)?;
    for (name, input) in inputs {
        let other = resolved(input)?;
        let relation = match () {
            () if place == other => "is",
            () if place.starts_with(&other) => "lies inside",
            () if other.starts_with(&place) => "contains",
            () => continue,
        };
        return Err(usage(format!(
            "{}: the output directory {relation} {name} ({})\nhint: choose another --out, apart \
             from what is read",
            out.display(),
            input.display()
        )));
    }
    Ok(())
}

/// Checks that a directory that is to be replaced holds what this program made of something, not what
/// somebody fetched or trained.
///
/// # Errors
/// There are files, and no record that says so.
pub(crate) fn check_made(out: &Path) -> Result<()> {
    let empty = std::fs::read_dir(out).map_or(true, |mut entries| entries.next().is_none());
    if empty || Record::read(out)?.is_some_and(|record| record.is_made()) {
        return Ok(());
    }
    Err(usage(format!(
        "{}: it holds what srek quantize or srek export did not make\nhint: choose another --out",
        out.display()
    )))
}

/// Checks that an output is another file than an input and what that is called.
///
/// # Errors
/// They are the same file.
pub(crate) fn check_other(out: &Path, (name, input): (&str, &Path)) -> Result<()> {
    if resolved(out)? != resolved(input)? {
        return Ok(());
    }
    Err(usage(format!(
        "{}: the output is {name}\nhint: choose another --out, apart from what is read",
        out.display()
    )))
}

/// Checks that a file can be written.
///
/// # Errors
/// Its directory is missing or cannot be written, or something else than a file stands there.
pub(crate) fn check_file(out: &Path) -> Result<()> {
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|parent| !parent.exists()) {
        let (name, parent) = (out.display(), parent.display());
        return Err(usage(format!(
            "{name}: there is no directory {parent}\nhint: create it first"
        )));
    }
    files::check_write(out).map_err(|error| usage(error.to_string()))
}

/// The path from the root on, symbolic links followed as far as it exists.
fn resolved(path: &Path) -> Result<PathBuf> {
    let absolute =
        std::path::absolute(path).map_err(files::Error::io(files::Operation::Read, path))?;
    let mut place = PathBuf::new();
    for component in absolute.components() {
        if component == Component::ParentDir {
            // Nothing in `place` is a link, so this is what the system does, too.
            place.pop();
            continue;
        }
        place.push(component);
        place = place.canonicalize().unwrap_or(place);
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_compared_where_links_lead() {
        let room = tempfile::tempdir().unwrap();
        let at = |name: &str| room.path().join(name);
        std::fs::create_dir_all(at("data/inner")).unwrap();
        std::os::unix::fs::symlink(at("data/inner"), at("link")).unwrap();
        let data = at("data");
        let cases = [
            ("data", Some("is data")),
            ("data/new/deep", Some("lies inside data")),
            ("link", Some("lies inside data")),
            ("link/new", Some("lies inside data")),
            ("link/..", Some("is data")),
            ("new/../data", Some("is data")),
            (".", Some("contains data")),
            ("data-2", None),
            ("new/data", None),
        ];
        for (out, expected) in cases {
            let answer = check_directory(&at(out), [("data", data.as_path())]);
            match (answer, expected) {
                (Ok(()), None) => {}
                (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
                (answer, _) => panic!("{out}: {answer:?}"),
            }
        }
    }
}
