//! A recipe: everything a user decides about a training run, as one TOML file.
//!
//! Reading it refuses unknown keys and values that cannot be, with file, line and key. Sizes are in
//! tokens, documents or mebibytes as each field says; paths are relative to the working directory.

use crate::{Error, Result};
use model::lora::{self, Patterns};
use model::{Base, Config, Embedding, Head, LoraConfig};
use ops::Numerics;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

mod check;
#[cfg(test)]
mod tests;

/// The largest recipe that is read.
const LIMIT_BYTES: u64 = 1 << 20;

/// A training run, as its user describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Seed of everything random: initial values, the order of documents, what is held out.
    /// Below 2⁶³.
    #[serde(default)]
    pub seed: u64,
    /// What is trained.
    pub model: ModelSection,
    /// The adapter. Without it every weight is trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraSection>,
    /// What it is trained on.
    pub data: DataSection,
    /// How much goes through the model at a time.
    pub batch: BatchSection,
    /// How long, and how fast it learns.
    pub schedule: Schedule,
    /// AdamW.
    #[serde(default)]
    pub optimizer: OptimizerSection,
    /// Measuring on held-out documents.
    #[serde(default)]
    pub evaluation: EvaluationSection,
    /// What is kept for resuming.
    #[serde(default)]
    pub checkpoint: CheckpointSection,
    /// What may be used.
    #[serde(default)]
    pub memory: MemorySection,
}

/// What is trained: exactly one of `directory` and `new`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// A Hugging Face Llama directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// A `tokenizer.json`, copied beside what is trained. Where absent, the model directory's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// A PEFT directory to start the adapter from; its own configuration stands for `[lora]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<PathBuf>,
    /// How the seven projections are held. A directory that has them in 4 bits is used as it is.
    #[serde(default)]
    pub base: BaseKind,
    /// How the output head is stored.
    #[serde(default)]
    pub head: HeadKind,
    /// How products treat their operands.
    #[serde(default)]
    pub numerics: NumericsKind,
    /// The shape of a model that starts from random values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Shape>,
}

/// Storage of the seven projections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BaseKind {
    /// As the directory has them.
    #[default]
    #[serde(rename = "as-stored")]
    AsStored,
    /// NF4, scales in f32: 4.5 bits per weight.
    #[serde(rename = "nf4")]
    Nf4,
    /// NF4, scales quantized once more: 4.127 bits per weight.
    #[serde(rename = "nf4-dq")]
    Nf4Double,
}

/// Storage of the output head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeadKind {
    /// As the directory has it.
    #[default]
    #[serde(rename = "as-stored")]
    AsStored,
    /// Signed bytes with a scale per 64 weights.
    #[serde(rename = "q8")]
    EightBit,
}

/// How products treat their operands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumericsKind {
    /// Rounded to bf16, summed in f32.
    #[default]
    Bf16,
    /// f32 throughout.
    F32,
}

/// The shape of a new model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// C, width of the residual stream.
    pub hidden: usize,
    /// F, width of the MLP.
    pub ffn: usize,
    /// Number of blocks.
    pub layers: usize,
    /// H, query heads.
    pub heads: usize,
    /// Hkv, key heads, a divisor of H.
    pub kv_heads: usize,
    /// D, size of a head; C / H where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// V, vocabulary; the data set's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab: Option<usize>,
    /// Longest sequence the model is made for, in tokens.
    pub context: usize,
    /// Whether the head is the embedding.
    #[serde(default)]
    pub tied: bool,
    /// Base of the rotary frequencies.
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f32,
    /// eps of the norms.
    #[serde(default = "default_norm_eps")]
    pub eps: f32,
}

fn default_rope_theta() -> f32 {
    10_000.0
}

fn default_norm_eps() -> f32 {
    1e-5
}

/// A LoRA adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraSection {
    /// R.
    pub rank: usize,
    /// alpha; the adapter's product is scaled by alpha / R.
    pub alpha: f32,
    /// Scale by alpha / √R instead.
    pub rslora: bool,
    /// Module names, or `all-linear`.
    pub targets: Vec<String>,
    /// R of single modules, by module name, end of path or whole path.
    pub rank_pattern: Patterns<usize>,
    /// alpha of single modules, likewise.
    pub alpha_pattern: Patterns<f32>,
    /// Not supported: anything but 0 is refused.
    pub dropout: f32,
}

impl Default for LoraSection {
    fn default() -> Self {
        LoraSection {
            rank: 16,
            alpha: 16.0,
            rslora: false,
            targets: vec!["all-linear".into()],
            rank_pattern: Patterns::default(),
            alpha_pattern: Patterns::default(),
            dropout: 0.0,
        }
    }
}

