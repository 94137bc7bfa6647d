//! From text to trained tokens, and back: everything about language that needs no tensor.
//!
//! - [`tokenizer`]: byte-level BPE, training, encoding, decoding, streaming.
//! - [`record`]: documents out of Markdown, plain text and JSONL.
//! - [`secrets`]: secrets and personal data, found or masked.
//! - [`chat`]: conversations through chat templates, with what of them is trained.
//! - [`duplicates`]: texts that are equal or nearly so.
//! - [`dataset`]: tokenized documents in memory-mapped shards, and their split.
//! - [`pack`]: micro-batches of whole documents for one epoch.
//! - [`grammar`]: a JSON schema as the set of tokens that may come next.
//! - [`inspect`]: what is in a data set, as plain numbers and marks.
//! - [`kubernetes`]: the Kubernetes API as a schema and as a judge.
//! - [`random`]: numbers that are functions of a name and a counter.
//! - [`llm`]: the narrow waist between whoever has a model and whoever needs one.

#![forbid(unsafe_code)]

pub mod chat;
pub mod dataset;
pub mod duplicates;
mod error;
pub mod grammar;
pub mod inspect;
pub mod kubernetes;
pub mod llm;
pub mod pack;
pub mod random;
pub mod record;
pub mod secrets;
mod sections;
#[cfg(test)]
#[path = "../../../tests/skip.rs"]
mod skip;
pub mod tokenizer;

pub use error::{Error, Place, Result};
