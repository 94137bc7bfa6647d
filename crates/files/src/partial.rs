//! A file that arrives piece by piece, perhaps over several processes, under a name of its own until
//! it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Operation, Result, Sha256};

/// Bytes read at once when what is there is hashed.
const CHUNK_BYTES: usize = 1 << 20;

/// What has arrived of a file. It stays when this is dropped, for whoever goes on. One process writes
/// it at a time: who opens it holds a [`crate::Lock`].
pub struct Partial {
    path: PathBuf,
    file: File,
    hash: Sha256,
    length: u64,
}

/// Whether what has arrived is what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// It is in place.
    InPlace,
    /// It was another content, and was removed.
    Refused,
}

impl Partial {
    /// Opens what has arrived at `path`, which is nothing where there is no file.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn open(path: impl AsRef<Path>) -> Result<Partial> {
        let path = path.as_ref();
        let open =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
        let mut file = open.map_err(Error::io(Operation::Write, path))?;
        let (mut hash, mut length, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
        loop {
            match file.read(&mut chunk).map_err(Error::io(Operation::Read, path))? {
                0 => return Ok(Partial { path: path.to_path_buf(), file, hash, length }),
                count => {
                    hash.update(&chunk[..count]);
                    length += count as u64;
                }
            }
        }
    }

    /// Bytes that have arrived.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Begins anew.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(Error::io(Operation::Write, &self.path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(Error::io(Operation::Write, &self.path))?;
        (self.hash, self.length) = (Sha256::new(), 0);
        Ok(())
    }

    /// Appends what arrives.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io(Operation::Write, &self.path))?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Makes it durable and puts it at `target`, a path of the same directory, if its SHA-256 is this
    /// one or none is expected; removes it otherwise.
    ///
    /// # Errors
    /// When it cannot be written, moved or removed.
    pub fn finish(self, target: impl AsRef<Path>, sha256: Option<&str>) -> Result<Arrived> {
        if sha256.is_some_and(|expected| expected != self.hash.finish()) {
            fs::remove_file(&self.path).map_err(Error::io(Operation::Write, &self.path))?;
            return Ok(Arrived::Refused);
        }
        self.file.sync_all().map_err(Error::io(Operation::Write, &self.path))?;
        let target = target.as_ref();
        fs::rename(&self.path, target).map_err(Error::io(Operation::Replace, target))?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let synced = File::open(parent.unwrap_or(Path::new("."))).and_then(|it| it.sync_all());
        synced.map_err(Error::io(Operation::Replace, target))?;
        Ok(Arrived::InPlace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256;

    #[test]
    fn what_arrived_is_gone_on_with_and_checked() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("x.incomplete"), directory.path().join("x"));
        let mut first = Partial::open(&path).unwrap();
        first.append(b"one ").unwrap();
        drop(first);
        let mut second = Partial::open(&path).unwrap();
        assert_eq!(second.length(), 4);
        second.append(b"two").unwrap();
        let expected = sha256(b"one two");
        assert_eq!(second.finish(&target, Some(&expected)).unwrap(), Arrived::InPlace);
        assert_eq!(fs::read(&target).unwrap(), b"one two");
        assert!(!path.exists());
    }

    #[test]
    fn another_content_is_removed_and_the_target_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join("x.incomplete"), directory.path().join("x"));
        fs::write(&target, b"old").unwrap();
        let mut partial = Partial::open(&path).unwrap();
        partial.append(b"wrong").unwrap();
        assert_eq!(partial.finish(&target, Some(&sha256(b"right"))).unwrap(), Arrived::Refused);
        assert_eq!((fs::read(&target).unwrap().as_slice(), path.exists()), (&b"old"[..], false));
        let mut partial = Partial::open(&path).unwrap();
        partial.append(b"a long beginning").unwrap();
        partial.restart().unwrap();
        partial.append(b"new").unwrap();
        assert_eq!(partial.finish(&target, None).unwrap(), Arrived::InPlace);
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }
}
