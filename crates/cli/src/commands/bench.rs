//! `srek bench`: tokens per second of training and generation, each beside what this machine could do
//! at best, measured in the same run.
//!
//! Documents are random, and so are the weights where no model is named. The limit of a row is the
//! roofline of its own launches: for each the longer one of moving its bytes and of doing its arithmetic,
//! added up. What a GPU could do is not measured here, so its rows have rates alone.

use super::doctor::Peaks;
use crate::args::{BenchArgs, Documents};
use crate::exit::usage;
use crate::machine::Machine;
use crate::output::{Answer, note, table};
use anyhow::Result;
use model::{Base, Config, Head};
use ops::Numerics;
use std::path::PathBuf;
use std::time::Duration;

mod cases;
mod ops_table;
mod results;
mod scratch;
mod sizes;

use cases::{Case, DECODED};
use results::Row;
use scratch::Scratch;
use sizes::SIZES;

/// Time of each of the three measurements of the machine, which precede every case.
const MEASURE: Duration = Duration::from_millis(150);
/// Tokens of the contexts of models that are made up.
const CONTEXTS: [usize; 2] = [256, 1024];
/// Tokens of a training step of theirs, whatever the context.
const STEP_TOKENS: usize = 1024;
/// Rank of the adapters that are trained on them.
const RANK: usize = 16;
/// Most repeats.
const MOST_REPEATS: usize = 100;
/// Most sequences at once.
const MOST_BATCH: usize = 64;

/// Measures all cases.
pub(crate) fn run(args: &BenchArgs, machine: &Machine) -> Result<Answer> {
    if !(1..=MOST_REPEATS).contains(&args.repeats) {
        let found = args.repeats;
        return Err(usage(format!(
            "--repeats is {found}, expected 1 to {MOST_REPEATS}\nhint: without it 3 are measured; more steady the \
             median"
        )));
    }
    if !(1..=MOST_BATCH).contains(&args.batch) {
        let found = args.batch;
        return Err(usage(format!(
            "--batch is {found}, expected 1 to {MOST_BATCH}\nhint: the sequences share what is read of the weights; \
             memory for all of their keys and values is planned"
        )));
    }
    if let Some(file) = &args.csv {
        results::check(file)?;
    }
    let scratch = Scratch::new()?;
    let rows = match &args.model {
        Some(model) => of_model(crate::models::directory(model)?, args, machine, &scratch)?,
        None => made_up(args, machine, &scratch)?,
    };
    if let Some(file) = &args.csv {
        results::append(file, machine, &rows)?;
    }
    let mut cells = vec![Row::heading(args.numerics())];
    cells.extend(rows.iter().map(Row::cells));
    let json = serde_json::json!({ "rows": rows.iter().map(Row::json).collect::<Vec<_>>() });
    let ops: String = rows.iter().map(Row::ops).collect();
    Ok(Answer { text: format!("{}{ops}", table(&cells)), json })
}

/// The peaks of the processor, where that is what works.
fn peaks(machine: &Machine) -> Option<Peaks> {
    machine.gpu.is_none().then(|| Peaks::measure(machine, MEASURE))
}

/// Small models of random weights.
fn made_up(args: &BenchArgs, machine: &Machine, scratch: &Scratch) -> Result<Vec<Row>> {
    let (sizes, contexts) = match args.quick {
        true => (&SIZES[..1], &CONTEXTS[..1]),
        false => (&SIZES[..], &CONTEXTS[..]),
    };
    let mut rows = Vec::new();
    for size in sizes {
        let case = Case {
            name: size.name.to_owned(),
            model: size.write(machine, scratch)?,
            vocab: size.vocab,
            base: Base::Nf4Double,
            head: Head::AsStored,
            numerics: Numerics::Bf16,
            adapter: None,
            rank: RANK,
            batch: 1,
            repeats: args.repeats,
            with_ops: args.ops,
        };
        for &context in contexts {
            note(&format!("{} at {context} tokens", size.name));
            let peaks_ = peaks(machine);
            let step =
                cases::Step { context, tokens: STEP_TOKENS, policy: "keep", device_mib: None };
            rows.push(Row::new(peaks_, case.training(machine, scratch, step, peaks_)?));
            let peaks_ = peaks(machine);
            let [read, decode] = case.generation(machine, context - DECODED, peaks_)?;
            rows.extend([read, decode].map(|timing| Row::new(peaks_, timing)));
        }
    }
    Ok(rows)
}

/// A model that was named, at the lengths that were.
fn of_model(
    model: PathBuf,
    args: &BenchArgs,
    machine: &Machine,
    scratch: &Scratch,
) -> Result<Vec<Row>> {
    let config = Config::read(&model)?;
    if args.train.is_empty() && args.depth.is_empty() {
        return Err(usage(
            "--train <T> or --depth <D> is missing beside --model\nhint: --train 512,2048 measures training \
             steps, --depth 0,4096 decoding behind so many tokens",
        ));
    }
    let steps = args.train.iter().map(|it| ("--train", it.tokens.max(1), it.tokens));
    let depths =
        args.depth.iter().map(|&depth| ("--depth", depth.max(1).saturating_add(DECODED), depth));
    for (option, most, found) in steps.chain(depths) {
        let context = config.context;
        if most > context || (option == "--train" && found < 2) {
            let range = match option {
                "--train" => format!(
                    "a document has 2 to {context} tokens with this model\nhint: --train 8x512 trains 8 \
                     documents of 512 in a step"
                ),
                _ => format!(
                    "{DECODED} tokens are decoded behind it, and the model is made for {context}\nhint: \
                     --depth {} is the most",
                    context.saturating_sub(DECODED)
                ),
            };
            return Err(usage(format!("{option} is {found}: {range}")));
        }
    }
    let name = model.file_name().map_or("model".into(), |name| name.to_string_lossy().into_owned());
    let case = Case {
        name,
        model,
        vocab: config.vocab,
        base: Base::AsStored,
        head: args.head.map_or(Head::AsStored, crate::args::HeadName::head),
        numerics: args.numerics(),
        adapter: args.adapter.clone(),
        rank: args.rank,
        batch: args.batch,
        repeats: args.repeats,
        with_ops: args.ops,
    };
    let mut rows = Vec::new();
    for &Documents { count, tokens } in &args.train {
        note(&format!("training steps of {count} times {tokens} tokens"));
        let peaks = peaks(machine);
        let device_mib = args.device_mib;
        let step =
            cases::Step { context: tokens, tokens: count * tokens, policy: "auto", device_mib };
        rows.push(Row::new(peaks, case.training(machine, scratch, step, peaks)?));
    }
    for &depth in &args.depth {
        note(&format!("decoding behind {depth} tokens"));
        let peaks = peaks(machine);
        let timings = case.generation(machine, depth, peaks)?;
        rows.extend(timings.map(|timing| Row::new(peaks, timing)));
    }
    Ok(rows)
}
