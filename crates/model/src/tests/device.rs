//! Steps and passes on the emulated device: against the CPU, against the plan, and against themselves.

use super::bits::{batch_of, bits};
use super::*;
use crate::lora::{Patterns, Projection};
use crate::save::{BaseForm, random_base};
use crate::test_device::test_device;
use ops::{Cuda, Trace};
use tempfile::TempDir;

/// The least that the kernels take: heads of 64, ranks of 8.
fn small(tied: bool) -> Config {
    Config {
        hidden: 128,
        ffn: 192,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_dim: 64,
        vocab: 136,
        tied,
        context: 256,
        bos: Some(0),
        eos: vec![1],
        ..Config::known("llama3.1-8b").unwrap()
    }
}

/// A model with random weights in 4 bits, and what is done with it.
struct Subject {
    _directory: TempDir,
    weights: Checkpoint,
    spec: Spec,
    options: StepOptions,
}

impl Subject {
    fn new(tied: bool, head: Head) -> Subject {
        let directory = tempfile::tempdir().unwrap();
        let config = small(tied);
        let out = directory.path().to_owned();
        let form = BaseForm { double: true, embedding: head };
        random_base((&config, 5), form, &out, &mut |_| ()).unwrap();
        let lora = LoraConfig {
            rank: 8,
            alpha: 16.0,
            rslora: false,
            targets: Projection::ALL.to_vec(),
            rank_pattern: Patterns::default(),
            alpha_pattern: Patterns::default(),
            dropout: 0.0,
        };
        let weights = Checkpoint::open(&out).unwrap();
        let (numerics, trained) = (Numerics::Bf16, Trained::Adapter(lora));
        let spec = Spec {
            config,
            numerics,
            base: Base::Nf4Double,
            head,
            embedding: Embedding::OnDevice,
            trained,
            positions: 128,
        };
        let options = StepOptions {
            tokens: 96,
            document: 96,
            tile: 40,
            policies: vec![Policy::Keep; 2],
            chunk: 16,
            pass: Pass::Gradients,
        };
        Subject { _directory: directory, weights, spec, options }
    }

    fn origin(&self) -> Origin<'_> {
        Origin { weights: Some(&self.weights), adapter: None, seed: 7 }
    }

    /// Two micro-batches: losses and gradients.
    fn run<B: Backend>(&self, backend: &mut B) -> (Vec<f32>, Vec<f32>) {
        let mut model = Model::layout(backend, &self.spec, &self.origin()).unwrap();
        let step = Step::layout(backend, &model, &self.options);
        model.fill(backend, &self.origin()).unwrap();
        self.train_b(backend, &model);
        let documents = super::bits::documents(self.spec.config.vocab);
        let batch = batch_of(&self.spec.config, &documents);
        let mut losses = vec![0.0; batch.tokens()];
        for _ in 0..2 {
            step.run(backend, &model, &batch, 0.1);
            step.losses(backend, &mut losses);
        }
        let mut gradients = Vec::new();
        for param in model.params() {
            let mut values = vec![0.0; param.gradient.len];
            backend.read(param.gradient, &mut values);
            gradients.extend(values);
        }
        backend.finish().unwrap();
        (losses, gradients)
    }

    /// B of a fresh adapter is zero, and with it half of the gradients: gives it values.
    fn train_b<B: Backend>(&self, backend: &mut B, model: &Model) {
        for (index, param) in model.params().iter().enumerate() {
            let value = |i: usize| ((i * 37 + index * 11) % 23) as f32 / 230.0 - 0.05;
            let values: Vec<_> =
                (0..param.value.len).map(|i| half::bf16::from_f32(value(i))).collect();
            backend.write(param.value, &values);
        }
    }

    fn planned(&self, target: Target) -> Trace {
        let mut dry = Dry::new(target);
        dry.record_events();
        self.run(&mut dry);
        dry.trace().clone()
    }

    fn on_cpu(&self) -> (Vec<f32>, Vec<f32>) {
        let target = Target::cpu(Isa::detect(), rayon::current_num_threads());
        let plan = self.planned(target);
        self.run(&mut Cpu::new(target, plan.peak))
    }

    /// On the device, with its trace; none without a compiler.
    fn on_device(&self, mode: &str) -> Option<(Vec<f32>, Vec<f32>)> {
        let (driver, _turn) = test_device(mode)?;
        let plan = self.planned(Target::cuda(86));
        let mut cuda = Cuda::new(driver, plan.peak).unwrap();
        cuda.record_events();
        let got = self.run(&mut cuda);
        let (planned, ran) = (plan.events.unwrap(), cuda.trace().events.clone().unwrap());
        assert_eq!(planned.len(), ran.len());
        for (planned, ran) in planned.iter().zip(&ran) {
            assert_eq!(planned, ran);
        }
        Some(got)
    }
}

