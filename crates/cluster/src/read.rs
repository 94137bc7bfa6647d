//! Reads an incident from a running system: what Kubernetes runs and reports, what Prometheus
//! measured, what Loki (or Kubernetes itself) has of the logs.
//!
//! Nothing is ever written, and no Secret is asked for. What is read is not trusted: every answer has
//! a limit of bytes, every list one of entries, and the incident that comes out has passed its own
//! check. A source that fails is [`Missing`], with its reason, and the others go on.
//!
//! How it works inside: `kubernetes` fills a `Directory`, which knows the service that a
//! pod, an owner or a label belongs to; `prometheus`, `loki` and the fallback `kubernetes::logs` ask it;
//! `assemble` gives everything its name and its id.

use jiff::Timestamp;
use sre::incident::Incident;
use std::fmt;
use std::time::{Duration, Instant};

mod address;
mod assemble;
mod credentials;
mod directory;
mod error;
mod http;
mod kubernetes;
mod lines;
mod loki;
mod prometheus;
#[cfg(test)]
mod tests;
mod window;

pub use address::Address;
pub use credentials::Credentials;
pub use error::{Error, Result};

use directory::Directory;
use window::Window;

/// Whom to ask.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The cluster.
    pub kubernetes: Option<KubernetesSource>,
    /// The monitoring.
    pub prometheus: Option<HttpSource>,
    /// The logs.
    pub loki: Option<HttpSource>,
}

/// How the cluster is reached: by the kubeconfig that `kubectl` would take, else by the account of the
/// pod that this runs in.
#[derive(Clone, Debug, Default)]
pub struct KubernetesSource {
    /// The kubeconfig, where it is not the usual one.
    pub kubeconfig: Option<std::path::PathBuf>,
    /// Its context, where it is not the current one.
    pub context: Option<String>,
}

/// A server with an HTTP API, and who we are to it.
#[derive(Clone, Debug)]
pub struct HttpSource {
    /// Where it is.
    pub address: Address,
    /// What is sent along.
    pub credentials: Credentials,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The namespace.
    pub namespace: String,
    /// When the trouble was noticed.
    pub start: Timestamp,
    /// Up to when to read.
    pub until: Timestamp,
    /// Seconds between two values of a metric, where the usual ones do not do.
    pub step_seconds: Option<u32>,
    /// The alert that it is about, by its name.
    pub alert: Option<String>,
    /// How long everything together may take.
    pub deadline: Duration,
    /// How much is read.
    pub limits: Limits,
}

/// How much is read. What is cut off is said in [`Reading::cut`].
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most objects of each kind.
    pub objects: usize,
    /// Most bytes of one answer.
    pub answer_bytes: u64,
    /// Longest time for one answer.
    pub answer_time: Duration,
    /// Most metrics that are asked for.
    pub metrics: usize,
    /// Most series of a service, and of all.
    pub series_per_service: usize,
    /// Most series of all services.
    pub series: usize,
    /// Most log lines that are looked at.
    pub log_lines: usize,
    /// Most different log lines that are kept.
    pub log_texts: usize,
    /// Most pods whose logs Kubernetes is asked for, where there is no Loki.
    pub log_pods: usize,
    /// The wait before what failed is tried again, doubled with each of three tries.
    pub first_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            objects: 5_000,
            answer_bytes: 32 << 20,
            answer_time: Duration::from_secs(20),
            metrics: 150,
            series_per_service: 40,
            series: 2_000,
            log_lines: 80_000,
            log_texts: 1_000,
            log_pods: 40,
            first_wait: Duration::from_millis(500),
        }
    }
}

/// Where something comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The API of the cluster.
    Kubernetes,
    /// Metrics and alerts.
    Prometheus,
    /// Logs.
    Loki,
}

impl Source {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "Kubernetes",
            Self::Prometheus => "Prometheus",
            Self::Loki => "Loki",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Who did not give it.
    pub source: Source,
    /// What it is.
    pub what: String,
    /// Why, in one line without anything secret.
    pub why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}: {}", self.source, self.what, self.why)
    }
}

/// How far the reading is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Who is asked.
    pub source: Source,
    /// What for.
    pub what: String,
    /// How many answers came.
    pub done: usize,
    /// Of how many, as far as that is known.
    pub of: usize,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The incident; it has passed its own check.
    pub incident: Incident,
    /// What could not be read.
    pub missing: Vec<Missing>,
    /// What was left out because there was too much of it, in sentences.
    pub cut: Vec<String>,
}

/// Everything that one reading carries along.
struct Run<'a> {
    ask: &'a Ask,
    window: Window,
    deadline: Instant,
    missing: Vec<Missing>,
    cut: Vec<String>,
    progress: &'a mut dyn FnMut(Progress),
}

impl Run<'_> {
    fn missing(&mut self, source: Source, what: impl Into<String>, why: impl Into<String>) {
        // One line each: a reason may quote what a server said.
        let why = sre::incident::plain(&why.into(), 300);
        let what = sre::incident::plain(&what.into(), 200);
        let missing = Missing { source, what, why };
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }

    fn step(&mut self, source: Source, what: &str, (done, of): (usize, usize)) {
        (self.progress)(Progress { source, what: what.to_owned(), done, of });
    }
}

/// Reads an incident.
///
/// # Errors
/// [`Error::Ask`] for what cannot be asked, [`Error::Nothing`] where no source gave anything,
/// [`Error::Empty`] where nothing runs in the namespace.
pub fn read(sources: &Sources, ask: &Ask, progress: &mut dyn FnMut(Progress)) -> Result<Reading> {
    let window = Window::new(ask)?;
    let begun = Instant::now();
    // Whoever hangs takes its own time, not that of those after it.
    let part = |share: f64| begun + ask.deadline.mul_f64(share);
    let deadline = part(0.4);
    let mut run = Run { ask, window, deadline, missing: Vec::new(), cut: Vec::new(), progress };
    let mut directory = Directory::new(&ask.namespace);
    let mut found = assemble::Found::default();
    let cluster = match &sources.kubernetes {
        None => None,
        Some(source) => kubernetes::read(source, &mut run, &mut directory, &mut found),
    };
    run.deadline = part(0.75);
    if let Some(source) = &sources.prometheus {
        prometheus::read(source, &mut run, &mut directory, &mut found)?;
    }
    run.deadline = part(1.0);
    let lines = match &sources.loki {
        None => None,
        Some(source) => loki::read(source, &mut run, &directory)?,
    };
    found.lines = match (lines, cluster) {
        (Some(lines), _) => Some(lines),
        (None, Some(mut cluster)) => cluster.logs(&mut run, &directory),
        (None, None) => None,
    };
    assemble::assemble(run, directory, found)
}
