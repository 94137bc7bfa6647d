//! The loop: what is needed is laid out and filled, then steps follow one another until the last one,
//! an early stop or an interruption.

use crate::checkpoint::{self, Best, State, Weights, checkpoints};
use crate::log::Log;
use crate::trainer::{HeldOut, Trainer, Window};
use crate::{Error, Evaluation, EventFile, Job, NotFinite, Observer, Plan, Result};
use crate::{Started, StepMetrics, Timed, Times, Update, learning_rate, output};
use ops::{Backend, Target};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where a run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// At the first step; refused where checkpoints stand already.
    Fresh,
    /// At the newest checkpoint of its directory.
    Latest,
    /// At this checkpoint.
    From(PathBuf),
}

/// Where a run lives.
#[derive(Clone, Debug)]
pub struct Site<'a> {
    /// Its directory: checkpoints, logs, `resolved.toml` and the result.
    pub directory: &'a Path,
    /// Where it begins.
    pub resume: Resume,
    /// What the process held when the plan was accepted, in bytes (`files::memory::reset_peak`);
    /// absent where nothing counts memory.
    pub baseline_bytes: Option<usize>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// After its last step.
    Finished {
        /// Where it stands.
        state: State,
        /// The adapter's or model's directory.
        output: PathBuf,
    },
    /// After enough evaluations without a new best.
    StoppedEarly {
        /// Where it stands.
        state: State,
        /// The adapter's or model's directory.
        output: PathBuf,
    },
    /// On request.
    Interrupted {
        /// Where it stands.
        state: State,
        /// What to resume from.
        checkpoint: PathBuf,
    },
}

/// Trains.
///
/// # Errors
/// A checkpoint or weight that does not fit, a file that cannot be written, or a loss or gradient that
/// is not finite; the last checkpoint is then intact.
pub fn run<B: Backend>(
    backend: &mut B,
    job: &Job,
    plan: &Plan,
    site: &Site<'_>,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let mut run = Run::start(backend, job, plan, site, observer)?;
    while !run.finished() {
        run.step()?;
        let improved = run.evaluate_if_due()?;
        let interrupted = run.observer.interrupted();
        if improved
            || interrupted
            || run.finished()
            || due(job.recipe().checkpoint.every, &run.state)
        {
            run.checkpoint()?;
        }
        if interrupted && !run.finished() {
            let checkpoint = checkpoint::directory(site.directory, run.state.step);
            return Ok(Outcome::Interrupted { state: run.state, checkpoint });
        }
    }
    run.finish()
}

/// Makes sure that nobody else writes into the run's directory, and that what the run will replace
/// there is a run's.
fn claim(job: &Job, directory: &Path) -> Result<files::Lock> {
    if !directory.join("resolved.toml").exists() {
        let name = if job.lora().is_some() { "adapter" } else { "model" };
        for name in [name.to_owned(), format!("{name}-last")] {
            let path = directory.join(name);
            if path.exists() {
                let message = "is in the way, and no run wrote it\nhint: choose another --out";
                return Err(Error::mismatch(&path, message));
            }
        }
    }
    let message = "another run is writing here\nhint: choose another --out, or wait for it";
    files::Lock::take(directory.join(".lock"))?.ok_or_else(|| Error::mismatch(directory, message))
}

/// Whether something that happens every so many steps happens now.
fn due(every: Option<u64>, state: &State) -> bool {
    every.is_some_and(|every| state.step.is_multiple_of(every))
}

/// A run in progress.
struct Run<'a, B> {
    backend: Timed<'a, B>,
    job: &'a Job,
    plan: &'a Plan,
    site: &'a Site<'a>,
    observer: &'a mut dyn Observer,
    /// With the tensors, all that a checkpoint holds.
    state: State,
    trainer: Trainer,
    /// Micro-batches of the present epoch.
    epoch: Vec<Vec<usize>>,
    log: Log,
    events: EventFile,
    /// Held as long as the run writes.
    _lock: files::Lock,
}

