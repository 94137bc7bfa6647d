//! How well changes of simulated series are found: `cargo run -p lab --example change_points --
//! [incidents] [seed]`. The first change of latency and failures of the service at fault is compared
//! with the onset of the fault; on good days there is none to be found.

use lab::{Part, Settings, Simulated, many};
use sre::cause::Cause;
use sre::rank::change_point::change_points;
use sre::signal::Signal;

/// Seconds within which a change counts as found.
const TOLERANCE: f64 = 300.0;

fn main() {
    let mut numbers = std::env::args().filter_map(|it| it.parse::<u64>().ok());
    let (count, seed) = (numbers.next().unwrap_or(300), numbers.next().unwrap_or(1));
    println!("part,step_s,windows,f1,precision,recall,median_error_samples,p90_error_samples");
    for part in [Part::Train, Part::Test] {
        for step_seconds in [60, 5] {
            let mut settings = Settings { step_seconds, ..Settings::new(seed, part) };
            settings.shares.healthy = 0.3;
            settings.shares.too_little_evidence = 0.0;
            let all: Vec<_> =
                many(&settings, 0..count, |it| outcome(&it)).into_iter().flatten().collect();
            let (mut right, mut wrong, mut missed, mut errors) = (0, 0, 0, Vec::new());
            for (onset, found) in &all {
                let near = onset.zip(*found).map(|(onset, found)| found - onset);
                let hit = near.filter(|it| it.abs() <= TOLERANCE);
                right += usize::from(hit.is_some());
                wrong += usize::from(found.is_some() && hit.is_none());
                missed += usize::from(onset.is_some() && hit.is_none());
                errors.extend(hit.map(|it| it.abs() / f64::from(step_seconds)));
            }
            errors.sort_by(f64::total_cmp);
            let at = |share: usize| errors.get(errors.len() * share / 100).copied().unwrap_or(0.0);
            let share = |of: usize| right as f64 / (right + of).max(1) as f64;
            let f1 = 2.0 * right as f64 / (2 * right + wrong + missed).max(1) as f64;
            println!(
                "{},{step_seconds},{},{f1:.3},{:.3},{:.3},{:.1},{:.1}",
                part.name(),
                all.len(),
                share(wrong),
                share(missed),
                at(50),
                at(90)
            );
        }
    }
}

/// When the fault began and when the first change was found, in seconds; nothing where neither latency
/// nor failures of the service are measured.
fn outcome(it: &Simulated) -> Option<(Option<f64>, Option<f64>)> {
    let healthy = it.truth.fault == Cause::None;
    let alerted = it.incident.alert.as_ref().map(|alert| alert.service.clone());
    let any = || it.incident.services.first().map(|service| service.name.clone());
    let service = if healthy { alerted.or_else(any) } else { it.truth.service.clone() }?;
    let symptoms = [Some(Signal::Latency), Some(Signal::Errors)];
    let series: Vec<_> = it
        .incident
        .metrics
        .iter()
        .filter(|series| series.service == service && symptoms.contains(&Signal::of(&series.name)))
        .collect();
    let first = series.first()?;
    let values: Vec<Vec<f64>> = series
        .iter()
        .map(|it| it.values.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
        .collect();
    let found = change_points(&values).first().map(|index| {
        first.start.as_second() as f64 + f64::from(first.step_seconds) * *index as f64
    });
    let onset = it.truth.onset.filter(|_| !healthy).map(|onset| onset.as_second() as f64);
    Some((onset, found))
}
