//! What is measured: a model at some length, trained and asked.

use super::results::{Planned, Timing};
use super::scratch::Scratch;
use crate::commands::doctor::Peaks;
use crate::machine::{self, Machine};
use crate::serving::{Serving, Times};
use crate::weights::{Form, Source};
use anyhow::Result;
use engine::{Engine, EngineLayout, EngineOptions};
use model::{Base, Head, Model};
use ops::{Backend, Dry, Event, Numerics};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use text::dataset::{self, BuildOptions, Vocabulary};
use text::llm::{GenerateRequest, Prompt, Sampling};
use train::{Budget, DeviceProfile, Job, Observer, Plan, Recipe, Resume, Site, StepMetrics};

/// Tokens that are decoded.
pub(super) const DECODED: usize = 64;
/// Seed of everything random.
pub(super) const SEED: u64 = 1;

/// A model and how it is held.
pub(super) struct Case {
    /// What rows call it.
    pub(super) name: String,
    /// Its checkpoint.
    pub(super) model: PathBuf,
    /// Its tokens.
    pub(super) vocab: usize,
    pub(super) base: Base,
    pub(super) head: Head,
    /// Of what is generated.
    pub(super) numerics: Numerics,
    /// It is asked with this.
    pub(super) adapter: Option<PathBuf>,
    /// Of the adapter that is trained.
    pub(super) rank: usize,
    /// Sequences that are asked at once.
    pub(super) batch: usize,
    /// How often to measure.
    pub(super) repeats: usize,
    /// Whether to time every op.
    pub(super) with_ops: bool,
}

/// A training step.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// Tokens of a document.
    pub(super) context: usize,
    /// Tokens of a step.
    pub(super) tokens: usize,
    /// As recipes name it.
    pub(super) policy: &'static str,
    pub(super) device_mib: Option<usize>,
}

/// Remembers how long steps took.
#[derive(Default)]
struct Stopwatch(Vec<f64>);

impl Observer for Stopwatch {
    fn step(&mut self, metrics: &StepMetrics) {
        self.0.push(metrics.seconds);
    }
}

impl Case {
    /// Token ids that look like nothing: document `index`, below the vocabulary.
    fn ids(&self, index: usize, len: usize) -> Vec<u32> {
        let stream = model::init::stream(SEED, &format!("document {index}"));
        let middle = self.vocab as f32 / 2.0;
        let id = |at| model::init::uniform(stream, at, middle) + middle;
        (0..len).map(|at| (id(at) as u32).min(self.vocab as u32 - 1)).collect()
    }

    /// QLoRA steps, all projections.
    pub(super) fn training(
        &self,
        machine: &Machine,
        scratch: &Scratch,
        step: Step,
        peaks: Option<Peaks>,
    ) -> Result<Timing> {
        let name = format!("{}-{}", self.name, step.context);
        let directory = scratch.path().join(&name);
        self.write_documents(&scratch.path().join(format!("{name}.jsonl")), &directory, step)?;
        let job = Job::open(&self.recipe(&directory, step)?)?;
        let opened = machine.gpu.map(|gpu| gpu.open()).transpose()?;
        let available = machine::memory().map(|(_, available)| available as usize);
        let device = opened.as_ref().and_then(|it| it.free);
        let plan = Plan::new(&job, machine.target(), Budget { device, host: available })?;
        let mut stopwatch = Stopwatch::default();
        let mut backend = match opened {
            Some(opened) => opened.backend(plan.size)?,
            None => machine::backend(machine, plan.size)?,
        };
        if self.with_ops {
            backend.record_times();
        }
        let run = scratch.path().join(format!("{name}.run"));
        let site = Site { directory: &run, resume: Resume::Fresh, baseline_bytes: None };
        train::run(&mut backend, &job, &plan, &site, &mut stopwatch)?;
        let profile = peaks.map(|peaks| {
            let flops = peaks.bf16_flops.max(peaks.f32_flops);
            DeviceProfile::cpu(available.unwrap_or_default(), peaks.read_bandwidth, flops)
        });
        Ok(Timing {
            command: format!("train {} context {}", self.name, step.context),
            numerics: Numerics::Bf16,
            tokens: step.tokens,
            // The first step touches every page for the first time.
            seconds: stopwatch.0.split_off(1),
            best_seconds: profile.map(|profile| plan.best_step_seconds(&profile)),
            flops: plan.step.flops as f64,
            bytes: (plan.step.read + plan.step.written) as f64,
            planned: Planned { size: plan.size, host_bytes: plan.host_bytes },
            ops: backend.trace().spent.clone().unwrap_or_default(),
        })
    }