impl<'a, B: Backend> Run<'a, B> {
    fn start(
        backend: &'a mut B,
        job: &'a Job,
        plan: &'a Plan,
        site: &'a Site<'a>,
        observer: &'a mut dyn Observer,
    ) -> Result<Self> {
        files::create_dir_all(site.directory)?;
        let lock = claim(job, site.directory)?;
        let resumed = resume(job, site, backend.target())?;
        // What is recorded beside every result, while nothing is laid out that a refusal would waste.
        job.identity()?;
        let resolved = job.recipe().to_toml();
        let path = site.directory.join("resolved.toml");
        files::write_atomic(path, |out| out.write_all(resolved.as_bytes()))?;
        let mut trainer = Trainer::layout(backend, job, &job.step_options(&plan.policies))?;
        trainer.fill(backend, job, resumed.as_ref().map(|(_, weights)| weights))?;
        let new = resumed.is_none();
        let state = resumed.map_or_else(State::default, |(state, _)| state);
        let epoch = job.epoch(state.epoch)?;
        let log = Log::open(&site.directory.join("log.jsonl"), state.step)?;
        let events = EventFile::start(site.directory, state.step)?;
        let backend = Timed::new(backend);
        let mut run = Run {
            backend,
            job,
            plan,
            site,
            observer,
            state,
            trainer,
            epoch,
            log,
            events,
            _lock: lock,
        };
        run.announce();
        if new {
            run.evaluate()?;
        }
        Ok(run)
    }

    fn announce(&mut self) {
        let held_out = self.job.held_out().iter().map(Vec::len).sum();
        self.observer.started(&Started {
            state: self.state.clone(),
            total_steps: self.job.total_steps(),
            parameters: self.trainer.model().params().iter().map(|p| p.value.len).sum(),
            documents: self.job.documents().len(),
            held_out,
            untrained: self.job.untrained(),
            planned_bytes: self.plan.total_bytes(),
        });
    }

    fn stopped_early(&self) -> bool {
        self.job.recipe().evaluation.patience.is_some_and(|patience| self.state.stale >= patience)
    }

    fn finished(&self) -> bool {
        self.state.step >= self.job.total_steps() || self.stopped_early()
    }

    /// One step of the optimizer.
    fn step(&mut self) -> Result<()> {
        let start = Instant::now();
        self.backend.take();
        if self.state.cursor >= self.epoch.len() {
            self.state.epoch += 1;
            self.state.cursor = 0;
            self.epoch = self.job.epoch(self.state.epoch)?;
        }
        let (step, first) = (self.state.step + 1, self.state.cursor);
        let last = (first + self.job.recipe().batch.micro_batches).min(self.epoch.len());
        let micro_batches = &self.epoch[first..last];
        let window = micro_batches.iter().map(Vec::as_slice);
        let window = self.trainer.window(&mut self.backend, self.job, window);
        let window = window.map_err(|error| at_step(error, step))?;
        let schedule = &self.job.recipe().schedule;
        let rate = learning_rate(schedule, self.state.step, self.job.total_steps());
        let update = Update { step, learning_rate: rate };
        let norm = self.trainer.update(&mut self.backend, update)?;
        if !norm.is_finite() {
            let docs = micro_batches.iter().flatten().map(|&at| self.job.dataset().doc(at).source);
            let sources = crate::error::list_sources(docs);
            return Err(Error::NotFinite { step, what: NotFinite::Gradient, sources });
        }
        self.state.step = step;
        self.state.cursor = last;
        self.state.tokens += window.tokens as u64;
        self.state.trained_tokens += window.trained as u64;
        let times = self.backend.take();
        let metrics = self.metrics(window, norm, (start.elapsed().as_secs_f64(), rate), &times);
        self.record(&metrics)
    }

    fn metrics(
        &self,
        window: Window,
        grad_norm: f64,
        (seconds, learning_rate): (f64, f64),
        times: &Times,
    ) -> StepMetrics {
        let mut shares: Vec<_> =
            times.groups().iter().map(|(group, spent)| (*group, spent / seconds)).collect();
        let known: f64 = shares.iter().map(|(_, share)| share).sum();
        shares.push(("other", (1.0 - known).max(0.0)));
        let peak = files::memory::statistics().peak_bytes;
        StepMetrics {
            step: self.state.step,
            epoch: self.state.epoch,
            loss: window.loss,
            grad_norm,
            learning_rate,
            tokens: window.tokens,
            trained_tokens: window.trained,
            seconds,
            tokens_per_second: window.tokens as f64 / seconds,
            planned_bytes: self.plan.total_bytes(),
            measured_bytes: self.site.baseline_bytes.map(|before| peak.saturating_sub(before)),
            shares,
        }
    }

