//! `srek rank`: which service, and which of its signals, a trouble came from.

use super::diagnose;
use crate::args::RankArgs;
use crate::exit::usage;
use crate::output::{Answer, table};
use anyhow::Result;
use serde_json::json;
use sre::incident::plain;
use sre::rank::layout::{MOST_BYTES, Table};
use sre::rank::{Ranking, Window, rank, two};
use std::path::Path;

mod petshop;

/// Characters of a name that are shown.
const SHOWN: usize = 48;

/// Ranks.
pub(crate) fn run(args: &RankArgs) -> Result<Answer> {
    if args.top == 0 {
        return Err(usage("--top 0: there is nothing to show\nhint: --top 3"));
    }
    if let Some(directory) = &args.petshop {
        return petshop::score(directory);
    }
    let window = match (&args.incident, &args.normal, &args.anomalous) {
        (Some(file), ..) => {
            let incident = diagnose::read(file)?;
            in_file(file, Window::of(&incident))?
        }
        (None, Some(normal), Some(anomalous)) => {
            let read = |file: &Path| in_file(file, Table::read(&text(file)?, 1));
            let calls = match &args.calls {
                Some(file) => in_file(file, two::calls(&text(file)?))?,
                None => Vec::new(),
            };
            let tables = (read(normal)?, read(anomalous)?);
            in_file(anomalous, two::window(&tables.0, &tables.1, &calls))?
        }
        _ => return Err(usage("there is nothing to rank\nhint: --incident FILE")),
    };
    if !window.is_measured() {
        return Err(usage(
            "no series has enough values to say what is usual\nhint: at least 6 before the trouble and one since",
        ));
    }
    Ok(answer(&window, &rank(&window), args.top))
}

/// The text of a file of bounded size.
fn text(file: &Path) -> Result<String> {
    Ok(files::read_to_string(file, MOST_BYTES as u64)?)
}

/// A result about a file, whose error says which file it is about.
fn in_file<T>(file: &Path, result: sre::Result<T>) -> Result<T> {
    result.map_err(|error| usage(format!("{}: {error}", file.display())))
}

fn answer(window: &Window, ranking: &Ranking, top: usize) -> Answer {
    let head = ["service", "signal", "steps", "score", "blame", "resource", "change", "reach"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut list = Vec::new();
    for ranked in ranking.list.iter().take(top) {
        let track = &window.series[ranked.series];
        let service = &window.services[ranked.service];
        let signal = track.meaning.signal.map_or(track.name.as_str(), |signal| signal.name());
        let parts = ranked.parts;
        rows.push(vec![
            plain(service, SHOWN),
            plain(signal, SHOWN),
            format!("{:.1}", ranked.strength),
            format!("{:.2}", ranked.score),
            format!("{:.2}", parts.blame),
            format!("{:.2}", parts.resource),
            format!("{:.2}", parts.change),
            format!("{:.2}", parts.reach),
        ]);
        list.push(json!({
            "service": service,
            "metric": track.name,
            "signal": track.meaning.signal,
            "steps": ranked.strength,
            "score": ranked.score,
            "blame": parts.blame,
            "resource": parts.resource,
            "change": parts.change,
            "reach": parts.reach,
            "evidence": ranked.evidence,
        }));
    }
    let none = list.is_empty();
    let text = if none { "none: nothing is worse than usual\n".to_owned() } else { table(&rows) };
    let services: Vec<_> = ranking.services().into_iter().map(|it| &window.services[it]).collect();
    let json = json!({
        "none": none,
        "services": &services[..services.len().min(top)],
        "ranking": list,
        "began_seconds": ranking.began,
    });
    Answer { text, json }
}
