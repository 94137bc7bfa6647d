//! What the tests share: small data sets, recipes, and runs that are watched.

use ops::{Cpu, Device, Isa, Target};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use text::dataset::{BuildOptions, Vocabulary};
use train::{Budget, Evaluation, Job, Observer, Outcome, Plan, Recipe, Resume, Site, StepMetrics};

/// The reference models, by variant.
pub(crate) fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/llama")
}

/// A directory for one test with a data set in it.
pub(crate) struct Bench {
    pub(crate) directory: TempDir,
}

/// Remembers everything, and stops the run after some step.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) steps: Vec<StepMetrics>,
    pub(crate) evaluations: Vec<Evaluation>,
    pub(crate) checkpoints: Vec<u64>,
    pub(crate) stop_after: Option<u64>,
}

impl Observer for Recorder {
    fn step(&mut self, metrics: &StepMetrics) {
        self.steps.push(metrics.clone());
    }

    fn evaluated(&mut self, evaluation: &Evaluation) {
        self.evaluations.push(evaluation.clone());
    }

    fn checkpointed(&mut self, step: u64, directory: &Path) {
        assert!(directory.join("state.json").exists());
        self.checkpoints.push(step);
    }

    fn interrupted(&mut self) -> bool {
        self.stop_after.is_some_and(|stop| self.steps.last().is_some_and(|it| it.step >= stop))
    }
}

impl Recorder {
    pub(crate) fn stopping_after(step: u64) -> Recorder {
        Recorder { stop_after: Some(step), ..Recorder::default() }
    }

    /// Step, loss and gradient norm of every step, as bits.
    pub(crate) fn bits(&self) -> Vec<(u64, u64, u64)> {
        self.steps.iter().map(|s| (s.step, s.loss.to_bits(), s.grad_norm.to_bits())).collect()
    }

    /// Step and held-out loss of every evaluation, as bits.
    pub(crate) fn evaluation_bits(&self) -> Vec<(u64, u64)> {
        self.evaluations.iter().map(|it| (it.step, it.held_out_loss.to_bits())).collect()
    }
}

/// Documents of 3 to 23 tokens below `vocab` in a pattern, some labels masked.
pub(crate) fn documents(count: usize, vocab: usize) -> String {
    let mut lines = String::new();
    for document in 0..count {
        let len = 3 + document * 5 % 21;
        let ids: Vec<usize> =
            (0..len).map(|at| (document % 5 * 11 + at * (1 + document % 3)) % vocab).collect();
        let labels: Vec<i64> = ids
            .iter()
            .enumerate()
            .map(|(at, id)| if (at + document) % 4 == 0 && at > 1 { -100 } else { *id as i64 })
            .collect();
        lines += &format!("{{\"input_ids\": {ids:?}, \"labels\": {labels:?}}}\n");
    }
    lines
}

impl Bench {
    /// With the data set `data` made of these lines, of documents of at most `context` tokens.
    pub(crate) fn new(lines: &str, vocab: u32, context: u32) -> Bench {
        let bench = Bench { directory: tempfile::tempdir().unwrap() };
        bench.build("data", lines, (vocab, context));
        bench
    }

    pub(crate) fn build(&self, name: &str, lines: &str, (vocab_size, context): (u32, u32)) {
        let input = self.path(&format!("{name}.jsonl"));
        std::fs::write(&input, lines).unwrap();
        let (vocabulary, options) = (Vocabulary::Ids { vocab_size }, BuildOptions::new(context));
        let out = self.path(name);
        text::dataset::build(&[input], vocabulary, &options, &out, &mut |_| {}).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A recipe over a golden model, with these lines for `[model]` and the sections in `rest`.
    pub(crate) fn recipe(&self, variant: &str, model: &str, rest: &str) -> Recipe {
        self.recipe_over(&goldens().join(variant).join("model"), model, rest)
    }

    /// As [`Bench::recipe`], over any model directory.
    pub(crate) fn recipe_over(&self, directory: &Path, model: &str, rest: &str) -> Recipe {
        let text = format!(
            "seed = 7\n[model]\ndirectory = {directory:?}\n{model}\n[data]\ndirectory = {:?}\n{rest}",
            self.path("data")
        );
        Recipe::parse(&text, "test").unwrap()
    }

    /// Runs in the directory `name` with `threads` threads.
    pub(crate) fn run(
        &self,
        recipe: &Recipe,
        (name, resume): (&str, Resume),
        threads: usize,
        recorder: &mut Recorder,
    ) -> train::Result<Outcome> {
        self.run_on(Target::cpu(Isa::detect(), threads), recipe, (name, resume), recorder)
    }

    /// As [`Bench::run`], on a target of the test's choice.
    pub(crate) fn run_on(
        &self,
        target: Target,
        recipe: &Recipe,
        (name, resume): (&str, Resume),
        recorder: &mut Recorder,
    ) -> train::Result<Outcome> {
        run(&Job::open(recipe)?, target, &self.path(name), resume, recorder)
    }

    /// Runs from the first step with two threads; the run must succeed.
    pub(crate) fn fresh(&self, recipe: &Recipe, name: &str) -> Recorder {
        let mut recorder = Recorder::default();
        self.run(recipe, (name, Resume::Fresh), 2, &mut recorder).unwrap();
        recorder
    }

    /// The bytes of a file of a run.
    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

fn run(
    job: &Job,
    target: Target,
    directory: &Path,
    resume: Resume,
    recorder: &mut Recorder,
) -> train::Result<Outcome> {
    let Device::Cpu { threads, .. } = target.device else { panic!("{target:?}") };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let plan = Plan::new(job, target, Budget::default())?;
    let mut cpu = Cpu::new(target, plan.size);
    let site = Site { directory, resume, baseline_bytes: None };
    // The observer stays on this thread's side: it is only handed through.
    let recorder = std::sync::Mutex::new(recorder);
    pool.install(|| {
        let mut recorder = recorder.lock().unwrap();
        let outcome = train::run(&mut cpu, job, &plan, &site, &mut **recorder);
        let peak = ops::Backend::trace(&cpu).peak;
        assert!(peak.device <= plan.size.device && peak.pinned <= plan.size.pinned, "{peak:?}");
        outcome
    })
}
