//! Arguments of `srek export` and of `srek verify`.

use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;

/// `srek export`
#[derive(Debug, ClapArgs)]
pub(crate) struct ExportArgs {
    /// The model that the adapter was trained over [default: the embedded sre-tiny]
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// The PEFT adapter directory; a GGUF can do without
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// What is written
    #[arg(long, value_enum, default_value_t = ExportFormat::Merged)]
    pub(crate) format: ExportFormat,
    /// Where --model is in 4 bits: what it was quantized from, to be merged onto [default: --model,
    /// decoded]
    #[arg(long, value_name = "MODEL")]
    pub(crate) onto: Option<PathBuf>,
    /// The directory to write, or with gguf-lora the file
    #[arg(long, value_name = "PATH")]
    pub(crate) out: PathBuf,
}

/// Forms of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A model directory: config.json and model.safetensors, the adapter added to the weights
    Merged,
    /// The adapter as PEFT loads it, with tokenizer, template and licence
    Peft,
    /// The adapter alone, as llama.cpp and Ollama load it beside a GGUF of the base
    GgufLora,
    /// A directory with model.gguf and a Modelfile, as llama.cpp and Ollama run it, in 16 bits
    #[value(name = "gguf-f16")]
    GgufF16,
    /// The same in 8.5 bits a weight
    #[value(name = "gguf-q8_0")]
    GgufQ8,
    /// The same in about 4.8 bits a weight (llama.cpp's Q4_K_M)
    #[value(name = "gguf-q4_k")]
    GgufQ4K,
}

/// `srek verify`
#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyArgs {
    /// The directory of an adapter, a model, an export or a checkpoint, with its srek.json
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// What the adapter was trained over, or the model quantized or exported from: its directory, its
    /// name on the hub, or a GGUF file
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    /// The data set that it was trained on
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}
