//! Generation: many requests over one model, each as if it were alone.
//!
//! An [`Engine`] holds a laid-out KV cache and serving pass, gives every request a slot and, pass
//! after pass, decodes all running sequences together with a chunk of the prompts that are still
//! being read. *Invariant*: what a request gets depends on its own prompt, settings and seed alone;
//! neighbours, slots, chunk sizes and threads change no bit of it.
//!
//! | module | holds |
//! |---|---|
//! | `layout` | [`EngineOptions`], and [`EngineLayout`], the buffers that they ask for |
//! | `engine` | [`Engine`]: queue, slots, passes |
//! | `sequence` | one request on its way |
//! | [`sampler`] | from logits to a token |
//! | [`stop`] | stop strings in streamed text |
//! | `likelihood` | log-probabilities of given tokens |
//! | `logits` | [`AllLogits`], the logits of every position of a list of ids |
//! | `llm` | [`text::llm::Llm`] for [`Engine`] |
#![forbid(unsafe_code)]

mod engine;
mod error;
mod layout;
mod likelihood;
mod llm;
mod logits;
pub mod sampler;
mod sequence;
pub mod stop;

#[cfg(test)]
#[path = "../../../tests/skip.rs"]
mod skip;
#[cfg(test)]
mod tests;

pub use engine::{Engine, Event, RequestId};
pub use error::{Error, Result};
pub use layout::{EngineLayout, EngineOptions};
pub use logits::AllLogits;
