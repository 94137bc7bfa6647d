//! `srek eval --seeds N`: adapters trained from scratch with different seeds, all scored on the same
//! test incidents, with two controls over the first seed.

use super::incidents::{Incidents, Laboratory, Sizes};
use super::{Findings, Subject, figures, finish};
use crate::args::{EvalArgs, SuiteName};
use crate::asked::Voice;
use crate::exit::usage;
use crate::machine::Machine;
use crate::output::{Answer, note};
use crate::tuning::Tuning;
use anyhow::Result;
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

impl Planned {
    /// Whether it is there to be compared with what was tuned as it should be.
    fn is_control(&self) -> bool {
        self.shuffled || self.exact
    }
}

/// Trains and scores, over the base and where it was named over what that was quantized from.
pub(super) fn run(
    args: &EvalArgs,
    (base_directory, dense): (&Path, Option<&Path>),
    machine: &Machine,
) -> Result<Answer> {
    let seeds = args.seeds.unwrap_or(1);
    if !(1..=MOST).contains(&seeds) {
        return Err(usage(format!("--seeds is {seeds}, expected 1 to {MOST}")));
    }
    let started = Instant::now();
    let voice = Voice::of_model(base_directory)?;
    let mut incidents = Incidents::new(shared(args, &voice, seeds)?);
    let mut base = Subject::pair(base_directory, None)?.remove(0);
    base.form = crate::weights::Form::of_recipe(&crate::tuning::recipe()?);
    let mut asked = base.open(machine)?;
    incidents.ask_with_examples("few-shot base", &mut asked)?;
    incidents.ask("base", &mut asked, true)?;
    incidents.look_unheld(&mut asked)?;
    drop(asked);
    for planned in plan(args, seeds) {
        note(&format!("{}: training", planned.name));
        let directory = dense.filter(|_| planned.exact).unwrap_or(base_directory);
        let adapter = train(args, (machine, &voice), directory, &planned)?;
        let mut subjects = Subject::pair(directory, Some(&adapter))?;
        let mut asked = subjects.remove(1).open(machine)?;
        incidents.ask(&planned.name, &mut asked, true)?;
        incidents.look_unheld(&mut asked)?;
        if !planned.is_control() {
            incidents.compare_last();
        }
    }
    let (text, mut json) = incidents.findings();
    let known = incidents.score_of_target().known;
    json["seeds"] = json!({
        "count": seeds,
        "cause_top1": known.as_ref().map(|it| it.cause_top1),
        "service_top1": known.as_ref().map(|it| it.service_top1),
    });
    let mut findings = Findings { figures: figures(&incidents.scores()), ..Findings::default() };
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

/// The incidents of the test and those of the first seed, looked at together with what every other
/// seed trains on: before the first training, as hours of it would be lost after the last.
fn shared(args: &EvalArgs, voice: &Voice, seeds: u64) -> Result<Laboratory> {
    let mut shared = laboratory(args, voice, (args.count, args.seed))?;
    for index in 1..seeds {
        shared.check_with(&laboratory(args, voice, (0, args.seed + index))?)?;
    }
    Ok(shared)
}

fn laboratory(
    args: &EvalArgs,
    voice: &Voice,
    (test, train_seed): (u64, u64),
) -> Result<Laboratory> {
    let (train, budget, seed) = (args.train, args.budget, args.seed);
    Laboratory::new(voice, &Sizes { train, test, budget, seed, train_seed, held_out: 0 })
}

fn train(
    args: &EvalArgs,
    (machine, voice): (&Machine, &Voice),
    base: &Path,
    planned: &Planned,
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
    let own = laboratory(args, voice, (0, planned.seed))?;
    let ran = tuning.train(machine, &own)?;
    Ok(ran.result().map(Path::to_owned).unwrap_or_default())
}
