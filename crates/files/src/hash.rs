//! SHA-256 as lower-case hexadecimal, for manifests, shards and tokenizers.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::Digest;

use crate::read::open_regular;
use crate::{Error, Operation, Result};

/// Bytes read at once when a file is hashed.
const CHUNK_BYTES: usize = 1 << 20;

/// A SHA-256 that is fed piece by piece. It is also a [`Write`], so writers can be teed into it.
#[derive(Clone, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// A hash of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all that was appended: 64 lower-case hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
            text
        })
    }
}

impl Write for Sha256 {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The hash of `bytes`.
pub fn sha256(bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.finish()
}

/// The hash of a file, read in pieces: a file of any size takes 1 MiB of memory.
///
/// # Errors
/// When the path is not a regular file or cannot be read.
pub fn sha256_file(path: impl AsRef<Path>) -> Result<String> {
    sha256_file_watched(path, &mut |_| {})
}

/// The same; `watch` is told after each piece how many bytes were read so far.
///
/// # Errors
/// As [`sha256_file`].
pub fn sha256_file_watched(path: impl AsRef<Path>, watch: &mut dyn FnMut(u64)) -> Result<String> {
    let path = path.as_ref();
    let (mut file, _) = open_regular(path, Operation::Read, u64::MAX)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut done = 0;
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hash.finish()),
            Ok(count) => {
                hash.update(&chunk[..count]);
                done += count as u64;
                watch(done);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io(Operation::Read, path)(error)),
        }
    }
}