#[test]
fn a_step_on_the_device_is_that_of_the_cpu_within_roundings() {
    for (tied, head) in [(false, Head::AsStored), (true, Head::AsStored), (false, Head::EightBit)] {
        let subject = Subject::new(tied, head);
        let (want_losses, want) = subject.on_cpu();
        let Some((losses, gradients)) = subject.on_device("fast") else { return };
        for (index, (got, want)) in losses.iter().zip(&want_losses).enumerate() {
            assert!((got - want).abs() < 0.03 * want.max(1.0), "token {index}: {got}, {want}");
        }
        let apart = relative(&gradients, &want);
        assert!(apart < 0.05, "gradients {apart} apart");
    }
}

#[test]
fn where_activations_stay_changes_no_bit_on_the_device() {
    let mut subject = Subject::new(false, Head::AsStored);
    let Some((losses, gradients)) = subject.on_device("fast") else { return };
    let (losses, gradients) = (bits(&losses), bits(&gradients));
    use Policy::{Checkpoint, Keep, Offload, Recompute};
    for policies in [[Keep, Keep], [Offload, Recompute], [Checkpoint, Checkpoint]] {
        subject.options.policies = policies.to_vec();
        let (again, same) = subject.on_device("fast").unwrap();
        assert!(losses == bits(&again) && gradients == bits(&same), "{policies:?}");
    }
}

#[test]
fn an_embedding_in_the_hosts_memory_changes_no_bit_and_takes_no_room_on_the_device() {
    for head in [Head::AsStored, Head::EightBit] {
        embedding_on_host(Subject::new(false, head));
    }
}

fn embedding_on_host(mut subject: Subject) {
    let Some((losses, gradients)) = subject.on_device("fast") else { return };
    let before = subject.planned(Target::cuda(86)).peak;
    subject.spec.embedding = Embedding::OnHost;
    let after = subject.planned(Target::cuda(86)).peak;
    let table = subject.spec.config.vocab * subject.spec.config.hidden;
    assert!(before.device - after.device >= table && after.pinned - before.pinned >= table);
    for mode in ["fast", "checked"] {
        let (again, same) = subject.on_device(mode).unwrap();
        assert!(bits(&losses) == bits(&again) && bits(&gradients) == bits(&same), "{mode}");
    }
}

#[test]
fn the_checked_device_finds_nothing_in_a_step() {
    let mut subject = Subject::new(true, Head::AsStored);
    subject.options.policies = vec![Policy::Checkpoint, Policy::Offload];
    let Some((losses, gradients)) = subject.on_device("checked") else { return };
    let (again, same) = subject.on_device("fast").unwrap();
    assert!(bits(&losses) == bits(&again) && bits(&gradients) == bits(&same));
}

/// A prompt in chunks, then two sequences that decode side by side: the logits of every pass.
fn served<B: Backend>(subject: &Subject, backend: &mut B) -> Vec<f32> {
    let mut model = Model::layout(backend, &subject.spec, &subject.origin()).unwrap();
    let cache = Cache::layout(backend, &model, 2, 100);
    let mut serve = Serve::layout(backend, &model, &cache, 24, 2);
    model.fill(backend, &subject.origin()).unwrap();
    subject.train_b(backend, &model);
    let token = |slot, position| Token { id: (position * 7 + slot * 3 + 1) % 130, slot, position };
    let mut logits = Vec::new();
    let mut pass = |backend: &mut B, tokens: &[Token], picks: &[u32]| {
        let mut values = vec![0.0; picks.len() * model.config().vocab];
        serve.run(backend, &model, &cache, tokens, (picks, &mut values)).unwrap();
        logits.extend(values);
    };
    for start in [0, 24, 48] {
        let tokens: Vec<_> = (start..start + 24).map(|position| token(0, position)).collect();
        pass(backend, &tokens, &[23]);
    }
    pass(backend, &[0, 1, 2, 3, 4].map(|position| token(1, position)), &[0, 4]);
    for step in 0..3 {
        pass(backend, &[token(0, 72 + step), token(1, 5 + step)], &[0, 1]);
        pass(backend, &[token(0, 73 + step)], &[0]);
    }
    logits
}

#[test]
fn passes_on_the_device_are_those_of_the_cpu_within_roundings() {
    let subject = Subject::new(false, Head::EightBit);
    let planned = |target| {
        let mut dry = Dry::new(target);
        dry.record_events();
        served(&subject, &mut dry);
        dry.trace().clone()
    };
    let target = Target::cpu(Isa::detect(), rayon::current_num_threads());
    let want = served(&subject, &mut Cpu::new(target, planned(target).peak));
    for mode in ["fast", "checked"] {
        let Some((driver, _turn)) = test_device(mode) else { return };
        let plan = planned(Target::cuda(86));
        let mut cuda = Cuda::new(driver, plan.peak).unwrap();
        cuda.record_events();
        let got = served(&subject, &mut cuda);
        let apart = relative(&got, &want);
        assert!(apart < 0.03, "logits {apart} apart, {mode}");
        assert!(plan.events == cuda.trace().events, "the plan's events, {mode}");
    }
}
