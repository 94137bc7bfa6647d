//! Llama 3, forward and written-out backward, over any backend.
//!
//! Nothing here knows where memory is: buffers are plain values, work is launches, and the same calls
//! on `ops::Dry` are the plan. A model is laid out once ([`Model::layout`]) and then filled
//! ([`Model::fill`]); a training step ([`Step`]) or a serving pass ([`Serve`]) lays out what it needs
//! on top.
#![forbid(unsafe_code)]

mod batch;
pub mod config;
mod error;
pub mod fidelity;
pub mod gguf;
pub mod init;
pub mod llama;
pub mod load;
pub mod lora;
pub mod save;
mod serve;
mod step;

#[cfg(test)]
#[path = "../../../tests/skip.rs"]
mod skip;
#[cfg(test)]
#[path = "../../../tests/test_device.rs"]
mod test_device;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Place};
pub use config::Config;
pub use error::{Error, Result};
pub use llama::{Base, Embedding, Head, Model, Origin, Param, Spec, Trained};
pub use load::Checkpoint;
pub use lora::LoraConfig;
pub use serve::{Cache, Serve, Token};
pub use step::{Pass, Policy, Step, StepOptions};
