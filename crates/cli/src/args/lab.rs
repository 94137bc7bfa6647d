//! `srek lab …`

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What the laboratory can make.
#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Simulate incidents: prompts with the right answers
    Incidents(LabIncidentsArgs),
    /// Write documents about simulated incidents, for pretraining: prose, logs, packs, no answers
    Corpus(LabCorpusArgs),
    /// Compare forecasts of what runs out with predict_linear and a threshold, on simulated series
    Saturation(LabSaturationArgs),
    /// Serve one simulated incident as a cluster would show it: Kubernetes, Prometheus and Loki, to read
    Serve(LabServeArgs),
}

/// `srek lab serve`
#[derive(Debug, ClapArgs)]
pub(crate) struct LabServeArgs {
    /// The same seed gives the same incidents
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Which of them to serve
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) number: u64,
    /// The side of the split: names, wordings, call graphs and a dialect are on one side only
    #[arg(long, value_enum, default_value_t = PartName::Train)]
    pub(crate) part: PartName,
    /// Seconds from one value of a metric to the next: 60, or less, by which 60 can be divided
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) step: u32,
    /// The namespace that the services run in
    #[arg(long, value_name = "NAME", default_value = "shop")]
    pub(crate) namespace: String,
    /// The port of 127.0.0.1 to listen on; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
    /// When the incident ends, and what the cluster's clock says, in RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// How many times faster than the clock the incident goes by at /metrics, from the first scrape on
    #[arg(long, value_name = "X", default_value_t = 60.0)]
    pub(crate) speed: f64,
    /// Write a kubeconfig that names this server
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Write a configuration with which Prometheus scrapes this server
    #[arg(long, value_name = "FILE")]
    pub(crate) prometheus_config: Option<PathBuf>,
    /// End after so many seconds [default: at Ctrl-C]
    #[arg(long = "for", value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
    /// Say what really happened
    #[arg(long)]
    pub(crate) truth: bool,
}

/// `srek lab saturation`
#[derive(Debug, ClapArgs)]
pub(crate) struct LabSaturationArgs {
    /// Series to simulate; eleven kinds take turns
    #[arg(long, value_name = "N", default_value_t = 110)]
    pub(crate) count: u64,
    /// The same seed gives the same series
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// `srek lab incidents`
#[derive(Debug, ClapArgs)]
pub(crate) struct LabIncidentsArgs {
    /// Incidents to simulate
    #[arg(long, value_name = "N")]
    pub(crate) count: u64,
    /// The same seed gives the same incidents
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// The side of the split: names, wordings, call graphs and a dialect are on one side only
    #[arg(long, value_enum, default_value_t = PartName::Train)]
    pub(crate) part: PartName,
    /// Most tokens of a prompt
    #[arg(long, value_name = "N", default_value_t = super::BUDGET)]
    pub(crate) budget: usize,
    /// The tokenizer that counts them [default: a token is three bytes]
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Incident files to write for the first of them
    #[arg(long, value_name = "K", default_value_t = 10)]
    pub(crate) files: u64,
    /// The directory of the results
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

/// `srek lab corpus`
#[derive(Debug, ClapArgs)]
pub(crate) struct LabCorpusArgs {
    /// Documents to write
    #[arg(long, value_name = "N")]
    pub(crate) documents: u64,
    /// The same seed gives the same documents
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// What kinds of documents
    #[arg(long, value_enum, default_value_t = DeckName::Texts)]
    pub(crate) deck: DeckName,
    /// The file of lines to write
    #[arg(long, value_name = "FILE.jsonl")]
    pub(crate) out: PathBuf,
}

/// Sides of the split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartName {
    /// What is learned from
    Train,
    /// What is tested on
    Test,
}

impl PartName {
    /// As the laboratory knows it.
    pub(crate) fn part(self) -> lab::Part {
        match self {
            PartName::Train => lab::Part::Train,
            PartName::Test => lab::Part::Test,
        }
    }
}

/// A mixture of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeckName {
    /// Prose, logs, evidence packs with their readings, and talk about them
    Texts,
    /// Conversations that grow from a line or two of evidence to whole packs
    Growing,
    /// Conversations about whole evidence packs
    Conversations,
}
