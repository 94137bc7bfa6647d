//! What can be typed. Nothing is checked here beyond its form; the commands do that.

use crate::output::Format;
use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

mod bench;
mod export;
mod incident;
mod lab;
mod rank;

pub(crate) use bench::{BenchArgs, Documents};
pub(crate) use export::{ExportArgs, ExportFormat, VerifyArgs};
pub(crate) use incident::{ClusterArgs, DiagnoseArgs, EvalArgs, SuiteName};
pub(crate) use lab::{
    DeckName, LabCommand, LabCorpusArgs, LabIncidentsArgs, LabSaturationArgs, LabServeArgs,
};
pub(crate) use rank::RankArgs;

/// Most tokens of evidence in a prompt, where nothing else is said: what is tuned on one budget is asked with
/// the same.
pub(crate) const BUDGET: usize = 300;

/// Tunes a 4-bit Llama 3 on your own post-mortems, on your own machine.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage or input, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "srek", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Settings of every command.
#[derive(Debug, ClapArgs)]
pub(crate) struct MachineArgs {
    /// Threads to use [default: all cores]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Instruction set: scalar, avx2, avx512 or amx [default: $SREK_TIER, or the fastest]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tier: Option<String>,
    /// Train and serve on this GPU, counted from 0; never tried on a real one yet
    #[arg(long, global = true, value_name = "N")]
    pub(crate) gpu: Option<u32>,
    /// Answer with one JSON object as the last line of standard output
    #[arg(long, global = true)]
    json: bool,
}

impl MachineArgs {
    /// The form of the answer.
    pub(crate) fn output(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// See it work: simulate incidents, tune the embedded model on them, compare, diagnose one
    Demo(DemoArgs),
    /// Say what this machine has and how fast it is
    Doctor(DoctorArgs),
    /// Say what a recipe needs, before anything is loaded
    Plan(PlanArgs),
    /// Make and look at data sets
    #[command(subcommand)]
    Data(DataCommand),
    /// Fetch a model of the Hugging Face hub, or what is missing of it
    Download(DownloadArgs),
    /// Store a model in 4 bits, to be loaded as it is
    Quantize(QuantizeArgs),
    /// Write base and adapter as other programs load them: merged, or as a LoRA of llama.cpp
    Export(ExportArgs),
    /// Compare an adapter or a model with its record: its files, and what it was made of
    Verify(VerifyArgs),
    /// Train all weights of a small model
    Pretrain(RunArgs),
    /// Tune a model with LoRA over a frozen base
    Train(TrainArgs),
    /// Continue a prompt
    Generate(GenerateArgs),
    /// Find the cause of an incident: a checked answer, a post-mortem and a runbook
    Diagnose(DiagnoseArgs),
    /// Rank services and signals by how likely a trouble came from them, without a model
    Rank(RankArgs),
    /// Compare a base with a tuned model: incidents, commands, real post-mortems, losses, times
    Eval(EvalArgs),
    /// Compute the logits of given token ids
    Logits(LogitsArgs),
    /// Simulate microservices and their incidents
    #[command(subcommand)]
    Lab(LabCommand),
    /// Measure training and generation beside what this machine can do
    Bench(BenchArgs),
}

/// `srek data …`
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Tokenize documents into a data set
    Build(DataBuildArgs),
    /// Show what is in a data set and what of it trains
    Inspect(DataInspectArgs),
    /// Write the Kubernetes API schema as questions and answers, or as text, for `data build`
    Kubernetes(DataKubernetesArgs),
}

