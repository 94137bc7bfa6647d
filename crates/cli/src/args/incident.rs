//! `srek diagnose` and `srek eval`.

use super::ModelArgs;
use clap::{Args as ClapArgs, ValueEnum};
use jiff::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// `srek diagnose`
#[derive(Debug, ClapArgs)]
pub(crate) struct DiagnoseArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// The incident: a JSON file as docs/incident.md describes it
    #[arg(long, value_name = "FILE", conflicts_with = "namespace")]
    pub(crate) incident: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Most tokens of evidence that the model is shown
    #[arg(long, value_name = "N", default_value_t = super::BUDGET)]
    pub(crate) budget: usize,
    /// How much model, ranking and signs say, and the threshold, as `srek eval --calibrate` wrote it
    /// [default: as fitted for sre-tiny]
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// A cause that is less probable than this is not named: the answer is "unknown" [default: that
    /// of the calibration]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub(crate) threshold: Option<f64>,
    /// Quote messages of the cluster in the prompt, up to 200 characters each in marked spans;
    /// without it the model sees what they are about and none of their words
    #[arg(long)]
    pub(crate) excerpts: bool,
    /// Causes on offer besides "none" and "unknown" [default: those that the laboratory trains]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(crate) causes: Vec<String>,
    /// Finish the answer after this many milliseconds of writing at the latest; reading the evidence
    /// and weighing causes comes before
    #[arg(long, value_name = "MS")]
    pub(crate) deadline: Option<u64>,
    /// Only look whether every statement of this draft, a post-mortem or a runbook, names evidence that
    /// the incident has
    #[arg(long, value_name = "FILE", requires = "incident", conflicts_with = "out")]
    pub(crate) check: Option<PathBuf>,
    /// Write answer.json, post-mortem.md, runbook.md and report.html here
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// What of `srek diagnose` reads from a cluster instead of a file; docs/diagnose.md says more.
#[derive(Debug, ClapArgs)]
pub(crate) struct ClusterArgs {
    /// Read the incident from this namespace of the cluster that `kubectl` would ask
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// How long ago the trouble was noticed: 90s, 15m, 1h, 2d [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = since, requires = "namespace", conflicts_with = "incident")]
    pub(crate) since: Option<Duration>,
    /// Read up to this time instead of now: 2026-03-01T10:00:00Z
    #[arg(long, value_name = "TIME", requires = "namespace", conflicts_with = "incident")]
    pub(crate) until: Option<Timestamp>,
    /// Read metrics and alerts from Prometheus here; credentials come from PROMETHEUS_TOKEN_FILE and the like
    #[arg(long, value_name = "URL", requires = "namespace", conflicts_with = "incident")]
    pub(crate) prometheus: Option<String>,
    /// Read logs from Loki here; credentials come from LOKI_TOKEN_FILE and the like
    #[arg(long, value_name = "URL", requires = "namespace", conflicts_with = "incident")]
    pub(crate) loki: Option<String>,
    /// The alert that it is about [default: the firing one that began first]
    #[arg(long, value_name = "NAME", requires = "namespace", conflicts_with = "incident")]
    pub(crate) alert: Option<String>,
    /// The context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME", requires = "namespace", conflicts_with = "incident")]
    pub(crate) context: Option<String>,
    /// Keep what was read as an incident file, for --incident
    #[arg(long, value_name = "FILE", requires = "namespace", conflicts_with = "incident")]
    pub(crate) save: Option<PathBuf>,
}

