//! What is measured: a random model of some size at some context, trained and asked.

use super::results::Timing;
use super::scratch::Scratch;
use crate::commands::doctor::Peaks;
use crate::machine::{self, Machine};
use crate::serving::Serving;
use crate::weights::{Form, Source};
use anyhow::Result;
use engine::{Engine, EngineLayout, EngineOptions};
use model::{Base, Config, Head, Model, Origin, Spec, Trained};
use ops::{Backend, Cpu, DType, Dry, Event, Numerics};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;
use text::dataset::{self, BuildOptions, Vocabulary};
use text::llm::{GenerateRequest, Prompt, Sampling};
use train::{Budget, DeviceProfile, Job, Observer, Plan, Recipe, Resume, Site, StepMetrics};

/// Tokens of a training step, whatever the context.
const STEP_TOKENS: usize = 1024;
/// Tokens that are decoded.
const DECODED: usize = 32;
/// Seed of everything random.
const SEED: u64 = 1;

/// A model's shape under a name.
pub(super) struct Size {
    /// What rows call it.
    pub(super) name: &'static str,
    hidden: usize,
    ffn: usize,
    layers: usize,
    heads: usize,
    vocab: usize,
}

/// The sizes, smallest first.
pub(super) const SIZES: [Size; 2] = [
    Size { name: "4M", hidden: 256, ffn: 704, layers: 4, heads: 4, vocab: 2048 },
    Size { name: "26M", hidden: 512, ffn: 1408, layers: 8, heads: 8, vocab: 4096 },
];

impl Size {
    fn config(&self) -> Config {
        Config {
            hidden: self.hidden,
            ffn: self.ffn,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.heads / 2,
            head_dim: self.hidden / self.heads,
            vocab: self.vocab,
            eps: 1e-5,
            rope_theta: 500_000.0,
            rope_scaling: None,
            tied: false,
            context: 8192,
            bos: None,
            eos: Vec::new(),
        }
    }

    /// Writes a checkpoint of random weights and returns its directory.
    pub(super) fn write(&self, machine: &Machine, scratch: &Scratch) -> Result<PathBuf> {
        let spec = Spec {
            config: self.config(),
            numerics: Numerics::Bf16,
            base: Base::AsStored,
            head: Head::AsStored,
            trained: Trained::Everything,
            positions: 1,
        };
        let origin = Origin { weights: None, adapter: None, seed: SEED };
        let mut dry = Dry::new(machine.target());
        Model::layout(&mut dry, &spec, &origin)?;
        let mut backend = Cpu::new(machine.target(), dry.trace().peak);
        let mut model = Model::layout(&mut backend, &spec, &origin)?;
        model.fill(&mut backend, &origin)?;
        let directory = scratch.path().join(self.name);
        files::create_dir_all(&directory)?;
        model::save::model(&mut backend, &model, DType::Bf16, &directory)?;
        Ok(directory)
    }
}

/// One size at one context.
pub(super) struct Case<'a> {
    /// The size.
    pub(super) size: &'a Size,
    /// Its checkpoint.
    pub(super) model: &'a Path,
    /// Tokens of a document, and of prompt and completion together.
    pub(super) context: usize,
    /// How often to measure.
    pub(super) repeats: usize,
}

/// Remembers how long steps took.
#[derive(Default)]
struct Stopwatch(Vec<f64>);

impl Observer for Stopwatch {
    fn step(&mut self, metrics: &StepMetrics) {
        self.0.push(metrics.seconds);
    }
}

