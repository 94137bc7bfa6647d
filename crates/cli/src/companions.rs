//! What lies beside the weights of a model and goes with them: what it needs to be used, and its
//! licence.

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

/// Copies the files of such names, each from the first of the directories that has it, and licences also
/// from `beside`, the last to be looked in; gives those that were there, sorted.
///
/// # Errors
/// A file that cannot be read or written, or that is larger than any of its kind.
pub(crate) fn copy(
    wanted: impl Fn(&str) -> bool,
    from: &[&Path],
    beside: &[PathBuf],
    to: &Path,
) -> Result<Vec<String>> {
    let mut places = BTreeMap::new();
    let all = from.iter().map(|it| (*it, false));
    for (directory, licences) in all.chain(beside.iter().map(|it| (it.as_path(), true))) {
        let wanted = |name: &str| wanted(name) && (!licences || is_licence(name));
        let read = files::Error::io(files::Operation::Read, directory);
        for entry in std::fs::read_dir(directory).map_err(read)? {
            let path = entry.map_err(files::Error::io(files::Operation::Read, directory))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            if let Some(name) = name.filter(|name| wanted(name) && path.is_file()) {
                places.entry(name).or_insert(path);
            }
        }
    }
    for (name, place) in &places {
        let content = files::read(place, LIMIT_BYTES)?;
        files::write_atomic(to.join(name), |out| out.write_all(&content))?;
    }
    Ok(places.into_keys().collect())
}
