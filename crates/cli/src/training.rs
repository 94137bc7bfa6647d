//! A training run on this machine's cores: planned, run with progress, and summed up.

use crate::chart::losses::Losses;
use crate::interrupt::Stoppable;
use crate::machine::{self, Machine};
use crate::output::{bytes, duration};
use crate::progress::Progress;
use crate::weights::Form;
use anyhow::Result;
use ops::{Any, Cpu};
use std::path::Path;
use std::time::Instant;
use train::{Budget, Evaluation, Job, Observer, Outcome, Plan, Resume, Site, Started, State};
use train::{StepMetrics, run};

/// Largest log that is read back.
const LOG_LIMIT_BYTES: u64 = 1 << 30;

/// What a run came to.
pub(crate) struct Ran {
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Whether somebody asked it to stop, be it in the last step: what follows must not begin then.
    pub(crate) asked_to_stop: bool,
    /// What it was planned to take, and what it took.
    pub(crate) memory: Memory,
    /// Trained numbers.
    pub(crate) parameters: usize,
    /// Wall time of the steps of this process.
    pub(crate) step_seconds: f64,
    /// Tokens that went through the model in these steps.
    pub(crate) step_tokens: usize,
    /// Wall time from the plan to the end, evaluation and checkpoints included.
    pub(crate) seconds: f64,
    /// Losses of the whole run, those before it was resumed included.
    pub(crate) losses: Losses,
}

/// Bytes that a run held, beside those that were planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Arenas and heap, planned.
    pub(crate) planned: usize,
    /// Most heap bytes at once during the run, less what was held before.
    pub(crate) measured: usize,
    /// Weight files that were mapped; they are the page cache's.
    pub(crate) mapped: usize,
    /// Highest resident set of the process, as the system counts it.
    pub(crate) vm_hwm: Option<u64>,
}

/// How a run is done.
pub(crate) struct Manner<'a> {
    /// What the progress is called.
    pub(crate) what: &'static str,
    /// The run's directory.
    pub(crate) directory: &'a Path,
    /// Where it begins.
    pub(crate) resume: Resume,
}

/// Plans and runs.
///
/// # Errors
/// A run that does not fit into memory, or what stops it.
pub(crate) fn train(machine: &Machine, job: &Job, manner: Manner<'_>) -> Result<Ran> {
    let started = Instant::now();
    let form = Form::of_job(job);
    if let (Some(adapter), Some(record)) = (&job.recipe().model.adapter, job.adapter_provenance()?)
    {
        form.compare(adapter, &record, machine);
    }
    let available = machine::memory().map(|(_, available)| available as usize);
    // Before anything is loaded, the device says what it has to give.
    let opened = machine.gpu.map(|gpu| gpu.open()).transpose()?;
    let device = opened.as_ref().and_then(|it| it.free);
    let plan = Plan::new(job, machine.target(), Budget { device, host: available })?;
    let mut watcher = Watcher::new(&manner, job, form.describe(machine));
    let baseline = files::memory::reset_peak();
    let mapped_before = files::memory::statistics().file_mapped_bytes;
    let mut backend = match opened {
        Some(opened) => opened.backend(plan.size)?,
        None => Any::Cpu(Cpu::new(machine.target(), plan.size)),
    };
    let site = Site {
        directory: manner.directory,
        resume: manner.resume.clone(),
        baseline_bytes: Some(baseline),
    };
    let outcome = run(&mut backend, job, &plan, &site, &mut watcher)
        .map_err(|error| with_last_checkpoint(error, manner.directory))?;
    let statistics = files::memory::statistics();
    drop(backend);
    let memory = Memory {
        planned: plan.total_bytes(),
        measured: statistics.peak_bytes.saturating_sub(baseline),
        mapped: plan.size.mapped.max(statistics.file_mapped_bytes - mapped_before),
        vm_hwm: files::memory::vm_hwm_bytes(),
    };
    let asked_to_stop = watcher.stoppable.asked();
    let Watcher { parameters, step_seconds, step_tokens, .. } = watcher;
    Ok(Ran {
        outcome,
        asked_to_stop,
        memory,
        parameters,
        step_seconds,
        step_tokens,
        seconds: started.elapsed().as_secs_f64(),
        losses: losses(manner.directory)?,
    })
}

/// Where a device failed: the error, and what is left of the run.
fn with_last_checkpoint(error: train::Error, run: &Path) -> anyhow::Error {
    let is_device =
        matches!(error, train::Error::Backend(_) | train::Error::Model(model::Error::Backend(_)));
    let last = train::checkpoints(run).ok().and_then(|list| list.last().map(|(step, _)| *step));
    match last.filter(|_| is_device) {
        Some(step) => anyhow::anyhow!(
            "{error}\nhint: everything up to step {step} is in {}; once the device is well, the same command \
             with --resume goes on from there",
            run.display()
        ),
        None => error.into(),
    }
}

impl Ran {
    /// Where the run stands.
    pub(crate) fn state(&self) -> &State {
        match &self.outcome {
            Outcome::Finished { state, .. }
            | Outcome::StoppedEarly { state, .. }
            | Outcome::Interrupted { state, .. } => state,
        }
    }

    /// The directory of what was trained; none where the run was interrupted.
    pub(crate) fn result(&self) -> Option<&Path> {
        match &self.outcome {
            Outcome::Finished { output, .. } | Outcome::StoppedEarly { output, .. } => Some(output),
            Outcome::Interrupted { .. } => None,
        }
    }

