//! What the tests of the engine stand on: a small model on a CPU backend that a dry run of the same
//! calls sized.

use crate::{AllLogits, Engine, EngineLayout, EngineOptions, Event, RequestId};
use model::{Base, Checkpoint, Config, Embedding, Head, LoraConfig, Model, Origin, Spec, Trained};
use ops::{Backend, Cpu, Dry, Isa, Numerics, Target};
use std::path::PathBuf;
use text::llm::{Completion, GenerateRequest, Prompt, Sampling};
use text::tokenizer::Tokenizer;

/// The longest sequence of the models here.
pub(crate) const CONTEXT: usize = 96;

/// A filled model with room for an engine, and for the training forward as its oracle.
pub(crate) struct Rig {
    pub(crate) cpu: Cpu,
    pub(crate) model: Model,
    layout: EngineLayout,
    oracle: AllLogits,
}

impl Rig {
    fn new(isa: Isa, spec: &Spec, origin: &Origin<'_>, options: EngineOptions) -> Rig {
        let target = Target::cpu(isa, rayon::current_num_threads());
        let mut dry = Dry::new(target);
        let model = Model::layout(&mut dry, spec, origin).unwrap();
        let mut layout = EngineLayout::layout(&mut dry, &model, options).unwrap();
        let oracle = AllLogits::layout(&mut dry, &model, CONTEXT).unwrap();
        layout.rehearse(&mut dry, &model).unwrap();
        oracle.run(&mut dry, &model, &[0; CONTEXT], |_| {}).unwrap();
        let mut cpu = Cpu::new(target, dry.trace().peak);
        let mut model = Model::layout(&mut cpu, spec, origin).unwrap();
        let layout = EngineLayout::layout(&mut cpu, &model, options).unwrap();
        let oracle = AllLogits::layout(&mut cpu, &model, CONTEXT).unwrap();
        model.fill(&mut cpu, origin).unwrap();
        Rig { cpu, model, layout, oracle }
    }

    /// The golden model `plain`, V 128, without a tokenizer, on this machine's fastest tier.
    pub(crate) fn golden(numerics: Numerics, base: Base, options: EngineOptions) -> Rig {
        Rig::golden_on(Isa::detect(), numerics, base, options)
    }

    /// The same on a tier.
    pub(crate) fn golden_on(
        isa: Isa,
        numerics: Numerics,
        base: Base,
        options: EngineOptions,
    ) -> Rig {
        let golden = Golden::read(numerics, base);
        Rig::new(isa, &golden.spec, &golden.origin(), options)
    }

    /// A random model with a vocabulary of 300, large enough for the tokenizer below.
    pub(crate) fn random(options: EngineOptions) -> Rig {
        let config = Config {
            hidden: 32,
            ffn: 64,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 8,
            vocab: 300,
            eps: 1e-5,
            rope_theta: 10_000.0,
            rope_scaling: None,
            tied: false,
            context: CONTEXT,
            bos: None,
            eos: Vec::new(),
        };
        let spec = Spec {
            config,
            numerics: Numerics::F32,
            base: Base::AsStored,
            head: Head::AsStored,
            embedding: Embedding::OnDevice,
            trained: Trained::Everything,
            positions: CONTEXT,
        };
        let origin = Origin { weights: None, adapter: None, seed: 3 };
        Rig::new(Isa::detect(), &spec, &origin, options)
    }

    pub(crate) fn engine<'a>(&'a mut self, tokenizer: Option<&'a Tokenizer>) -> Engine<'a, Cpu> {
        Engine::new(&mut self.cpu, &self.model, tokenizer, self.layout.clone())
    }

    /// The logits (T,V) after each of `ids`, by the training forward.
    pub(crate) fn all_logits(&mut self, ids: &[u32]) -> Vec<f32> {
        let mut all = Vec::new();
        let each = |rows: &[f32]| all.extend_from_slice(rows);
        self.oracle.run(&mut self.cpu, &self.model, ids, each).unwrap();
        all
    }
}

/// The golden model `plain`; over a 4-bit base with its adapter, as after tuning.
pub(crate) struct Golden {
    pub(crate) spec: Spec,
    weights: Checkpoint,
    adapter: Option<Checkpoint>,
}

impl Golden {
    pub(crate) fn read(numerics: Numerics, base: Base) -> Golden {
        let variant =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/llama/plain");
        let config = Config::read(&variant.join("model")).unwrap();
        let weights = Checkpoint::open(&variant.join("model")).unwrap();
        let (lora, adapter) = match base {
            Base::AsStored => (None, None),
            Base::Nf4 | Base::Nf4Double => {
                let (lora, adapter) = LoraConfig::read(&variant.join("adapter")).unwrap();
                (Some(lora), Some(adapter))
            }
        };
        let (head, trained) = (Head::AsStored, Trained::Nothing(lora));
        let spec = Spec {
            config,
            numerics,
            base,
            head,
            embedding: Embedding::OnDevice,
            trained,
            positions: CONTEXT,
        };
        Golden { spec, weights, adapter }
    }

    pub(crate) fn origin(&self) -> Origin<'_> {
        Origin { weights: Some(&self.weights), adapter: self.adapter.as_ref(), seed: 0 }
    }
}

/// A tokenizer of 300 tokens at most.
pub(crate) fn tokenizer() -> Tokenizer {
    let text = "the pod restarted and the queue grew until the pod restarted again; the cause was \
                the queue, and the fix was to drain the queue before the pod restarted.";
    Tokenizer::train_bpe(std::iter::once(Ok(text)), 300).unwrap()
}

pub(crate) fn request(prompt: &[u32], max_tokens: usize, sampling: Sampling) -> GenerateRequest {
    GenerateRequest {
        prompt: Prompt::Ids(prompt.to_vec()),
        max_tokens,
        sampling,
        stop: Vec::new(),
        schema: None,
        deadline: None,
    }
}

/// Settings under which everything takes part.
pub(crate) fn warm(seed: u64) -> Sampling {
    Sampling {
        temperature: 0.8,
        top_k: Some(60),
        top_p: 0.95,
        min_p: 0.01,
        repetition_penalty: 1.1,
        seed,
    }
}

/// What came of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) ids: Vec<u32>,
    pub(crate) text: String,
    pub(crate) completion: Option<Completion>,
    pub(crate) error: Option<String>,
}

/// Runs the engine until it is idle and sorts the events by request.
pub(crate) fn drain<B: Backend>(
    engine: &mut Engine<'_, B>,
    requests: &[RequestId],
) -> Vec<Outcome> {
    let mut outcomes = vec![Outcome::default(); requests.len()];
    while !engine.is_idle() {
        for event in engine.step().unwrap() {
            let index = requests.iter().position(|id| *id == event.request()).unwrap();
            let outcome = &mut outcomes[index];
            assert!(outcome.completion.is_none() && outcome.error.is_none(), "after the end");
            match event {
                Event::Token { id, .. } => outcome.ids.push(id),
                Event::Text { text, .. } => outcome.text.push_str(&text),
                Event::Finished { completion, .. } => outcome.completion = Some(completion),
                Event::Failed { error, .. } => outcome.error = Some(error.to_string()),
            }
        }
    }
    outcomes
}
