//! A file as read-only bytes, counted in [`crate::memory`] from the moment it is mapped until the
//! map is dropped.

use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use crate::memory;
use crate::read::open_regular;
use crate::{Error, Operation, Result};

/// Bytes of a huge page. Maps as large ask for them: weights are read in one sweep for every token, and
/// translating the addresses of small pages can take longer than reading them.
const HUGE_PAGE: usize = 2 << 20;

/// A file as read-only bytes. Clones share one mapping, which ends with the last of them.
///
/// The file must not be changed or cut short while it is mapped. Files that this program writes are
/// replaced by rename and never changed in place, so a map of one stays whole after a replacement.
#[derive(Clone)]
pub struct Map(Arc<Mapped>);

struct Mapped {
    path: PathBuf,
    /// Absent for an empty file, which has nothing to map.
    bytes: Option<Mmap>,
}

impl Map {
    /// Maps the whole file at `path`; an empty file gives an empty map.
    ///
    /// # Errors
    /// When it is not a regular file, holds more than `limit_bytes`, or cannot be mapped.
    pub fn open(path: impl AsRef<Path>, limit_bytes: u64) -> Result<Map> {
        let path = path.as_ref();
        let (file, size_bytes) = open_regular(path, Operation::Map, limit_bytes)?;
        let bytes = if size_bytes == 0 {
            None
        } else {
            // SAFETY: the map is read-only and private to this type; that the file is not changed
            // meanwhile is the documented condition of `Map`, which no call here can enforce.
            Some(unsafe { Mmap::map(&file) }.map_err(Error::io(Operation::Map, path))?)
        };
        if let Some(bytes) = bytes.as_ref().filter(|bytes| bytes.len() >= HUGE_PAGE) {
            // Where the system has no huge pages, or none for files, everything is as before.
            let _ = bytes.advise(memmap2::Advice::HugePage);
        }
        // The file may have grown between its size being taken and its being mapped.
        let mapped = Mapped { path: path.to_path_buf(), bytes };
        memory::file_mapped(mapped.len());
        let map = Map(Arc::new(mapped));
        if map.len() as u64 > limit_bytes {
            let (path, size_bytes) = (path.to_path_buf(), map.len() as u64);
            return Err(Error::TooLarge {
                operation: Operation::Map,
                path,
                size_bytes,
                limit_bytes,
            });
        }
        Ok(map)
    }

    /// `len` zeros of no file, which take no memory until they are read; `name` is for messages.
    ///
    /// # Errors
    /// When the address space has no room for them.
    pub fn zeros(name: &str, len: usize) -> Result<Map> {
        let failed = |error| Error::io(Operation::Map, PathBuf::from(name))(error);
        let zeros = memmap2::MmapMut::map_anon(len).and_then(memmap2::MmapMut::make_read_only);
        let mapped = Mapped { path: PathBuf::from(name), bytes: Some(zeros.map_err(failed)?) };
        memory::file_mapped(mapped.len());
        Ok(Map(Arc::new(mapped)))
    }

    /// The path that was mapped, for messages.
    pub fn path(&self) -> &Path {
        &self.0.path
    }
}

impl Mapped {
    fn len(&self) -> usize {
        self.bytes.as_ref().map_or(0, |bytes| bytes.len())
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        memory::file_unmapped(self.len());
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes.as_deref().unwrap_or(&[])
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({}, {} bytes)", self.path().display(), self.len())
    }
}
