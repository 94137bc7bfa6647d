//! The errors of this crate: each names the path and what was being done to it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What was being done to a path when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Reading bytes.
    Read,
    /// Mapping a file into memory.
    Map,
    /// Writing bytes, or making them durable.
    Write,
    /// Creating a directory.
    CreateDirectory,
    /// Putting a finished file or directory into its place.
    Replace,
    /// Putting back what an interrupted replacement left aside.
    Recover,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Read => "read",
            Operation::Map => "map",
            Operation::Write => "write",
            Operation::CreateDirectory => "create the directory",
            Operation::Replace => "replace",
            Operation::Recover => "recover",
        })
    }
}

/// Why a file, a directory or a memory map could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused. The cause is part of the message, so it is not a `source`.
    #[error("cannot {operation} {}: {}{}", path.display(), reason(cause), hint(cause))]
    Io {
        /// What was being done.
        operation: Operation,
        /// To which path.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The path names something of another kind, such as a directory where a file is expected.
    #[error("cannot {operation} {}: it is {found}, expected {expected}", path.display())]
    WrongKind {
        /// What was being done.
        operation: Operation,
        /// To which path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
        /// What should be there.
        expected: &'static str,
    },
    /// The file is larger than its reader allows.
    #[error(
        "cannot {operation} {}: it holds {size_bytes} bytes, more than the limit of {limit_bytes}",
        path.display()
    )]
    TooLarge {
        /// What was being done.
        operation: Operation,
        /// To which path.
        path: PathBuf,
        /// Size of the file; of a file that grows meanwhile, the size at which reading stopped.
        size_bytes: u64,
        /// The limit that the caller gave.
        limit_bytes: u64,
    },
    /// A directory that would be replaced holds something that is not of its kind.
    #[error(
        "{}: it holds {found:?}, which is no part of {expected}, and would be replaced\nhint: choose a \
         directory of its own", path.display()
    )]
    Stranger {
        /// The directory.
        path: PathBuf,
        /// The name of what is in it, the first in their order.
        found: String,
        /// What a directory may be that is replaced.
        expected: &'static str,
    },
    /// The file should be text and is not.
    #[error(
        "cannot read {} as text: byte {offset_bytes} is not UTF-8\
         \nhint: convert the file to UTF-8 first", path.display()
    )]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Offset of the first byte that is not part of a valid sequence.
        offset_bytes: usize,
    },
}

impl Error {
    /// Wraps what the operating system said about `path`; made to be used in `map_err`, also by
    /// other crates for the few operations that this one does not cover.
    pub fn io(operation: Operation, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Error {
        let path = path.as_ref().to_path_buf();
        move |cause| Error::Io { operation, path, cause }
    }
}

/// The cases that people meet, in words; the operating system's own text for the rest.
fn reason(cause: &io::Error) -> String {
    match (cause.kind(), cause.raw_os_error()) {
        (io::ErrorKind::StorageFull, _) => "the disk is full".into(),
        (io::ErrorKind::QuotaExceeded, _) => "the disk quota is used up".into(),
        (io::ErrorKind::ReadOnlyFilesystem, _) => "the file system is read-only".into(),
        (io::ErrorKind::PermissionDenied, Some(_)) => "permission denied".into(),
        (io::ErrorKind::NotFound, Some(_)) => "no such file or directory".into(),
        (io::ErrorKind::NotADirectory, Some(_)) => "a part of the path is no directory".into(),
        (io::ErrorKind::OutOfMemory, Some(_)) => "not enough memory".into(),
        _ => cause.to_string(),
    }
}

/// One hint for the causes that have a usual remedy, with its line break.
fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "\nhint: free some space or choose another output directory; what was there before is intact"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "\nhint: choose an output directory that can be written"
        }
        io::ErrorKind::PermissionDenied => {
            "\nhint: check the owner and the mode of the file and of its directory"
        }
        _ => "",
    }
}