impl Case<'_> {
    /// Token ids that look like nothing: document `index`, below the vocabulary.
    fn ids(&self, index: usize, len: usize) -> Vec<u32> {
        let stream = model::init::stream(SEED, &format!("document {index}"));
        let middle = self.size.vocab as f32 / 2.0;
        let id = |at| model::init::uniform(stream, at, middle) + middle;
        (0..len).map(|at| (id(at) as u32).min(self.size.vocab as u32 - 1)).collect()
    }

    /// QLoRA steps over NF4 with double-quantized scales, all projections.
    pub(super) fn training(
        &self,
        machine: &Machine,
        scratch: &Scratch,
        peaks: &Peaks,
    ) -> Result<Timing> {
        let name = format!("{}-{}", self.size.name, self.context);
        let directory = scratch.path().join(&name);
        self.write_documents(&scratch.path().join(format!("{name}.jsonl")), &directory)?;
        let job = Job::open(&self.recipe(&directory)?)?;
        let plan = Plan::new(&job, machine.target(), Budget::default())?;
        let memory = machine::memory().map_or(0, |(total, _)| total as usize);
        let flops = peaks.bf16_flops.max(peaks.f32_flops);
        let profile = DeviceProfile::cpu(memory, peaks.read_bandwidth, flops);
        let mut stopwatch = Stopwatch::default();
        let mut backend = Cpu::new(machine.target(), plan.size);
        let run = scratch.path().join(format!("{name}.run"));
        let site = Site { directory: &run, resume: Resume::Fresh, baseline_bytes: None };
        train::run(&mut backend, &job, &plan, &site, &mut stopwatch)?;
        Ok(Timing {
            command: format!("train {} context {}", self.size.name, self.context),
            tokens: STEP_TOKENS,
            // The first step touches every page for the first time.
            seconds: stopwatch.0.split_off(1),
            best_seconds: plan.best_step_seconds(&profile),
            flops: plan.step.flops as f64,
            bytes: (plan.step.read + plan.step.written) as f64,
        })
    }

    /// As many documents as the steps take.
    fn write_documents(&self, file: &Path, directory: &Path) -> Result<()> {
        let count = (self.repeats + 1) * STEP_TOKENS / self.context;
        let mut text = String::new();
        for index in 0..count {
            let ids = self.ids(index, self.context);
            let _ = writeln!(text, "{}", serde_json::json!({ "input_ids": ids, "labels": ids }));
        }
        files::write_atomic(file, |out| out.write_all(text.as_bytes()))?;
        let vocabulary = Vocabulary::Ids { vocab_size: self.size.vocab as u32 };
        let options = BuildOptions::new(self.context as u32);
        dataset::build(&[file.to_owned()], vocabulary, &options, directory, &mut |_| {})?;
        Ok(())
    }

    fn recipe(&self, data: &Path) -> Result<Recipe> {
        let steps = self.repeats + 1;
        let (model, data) = (self.model.display(), data.display());
        let text = format!(
            "[model]\ndirectory = {:?}\nbase = \"nf4-dq\"\n[lora]\nrank = 16\nalpha = 32\n\
             [data]\ndirectory = {:?}\norder = \"file\"\n[batch]\ntokens = {STEP_TOKENS}\n\
             [schedule]\nsteps = {steps}\n[memory]\npolicy = \"keep\"\n",
            model.to_string(),
            data.to_string()
        );
        Ok(Recipe::parse(&text, "the benchmark's recipe")?)
    }

    /// Reading a prompt, and decoding after it, over NF4 with double-quantized scales.
    pub(super) fn generation(&self, machine: &Machine, peaks: &Peaks) -> Result<[Timing; 2]> {
        let form = Form { base: Base::Nf4Double, head: Head::AsStored, numerics: Numerics::Bf16 };
        let source = Source::at(self.model, None, form)?;
        let options = EngineOptions::new(1, self.context);
        let mut serving = Serving::new(machine, &source, options)?;
        let mut engine = serving.engine(None);
        let prompt = self.ids(0, self.context - DECODED);
        let (mut reading, mut decoding) = (Vec::new(), Vec::new());
        ask(&mut engine, &prompt, 1)?;
        for _ in 0..self.repeats {
            let read = ask(&mut engine, &prompt, 1)?;
            let both = ask(&mut engine, &prompt, DECODED)?;
            reading.push(read);
            decoding.push((both - read).max(f64::MIN_POSITIVE));
        }
        drop(engine);
        let read = Price::of(machine, &source, options, (&prompt, 1), peaks)?;
        let both = Price::of(machine, &source, options, (&prompt, DECODED), peaks)?;
        let (size, context) = (self.size.name, self.context);
        let timing = |what: &str, tokens, seconds, price: Price| Timing {
            command: format!("{what} {size} context {context}"),
            tokens,
            seconds,
            best_seconds: price.best_seconds,
            flops: price.flops,
            bytes: price.bytes,
        };
        Ok([
            timing("prefill", prompt.len(), reading, read),
            timing("decode", DECODED - 1, decoding, both.less(read)),
        ])
    }
}

/// Seconds that the engine takes for a prompt and so many tokens after it.
fn ask<B: Backend>(engine: &mut Engine<'_, B>, prompt: &[u32], max_tokens: usize) -> Result<f64> {
    let request = GenerateRequest {
        prompt: Prompt::Ids(prompt.to_vec()),
        max_tokens,
        sampling: Sampling::GREEDY,
        stop: Vec::new(),
        schema: None,
        deadline: None,
    };
    let started = Instant::now();
    engine.generate_batch(&[request])?;
    Ok(started.elapsed().as_secs_f64())
}

/// What a request's launches cost.
#[derive(Clone, Copy, Debug, Default)]
struct Price {
    best_seconds: f64,
    flops: f64,
    bytes: f64,
}

impl Price {
    /// Counts by running the same request on the backend that executes nothing.
    fn of(
        machine: &Machine,
        source: &Source,
        options: EngineOptions,
        (prompt, max_tokens): (&[u32], usize),
        peaks: &Peaks,
    ) -> Result<Price> {
        let mut dry = Dry::new(machine.target());
        let model = Model::layout(&mut dry, &source.spec(options.context), &source.origin())?;
        let layout = EngineLayout::layout(&mut dry, &model, options)?;
        dry.record_events();
        ask(&mut Engine::new(&mut dry, &model, None, layout), prompt, max_tokens)?;
        let flops_peak = peaks.bf16_flops.max(peaks.f32_flops);
        let mut price = Price::default();
        for event in dry.trace().events.iter().flatten() {
            let Event::Launch { cost, .. } = event else { continue };
            let (bytes, flops) = ((cost.read + cost.written) as f64, cost.flops as f64);
            price.best_seconds += (bytes / peaks.read_bandwidth).max(flops / flops_peak);
            price.flops += flops;
            price.bytes += bytes;
        }
        Ok(price)
    }

    fn less(self, other: Price) -> Price {
        Price {
            best_seconds: self.best_seconds - other.best_seconds,
            flops: self.flops - other.flops,
            bytes: self.bytes - other.bytes,
        }
    }
}
