//! The model that this program brings: sre-tiny, unpacked once into the user's cache.

use crate::exit::usage;
use anyhow::{Result, anyhow};
use std::path::{Path, PathBuf};

/// What a model's directory needs, and its licences; the card stands in `models/sre-tiny/`.
const FILES: [(&str, &[u8]); 5] = [
    ("LICENSE-APACHE", include_bytes!("../../../models/sre-tiny/LICENSE-APACHE")),
    ("LICENSE-MIT", include_bytes!("../../../models/sre-tiny/LICENSE-MIT")),
    ("config.json", include_bytes!("../../../models/sre-tiny/config.json")),
    ("model.safetensors", include_bytes!("../../../models/sre-tiny/model.safetensors")),
    ("tokenizer.json", include_bytes!("../../../models/sre-tiny/tokenizer.json")),
];

/// Hexadecimal digits of the contents' hash that the directory's name has.
const DIGITS: usize = 12;

/// The directory of the embedded model, written if it is not there whole. Its name is that of its
/// content, so that another version of this program has another one.
///
/// # Errors
/// No place for a cache, or a disk that is full.
pub(crate) fn directory() -> Result<PathBuf> {
    let hashes: String = FILES.iter().map(|(_, bytes)| files::sha256(bytes)).collect();
    let name = format!("sre-tiny-{}", &files::sha256(hashes.as_bytes())[..DIGITS]);
    let models = models()?;
    let directory = models.join(name);
    if !is_whole(&directory) {
        files::create_dir_all(&models).map_err(unwritable)?;
        let written = files::write_dir_atomic(&directory, |inside| -> files::Result<()> {
            FILES.iter().try_for_each(|(name, bytes)| {
                files::write_atomic(inside.join(name), |out| out.write_all(bytes))
            })
        });
        // Another process may have been faster.
        if !is_whole(&directory) {
            written.map_err(unwritable)?;
        }
    }
    Ok(directory)
}

/// Whether every file is there, byte by byte.
fn is_whole(directory: &Path) -> bool {
    FILES.iter().all(|(name, bytes)| {
        files::read(directory.join(name), bytes.len() as u64).is_ok_and(|found| found == *bytes)
    })
}

/// Where models are unpacked.
///
/// # Errors
/// No place for a cache.
pub(crate) fn models() -> Result<PathBuf> {
    Ok(cache()?.join("srek").join("models"))
}

/// Of an error of the cache: what it is, and that another place will do.
pub(crate) fn unwritable(error: files::Error) -> anyhow::Error {
    let told = error.to_string();
    anyhow!(
        "{}\nhint: models are unpacked there; set XDG_CACHE_HOME to a directory that can be written",
        told.lines().next().unwrap_or_default()
    )
}

/// Where programs keep what can be made again (XDG Base Directory Specification).
fn cache() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache"))).ok_or_else(|| {
        usage(
            "the model has no place to be unpacked: neither XDG_CACHE_HOME nor HOME is the path \
             of a directory\nhint: set XDG_CACHE_HOME to a directory that can be written",
        )
    })
}
