//! The whole model: against PyTorch, transformers and PEFT, and against itself.

mod base;
mod bits;
mod device;
mod golden;
mod input;
mod stored;

use crate::llama::Origin;
use crate::*;
use ops::{Backend, Cpu, Dry, Isa, Numerics, Target};
use std::path::PathBuf;

/// A golden variant's directory.
fn golden_dir(variant: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/llama");
    root.join(variant)
}

/// The tiers of this machine; those that it has not are reported as skipped.
fn tiers() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().filter(|isa| {
        if !isa.available() {
            crate::skip::skip(&format!("no {} on this machine", isa.name()));
        }
        isa.available()
    })
}

/// A model with a step on a CPU backend sized by a dry run of the same calls.
struct Rig {
    cpu: Cpu,
    model: Model,
    step: Step,
}

/// What a rig is made of.
#[derive(Clone)]
struct Parts {
    spec: Spec,
    options: StepOptions,
    weights: Option<PathBuf>,
    adapter: Option<PathBuf>,
    isa: Isa,
}

impl Parts {
    /// A golden variant with room for `tokens`, everything kept.
    fn golden(variant: &str, numerics: Numerics, base: Base, trained: Trained) -> Parts {
        let directory = golden_dir(variant);
        let config = Config::read(&directory.join("model")).unwrap();
        let options = StepOptions {
            tokens: 96,
            document: 96,
            tile: 96,
            policies: vec![Policy::Keep; config.layers],
            chunk: 16,
            pass: Pass::Gradients,
        };
        let spec = Spec {
            config,
            numerics,
            base,
            head: Head::AsStored,
            embedding: Embedding::OnDevice,
            trained,
            positions: 96,
        };
        Parts {
            spec,
            options,
            weights: Some(directory.join("model")),
            adapter: None,
            isa: Isa::detect(),
        }
    }

    /// The same with a PEFT adapter, trained.
    fn with_adapter(variant: &str, name: &str, numerics: Numerics, base: Base) -> Parts {
        let directory = golden_dir(variant).join(name);
        let (lora, _) = LoraConfig::read(&directory).unwrap();
        let mut parts = Parts::golden(variant, numerics, base, Trained::Adapter(lora));
        parts.adapter = Some(directory);
        parts
    }

    /// The same on this tier.
    fn on(mut self, isa: Isa) -> Parts {
        self.isa = isa;
        self
    }

    fn build(&self) -> Rig {
        let weights = self.weights.as_deref().map(|path| Checkpoint::open(path).unwrap());
        let adapter = self.adapter.as_deref().map(|path| LoraConfig::read(path).unwrap().1);
        let origin = Origin { weights: weights.as_ref(), adapter: adapter.as_ref(), seed: 7 };
        let target = Target::cpu(self.isa, rayon::current_num_threads());
        let mut dry = Dry::new(target);
        let model = Model::layout(&mut dry, &self.spec, &origin).unwrap();
        let step = Step::layout(&mut dry, &model, &self.options);
        let mut full = Batch::default();
        let ids = vec![0; self.options.tokens];
        full.push(&self.spec.config, &ids, &vec![0; ids.len()]).unwrap();
        step.run(&mut dry, &model, &full, 1.0);
        step.logits(&mut dry, &model, &full, |_| {}).unwrap();
        let mut cpu = Cpu::new(target, dry.trace().peak);
        let mut model = Model::layout(&mut cpu, &self.spec, &origin).unwrap();
        let step = Step::layout(&mut cpu, &model, &self.options);
        model.fill(&mut cpu, &origin).unwrap();
        Rig { cpu, model, step }
    }
}

impl Rig {
    fn run(&mut self, batch: &Batch, scale: f32) -> Vec<f32> {
        self.step.run(&mut self.cpu, &self.model, batch, scale);
        let mut losses = vec![0.0; batch.tokens()];
        self.step.losses(&mut self.cpu, &mut losses);
        losses
    }

    fn logits(&mut self, batch: &Batch) -> Vec<f32> {
        let mut all = Vec::new();
        self.step
            .logits(&mut self.cpu, &self.model, batch, |rows| all.extend_from_slice(rows))
            .unwrap();
        all
    }

    fn gradient(&mut self, index: usize) -> Vec<f32> {
        let buf = self.model.params()[index].gradient;
        let mut values = vec![0.0; buf.len];
        self.cpu.read(buf, &mut values);
        values
    }

    fn gradients(&mut self) -> Vec<f32> {
        (0..self.model.params().len()).flat_map(|i| self.gradient(i)).collect()
    }
}

/// ‖a - b‖ / ‖b‖.
fn relative(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |v: f64| v * v;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let norm: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    (difference / norm.max(f64::MIN_POSITIVE)).sqrt()
}
