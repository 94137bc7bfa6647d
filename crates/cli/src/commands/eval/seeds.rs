//! `srek eval --seeds N`: adapters trained from scratch with different seeds, all scored on the same
//! test incidents, with two controls over the first seed.

use super::incidents::{Incidents, Laboratory, Sizes};
use super::{Findings, Subject, figures, finish};
use crate::args::{EvalArgs, SuiteName};
use crate::asked::Voice;
use crate::exit::usage;
use crate::interrupt::Interrupt;
use crate::machine::Machine;
use crate::output::{Answer, note};
use crate::tuning::Tuning;
use anyhow::Result;
use eval::incidents::Score;
use eval::interval::Interval;
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// Most seeds that are trained.
const MOST: u64 = 20;

/// A run to be trained and scored.
struct Planned {
    name: String,
    seed: u64,
    shuffled: bool,
    exact: bool,
}

/// Trains and scores.
pub(super) fn run(args: &EvalArgs, base_directory: &Path, machine: &Machine) -> Result<Answer> {
    let seeds = args.seeds.unwrap_or(1);
    if !(1..=MOST).contains(&seeds) {
        return Err(usage(format!("--seeds is {seeds}, expected 1 to {MOST}")));
    }
    let started = Instant::now();
    let interrupt = Interrupt::listen()?;
    let voice = Voice::of_model(base_directory)?;
    let mut incidents = Incidents::new(laboratory(args, &voice, args.seed)?).stopped_by(&interrupt);
    let mut base = Subject::pair(base_directory, None)?.remove(0);
    base.form = crate::weights::Form::of_recipe(&crate::tuning::recipe()?);
    let mut asked = base.open(machine)?;
    incidents.ask_with_examples("few-shot base", &mut asked)?;
    incidents.ask("base", &mut asked, true)?;
    drop(asked);
    for planned in plan(args, seeds) {
        note(&format!("{}: training", planned.name));
        let directory = args.dense.as_deref().filter(|_| planned.exact).unwrap_or(base_directory);
        let adapter = train(args, (machine, &voice), directory, (&planned, &interrupt))?;
        let mut subjects = Subject::pair(directory, Some(&adapter))?;
        let mut asked = subjects.remove(1).open(machine)?;
        incidents.ask(&planned.name, &mut asked, true)?;
        incidents.look_unheld(&mut asked)?;
    }
    let scores = incidents.scores();
    let (mut text, mut json) = incidents.findings();
    let means = mean_of_seeds(&scores);
    text.push_str(&format!("\n{}", means_line(&means, seeds)));
    json["seeds"] = json!({ "count": seeds, "cause_top1": means.0, "service_top1": means.1 });
    let mut findings = Findings { figures: figures(&scores), ..Findings::default() };
    findings.add(SuiteName::Incidents, (text, json));
    findings.json.insert("peak_rss_bytes".into(), json!(files::memory::vm_hwm_bytes()));
    finish(findings, &args.out, started.elapsed().as_secs_f64())
}

/// One run for each seed, and the controls.
fn plan(args: &EvalArgs, seeds: u64) -> Vec<Planned> {
    let planned = |name: String, seed: u64| Planned { name, seed, shuffled: false, exact: false };
    let mut runs: Vec<_> = (0..seeds)
        .map(|index| args.seed + index)
        .map(|seed| planned(format!("tuned, seed {seed}"), seed))
        .collect();
    let shuffled = planned("control: shuffled causes".into(), args.seed);
    runs.push(Planned { shuffled: true, ..shuffled });
    if args.dense.is_some() {
        runs.push(Planned { exact: true, ..planned("control: f32 LoRA".into(), args.seed) });
    }
    runs
}

fn laboratory(args: &EvalArgs, voice: &Voice, train_seed: u64) -> Result<Laboratory> {
    let (train, test) = (args.train, args.count);
    let sizes = Sizes { train, test, budget: args.budget, seed: args.seed, train_seed };
    Laboratory::new(voice, &sizes)
}

fn train(
    args: &EvalArgs,
    (machine, voice): (&Machine, &Voice),
    base: &Path,
    (planned, interrupt): (&Planned, &Interrupt),
) -> Result<std::path::PathBuf> {
    let name = planned.name.replace([':', ','], "").replace(' ', "-");
    let directory = args.out.join(name);
    let tuning = Tuning {
        what: "tuning",
        base,
        directory: &directory,
        seed: planned.seed,
        steps: args.steps,
        shuffled: planned.shuffled,
        exact: planned.exact,
    };
    // Only what is trained on differs from seed to seed.
    let own = Laboratory::new(
        voice,
        &Sizes {
            train: args.train,
            test: 0,
            budget: args.budget,
            seed: args.seed,
            train_seed: planned.seed,
        },
    )?;
    let ran = tuning.train(machine, &own, interrupt)?;
    Ok(ran.result().map(Path::to_owned).unwrap_or_default())
}

/// Means over the seeds of cause and service top-1, with the interval of the means of seeds.
fn mean_of_seeds(scores: &[Score]) -> (Option<Interval>, Option<Interval>) {
    let seeds = scores.iter().filter(|score| score.method.starts_with("tuned, seed"));
    let known: Vec<_> = seeds.filter_map(|score| score.known.as_ref()).collect();
    let causes: Vec<f64> = known.iter().map(|it| it.cause_top1.mean).collect();
    let services: Vec<f64> = known.iter().map(|it| it.service_top1.mean).collect();
    (Interval::of(&causes, 1), Interval::of(&services, 1))
}

fn means_line((causes, services): &(Option<Interval>, Option<Interval>), seeds: u64) -> String {
    let mean = |it: &Option<Interval>| it.map_or(f64::NAN, |it| it.mean);
    format!(
        "tuned, mean of {seeds} seeds: cause top-1 {:.2}, service top-1 {:.2}\n",
        mean(causes),
        mean(services)
    )
}
