//! What lies beside the weights of a model and goes with them: what it needs to be used, and its
//! licence.

use crate::exit::usage;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Names of those that make it usable.
const USABLE: [&str; 8] = [
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
];

/// What the names of those begin with that say what may be done with the weights.
const LICENCES: [&str; 4] = ["LICENSE", "LICENCE", "NOTICE", "USE_POLICY"];

/// Whether a file of this name goes with a model.
pub(crate) fn is_companion(name: &str) -> bool {
    USABLE.contains(&name) || is_licence(name)
}

/// Whether a file of this name says what may be done with the weights.
pub(crate) fn is_licence(name: &str) -> bool {
    LICENCES.iter().any(|start| name.to_ascii_uppercase().starts_with(start))
}

/// The largest file that is copied.
const LIMIT_BYTES: u64 = 64 << 20;

/// Files of such names, and where they lie.
pub(crate) struct Companions(BTreeMap<String, PathBuf>);

/// Finds the files of such names, each in the first of the directories that has it, and licences also in
/// `beside`, the last to be looked in.
///
/// # Errors
/// A directory that cannot be read, or a link that leads out of it.
pub(crate) fn find(
    wanted: impl Fn(&str) -> bool,
    from: &[&Path],
    beside: &[PathBuf],
) -> Result<Companions> {
    let mut places = BTreeMap::new();
    let all = from.iter().map(|it| (*it, false));
    for (directory, licences) in all.chain(beside.iter().map(|it| (it.as_path(), true))) {
        let wanted = |name: &str| wanted(name) && (!licences || is_licence(name));
        let read = files::Error::io(files::Operation::Read, directory);
        for entry in std::fs::read_dir(directory).map_err(read)? {
            let path = entry.map_err(files::Error::io(files::Operation::Read, directory))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            let Some(name) = name.filter(|name| wanted(name) && path.is_file()) else { continue };
            check_inside(directory, &path)?;
            places.entry(name).or_insert(path);
        }
    }
    Ok(Companions(places))
}

/// Refuses a link that leads out of its directory, other than to the content of the hub's cache that its
/// snapshots link to: what is copied may be given away, and such a link may lead to anything.
fn check_inside(directory: &Path, path: &Path) -> Result<()> {
    if !path.is_symlink() {
        return Ok(());
    }
    let read =
        |path: &Path| path.canonicalize().map_err(files::Error::io(files::Operation::Read, path));
    let (inside, to) = (read(directory)?, read(path)?);
    let blobs = inside.parent().and_then(Path::parent).map(|it| it.join("blobs"));
    if to.starts_with(&inside) || blobs.is_some_and(|blobs| to.starts_with(blobs)) {
        return Ok(());
    }
    Err(usage(format!(
        "{}: is a link that leads out of its directory, to {}\nhint: where it belongs to the model, put a copy \
         of it in place of the link; else remove the link",
        path.display(),
        to.display()
    )))
}

impl Companions {
    /// Copies them; gives their names, sorted.
    ///
    /// # Errors
    /// A file that cannot be read or written, or that is larger than any of its kind.
    pub(crate) fn copy(&self, to: &Path) -> Result<Vec<String>> {
        for (name, place) in &self.0 {
            let content = files::read(place, LIMIT_BYTES)?;
            files::write_atomic(to.join(name), |out| out.write_all(&content))?;
        }
        Ok(self.0.keys().cloned().collect())
    }
}
