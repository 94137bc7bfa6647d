//! From what a cluster shows to a cause: the incident file, the evidence that a model gets to see,
//! and the typed answer. Pure: no file, no network, no clock.
//!
//! - [`incident`]: services, metrics, logs, events and changes of one incident, as a JSON file.
//! - [`signal`]: what a metric measures, read off its name.
//! - [`topic`]: what a text of the cluster is about, in words of ours.
//! - [`saturation`]: when something runs out, as an interval of time.
//! - [`evidence`]: the few lines of an incident that matter, each with an id, as a prompt.
//! - [`excerpt`]: text of the cluster in a marked span, where that is switched on.
//! - [`cause`] and [`action`]: the closed lists of causes and remediations.
//! - [`answer`]: what a model says about an incident, checked against that incident.
//! - [`rank`]: which service a trouble came from, by arithmetic alone.
//! - [`sign`]: by which signs each cause is told.
//! - [`fusion`]: one belief from ranking, signs and a model.
//! - [`doubt`]: parts of an answer that do not fit each other.
//! - [`analyst`]: asks a model, and checks what it says.
//! - [`agents`]: analyst, warden and orchestrator in a bounded debate.
//! - [`artifact`]: a post-mortem and a runbook from a checked answer, in Markdown.

#![forbid(unsafe_code)]

pub mod action;
pub mod agents;
pub mod analyst;
pub mod answer;
pub mod artifact;
pub mod cause;
pub mod doubt;
mod error;
pub mod evidence;
pub mod excerpt;
pub mod fusion;
pub mod incident;
mod markdown;
pub mod rank;
pub mod saturation;
pub mod sign;
pub mod signal;
pub mod topic;

pub use error::{Error, Result};

#[cfg(test)]
#[path = "../../../tests/skip.rs"]
mod skip;
