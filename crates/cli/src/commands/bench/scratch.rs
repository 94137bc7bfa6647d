//! A directory that is gone afterwards.

use anyhow::Result;
use std::path::{Path, PathBuf};

/// Owns a directory among the system's temporary ones.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// An empty directory.
    pub(super) fn new() -> Result<Scratch> {
        let name = format!("srek-bench-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)
            .map_err(files::Error::io(files::Operation::CreateDirectory, &path))?;
        Ok(Scratch(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is in a place that the system cleans.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