    /// As many documents as the steps take.
    fn write_documents(&self, file: &Path, directory: &Path, step: Step) -> Result<()> {
        let count = (self.repeats + 1) * step.tokens / step.context;
        let mut text = String::new();
        for index in 0..count {
            let ids = self.ids(index, step.context);
            let _ = writeln!(text, "{}", serde_json::json!({ "input_ids": ids, "labels": ids }));
        }
        files::write_atomic(file, |out| out.write_all(text.as_bytes()))?;
        let vocabulary = Vocabulary::Ids { vocab_size: self.vocab as u32 };
        let options = BuildOptions::new(step.context as u32);
        dataset::build(&[file.to_owned()], vocabulary, &options, directory, &mut |_| {})?;
        Ok(())
    }

    fn recipe(&self, data: &Path, step: Step) -> Result<Recipe> {
        let (steps, rank) = (self.repeats + 1, self.rank);
        let (model, data) = (self.model.display(), data.display());
        let mut text = format!(
            "[model]\ndirectory = {:?}\nbase = {:?}\nhead = {:?}\n[lora]\nrank = {rank}\n\
             alpha = {}\n[data]\ndirectory = {:?}\norder = \"file\"\n[batch]\ntokens = {}\n\
             [schedule]\nsteps = {steps}\n[memory]\npolicy = {:?}\n",
            model.to_string(),
            self.base.name(),
            if self.head == Head::EightBit { "q8" } else { "as-stored" },
            2 * rank,
            data.to_string(),
            step.tokens,
            step.policy,
        );
        if let Some(mib) = step.device_mib {
            let _ = writeln!(text, "device_mib = {mib}");
        }
        Ok(Recipe::parse(&text, "the benchmark's recipe")?)
    }

    /// The prompts of one repeat, each of so many tokens.
    fn prompts(&self, repeat: usize, len: usize) -> Vec<Vec<u32>> {
        (0..self.batch).map(|at| self.ids(repeat * self.batch + at, len)).collect()
    }

    /// Reading prompts of `depth` tokens, and decoding behind them.
    pub(super) fn generation(
        &self,
        machine: &Machine,
        depth: usize,
        peaks: Option<Peaks>,
    ) -> Result<[Timing; 2]> {
        let form = Form { base: self.base, head: self.head, numerics: self.numerics };
        let mut source = Source::at(&self.model, self.adapter.as_deref(), form)?;
        // No answer ends before its last token is counted.
        source.config.eos.clear();
        let options = EngineOptions::new(self.batch, depth.max(1) + DECODED);
        let mut serving = Serving::new(machine, &source, options)?;
        let planned = Planned { size: serving.size, host_bytes: serving.host_bytes };
        let mut engine = serving.engine(None);
        let (mut reading, mut decoding) = (Vec::new(), Vec::new());
        // The first one touches every page for the first time.
        for index in 0..=self.repeats {
            // No prompt begins like one before, whose keys and values a slot still holds.
            let prompts = self.prompts(index, depth.max(1));
            let read = ask(&mut engine, &prompts, 1)?;
            let decoded = ask(&mut engine, &prompts, DECODED)?;
            if index > 0 {
                reading.push(read);
                decoding.push(decoded);
            }
        }
        drop(engine);
        let prompts = self.prompts(0, depth.max(1));
        let ops = if self.with_ops { times(&mut serving, &prompts)? } else { Default::default() };
        let [read, decode] = Price::of(machine, &source, options, &prompts, peaks)?;
        let mut manner = match self.numerics {
            Numerics::Bf16 => String::new(),
            other => format!(" {}", other.name()),
        };
        if self.batch > 1 {
            let _ = write!(manner, " batch {}", self.batch);
        }
        let timing = |what: &str, tokens, seconds, price: Price, ops| Timing {
            command: format!("{what} {}{manner} context {depth}", self.name),
            numerics: self.numerics,
            tokens,
            seconds,
            best_seconds: price.best_seconds,
            flops: price.flops,
            bytes: price.bytes,
            planned,
            ops,
        };
        let [read_ops, decode_ops] = ops;
        Ok([
            timing("prefill", self.batch * depth.max(1), reading, read, read_ops),
            timing("decode", self.batch * DECODED, decoding, decode, decode_ops),
        ])
    }
}

