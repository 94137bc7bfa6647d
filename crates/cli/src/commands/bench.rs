//! `srek bench`: tokens per second of training and generation, each beside what this machine could do
//! at best, measured in the same run.
//!
//! Weights and documents are random. The limit of a row is the roofline of its own launches: for each
//! the longer one of moving its bytes and of doing its arithmetic, added up.

use super::doctor::Peaks;
use crate::args::BenchArgs;
use crate::exit::usage;
use crate::machine::Machine;
use crate::output::{Answer, note, table};
use anyhow::Result;
use std::time::Duration;

mod cases;
mod results;
mod scratch;

use cases::{Case, SIZES};
use results::Row;
use scratch::Scratch;

/// Time of each of the three measurements of the machine, which precede every case.
const MEASURE: Duration = Duration::from_millis(150);
/// Tokens of the contexts.
const CONTEXTS: [usize; 2] = [256, 1024];
/// Most repeats.
const MOST_REPEATS: usize = 100;

/// Measures all cases.
pub(crate) fn run(args: &BenchArgs, machine: &Machine) -> Result<Answer> {
    if !(1..=MOST_REPEATS).contains(&args.repeats) {
        let found = args.repeats;
        return Err(usage(format!("--repeats is {found}, expected 1 to {MOST_REPEATS}")));
    }
    let (sizes, contexts) = match args.quick {
        true => (&SIZES[..1], &CONTEXTS[..1]),
        false => (&SIZES[..], &CONTEXTS[..]),
    };
    if let Some(file) = &args.csv {
        results::check(file)?;
    }
    let scratch = Scratch::new()?;
    let mut rows = Vec::new();
    for size in sizes {
        let model = size.write(machine, &scratch)?;
        for &context in contexts {
            let case = Case { size, model: &model, context, repeats: args.repeats };
            note(&format!("{} at {context} tokens", size.name));
            let peaks = Peaks::measure(machine, MEASURE);
            rows.push(Row::new(&peaks, case.training(machine, &scratch, &peaks)?));
            let peaks = Peaks::measure(machine, MEASURE);
            let generation = case.generation(machine, &peaks)?;
            rows.extend(generation.map(|timing| Row::new(&peaks, timing)));
        }
    }
    if let Some(file) = &args.csv {
        results::append(file, machine, &rows)?;
    }
    let mut cells = vec![Row::heading()];
    cells.extend(rows.iter().map(Row::cells));
    let json = serde_json::json!({ "rows": rows.iter().map(Row::json).collect::<Vec<_>>() });
    Ok(Answer { text: table(&cells), json })
}
