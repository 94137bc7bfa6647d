//! Where the files of a repository lie, in the layout of `huggingface_hub`:
//!
//! ```text
//! models--org--name/refs/main                   the commit that it was when it was fetched last
//! models--org--name/snapshots/COMMIT/FILE       a link to ../../blobs/ETAG
//! models--org--name/blobs/ETAG                  the content, by its hash
//! models--org--name/blobs/ETAG.incomplete       what has been received of it
//! models--org--name/.no_exist/COMMIT/FILE       empty: the commit has no such file
//! .locks/models--org--name/ETAG.lock            held by who writes the content
//! ```

use super::listing::Listed;
use super::name::{Name, is_commit};
use crate::output::note;
use anyhow::Result;
use files::{Error, Lock, Operation};
use model::Checkpoint;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is read of a model beside its weights: a cache without one of these, and without knowing
/// that there is none, is not whole.
pub(super) const READ: [&str; 4] =
    ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];
/// The largest reference that is read.
const REFERENCE_BYTES: u64 = 256;
/// Time between two looks at a lock of somebody else.
const LOOK: Duration = Duration::from_millis(200);

/// The part of the cache that belongs to one repository.
pub(super) struct Cache {
    repository: PathBuf,
    locks: PathBuf,
}

impl Cache {
    /// That of a repository, whether it is there or not.
    pub(super) fn of(root: &Path, name: &Name) -> Cache {
        let folder = format!("models--{}", name.repository.replace('/', "--"));
        Cache { repository: root.join(&folder), locks: root.join(".locks").join(folder) }
    }

    /// The repository's directory.
    pub(super) fn repository(&self) -> &Path {
        &self.repository
    }

    /// The commit of a revision, as far as the cache knows.
    pub(super) fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = files::read_to_string(self.reference(revision), REFERENCE_BYTES).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Where the commit of a revision is noted.
    pub(super) fn reference(&self, revision: &str) -> PathBuf {
        self.repository.join("refs").join(revision)
    }

    /// The directory of a commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.repository.join("snapshots").join(commit)
    }

    /// Whether everything is there that is read of a model.
    pub(super) fn is_whole(&self, commit: &str) -> bool {
        let (snapshot, absent) = (self.snapshot(commit), self.absent(commit));
        READ.iter().all(|name| snapshot.join(name).is_file() || absent.join(name).exists())
            && self.missing(commit).is_ok_and(|missing| missing.is_none())
    }

    /// The first file that is missing for the model to be loaded.
    ///
    /// # Errors
    /// An index that is damaged.
    pub(super) fn missing(&self, commit: &str) -> Result<Option<PathBuf>> {
        let snapshot = self.snapshot(commit);
        let mut names = vec!["config.json".to_owned()];
        names.extend(Checkpoint::weight_files(&snapshot)?);
        Ok(names.into_iter().map(|name| snapshot.join(name)).find(|path| !path.is_file()))
    }

    /// Whether a commit's file is there in the size that it is listed with.
    pub(super) fn has(&self, commit: &str, file: &Listed) -> bool {
        has_size(&self.snapshot(commit).join(&file.name), file.size)
    }

    /// Whether the content is there, perhaps of another commit.
    pub(super) fn has_blob(&self, file: &Listed) -> bool {
        has_size(&self.blob(file), file.size)
    }

    /// Where the content of a file lies.
    pub(super) fn blob(&self, file: &Listed) -> PathBuf {
        self.repository.join("blobs").join(&file.etag)
    }

    /// Where what has been received of a file lies.
    pub(super) fn partial(&self, file: &Listed) -> PathBuf {
        self.repository.join("blobs").join(format!("{}.incomplete", file.etag))
    }

    /// The right to write a content; waits for who holds it.
    ///
    /// # Errors
    /// A lock file that cannot be made.
    pub(super) fn lock(&self, file: &Listed) -> Result<Lock> {
        files::create_dir_all(&self.locks)?;
        let path = self.locks.join(format!("{}.lock", file.etag));
        let mut waiting = false;
        loop {
            if let Some(lock) = Lock::take(&path)? {
                return Ok(lock);
            }
            if !waiting {
                note(&format!("{}: another process is fetching it; waiting", file.name));
            }
            waiting = true;
            std::thread::sleep(LOOK);
        }
    }

    /// Puts a content in place under its name in a commit. Its lock must be held.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn link(&self, commit: &str, file: &Listed) -> Result<()> {
        let snapshot = self.snapshot(commit);
        files::create_dir_all(&snapshot)?;
        let place = snapshot.join(&file.name);
        let content = Path::new("../../blobs").join(&file.etag);
        match fs::remove_file(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(Operation::Replace, &place)(error).into())
            }
            _ => Ok(symlink(content, &place).map_err(Error::io(Operation::Write, &place))?),
        }
    }

    /// Notes that a commit has no file of this name.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn note_absent(&self, commit: &str, name: &str) -> Result<()> {
        let place = self.absent(commit).join(name);
        if !place.exists() {
            files::create_dir_all(self.absent(commit))?;
            files::write_atomic(place, |_| Ok(()))?;
        }
        Ok(())
    }

    /// Notes which commit a revision is.
    ///
    /// # Errors
    /// The disk.
    pub(super) fn note_commit(&self, revision: &str, commit: &str) -> Result<()> {
        if self.commit(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let place = self.reference(revision);
        files::create_dir_all(place.parent().unwrap_or(&self.repository))?;
        Ok(files::write_atomic(place, |out| out.write_all(commit.as_bytes()))?)
    }

    fn absent(&self, commit: &str) -> PathBuf {
        self.repository.join(".no_exist").join(commit)
    }
}

fn has_size(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == size)
}