    fn record(&mut self, metrics: &StepMetrics) -> Result<()> {
        self.log.step(metrics)?;
        let scalars = [
            ("train/loss", metrics.loss),
            ("train/grad_norm", metrics.grad_norm),
            ("train/learning_rate", metrics.learning_rate),
            ("train/tokens_per_second", metrics.tokens_per_second),
        ];
        self.events.scalars(metrics.step, &scalars)?;
        self.observer.step(metrics);
        Ok(())
    }

    /// Evaluates after every so many steps and after the last one; true when the loss is a new best.
    fn evaluate_if_due(&mut self) -> Result<bool> {
        let last = self.state.step >= self.job.total_steps();
        if last || due(self.job.recipe().evaluation.every, &self.state) {
            return self.evaluate();
        }
        Ok(false)
    }

    fn evaluate(&mut self) -> Result<bool> {
        if self.job.held_out().is_empty() {
            return Ok(false);
        }
        let (start, step) = (Instant::now(), self.state.step);
        let held_out = self.trainer.evaluate(&mut self.backend, self.job, self.job.held_out());
        let HeldOut { loss, by_source } = held_out.map_err(|error| at_step(error, step))?;
        let best = step > 0 && self.state.best.is_none_or(|best| loss < best.loss);
        self.state.held_out = Some(loss);
        if best {
            self.state.best = Some(Best { step, loss });
            self.state.stale = 0;
        } else if step > 0 {
            self.state.stale += 1;
        } else {
            self.state.initial = Some(loss);
        }
        let seconds = start.elapsed().as_secs_f64();
        let evaluation = Evaluation { step, held_out_loss: loss, by_source, best, seconds };
        self.log.evaluation(&evaluation)?;
        self.events.scalars(step, &[("held_out/loss", loss)])?;
        self.observer.evaluated(&evaluation);
        Ok(best)
    }

    fn checkpoint(&mut self) -> Result<()> {
        let run = self.site.directory;
        let path = checkpoint::write(&mut self.backend, self.job, &self.trainer, &self.state, run)?;
        checkpoint::prune(run, self.job.recipe().checkpoint.keep, &self.state)?;
        self.observer.checkpointed(self.state.step, &path);
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome> {
        let early = self.state.step < self.job.total_steps();
        let (backend, run) = (&mut self.backend, self.site.directory);
        let output = output::write(backend, self.job, &mut self.trainer, &self.state, run)?;
        let state = self.state;
        if early {
            return Ok(Outcome::StoppedEarly { state, output });
        }
        Ok(Outcome::Finished { state, output })
    }
}

/// Finds and reads the checkpoint that the run begins at.
fn resume(job: &Job, site: &Site<'_>, target: Target) -> Result<Option<(State, Weights)>> {
    let latest = checkpoints(site.directory)?.pop();
    let path = match (&site.resume, latest) {
        (Resume::From(path), _) => path.clone(),
        (Resume::Latest, Some((_, path))) => path,
        (Resume::Latest, None) => {
            let message = "there is no checkpoint to resume from\nhint: start without resuming";
            return Err(Error::checkpoint(site.directory, message));
        }
        (Resume::Fresh, None) => return Ok(None),
        (Resume::Fresh, Some((step, _))) => {
            let message = format!(
                "a run has left a checkpoint of step {step} here\nhint: resume it, or take another directory"
            );
            return Err(Error::checkpoint(site.directory, message));
        }
    };
    let (state, weights) = checkpoint::read(&path, job, target)?;
    if let Some(best) = state.best.filter(|best| best.step != state.step) {
        // The end of the run would miss it.
        checkpoint::verify(&checkpoint::directory(site.directory, best.step), job)?;
    }
    Ok(Some((state, weights)))
}

/// Puts the step into an error that was found below it.
fn at_step(error: Error, step: u64) -> Error {
    match error {
        Error::NotFinite { what, sources, .. } => Error::NotFinite { step, what, sources },
        other => other,
    }
}