/// `srek data build`
#[derive(Debug, ClapArgs)]
pub(crate) struct DataBuildArgs {
    /// Markdown and text files, directories of these, and .jsonl files
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    pub(crate) input: Vec<PathBuf>,
    /// The tokenizer.json to encode with; with --train-tokenizer it is written here
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Learn a byte-level BPE of this many tokens from the input [default file: OUT.tokenizer.json]
    #[arg(long, value_name = "VOCABULARY", conflicts_with = "vocab_size")]
    pub(crate) train_tokenizer: Option<usize>,
    /// Take records that hold token ids below this, without any tokenizer
    #[arg(long, value_name = "V", conflicts_with = "tokenizer")]
    pub(crate) vocab_size: Option<u32>,
    /// Most tokens of a document
    #[arg(long, value_name = "N")]
    pub(crate) context: u32,
    /// What happens to documents with more tokens than the context
    #[arg(long, value_enum, default_value_t = Long::Refuse)]
    pub(crate) long: Long,
    /// Cut Markdown that is longer than the context at its headings; every piece begins with the
    /// headings above it, and --long says what happens to a section that is still too long
    #[arg(long)]
    pub(crate) sections: bool,
    /// What happens to records that are too long, have secrets or are malformed
    #[arg(long, value_enum, default_value_t = Refusal::Stop)]
    pub(crate) refused: Refusal,
    /// Mask secrets, e-mail addresses and names of persons; without it, secrets are an error
    #[arg(long)]
    pub(crate) redact: bool,
    /// Mask IP addresses too
    #[arg(long, requires = "redact")]
    pub(crate) redact_ips: bool,
    /// What happens to records that say the same as one before, or nearly so
    #[arg(long, value_enum, default_value_t = Repeated::Remove)]
    pub(crate) duplicates: Repeated,
    #[command(flatten)]
    pub(crate) template: TemplateArgs,
    /// The directory of the data set
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// How conversations are written.
#[derive(Debug, ClapArgs)]
pub(crate) struct TemplateArgs {
    /// Chat template of conversations: auto (the tokenizer's own, or else the built-in one that
    /// fits), none (prompt and completion as they are), llama3, plain, or a file
    #[arg(long, value_name = "NAME|FILE", default_value = "auto")]
    pub(crate) template: String,
    /// The day that templates are told [default: 2024-07-26]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) date: Option<String>,
}

/// What happens to long documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Long {
    /// They are an error
    Refuse,
    /// They become several documents
    Split,
}

/// What happens to records that cannot become documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Refusal {
    /// They are an error
    Stop,
    /// They are left out and listed, also in the data set
    Skip,
}

/// What happens to duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Repeated {
    /// They are left out, and the first of them named
    Remove,
    /// They stay, all on the same side of a split
    Keep,
}

/// `srek data inspect`
#[derive(Debug, ClapArgs)]
pub(crate) struct DataInspectArgs {
    /// The data set
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Show this document token by token
    #[arg(long, value_name = "N")]
    pub(crate) document: Option<usize>,
    /// The tokenizer it was built with; without one, token ids are shown
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
}

/// `srek data kubernetes`
#[derive(Debug, ClapArgs)]
pub(crate) struct DataKubernetesArgs {
    /// The schema: embedded, or a file as `kubectl get --raw /openapi/v2` gives it
    #[arg(long, value_name = "embedded|FILE", default_value = "embedded")]
    pub(crate) schema: String,
    /// Kinds to keep apart for evaluation, by name or as a share: Deployment,Pod or 10%
    #[arg(long, value_name = "KINDS|N%")]
    pub(crate) hold_out_kinds: Option<String>,
    /// Write what is about the kinds that are held out, instead of all the rest
    #[arg(long, requires = "hold_out_kinds")]
    pub(crate) held_out: bool,
    /// Write this many of the questions or texts [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) records: Option<usize>,
    /// Write one text for each type instead of questions and answers
    #[arg(long)]
    pub(crate) text: bool,
    /// The same seed gives the same questions, order and share
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The file of lines to write
    #[arg(long, value_name = "FILE.jsonl")]
    pub(crate) out: PathBuf,
}

/// `srek plan`
#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("subject").required(true).args(["recipe", "model"])))]
pub(crate) struct PlanArgs {
    /// The recipe
    #[arg(value_name = "RECIPE.toml")]
    pub(crate) recipe: Option<PathBuf>,
    /// The machine to plan for
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub(crate) device: DeviceName,
    /// Replace a setting of the recipe, such as schedule.learning_rate=1e-4
    #[arg(long = "set", value_name = "KEY=VALUE", conflicts_with = "model")]
    pub(crate) overrides: Vec<String>,
    /// Plan for tuning a model in 4 bits without a recipe: a published shape such as llama3.1-8b, a
    /// directory with its config.json, a .gguf file, or a name on the hub such as
    /// meta-llama/Llama-3.2-1B
    #[arg(long, value_name = "SHAPE|MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// With --model: tokens of the longest document, which is a micro-batch
    #[arg(long, value_name = "N", conflicts_with = "recipe")]
    pub(crate) seq: Option<usize>,
    /// With --model: find the longest document that fits
    #[arg(long, conflicts_with_all = ["recipe", "seq"])]
    pub(crate) max_seq: bool,
    /// With --model: plan for serving instead, a token behind D tokens
    #[arg(long, value_name = "D", conflicts_with_all = ["recipe", "seq", "max_seq"])]
    pub(crate) decode: Option<usize>,
    /// With --model: R of the adapter of all linear layers
    #[arg(long, value_name = "R", default_value_t = 16, conflicts_with = "recipe")]
    pub(crate) rank: usize,
    /// With --model: the head in 8 bits
    #[arg(long, conflicts_with = "recipe")]
    pub(crate) head_8bit: bool,
    /// With --model and for training: the embedding in the host's memory
    #[arg(long, conflicts_with = "recipe")]
    pub(crate) embedding_host: bool,
    /// With --model: what others hold of the device's memory, in bytes or as 500MiB or 1.5GiB
    #[arg(long, value_name = "BYTES", value_parser = byte_count, conflicts_with = "recipe")]
    pub(crate) reserve: Option<usize>,
    /// With --model: plan for a card of that much memory, in bytes or as 8GiB
    #[arg(long, value_name = "BYTES", value_parser = byte_count, conflicts_with = "recipe")]
    pub(crate) memory: Option<usize>,
}