/// What a model is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// A data set that `srek data build` made.
    pub directory: PathBuf,
    /// Share of the groups that is held out and measured on, 0 (none) to below 1.
    #[serde(default)]
    pub held_out: f64,
    /// Which of them.
    #[serde(default)]
    pub split: SplitKind,
    /// Longest document, in tokens; the data set's own bound where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// In which order documents come.
    #[serde(default)]
    pub order: OrderKind,
}

/// Which groups of documents are held out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitKind {
    /// Any, drawn by the seed.
    #[default]
    Group,
    /// The newest.
    Time,
}

/// In which order documents come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderKind {
    /// Another random order each epoch, packed tightly.
    #[default]
    Shuffled,
    /// As they stand in the data set.
    File,
}

/// How much goes through the model at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchSection {
    /// Most tokens of a micro-batch; whole documents are packed into it.
    pub tokens: usize,
    /// Most documents of a micro-batch.
    #[serde(default = "default_documents")]
    pub documents: usize,
    /// Micro-batches whose gradients make one step.
    #[serde(default = "default_micro_batches")]
    pub micro_batches: usize,
}

fn default_documents() -> usize {
    4096
}

fn default_micro_batches() -> usize {
    1
}

/// How long training goes, and how fast it learns. Exactly one of `steps` and `epochs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Steps of the optimizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Passes through the training documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps in which the learning rate rises to its peak.
    pub warmup_steps: u64,
    /// How it falls afterwards.
    pub decay: Decay,
    /// Where it ends, as a share of the peak, 0 to 1.
    pub minimum_ratio: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule {
            steps: None,
            epochs: None,
            learning_rate: 2e-4,
            warmup_steps: 0,
            decay: Decay::Cosine,
            minimum_ratio: 0.0,
        }
    }
}

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// It does not.
    Constant,
    /// In a straight line.
    Linear,
    /// Along half a cosine.
    Cosine,
}

/// AdamW (Loshchilov and Hutter, 2019), as PyTorch computes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSection {
    /// β₁, 0 to below 1.
    pub beta1: f64,
    /// β₂, 0 to below 1.
    pub beta2: f64,
    /// eps, above 0.
    pub eps: f64,
    /// Decoupled weight decay; norms never decay.
    pub weight_decay: f64,
    /// Norm to which larger gradients are scaled down; 0 leaves them as they are.
    pub max_grad_norm: f64,
    /// One second moment for all rows of the embedding, and one for those of the head, as in Coupled Adam
    /// (Stollenwerk and Stollenwerk, "Better Embeddings with Coupled Adam", 2025). With a moment for every
    /// row, the vectors of tokens that are rarely an answer all drift in one direction. Adapters have no
    /// such rows.
    pub coupled_embedding: bool,
}

impl Default for OptimizerSection {
    fn default() -> Self {
        OptimizerSection {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
            coupled_embedding: false,
        }
    }
}

/// Measuring on held-out documents, at the start, at the end and in between.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationSection {
    /// Steps from one evaluation to the next; only at start and end where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Evaluations without a new best loss after which training stops; never where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
}

/// What is kept for resuming.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointSection {
    /// Steps from one checkpoint to the next; only at the end where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// How many of the newest are kept, at least 1; the best one is always kept.
    pub keep: usize,
}

impl Default for CheckpointSection {
    fn default() -> Self {
        CheckpointSection { every: None, keep: 2 }
    }
}

/// Where the embedding is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmbeddingKind {
    /// In the device's memory.
    #[default]
    Device,
    /// In the host's, out of which a GPU reads the rows that it needs.
    Host,
}

/// What may be used. None of it changes a bit of the result, except `logits_rows`, whose chunks add
/// up the head's gradient when the head is trained, and `tile_rows`, whose tiles add up all gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemorySection {
    /// Where activations stay between forward and backward.
    pub policy: PolicyKind,
    /// Device memory that may be used, in MiB; what the machine has where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_mib: Option<usize>,
    /// Host memory that may be used, in MiB; what the machine has where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_mib: Option<usize>,
    /// Which memory holds the embedding.
    pub embedding: EmbeddingKind,
    /// Rows of logits that exist at a time; each is V numbers.
    pub logits_rows: usize,
    /// Rows of a micro-batch that go through norms and the MLP at a time.
    pub tile_rows: usize,
}

impl Default for MemorySection {
    fn default() -> Self {
        MemorySection {
            policy: PolicyKind::Auto,
            device_mib: None,
            host_mib: None,
            embedding: EmbeddingKind::Device,
            logits_rows: 256,
            tile_rows: 2048,
        }
    }
}

