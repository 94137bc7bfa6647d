//! What a model is worth: tasks, scores with intervals, baselines, and a report. Everything is a
//! function of its inputs and a seed; models are reached through `text::llm::Llm` only.
//!
//! - [`example`]: an incident with the right answer, and what a method said about it.
//! - [`baseline`]: majority, most frequent fault, logistic regression and nearest neighbour.
//! - [`incidents`]: simulated incidents as examples, and a model asked about them.
//! - [`fit`]: how much ranking, signs and model say, fitted.
//! - [`hostile`]: the same incidents clean and poisoned.
//! - [`commands`]: Kubernetes commands and field paths that a model writes, judged by the schema.
//! - [`losses`]: how well a model predicts texts, before and after tuning.
//! - [`postmortems`]: real post-mortems as incidents, labelled by cause.
//! - [`saturation`]: how early and how rightly methods say that something runs out.
//! - [`score`]: accuracy, calibration, abstention.
//! - [`interval`]: bootstrap intervals, paired where two methods saw the same examples.

#![forbid(unsafe_code)]

pub mod baseline;
pub mod commands;
pub mod example;
pub mod fit;
pub mod hostile;
pub mod incidents;
pub mod interval;
pub mod losses;
pub mod postmortems;
pub mod saturation;
pub mod score;

#[cfg(test)]
#[path = "../../../tests/skip.rs"]
mod skip;