    /// Puts the run in the place of an earlier one, which stays until then.
    ///
    /// # Errors
    /// The disk.
    pub(crate) fn moved(mut self, from: &Path, to: &Path) -> Result<Ran> {
        files::move_dir(from, to)?;
        if let Outcome::Finished { output, .. } | Outcome::StoppedEarly { output, .. } =
            &mut self.outcome
        {
            *output = to.join(output.strip_prefix(from).unwrap_or(output));
        }
        Ok(self)
    }

    /// Tokens per second of the steps of this process.
    pub(crate) fn tokens_per_second(&self) -> f64 {
        self.step_tokens as f64 / self.step_seconds.max(f64::MIN_POSITIVE)
    }

    /// What is worth saying, as names and values.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let state = self.state();
        let mut rows = vec![
            ("steps", state.step.to_string()),
            ("trained numbers", self.parameters.to_string()),
            ("tokens", format!("{}, {} of them trained", state.tokens, state.trained_tokens)),
            ("time", duration(self.seconds)),
            ("speed", format!("{:.0} tokens/s", self.tokens_per_second())),
        ];
        if let (Some((_, first)), Some((_, last))) =
            (self.losses.train.first(), self.losses.train.last())
        {
            rows.push(("training loss", format!("{first:.4} to {last:.4}")));
        }
        if let (Some(before), Some(best)) = (state.initial, state.best) {
            let (step, loss) = (best.step, best.loss);
            rows.push(("held-out loss", format!("{before:.4} to {loss:.4}, at step {step}")));
        }
        rows.extend(self.memory.rows());
        rows
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        let state = self.state();
        serde_json::json!({
            "steps": state.step,
            "parameters": self.parameters,
            "tokens": state.tokens,
            "trained_tokens": state.trained_tokens,
            "seconds": self.seconds,
            "tokens_per_second": self.tokens_per_second(),
            "loss_first": self.losses.train.first().map(|it| it.1),
            "loss_last": self.losses.train.last().map(|it| it.1),
            "held_out_before": state.initial,
            "held_out_after": state.held_out,
            "held_out_best": state.best.map(|best| best.loss),
            "best_step": state.best.map(|best| best.step),
            "planned_bytes": self.memory.planned,
            "measured_bytes": self.memory.measured,
            "mapped_bytes": self.memory.mapped,
            "vm_hwm_bytes": self.memory.vm_hwm,
        })
    }
}

impl Memory {
    /// Names and values.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let mut rows = vec![
            ("memory planned", bytes(self.planned as u64)),
            ("memory measured", bytes(self.measured as u64)),
            ("weights mapped", bytes(self.mapped as u64)),
        ];
        if let Some(high) = self.vm_hwm {
            rows.push(("process peak", format!("{} (VmHWM)", bytes(high))));
        }
        rows
    }
}

/// Shows a run and lets it be stopped.
struct Watcher {
    stoppable: Stoppable,
    progress: Progress,
    /// Numerics, storage and tier, in words.
    form: String,
    parameters: usize,
    step_seconds: f64,
    step_tokens: usize,
}

impl Watcher {
    fn new(manner: &Manner<'_>, job: &Job, form: String) -> Watcher {
        let progress = Progress::new(manner.what, Some(job.total_steps()));
        let stoppable = Stoppable::begin();
        Watcher { stoppable, progress, form, parameters: 0, step_seconds: 0.0, step_tokens: 0 }
    }
}

impl Observer for Watcher {
    fn started(&mut self, started: &Started) {
        self.parameters = started.parameters;
        self.progress.begin_at(started.state.step);
        self.progress.line(&self.form);
        let Started { documents, held_out, untrained, total_steps, .. } = started;
        let mut line = format!("{documents} documents train, {held_out} are held out");
        if *untrained > 0 {
            line.push_str(&format!(", {untrained} have no trained token"));
        }
        let planned = bytes(started.planned_bytes as u64);
        self.progress.line(&format!("{line}; {total_steps} steps, {planned} planned"));
    }

    fn step(&mut self, metrics: &StepMetrics) {
        self.step_seconds += metrics.seconds;
        self.step_tokens += metrics.tokens;
        self.progress.at(metrics.step, || {
            format!("loss {:.3}, {:.0} tokens/s", metrics.loss, metrics.tokens_per_second)
        });
    }

    fn evaluated(&mut self, evaluation: &Evaluation) {
        let Evaluation { step, held_out_loss, by_source, best, .. } = evaluation;
        let best = if *best { ", the best so far" } else { "" };
        let sources: Vec<String> =
            by_source.iter().map(|(name, loss)| format!("{name} {loss:.4}")).collect();
        let sources = match sources.len() {
            0 | 1 => String::new(),
            _ => format!(" ({})", sources.join(", ")),
        };
        self.progress
            .line(&format!("step {step}: held-out loss {held_out_loss:.4}{sources}{best}"));
    }

    fn interrupted(&mut self) -> bool {
        self.stoppable.asked()
    }
}

/// The losses in a run's log.
fn losses(run: &Path) -> Result<Losses> {
    let text = files::read_to_string(run.join("log.jsonl"), LOG_LIMIT_BYTES)?;
    let mut losses = Losses::default();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let Some(step) = value["step"].as_u64() else { continue };
        if let Some(loss) = value["loss"].as_f64() {
            losses.train.push((step, loss));
        } else if let Some(loss) = value["held_out_loss"].as_f64() {
            losses.held_out.push((step, loss));
        }
    }
    Ok(losses)
}