/// Where activations stay between forward and backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyKind {
    /// On the device.
    Keep,
    /// In host memory.
    Offload,
    /// Nowhere: computed again from the block's input on the device.
    Recompute,
    /// Nowhere: computed again from the block's input in host memory.
    Checkpoint,
    /// Per block, as the memory allows.
    Auto,
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// # Errors
    /// A file that cannot be read, is not TOML, has an unknown key, or a value that cannot be.
    pub fn read(path: &Path) -> Result<Recipe> {
        let text = files::read_to_string(path, LIMIT_BYTES)?;
        Recipe::parse(&text, &path.display().to_string())
    }

    /// Reads and checks the text of a recipe; `from` names it in messages.
    ///
    /// # Errors
    /// As [`Recipe::read`].
    pub fn parse(text: &str, from: &str) -> Result<Recipe> {
        let recipe: Recipe = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let from = line.map_or(from.to_owned(), |line| format!("{from}:{line}"));
            Error::Recipe { from, message: error.message().to_owned() }
        })?;
        recipe.check().map_err(|message| Error::Recipe { from: from.to_owned(), message })?;
        Ok(recipe)
    }

    /// The recipe as TOML, every default written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a checked recipe is plain data")
    }

    /// Whether every weight is trained, not an adapter.
    pub fn trains_everything(&self) -> bool {
        self.lora.is_none() && self.model.adapter.is_none()
    }
}

impl Shape {
    /// The configuration of this shape.
    pub(crate) fn config(&self, vocab: usize, bos: Option<u32>, eos: Option<u32>) -> Config {
        Config {
            hidden: self.hidden,
            ffn: self.ffn,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim.unwrap_or(self.hidden / self.heads.max(1)),
            vocab: self.vocab.unwrap_or(vocab),
            eps: self.eps,
            rope_theta: self.rope_theta,
            rope_scaling: None,
            tied: self.tied,
            context: self.context,
            bos,
            eos: eos.into_iter().collect(),
        }
    }
}

impl LoraSection {
    /// The adapter that is meant.
    pub fn config(&self) -> std::result::Result<LoraConfig, String> {
        if self.dropout != 0.0 {
            return Err(format!(
                "lora.dropout is {}, which is not supported, expected 0\nhint: a smaller rank or more held-out evaluation guards against overfitting",
                self.dropout
            ));
        }
        let config = LoraConfig {
            rank: self.rank,
            alpha: self.alpha,
            rslora: self.rslora,
            targets: lora::targets(&self.targets).map_err(|e| format!("lora.targets: {e}"))?,
            rank_pattern: self.rank_pattern.clone(),
            alpha_pattern: self.alpha_pattern.clone(),
            dropout: 0.0,
        };
        config.check().map_err(|e| format!("lora: {e}"))?;
        Ok(config)
    }

    /// The section that describes an adapter.
    pub(crate) fn from_config(config: &LoraConfig) -> LoraSection {
        LoraSection {
            rank: config.rank,
            alpha: config.alpha,
            rslora: config.rslora,
            targets: config.targets.iter().map(|t| t.module().to_owned()).collect(),
            rank_pattern: config.rank_pattern.clone(),
            alpha_pattern: config.alpha_pattern.clone(),
            dropout: config.dropout,
        }
    }
}

impl From<BaseKind> for Base {
    fn from(kind: BaseKind) -> Base {
        match kind {
            BaseKind::AsStored => Base::AsStored,
            BaseKind::Nf4 => Base::Nf4,
            BaseKind::Nf4Double => Base::Nf4Double,
        }
    }
}

impl From<EmbeddingKind> for Embedding {
    fn from(kind: EmbeddingKind) -> Embedding {
        match kind {
            EmbeddingKind::Device => Embedding::OnDevice,
            EmbeddingKind::Host => Embedding::OnHost,
        }
    }
}

impl From<HeadKind> for Head {
    fn from(kind: HeadKind) -> Head {
        match kind {
            HeadKind::AsStored => Head::AsStored,
            HeadKind::EightBit => Head::EightBit,
        }
    }
}

impl From<Head> for HeadKind {
    fn from(head: Head) -> HeadKind {
        match head {
            Head::AsStored => HeadKind::AsStored,
            Head::EightBit => HeadKind::EightBit,
        }
    }
}

impl From<NumericsKind> for Numerics {
    fn from(kind: NumericsKind) -> Numerics {
        match kind {
            NumericsKind::Bf16 => Numerics::Bf16,
            NumericsKind::F32 => Numerics::F32,
        }
    }
}