/// A time as people say it: a number and one of s, m, h, d.
fn since(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number and one of s, m, h, d, such as 90s or 1h".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number = text.strip_suffix(unit).unwrap_or_default();
    let count: u64 = number.parse().map_err(|_| wrong())?;
    match count.checked_mul(seconds) {
        Some(seconds @ 1..=31_622_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("expected more than nothing and at most a year".to_owned()),
    }
}

/// `srek eval`
#[derive(Debug, ClapArgs)]
pub(crate) struct EvalArgs {
    /// The base: a directory, a .gguf file, or ORG/NAME on the hub [default: the embedded sre-tiny]
    #[arg(long, value_name = "MODEL")]
    pub(crate) base: Option<PathBuf>,
    /// An adapter to compare with the base
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// What is measured: several are joined by commas [default: all]
    #[arg(long = "suite", value_enum, value_delimiter = ',', hide_default_value = true,
        default_values_t = SuiteName::ALL)]
    pub(crate) suites: Vec<SuiteName>,
    /// Incidents that are asked about, and questions of each sort about commands
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) count: u64,
    /// Training incidents that the methods without a model learn from
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub(crate) train: u64,
    /// The same seed gives the same incidents and questions
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Most tokens of evidence in a prompt
    #[arg(long, value_name = "N", default_value_t = super::BUDGET)]
    pub(crate) budget: usize,
    /// Train this many adapters with different seeds and score all, with controls; then --adapter
    /// is not needed
    #[arg(long, value_name = "N", conflicts_with = "adapter")]
    pub(crate) seeds: Option<u64>,
    /// Do not ask the base: with an adapter it takes two thirds of the time
    #[arg(long, requires = "adapter")]
    pub(crate) tuned_only: bool,
    /// With --seeds: steps of each training [default: those of configs/sre-tiny/incidents.toml]
    #[arg(long, value_name = "N", requires = "seeds")]
    pub(crate) steps: Option<u64>,
    /// With --seeds: the base before it was quantized, for a control with LoRA in f32
    #[arg(long, value_name = "MODEL", requires = "seeds")]
    pub(crate) dense: Option<PathBuf>,
    /// Fit how much model, ranking and signs say, and from which probability on a fault is named, on
    /// incidents that are not scored, and write it here for `srek diagnose --calibration`
    #[arg(long, value_name = "FILE")]
    pub(crate) calibrate: Option<PathBuf>,
    /// With --calibrate: incidents to fit on
    #[arg(long, value_name = "N", default_value_t = 300, requires = "calibrate")]
    pub(crate) held_out: u64,
    /// With --calibrate: the share of named faults that is to be right
    #[arg(long, value_name = "P", default_value_t = 0.8, requires = "calibrate")]
    pub(crate) precision: f64,
    /// The directory of real post-mortems that datasets/labels/dfds.jsonl labels
    #[arg(long, value_name = "DIR")]
    pub(crate) postmortems: Option<PathBuf>,
    /// Texts to measure the loss on: Markdown or text files, or directories of them
    #[arg(long, value_name = "PATH")]
    pub(crate) texts: Vec<PathBuf>,
    /// Where the results go
    #[arg(long, value_name = "DIR", default_value = "runs/eval")]
    pub(crate) out: PathBuf,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SuiteName {
    /// Causes, services and evidence of simulated incidents
    Incidents,
    /// Commands and field paths against the Kubernetes schema
    Commands,
    /// Causes of real post-mortems
    Postmortems,
    /// Whether explanations depend on the evidence that they are about
    Reading,
    /// What hostile logs, names, alerts and metrics change
    Hostile,
    /// Losses on texts
    Forgetting,
    /// Time to the first token, tokens per second, time of a diagnosis
    Latency,
}

impl SuiteName {
    /// All of them, in the order in which they run.
    pub(crate) const ALL: [SuiteName; 7] = [
        SuiteName::Incidents,
        SuiteName::Commands,
        SuiteName::Postmortems,
        SuiteName::Reading,
        SuiteName::Hostile,
        SuiteName::Forgetting,
        SuiteName::Latency,
    ];
}

impl std::fmt::Display for SuiteName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_with_a_unit() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h", 3_600), ("2d", 172_800)] {
            assert_eq!(since(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "0s", "1", "1w", "-1h", "1.5h", "1 h", "5mm", "99999d", "1ü"] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
