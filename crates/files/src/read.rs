//! Whole files into memory, never more than the caller allows.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::{Error, Operation, Result};

/// Reads the whole file at `path`.
///
/// # Errors
/// When it is not a regular file, holds more than `limit_bytes`, or cannot be read.
pub fn read(path: impl AsRef<Path>, limit_bytes: u64) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let (file, size_bytes) = open_regular(path, Operation::Read, limit_bytes)?;
    let mut bytes = Vec::with_capacity(usize::try_from(size_bytes).unwrap_or(0));
    // The file may have grown since its size was taken: one byte past the limit is enough to tell.
    file.take(limit_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(Error::io(Operation::Read, path))?;
    check_limit(path, Operation::Read, bytes.len() as u64, limit_bytes)?;
    Ok(bytes)
}

/// Reads the whole file at `path` as UTF-8 text.
///
/// # Errors
/// As [`read`], and when the bytes are not UTF-8.
pub fn read_to_string(path: impl AsRef<Path>, limit_bytes: u64) -> Result<String> {
    let path = path.as_ref();
    String::from_utf8(read(path, limit_bytes)?).map_err(|error| Error::NotUtf8 {
        path: path.to_path_buf(),
        offset_bytes: error.utf8_error().valid_up_to(),
    })
}

/// Opens a regular file of at most `limit_bytes`; gives its size in bytes beside it.
pub(crate) fn open_regular(
    path: &Path,
    operation: Operation,
    limit_bytes: u64,
) -> Result<(File, u64)> {
    let file = OpenOptions::new()
        .read(true)
        // Opening a pipe would wait for its writer; this way it opens at once and is then refused.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(Error::io(operation, path))?;
    let metadata = file.metadata().map_err(Error::io(operation, path))?;
    if !metadata.is_file() {
        let found = if metadata.is_dir() { "a directory" } else { "a device, pipe or socket" };
        let expected = "a regular file";
        return Err(Error::WrongKind { operation, path: path.to_path_buf(), found, expected });
    }
    check_limit(path, operation, metadata.len(), limit_bytes)?;
    Ok((file, metadata.len()))
}

fn check_limit(path: &Path, operation: Operation, size_bytes: u64, limit_bytes: u64) -> Result<()> {
    if size_bytes > limit_bytes {
        let path = path.to_path_buf();
        return Err(Error::TooLarge { operation, path, size_bytes, limit_bytes });
    }
    Ok(())
}
