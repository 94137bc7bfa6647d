//! GGUF, the container of llama.cpp and Ollama: a header of keys with values, a list of tensors, and
//! their data. Format: ggml's `docs/gguf.md`, version 3, little-endian.
//!
//! ```text
//! "GGUF", u32 version, u64 tensors, u64 keys
//! each key:    string, u32 type, value          a string is u64 bytes and UTF-8
//! each tensor: string, u32 dimensions, u64 each (the fastest first), u32 type, u64 offset
//! data, from the next multiple of the alignment (32); offsets count from there
//! ```
//!
//! Reading copies nothing but names: values and tensors stay where the file is mapped.

mod llama;
mod read;
mod write;

pub(crate) use llama::{ARCHITECTURE, FREQUENCIES, module, named, rows, theirs};
pub use llama::{config, is_adapter};
pub use read::{Contents, Info, Value, parse};
pub use write::Key;
pub(crate) use write::{Written, write};

#[cfg(test)]
mod tests;

pub(crate) const MAGIC: [u8; 4] = *b"GGUF";
const VERSION: u32 = 3;
/// What tensors are aligned to where no key says otherwise.
const ALIGNMENT: usize = 32;
/// The key that says so.
const ALIGNMENT_KEY: &str = "general.alignment";

/// Types of values, as numbered by the format.
const U8: u32 = 0;
const I8: u32 = 1;
const U16: u32 = 2;
const I16: u32 = 3;
const U32: u32 = 4;
const I32: u32 = 5;
const F32: u32 = 6;
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;
const U64: u32 = 10;
const I64: u32 = 11;
const F64: u32 = 12;