/// A number of bytes, plain or with a unit.
fn byte_count(text: &str) -> Result<usize, String> {
    let at = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let unit = match text[at..].trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("expected a number of bytes, or one with KiB, MiB or GiB".to_owned()),
    };
    let number: f64 = text[..at].parse().map_err(|_| "expected a number".to_owned())?;
    let bytes = number * f64::from(1_u32 << unit);
    if bytes < (1_u64 << 50) as f64 {
        Ok(bytes as usize)
    } else {
        Err("that is more than any".to_owned())
    }
}

/// Machines that plans can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceName {
    /// NVIDIA RTX 3060, 12 GiB
    Rtx3060,
    /// NVIDIA H200
    H200,
    /// This machine, measured
    Cpu,
}

/// `srek doctor`
#[derive(Debug, ClapArgs)]
pub(crate) struct DoctorArgs {
    /// Look at this model (a directory, a .gguf file, or ORG/NAME on the hub) instead of at the machine:
    /// what it says of a text, its tokenizer, template and marks, what 4 bits cost in each layer, and what
    /// `--numerics int8` would do to one in 4 bits
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Where --model is in 4 bits: what it was made of, to be compared with
    #[arg(long, value_name = "MODEL", requires = "model")]
    pub(crate) original: Option<PathBuf>,
}

/// `srek download`
#[derive(Debug, ClapArgs)]
pub(crate) struct DownloadArgs {
    /// The model's name, such as meta-llama/Llama-3.2-1B
    #[arg(value_name = "ORG/NAME[@REVISION]")]
    pub(crate) name: String,
    /// A branch, tag or commit [default: main]
    #[arg(long, value_name = "REVISION")]
    pub(crate) revision: Option<String>,
}

/// `srek quantize`
#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("what").required(true).args(["model", "random"])))]
pub(crate) struct QuantizeArgs {
    /// A Llama that is not quantized: a directory as Hugging Face has it, or a name on the hub such as
    /// meta-llama/Llama-3.2-1B; or a .gguf file
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// Random weights of the shape of a published model (llama3.1-8b, llama3.2-1b, ...) instead, to
    /// measure a machine before the real ones are there
    #[arg(long, value_name = "SHAPE")]
    pub(crate) random: Option<String>,
    /// The same seed gives the same random weights
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "model")]
    pub(crate) seed: u64,
    /// How the seven projections are stored, in the layout of bitsandbytes
    #[arg(long, value_enum, default_value_t = BaseFormat::Nf4Dq)]
    pub(crate) format: BaseFormat,
    /// How the embedding, and a head of its own, are stored; only srek reads q8
    #[arg(long, value_enum, default_value_t = EmbeddingFormat::Stored)]
    pub(crate) embedding: EmbeddingFormat,
    /// The directory to write
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// Storage of the projections of a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BaseFormat {
    /// NF4: 4.5 bits a weight
    Nf4,
    /// NF4 with double-quantized scales: 4.127 bits a weight
    Nf4Dq,
}

/// Storage of the embedding of a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EmbeddingFormat {
    /// As the model has it
    Stored,
    /// Signed bytes with a scale per 64 weights: 8.5 bits a weight
    Q8,
}

/// `srek train`
#[derive(Debug, ClapArgs)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Start from this PEFT adapter
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter_init: Option<PathBuf>,
}

/// `srek pretrain`, and what `srek train` shares with it
#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// The recipe
    #[arg(value_name = "RECIPE.toml")]
    pub(crate) recipe: PathBuf,
    /// Go on from the last checkpoint of the run
    #[arg(long)]
    pub(crate) resume: bool,
    /// The run's directory [default: runs/NAME of the recipe's file]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Replace a setting of the recipe, such as schedule.learning_rate=1e-4
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
}

