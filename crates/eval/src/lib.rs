//! What a model is worth: tasks, scores with intervals, baselines, and a report. Everything is a
//! function of its inputs and a seed; models are reached through `text::llm::Llm` only.
//!
//! - [`example`]: an incident with the right answer, and what a method said about it.
//! - [`baseline`]: majority, logistic regression and nearest neighbour.
//! - [`score`]: accuracy, calibration, abstention.
//! - [`interval`]: bootstrap intervals, paired where two methods saw the same examples.

#![forbid(unsafe_code)]

pub mod baseline;
pub mod example;
pub mod interval;
pub mod score;
