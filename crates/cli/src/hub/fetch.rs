//! Files of the hub into the cache.

use super::cache::Cache;
use super::listing::{INDEX, Listed, Listing};
use super::name::Name;
use super::remote::{Patience, Remote, Trouble};
use super::settings::Settings;
use crate::interrupt::Resumable;
use crate::machine::free_disk;
use crate::output::{bytes, note};
use crate::progress::Transfer;
use anyhow::{Result, anyhow};
use files::{Arrived, Error, Operation, Partial};
use model::Checkpoint;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes that are received, hashed and written at once.
const CHUNK_BYTES: usize = 256 << 10;
/// Bytes that are left free on the disk.
const SPARE_BYTES: u64 = 16 << 20;

/// A model in the cache.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Its directory.
    pub(crate) directory: PathBuf,
    /// Its commit.
    pub(crate) commit: String,
    /// Its files in the cache with their sizes, sorted.
    pub(crate) files: Vec<(String, u64)>,
    /// Bytes that came over the network.
    pub(crate) received: u64,
}

/// What lies in the cache of a commit.
///
/// # Errors
/// A directory that cannot be read.
pub(super) fn fetched_before(cache: &Cache, commit: &str) -> Result<Fetched> {
    fetched(cache, commit, 0)
}

fn fetched(cache: &Cache, commit: &str, received: u64) -> Result<Fetched> {
    let directory = cache.snapshot(commit);
    let fail = |cause| Error::io(Operation::Read, &directory)(cause);
    let mut files = Vec::new();
    for entry in fs::read_dir(&directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if metadata.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), metadata.len()));
        }
    }
    files.sort();
    Ok(Fetched { directory, commit: commit.to_owned(), files, received })
}

/// Fetches what the cache lacks of a revision.
///
/// # Errors
/// A repository that cannot be had, a disk that is full, or a file that is not what is listed.
pub(super) fn fetch(
    settings: &Settings,
    cache: &Cache,
    name: &Name,
    revision: &str,
) -> Result<Fetched> {
    let remote = Remote::new(settings)?;
    let listing = remote.listing(name, revision)?;
    let mut job = Job { remote, cache, name, commit: &listing.commit, received: 0 };
    let _resumable = Resumable::begin();
    // The index comes first, because it names the weights.
    if let Some(index) = listing.file(INDEX).filter(|it| !cache.has(&listing.commit, it)) {
        job.all(&[index])?;
    }
    let weights = Checkpoint::weight_files(&cache.snapshot(&listing.commit))?;
    let mut wanted: Vec<&Listed> = listing.companions().collect();
    wanted.extend(listing.weights(name, &weights)?);
    wanted.retain(|file| !cache.has(&listing.commit, file));
    if !wanted.is_empty() {
        job.announce(&wanted)?;
        job.all(&wanted)?;
    }
    finish(cache, &listing, revision)?;
    fetched(cache, &listing.commit, job.received)
}

/// Notes what is known now, so that the next use asks nobody.
fn finish(cache: &Cache, listing: &Listing, revision: &str) -> Result<()> {
    for name in listing.absent() {
        cache.note_absent(&listing.commit, name)?;
    }
    if revision != listing.commit {
        cache.note_commit(revision, &listing.commit)?;
    }
    Ok(())
}

/// The files of a commit on their way.
struct Job<'a> {
    remote: Remote,
    cache: &'a Cache,
    name: &'a Name,
    commit: &'a str,
    received: u64,
}

impl Job<'_> {
    /// Says what will be fetched, if there is room for it.
    fn announce(&self, files: &[&Listed]) -> Result<()> {
        let directory = self.cache.repository();
        files::create_dir_all(directory)?;
        let needed: u64 = files.iter().map(|file| self.left(file)).fold(0, u64::saturating_add);
        let free = free_disk(directory);
        if let Some(free) = free.filter(|free| needed.saturating_add(SPARE_BYTES) > *free) {
            return Err(anyhow!(
                "{}: {} are needed for {}, {} are free\nhint: free some space, or set HF_HOME to a \
                 directory of another disk",
                directory.display(),
                bytes(needed),
                self.name,
                bytes(free)
            ));
        }
        if needed > 0 {
            note(&format!(
                "fetching {} of {} into {}",
                bytes(needed),
                self.name,
                directory.display()
            ));
        }
        Ok(())
    }

    /// Bytes that are still to be received.
    fn left(&self, file: &Listed) -> u64 {
        if self.cache.has_blob(file) {
            return 0;
        }
        let partial = fs::metadata(self.cache.partial(file)).map_or(0, |found| found.len());
        let kept = if file.can_go_on_from(partial) { partial } else { 0 };
        file.size - kept
    }

    fn all(&mut self, files: &[&Listed]) -> Result<()> {
        let total = files.iter().map(|file| self.left(file)).fold(0, u64::saturating_add);
        let mut shown = Transfer::new(total);
        for file in files {
            let _lock = self.cache.lock(file)?;
            if !self.cache.has_blob(file) {
                self.receive(file, &mut shown)?;
            }
            self.cache.link(self.commit, file)?;
        }
        Ok(())
    }

    /// Receives a content, checks it, and puts it in place.
    fn receive(&mut self, file: &Listed, shown: &mut Transfer) -> Result<()> {
        let (path, blob) = (self.cache.partial(file), self.cache.blob(file));
        files::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let mut partial = Partial::open(&path)?;
        if !file.can_go_on_from(partial.length()) {
            partial.restart()?;
        }
        shown.begin(&file.name, file.size, partial.length());
        let (mut patience, mut furthest) = (Patience::default(), partial.length());
        while partial.length() < file.size {
            if let Err(trouble) = self.append(file, &mut partial, shown) {
                patience.after(trouble, partial.length() > furthest)?;
                furthest = furthest.max(partial.length());
            }
        }
        match partial.finish(&blob, file.sha256.as_deref())? {
            Arrived::InPlace => Ok(()),
            Arrived::Refused => Err(anyhow!(
                "{}: {}: what came has another SHA-256 than the hub lists; nothing of it is kept\n\
                 hint: try again",
                self.name,
                file.name
            )),
        }
    }

    /// Asks for the rest of a content and writes what comes of it.
    fn append(
        &mut self,
        file: &Listed,
        partial: &mut Partial,
        shown: &mut Transfer,
    ) -> Result<(), Trouble> {
        let wanted = (self.name, self.commit, file.name.as_str());
        let (start, mut content) = self.remote.content(wanted, partial.length())?;
        if start < partial.length() {
            partial.restart()?;
        }
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = match content.read(&mut chunk) {
                Ok(0) if partial.length() == file.size => return Ok(()),
                Ok(0) => return Err(self.broke_off(file, "the connection ended early")),
                // All is there, whatever became of the connection.
                Err(_) if partial.length() == file.size => return Ok(()),
                Err(error) => return Err(self.broke_off(file, &error.to_string())),
                Ok(count) => count,
            };
            if count as u64 > file.size - partial.length() {
                partial.restart()?;
                return Err(Trouble::Lasting(anyhow!(
                    "{}: {}: more came than the {} bytes that the hub lists; nothing of it is kept",
                    self.name,
                    file.name,
                    file.size
                )));
            }
            partial.append(&chunk[..count])?;
            self.received += count as u64;
            shown.at(partial.length());
        }
    }

    fn broke_off(&self, file: &Listed, reason: &str) -> Trouble {
        Trouble::Passing(format!(
            "{}: {}: {reason}\nhint: the same command goes on from there",
            self.name, file.name
        ))
    }
}
