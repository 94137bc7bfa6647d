//! What a run tells while it goes.

use crate::checkpoint::State;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Told once, before the first step.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// Where the run stands: at zero, or where it was stopped.
    pub state: State,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// Trained numbers.
    pub parameters: usize,
    /// Documents that are trained.
    pub documents: usize,
    /// Documents that are held out.
    pub held_out: usize,
    /// Documents that take no part because none of their tokens is trained.
    pub untrained: usize,
    /// Bytes that the plan counts.
    pub planned_bytes: usize,
}

/// Told after every step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepMetrics {
    /// The step, counted from 1.
    pub step: u64,
    /// The epoch, counted from 0.
    pub epoch: u64,
    /// Mean loss over the trained tokens of the step.
    pub loss: f64,
    /// Norm of the gradients before clipping.
    pub grad_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Tokens that went through the model.
    pub tokens: usize,
    /// Tokens that were trained.
    pub trained_tokens: usize,
    /// Wall time of the step.
    pub seconds: f64,
    /// Tokens per second.
    pub tokens_per_second: f64,
    /// Bytes that the plan counts.
    pub planned_bytes: usize,
    /// The highest that the process held since the plan was accepted, in bytes, less what it held
    /// then; absent where nothing counts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_bytes: Option<usize>,
    /// Share of the wall time by op group, the rest being `other`.
    pub shares: Vec<(&'static str, f64)>,
}

/// Told after every evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Steps that were done.
    pub step: u64,
    /// Mean loss per trained token of the held-out documents.
    pub held_out_loss: f64,
    /// The same by where the documents came from: the directory, the file, or the name in the ids.
    pub by_source: BTreeMap<String, f64>,
    /// Whether it is the lowest so far.
    pub best: bool,
    /// Wall time.
    pub seconds: f64,
}

/// Watches a run. Every method has a default that does nothing.
pub trait Observer {
    /// The run begins or goes on.
    fn started(&mut self, _started: &Started) {}

    /// A step was done.
    fn step(&mut self, _metrics: &StepMetrics) {}

    /// The held-out documents were measured.
    fn evaluated(&mut self, _evaluation: &Evaluation) {}

    /// A checkpoint was written.
    fn checkpointed(&mut self, _step: u64, _directory: &Path) {}

    /// Asked after every step: whether to write a checkpoint and stop.
    fn interrupted(&mut self) -> bool {
        false
    }
}
