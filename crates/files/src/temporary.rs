//! The place beside a target where its new content is put together.
//!
//! A temporary is `.<name>.new-<process>-<number>` in the directory of its target, so that the last
//! step is a rename within one file system. Its maker holds a lock on it for as long as it lives.
//! The lock ends with the process however that ends, so an unlocked temporary is the leaving of a
//! killed process, also when that ran in another container, and the next writer removes it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Error, Operation, Result};

/// What a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
}

/// Where a result goes: a name in a directory. Symbolic links at the path have been followed, so a
/// replacement changes what a link points to and never the link.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) parent: PathBuf,
    name: OsString,
    kind: Kind,
    /// What is there now, if anything.
    pub(crate) existing: Option<fs::Metadata>,
}

impl Target {
    /// Finds out where `path` leads and that nothing of another kind stands there.
    pub(crate) fn new(path: &Path, kind: Kind, operation: Operation) -> Result<Target> {
        let fail = |cause| Error::io(operation, path)(cause);
        let followed = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => fs::canonicalize(path).map_err(fail)?,
            _ => path.to_path_buf(),
        };
        let existing = match fs::metadata(&followed) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(fail(error)),
        };
        if let Some(metadata) = &existing {
            check_kind(path, metadata, kind, operation)?;
        }
        let Some(name) = followed.file_name() else {
            return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "it has no name")));
        };
        let parent = match followed.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Ok(Target { name: name.to_os_string(), parent, kind, existing })
    }

    /// The target itself.
    pub(crate) fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    /// Where a directory waits during a replacement on a file system that cannot swap two.
    pub(crate) fn aside(&self) -> PathBuf {
        self.parent.join(self.hidden_name(".old"))
    }

    fn hidden_name(&self, ending: &str) -> OsString {
        let mut hidden = OsString::from(".");
        hidden.push(&self.name);
        hidden.push(ending);
        hidden
    }

    /// Makes the renames within the directory of the target durable.
    pub(crate) fn sync_parent(&self) -> io::Result<()> {
        File::open(&self.parent)?.sync_all()
    }

    /// Removes the temporaries that killed processes left for this target. True when another one is
    /// alive, which means that somebody is writing the same target now.
    pub(crate) fn sweep(&self) -> bool {
        let prefix = self.hidden_name(".new-");
        let Ok(entries) = fs::read_dir(&self.parent) else { return false };
        let mut alive = false;
        for entry in entries.flatten() {
            if !entry.file_name().as_bytes().starts_with(prefix.as_bytes()) {
                continue;
            }
            // A link of that name is not ours, and what it points to even less.
            let Ok(file_type) = entry.file_type() else { continue };
            if file_type.is_symlink() {
                continue;
            }
            let Ok(file) = File::open(entry.path()) else { continue };
            match file.try_lock() {
                Ok(()) => remove(&entry.path()),
                Err(TryLockError::WouldBlock) => alive = true,
                // A file system without locks: we cannot tell, so it stays.
                Err(TryLockError::Error(_)) => {}
            }
        }
        alive
    }
}

/// Refuses what is of another kind.
pub(crate) fn check_kind(
    path: &Path,
    metadata: &fs::Metadata,
    kind: Kind,
    operation: Operation,
) -> Result<()> {
    let (fits, expected) = match kind {
        Kind::File => (metadata.is_file(), "a regular file or nothing"),
        Kind::Directory => (metadata.is_dir(), "a directory or nothing"),
    };
    if fits {
        return Ok(());
    }
    let found = match (metadata.is_dir(), metadata.is_file()) {
        (true, _) => "a directory",
        (_, true) => "a file",
        _ => "a device, pipe or socket",
    };
    Err(Error::WrongKind { operation, path: path.to_path_buf(), found, expected })
}

/// A locked temporary. Dropping it removes whatever is at its path by then: an unfinished result,
/// or the old directory that a swap has put there.
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(crate) path: PathBuf,
    /// Open for writing when it is a file; holds the lock in both cases.
    pub(crate) file: File,
}

impl Temporary {
    /// Makes an empty temporary for `target`, with a name that nobody else has.
    pub(crate) fn new(target: &Target) -> io::Result<Temporary> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Relaxed);
            let name = target.hidden_name(&format!(".new-{}-{number}", process::id()));
            let path = target.parent.join(name);
            let mut live = live();
            let file = match create(&path, target.kind) {
                // A process of another container can have our number and its leavings our name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created?,
            };
            live.insert(path.clone());
            drop(live);
            // Where locks do not exist nobody sweeps either, so going on without one is safe.
            let _ = file.lock();
            // Between creation and lock a sweep may have taken it for a leaving and removed it.
            let temporary = Temporary { path, file };
            if is_at(&temporary.file, &temporary.path) {
                return Ok(temporary);
            }
        }
    }
}

impl Temporary {
    /// Takes a step that puts it into place. [`abandon`] waits for it, and never removes what is
    /// half in place.
    pub(crate) fn put(&self, step: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let _live = live();
        step()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let mut live = live();
        live.remove(&self.path);
        remove(&self.path);
    }
}

/// The temporaries of this process. Held while one is made, put into place or removed.
fn live() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    static LIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    // A thread that panicked between two of these steps left a set that still holds.
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every unfinished result of this process, and lets none be begun or put into place from
/// then on: for a process that is about to end while other threads are at work.
pub fn abandon() {
    let live = live();
    for path in live.iter() {
        // Another thread may put a file into a directory that is being removed.
        for _ in 0..3 {
            remove(path);
        }
    }
    std::mem::forget(live);
}

fn create(path: &Path, kind: Kind) -> io::Result<File> {
    match kind {
        Kind::File => OpenOptions::new().write(true).create_new(true).open(path),
        Kind::Directory => {
            fs::create_dir(path)?;
            File::open(path)
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(held), Ok(found)) => held.ino() == found.ino() && held.dev() == found.dev(),
        _ => false,
    }
}

/// Removes a file or a whole directory. What cannot be removed is left to a later sweep: it is
/// never worth failing a write whose result is already in place.
pub(crate) fn remove(path: &Path) {
    let _ = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
}
