//! The suite `commands`: what models write, judged by the Kubernetes schema, about kinds that a
//! tuned model was trained on and about kinds that were held out. Beside them stand answers that are
//! always the same, given without reading the question.

use super::{Subject, share};
use crate::args::EvalArgs;
use crate::asked::Asked;
use crate::machine::Machine;
use crate::output::table;
use crate::progress::Progress;
use anyhow::Result;
use eval::commands::{CommandScore, Outcome, Task, Want, ask, constant, rights, tasks, valids};
use eval::interval::Interval;
use serde_json::{Value, json};
use text::kubernetes::{HoldOut, PairOptions, Schema, Side};

/// Kinds that are held out, of a hundred. `data kubernetes --hold-out-kinds 10% --seed S` holds out
/// the same ones.
pub(crate) const HELD_OUT_PERCENT: u32 = 10;

/// Which kinds are asked about.
const SIDES: [(Side, &str); 2] =
    [(Side::Training, "kinds of training"), (Side::HeldOut, "held-out kinds")];

/// What is compared: a name for it, a sort of questions, and what counts as 1.
type Measure = (&'static str, Want, fn(&[Outcome], Want) -> Vec<f64>);
const MEASURES: [Measure; 4] = [
    ("valid commands", Want::Command, valids),
    ("right verbs", Want::Command, rights),
    ("right paths", Want::Path, rights),
    ("right verdicts", Want::Verdict, rights),
];

/// Runs the suite.
pub(super) fn suite(
    args: &EvalArgs,
    machine: &Machine,
    subjects: &[Subject],
) -> Result<(String, Value)> {
    let schema = Schema::embedded()?;
    let mut asked_about = Vec::new();
    for (side, name) in SIDES {
        let hold_out = HoldOut::Percent(HELD_OUT_PERCENT);
        let options = PairOptions { seed: args.seed, hold_out, side };
        asked_about.push((name, tasks(&schema, &options, args.count as usize)?));
    }
    let unread = |(name, tasks): &(&'static str, Vec<Task>)| {
        ("constant answer".to_owned(), *name, constant(&schema, tasks))
    };
    let mut outcomes: Vec<(String, &str, Vec<Outcome>)> = asked_about.iter().map(unread).collect();
    for subject in subjects {
        let mut asked = subject.open(machine)?;
        for (name, tasks) in &asked_about {
            let found = answers(&mut asked, &schema, tasks)?;
            outcomes.push((subject.name.clone(), name, found));
        }
    }
    Ok(findings(&outcomes, args.seed))
}

fn answers(asked: &mut Asked, schema: &Schema, tasks: &[Task]) -> Result<Vec<Outcome>> {
    let mut progress = Progress::new("asking", Some(tasks.len() as u64));
    asked.llm(|llm, voice| {
        let frame = |text: &str| voice.prompt(&[], text);
        let mut outcomes = Vec::with_capacity(tasks.len());
        for task in tasks {
            outcomes.push(ask(llm, &frame, schema, task)?);
            progress.at(outcomes.len() as u64, || "questions".to_owned());
        }
        Ok(outcomes)
    })
}

fn findings(outcomes: &[(String, &str, Vec<Outcome>)], seed: u64) -> (String, Value) {
    let head = ["model", "about"].into_iter().chain(MEASURES.map(|(name, ..)| name));
    let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
    let (mut lines, mut json) = (String::new(), Vec::new());
    for (model, about, found) in outcomes {
        let score = CommandScore::of(found, seed);
        rows.push(vec![
            model.clone(),
            (*about).to_owned(),
            share(score.commands.as_ref()),
            share(score.verbs.as_ref()),
            share(score.paths.as_ref()),
            share(score.verdicts.as_ref()),
        ]);
        let mistakes: Vec<_> =
            score.problems.iter().map(|(name, count)| format!("{count} {name}")).collect();
        if !mistakes.is_empty() {
            lines.push_str(&format!("{model}, {about}: {}\n", mistakes.join(", ")));
        }
        json.push(json!({ "model": model, "about": about, "score": score }));
    }
    for (name, difference) in differences(outcomes, seed) {
        lines.push_str(&format!("tuned minus base, {name}: {}\n", share(Some(&difference))));
        json.push(json!({ "difference": name, "interval": difference }));
    }
    (format!("{}{lines}", table(&rows)), json.into())
}

/// How much more often the tuned model is right than the base, question by question.
fn differences(outcomes: &[(String, &str, Vec<Outcome>)], seed: u64) -> Vec<(String, Interval)> {
    let of = |model: &str, about: &str| {
        outcomes.iter().find(|(it, side, _)| it == model && *side == about).map(|(.., found)| found)
    };
    let mut differences = Vec::new();
    for (_, about) in SIDES {
        let (Some(base), Some(tuned)) = (of("base", about), of("tuned", about)) else { continue };
        for (name, want, ones) in MEASURES {
            let difference = Interval::of_difference(&ones(base, want), &ones(tuned, want), seed);
            differences.extend(difference.map(|it| (format!("{name}, {about}"), it)));
        }
    }
    differences
}
