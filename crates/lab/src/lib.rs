//! A simulated microservice laboratory: faults that spread through a call graph into metrics, log
//! lines, events and changes, with the truth about them. Pure: no file, no network, no clock; an
//! incident is a function of seed, side of the split and number.
//!
//! - [`Settings`], [`Part`]: what is simulated, and on which side of the split between learning and
//!   testing.
//! - [`incident`], [`many`]: incidents.
//! - [`Simulated`], [`Truth`]: an incident, what really happened, and the answer that makes right.
//! - [`prose`]: post-mortems, runbooks and a corpus to read from.
//! - [`series`]: series of something that may run out, for forecasts.
//!
//! How it works inside: a topology (`topology`) is run through its minutes (`world`) under faults
//! that are rows of tables (`fault`); `telemetry` measures it, `symptoms` and `ordinary` say what is
//! logged, reported and changed, in the wordings of `phrase` and the manner of a `dialect`;
//! `write_up` gives everything its id.

#![forbid(unsafe_code)]

mod dialect;
mod dice;
mod fault;
mod names;
mod ordinary;
mod phrase;
pub mod prose;
pub mod series;
mod settings;
mod simulate;
mod simulated;
mod symptoms;
mod telemetry;
#[cfg(test)]
mod tests;
mod topology;
mod world;
mod write_up;
mod writer;

pub use settings::{Part, Settings, Shares};
pub use simulate::{incident, many};
pub use simulated::{Simulated, Truth};
