//! Where an incident of a cluster comes from: the sources that the arguments and the environment name.

use crate::args::ClusterArgs;
use crate::exit::usage;
use crate::output::note;
use crate::progress::Progress;
use anyhow::{Context, Result, anyhow};
use cluster::read::{
    Ask, Credentials, Error, HttpSource, KubernetesSource, Limits, Missing, Reading, Source,
    Sources,
};
use jiff::Timestamp;
use sre::incident::Incident;
use sre::rank::Window;
use std::path::Path;
use std::time::Duration;

/// How long ago the trouble was noticed, where nobody says it.
const SINCE: Duration = Duration::from_secs(3_600);
/// Longest time for all of it: whoever waits is on call.
const DEADLINE: Duration = Duration::from_secs(120);

/// Reads an incident, masks its secrets and keeps it if that is asked for; and what could not be read.
pub(super) fn read(args: &ClusterArgs) -> Result<(Incident, Vec<Missing>)> {
    let Some(namespace) = &args.namespace else {
        return Err(usage(
            "there is nothing to diagnose\nhint: name a file with --incident FILE, or a namespace of a \
             cluster with --namespace NAME",
        ));
    };
    let until = args.until.unwrap_or_else(Timestamp::now);
    let start = until
        .checked_sub(args.since.unwrap_or(SINCE))
        .map_err(|_| usage("--since reaches back before the beginning of time"))?;
    let ask = Ask {
        namespace: namespace.clone(),
        start,
        until,
        step_seconds: None,
        alert: args.alert.clone(),
        deadline: DEADLINE,
        limits: Limits::default(),
    };
    let sources = Sources {
        kubernetes: Some(KubernetesSource { kubeconfig: None, context: args.context.clone() }),
        prometheus: source("--prometheus", args.prometheus.as_deref(), "PROMETHEUS")?,
        loki: source("--loki", args.loki.as_deref(), "LOKI")?,
    };
    let mut shown = Progress::new("reading", None);
    let mut steps = 0;
    let reading = cluster::read::read(&sources, &ask, &mut |step| {
        steps += 1;
        shown.at(steps, || format!("{}: {} ({}/{})", step.source, step.what, step.done, step.of));
    });
    drop(shown);
    let Reading { incident, mut missing, cut } = reading.map_err(told)?;
    missing.extend(unasked(&sources, &incident));
    for it in &missing {
        note(&format!("not read: {it}"));
    }
    cut.iter().for_each(|it| note(&format!("left out: {it}")));
    let incident = super::ready(incident, &format!("namespace {namespace}"))?;
    if let Some(file) = &args.save {
        save(&incident, file)?;
    }
    Ok((incident, missing))
}

/// What there is nothing of because nobody was asked for it, or because too little came.
fn unasked(sources: &Sources, incident: &Incident) -> Vec<Missing> {
    let is_measured = || Window::of(incident).is_ok_and(|window| window.is_measured());
    let metrics = match &sources.prometheus {
        None => Some(("metrics and alerts", "no address was given (--prometheus)")),
        Some(_) if !is_measured() => Some((
            "enough values",
            "no series has enough of them both before the start and since: there is no ranking",
        )),
        Some(_) => None,
    };
    let has_lines = sources.loki.is_some() || !incident.logs.is_empty();
    let lines = (!has_lines).then_some(("log lines", "no address was given (--loki)"));
    let missing = |source, it: Option<(&str, &str)>| {
        it.map(|(what, why)| Missing { source, what: what.to_owned(), why: why.to_owned() })
    };
    missing(Source::Prometheus, metrics).into_iter().chain(missing(Source::Loki, lines)).collect()
}

/// A server, and who we are to it.
fn source(argument: &str, address: Option<&str>, prefix: &str) -> Result<Option<HttpSource>> {
    let Some(address) = address else { return Ok(None) };
    let address = address.parse().map_err(told).with_context(|| argument.to_owned())?;
    let credentials = Credentials::of_environment(prefix).map_err(told)?;
    Ok(Some(HttpSource { address, credentials }))
}

/// The error as one whose exit code is known.
fn told(error: Error) -> anyhow::Error {
    match error {
        Error::Files(error) => error.into(),
        Error::Incident(error) => error.into(),
        Error::Nothing(_) => anyhow!("{error}"),
        Error::Ask(_) | Error::Empty { .. } => usage(error.to_string()),
    }
}

fn save(incident: &Incident, file: &Path) -> Result<()> {
    // Not one value a line: a long incident would be too large to be read again.
    let mut text = serde_json::to_string(incident)?;
    text.push('\n');
    crate::paths::make_parent(file)?;
    files::write_atomic(file, |out| out.write_all(text.as_bytes()))?;
    note(&format!("{}: the incident as it was read", file.display()));
    Ok(())
}