/// A model and how to hold it.
#[derive(Debug, ClapArgs)]
pub(crate) struct ModelArgs {
    /// A Llama: a directory as Hugging Face has it, a .gguf file, or a name on the hub such as
    /// meta-llama/Llama-3.2-1B [default: the embedded sre-tiny]
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// A PEFT adapter directory
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// How the seven projections are held [default: as the adapter was trained, else none]
    #[arg(long, value_enum)]
    pub(crate) quant: Option<Quant>,
    /// How the output head is held [default: as the adapter was trained, else as-stored]
    #[arg(long, value_enum)]
    pub(crate) head: Option<HeadName>,
    /// How products treat their operands [default: as the adapter was trained, else bf16]
    #[arg(long, value_enum)]
    pub(crate) numerics: Option<NumericsName>,
}

impl ModelArgs {
    /// The model's directory: the embedded one's, if none was named.
    pub(crate) fn directory(&self) -> anyhow::Result<PathBuf> {
        crate::models::directory_or_embedded(self.model.as_deref())
    }
}

/// Storage of the projections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Quant {
    /// As the files have them
    None,
    /// NF4
    Nf4,
    /// NF4 with double-quantized scales
    Nf4Dq,
}

impl Quant {
    /// As the model knows it.
    pub(crate) fn base(self) -> model::Base {
        match self {
            Quant::None => model::Base::AsStored,
            Quant::Nf4 => model::Base::Nf4,
            Quant::Nf4Dq => model::Base::Nf4Double,
        }
    }
}

/// Storage of the output head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HeadName {
    /// As the files have it
    AsStored,
    /// Signed bytes with a scale per 64 weights
    Q8,
}

impl HeadName {
    /// As the model knows it.
    pub(crate) fn head(self) -> model::Head {
        match self {
            HeadName::AsStored => model::Head::AsStored,
            HeadName::Q8 => model::Head::EightBit,
        }
    }
}

/// Numerics of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NumericsName {
    /// Everything in f32: the mode for comparisons
    F32,
    /// Operands in bf16, sums in f32
    Bf16,
    /// Weights of 4 or 8 bits and what they are multiplied with in 8 bits: to serve, on a CPU with AVX-512 VNNI and
    /// VBMI (on AVX2 slower than bf16)
    Int8,
}

impl NumericsName {
    /// As the products know it.
    pub(crate) fn numerics(self) -> ops::Numerics {
        match self {
            NumericsName::F32 => ops::Numerics::F32,
            NumericsName::Bf16 => ops::Numerics::Bf16,
            NumericsName::Int8 => ops::Numerics::Int8,
        }
    }
}

/// `srek generate`
#[derive(Debug, ClapArgs)]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The text to continue
    #[arg(long, value_name = "TEXT", required_unless_present = "prompt_file")]
    pub(crate) prompt: Option<String>,
    /// A file with the text to continue
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    pub(crate) prompt_file: Option<PathBuf>,
    /// Ask the prompt as a user does in a conversation, in the model's chat template
    #[arg(long)]
    pub(crate) chat: bool,
    /// The tokenizer [default: tokenizer.json of the model]
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Most tokens to produce
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) max_tokens: usize,
    /// 0 takes the likeliest token always
    #[arg(long, value_name = "X", default_value_t = 0.8)]
    pub(crate) temperature: f32,
    /// Choose among this many of the likeliest tokens
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<usize>,
    /// Choose among the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub(crate) top_p: f32,
    /// Choose among tokens that have this share of the likeliest one's probability
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub(crate) min_p: f32,
    /// Above 1 makes tokens that occurred less likely
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub(crate) repetition_penalty: f32,
    /// The same seed gives the same text
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// End before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
    /// A JSON schema that the text is held to; it is then always complete
    #[arg(long, value_name = "FILE", conflicts_with = "stop")]
    pub(crate) schema: Option<PathBuf>,
    /// Close the text this many milliseconds after the prompt was given at the latest; it then
    /// depends on the speed of the machine
    #[arg(long, value_name = "MS", requires = "schema")]
    pub(crate) deadline: Option<u64>,
    /// Completions to produce, with seeds from --seed on
    #[arg(long = "n", value_name = "N", default_value_t = 1)]
    pub(crate) completions: usize,
}

/// `srek logits`
#[derive(Debug, ClapArgs)]
pub(crate) struct LogitsArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// A JSON list of equally long lists of token ids
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: PathBuf,
    /// The safetensors file to write: `logits`, f32, of shape (lists, ids, vocabulary)
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// `srek demo`
#[derive(Debug, ClapArgs)]
pub(crate) struct DemoArgs {
    /// Two minutes at most, and less to see: fewer incidents, hardly any tuning
    #[arg(long)]
    pub(crate) quick: bool,
    /// Where the results go
    #[arg(long, value_name = "DIR", default_value = "runs/demo")]
    pub(crate) out: PathBuf,
}