/// What every op takes of reading prompts, and of decoding behind them, as the slots still hold them.
fn times(serving: &mut Serving, prompts: &[Vec<u32>]) -> Result<[Times; 2]> {
    let mut engine = serving.engine(None);
    let mut run = |max_tokens| -> Result<Times> {
        engine.backend_mut().record_times();
        ask(&mut engine, prompts, max_tokens)?;
        Ok(engine.backend_mut().trace().spent.clone().unwrap_or_default())
    };
    Ok([run(1)?, run(DECODED)?])
}

/// Seconds that the engine takes for prompts and so many tokens after each.
fn ask<B: Backend>(
    engine: &mut Engine<'_, B>,
    prompts: &[Vec<u32>],
    max_tokens: usize,
) -> Result<f64> {
    let request = |prompt: &Vec<u32>| GenerateRequest {
        prompt: Prompt::Ids(prompt.clone()),
        max_tokens,
        sampling: Sampling::GREEDY,
        stop: Vec::new(),
        schema: None,
        deadline: None,
    };
    let requests: Vec<_> = prompts.iter().map(request).collect();
    let started = Instant::now();
    engine.generate_batch(&requests)?;
    Ok(started.elapsed().as_secs_f64())
}

/// What a request's launches cost.
#[derive(Clone, Copy, Debug, Default)]
struct Price {
    /// Where the peaks are known.
    best_seconds: Option<f64>,
    flops: f64,
    bytes: f64,
}

impl Price {
    /// Counts reading, and then decoding, by running the same requests on the backend that executes
    /// nothing.
    fn of(
        machine: &Machine,
        source: &Source,
        options: EngineOptions,
        prompts: &[Vec<u32>],
        peaks: Option<Peaks>,
    ) -> Result<[Price; 2]> {
        let events = |asked: &[usize]| -> Result<Vec<Event>> {
            let mut dry = Dry::new(machine.target());
            let model = Model::layout(&mut dry, &source.spec(options.context), &source.origin())?;
            let layout = EngineLayout::layout(&mut dry, &model, options)?;
            dry.record_events();
            let mut engine = Engine::new(&mut dry, &model, None, layout);
            for &max_tokens in asked {
                ask(&mut engine, prompts, max_tokens)?;
            }
            drop(engine);
            Ok(dry.trace().events.clone().unwrap_or_default())
        };
        let (read, both) = (events(&[1])?, events(&[1, DECODED])?);
        Ok([&read[..], &both[read.len()..]]
            .map(|events| Price::sum(events, source.form.numerics, peaks)))
    }

    fn sum(events: &[Event], numerics: Numerics, peaks: Option<Peaks>) -> Price {
        // In 8 bits there is a limit where their peak is known, even where only some products are.
        let flops_peak = peaks.and_then(|peaks| {
            let fastest = peaks.bf16_flops.max(peaks.f32_flops);
            match numerics {
                Numerics::Int8 => peaks.int8_ops.map(|peak| peak.max(fastest)),
                Numerics::Bf16 => Some(fastest),
                Numerics::F32 => Some(peaks.f32_flops),
            }
        });
        let mut price = Price { best_seconds: flops_peak.map(|_| 0.0), ..Price::default() };
        for event in events {
            let Event::Launch { cost, .. } = event else { continue };
            let (bytes, flops) = ((cost.read + cost.written) as f64, cost.flops as f64);
            price.flops += flops;
            price.bytes += bytes;
            if let (Some(best), Some(peaks), Some(flops_peak)) =
                (&mut price.best_seconds, peaks, flops_peak)
            {
                *best += (bytes / peaks.read_bandwidth).max(flops / flops_peak);
            }
        }
        price
    }
}
