//! `srek lab serve`: one simulated incident as a cluster would show it, until Ctrl-C. That is how it is
//! meant to end, so the code is 0 then.

use crate::args::LabServeArgs;
use crate::exit::usage;
use crate::interrupt::Stoppable;
use crate::output::{Answer, Format, pairs, print};
use anyhow::{Context, Result};
use cluster::serve::{Options, Requests, Served, scrape_config};
use jiff::{SignedDuration, Timestamp};
use lab::{Settings, Simulated};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often is looked whether it is time to end.
const LOOK: Duration = Duration::from_millis(50);

/// Serves until it is told to end; says first where, and at last what was asked for.
pub(crate) fn run(args: &LabServeArgs, format: Format) -> Result<Answer> {
    let stop = Stoppable::begin();
    let begun = Instant::now();
    let mut settings = Settings::new(args.seed, args.part.part());
    settings.step_seconds = step(args.step)?;
    let simulated = lab::incident(&settings, args.number);
    let options = Options {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        namespace: args.namespace.clone(),
        end: end(args.at.as_deref())?,
        speed: args.speed,
        token: None,
    };
    let end = options.end;
    let served = Served::start(&simulated.incident, options).map_err(wrong)?;
    if let Some(path) = &args.kubeconfig {
        write(path, &served.kubeconfig())?;
    }
    if let Some(path) = &args.prometheus_config {
        write(path, &scrape_config(served.address()))?;
    }
    match format {
        Format::Text => print(&text(args, &served, (&simulated, end)))?,
        Format::Json => print(&format!("{}\n", document(args, &served, (&simulated, end))))?,
    }
    let over = || args.seconds.is_some_and(|it| begun.elapsed() >= Duration::from_secs(it));
    while !stop.asked() && !over() {
        std::thread::sleep(LOOK);
    }
    Ok(answer(&served.requests()))
}

fn step(seconds: u32) -> Result<u32> {
    if seconds == 0 || 60 % seconds != 0 {
        return Err(usage(format!(
            "--step {seconds}: 60 cannot be divided by it\nhint: 60, 30, 20, 15, 10, 5 or 1"
        )));
    }
    Ok(seconds)
}

/// The end of the incident in whole seconds, as Kubernetes has times.
fn end(at: Option<&str>) -> Result<Timestamp> {
    let end = match at {
        None => Timestamp::now(),
        Some(text) => text.parse().map_err(|_| {
            usage(format!("--at {text:?} is no time of RFC 3339\nhint: 2026-03-01T10:00:00Z"))
        })?,
    };
    Ok(Timestamp::from_second(end.as_second())?)
}

/// What was typed is wrong, or the machine has no port.
fn wrong(error: cluster::serve::Error) -> anyhow::Error {
    use cluster::serve::Error;
    match error {
        Error::Listen { .. } | Error::Start(_) => error.into(),
        _ => usage(error.to_string()),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    crate::paths::make_parent(path)?;
    files::write_atomic(path, |out| out.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn text(args: &LabServeArgs, served: &Served, (simulated, end): (&Simulated, Timestamp)) -> String {
    let (url, incident) = (format!("http://{}", served.address()), &simulated.incident);
    let minutes = |duration: SignedDuration| duration.as_mins();
    let lasts = minutes(incident.end.duration_since(incident.start));
    let mut rows = vec![
        ("incident", format!("{}, noticed {lasts} min before its end at {end}", incident.id)),
        ("kubernetes", format!("{url}, namespace {}", args.namespace)),
        ("prometheus", format!("{url}/api/v1/query")),
        ("loki", format!("{url}/loki/api/v1/query_range")),
        ("to scrape", format!("{url}/metrics, {} times as fast as the clock", args.speed)),
    ];
    let files = [("kubeconfig", &args.kubeconfig), ("scrape config", &args.prometheus_config)];
    for (name, path) in files {
        rows.extend(path.as_ref().map(|path| (name, path.display().to_string())));
    }
    if args.truth {
        rows.push(("truth", told(simulated)));
    }
    let namespace = &args.namespace;
    format!(
        "{}\ntry:\n  kubectl --server {url} -n {namespace} get pods,events\n  curl -G {url}/api/v1/query \
         --data-urlencode 'query=count by (__name__) ({{namespace=\"{namespace}\"}})'\n  curl -G \
         {url}/loki/api/v1/query_range --data-urlencode 'query={{namespace=\"{namespace}\", \
         level=\"error\"}}'\nCtrl-C ends it\n",
        pairs(&rows)
    )
}

/// What really happened, in a line.
fn told(simulated: &Simulated) -> String {
    let truth = &simulated.truth;
    let service = truth.service.as_deref().unwrap_or("no service");
    let mut text = format!("{} at {service}, remedy {}", truth.fault.name(), truth.action.name());
    if let Some((service, fault)) = &truth.second {
        text.push_str(&format!("; also {} at {service}", fault.name()));
    }
    text
}

fn document(
    args: &LabServeArgs,
    served: &Served,
    (simulated, end): (&Simulated, Timestamp),
) -> Value {
    let incident = &simulated.incident;
    let mut document = json!({
        "address": served.address().to_string(),
        "url": format!("http://{}", served.address()),
        "incident": incident.id,
        "namespace": args.namespace,
        "end": end.to_string(),
        "noticed_seconds_before_end": incident.end.duration_since(incident.start).as_secs(),
        "kubeconfig": args.kubeconfig,
        "prometheus_config": args.prometheus_config,
    });
    if args.truth {
        let truth = &simulated.truth;
        document["truth"] = json!({
            "service": truth.service, "cause": truth.cause, "fault": truth.fault, "action": truth.action,
            "second": truth.second, "evidence": truth.evidence, "telling": truth.telling,
        });
    }
    document
}

fn answer(requests: &Requests) -> Answer {
    let counts = [
        ("kubernetes", requests.kubernetes),
        ("logs", requests.logs),
        ("watches", requests.watches),
        ("secrets", requests.secrets),
        ("writes", requests.writes),
        ("prometheus", requests.prometheus),
        ("loki", requests.loki),
        ("scrapes", requests.scrapes),
        ("refused", requests.refused),
    ];
    let rows = counts.map(|(name, count)| (name, count.to_string()));
    let json = counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count)));
    let json: serde_json::Map<String, Value> = json.collect();
    Answer { text: format!("requests\n{}", pairs(&rows)), json: json!({"requests": json}) }
}
