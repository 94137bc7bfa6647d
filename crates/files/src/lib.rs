//! Files and memory, at the bottom of the workspace: size-limited reads, read-only memory maps,
//! atomic writes, hashes, and the counts that say how much memory the process holds.
//!
//! *Invariant*: every file and directory that the program produces appears whole or not at all, and
//! whatever it replaces stays readable until the new one is on the disk. *Invariant*: this is the
//! only crate that maps memory. It knows bytes and paths, never tensors or tokens.
//!
//! | module | holds |
//! |---|---|
//! | `read` | whole files under a size limit |
//! | `map` | [`Map`], a file as bytes |
//! | `write` | [`write_atomic`] for a file, [`write_dir_atomic`] for a directory |
//! | `temporary` | where a result is put together, and how leavings of a killed process are found |
//! | `partial` | [`Partial`], a file that arrives piece by piece |
//! | `hash` | SHA-256 |
//! | [`memory`] | the counting allocator and the statistics |

mod error;
mod hash;
mod lock;
mod map;
pub mod memory;
mod partial;
mod read;
#[cfg(test)]
#[path = "../../../tests/skip.rs"]
mod skip;
mod temporary;
#[cfg(test)]
mod tests;
mod write;

pub use error::{Error, Operation, Result};
pub use hash::{Sha256, sha256, sha256_file, sha256_file_watched};
pub use lock::Lock;
pub use map::Map;
pub use partial::{Arrived, Partial};
pub use read::{read, read_to_string};
pub use temporary::abandon;
pub use write::{
    check_dir, check_replaceable, check_write, create_dir_all, move_dir, recover_dir, write_atomic,
    write_dir_atomic,
};
