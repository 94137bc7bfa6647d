//! What runs out in an incident.

use super::{Forecast, Limit, Sample, Side, Signal, forecast};
use crate::incident::{Incident, Series};

/// Words in the name of a metric that counts what is left.
const LEFT: [&str; 5] = ["free", "avail", "remaining", "left", "expir"];

/// Mebibytes in bytes.
const MEBI: f64 = 1_048_576.0;

/// A series of an incident and what is to be expected of it at the incident's end.
#[derive(Clone, Debug, PartialEq)]
pub struct Saturation {
    /// The service that it belongs to.
    pub service: String,
    /// The metric's name as the incident has it.
    pub metric: String,
    /// What it measures, as far as its name tells.
    pub signal: Option<Signal>,
    /// The id of the series, which can be cited.
    pub evidence: String,
    /// What is to be expected.
    pub forecast: Forecast,
}

/// What is to be expected of every series that has a limit, those that run out first before the
/// others. The limit is that of the series; memory in bytes and wanted replicas have that of their
/// service, and what counts the time or space that is left ends at nothing.
pub fn of_incident(incident: &Incident) -> Vec<Saturation> {
    let now = incident.end.as_second() as f64;
    let of = |series: &Series| {
        let signal = Signal::of(&series.name);
        let limit = limit(incident, series, signal)?;
        let start = series.start.as_second() as f64;
        let sample = |(index, value): (usize, &Option<f64>)| {
            let seconds = start + index as f64 * f64::from(series.step_seconds);
            value.map(|value| Sample { seconds, value })
        };
        let samples: Vec<Sample> = series.values.iter().enumerate().filter_map(sample).collect();
        Some(Saturation {
            service: series.service.clone(),
            metric: series.name.clone(),
            signal,
            evidence: series.id.clone(),
            forecast: forecast(&samples, &limit, now),
        })
    };
    let mut all: Vec<Saturation> = incident.metrics.iter().filter_map(of).collect();
    let likely = |it: &Saturation| it.forecast.until.map_or(f64::INFINITY, |until| until.likely);
    all.sort_by(|a, b| likely(a).total_cmp(&likely(b)));
    all
}

fn limit(incident: &Incident, series: &Series, signal: Option<Signal>) -> Option<Limit> {
    let name = series.name.to_ascii_lowercase();
    let left = LEFT.iter().any(|word| name.contains(word)) || signal == Some(Signal::Certificate);
    // Replicas that are available are no space that is left.
    if left && (signal != Some(Signal::Ready) || name.contains("bytes")) {
        let value = series.limit.unwrap_or(0.0);
        return Some(Limit { value, most: None, side: Side::Below });
    }
    let service = incident.service(&series.service);
    let known = || match signal? {
        Signal::Memory if name.contains("bytes") => {
            service?.memory_limit_mib.map(|mib| mib as f64 * MEBI)
        }
        Signal::Wanted => service?.max_replicas.map(|most| most as f64),
        _ => None,
    };
    series.limit.or_else(known).map(Limit::above)
}
