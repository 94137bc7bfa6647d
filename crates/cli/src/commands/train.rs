//! `srek train` and `srek pretrain`: a recipe becomes an adapter or a model, with its report.

use crate::args::{RunArgs, TrainArgs};
use crate::exit::{Interrupted, usage};
use crate::machine::Machine;
use crate::output::{Answer, pairs};
use crate::report::{Report, Sample, Table};
use crate::samples::{Question, sample};
use crate::training::{self, Manner, Ran};
use crate::weights::{Form, Source};
use crate::{paths, recipes};
use anyhow::Result;
use std::path::Path;
use text::tokenizer::Tokenizer;
use train::{Job, Outcome, Recipe, Resume};

/// Tokens of a document that a sample is given, at most, and that it produces.
const PROMPT_TOKENS: usize = 16;
const SAMPLE_TOKENS: usize = 96;

/// What a command trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `pretrain`: every weight.
    Everything,
    /// `train`: an adapter.
    Adapter,
}

/// `srek pretrain`: trains every weight.
pub(crate) fn pretrain(args: &RunArgs, machine: &Machine) -> Result<Answer> {
    let recipe = recipes::read(&args.recipe, &args.overrides, None)?;
    run(args, &recipe, machine, Kind::Everything)
}

/// `srek train`: trains an adapter.
pub(crate) fn tune(args: &TrainArgs, machine: &Machine) -> Result<Answer> {
    let (run_args, adapter) = (&args.run, args.adapter_init.as_deref());
    let recipe = recipes::read(&run_args.recipe, &run_args.overrides, adapter)?;
    run(run_args, &recipe, machine, Kind::Adapter)
}

/// Trains what the recipe says and writes the report.
fn run(args: &RunArgs, recipe: &Recipe, machine: &Machine, kind: Kind) -> Result<Answer> {
    check_kind(recipe, &args.recipe, kind)?;
    let out = args.out.clone().unwrap_or_else(|| recipes::default_out(&args.recipe));
    paths::check_run(&out, recipe)?;
    let job = Job::open(recipe)?;
    let manner = Manner {
        what: if kind == Kind::Adapter { "training" } else { "pretraining" },
        directory: &out,
        resume: if args.resume { Resume::Latest } else { Resume::Fresh },
    };
    let ran = training::train(machine, &job, manner)?;
    let Some(result) = ran.result() else { return Err(interrupted(&ran)) };
    let samples = samples(machine, &job, result)?;
    let report = out.join("report.html");
    report_of(&job, &ran, samples, machine).write(&report)?;
    Ok(answer(&ran, result, &report))
}

fn check_kind(recipe: &Recipe, path: &Path, kind: Kind) -> Result<()> {
    let name = path.display();
    match (kind, recipe.trains_everything()) {
        (Kind::Everything, false) => Err(usage(format!(
            "{name}: it trains an adapter, not every weight\nhint: `srek train` takes this recipe"
        ))),
        (Kind::Adapter, true) => Err(usage(format!(
            "{name}: it has no [lora] section and trains every weight\nhint: `srek pretrain` takes \
             this recipe"
        ))),
        _ => Ok(()),
    }
}

/// The error that says where the run can go on.
fn interrupted(ran: &Ran) -> anyhow::Error {
    let step = ran.state().step;
    let place = match &ran.outcome {
        Outcome::Interrupted { checkpoint, .. } => checkpoint.display().to_string(),
        _ => unreachable!("only an interrupted run has no result"),
    };
    anyhow::Error::new(Interrupted(format!(
        "after step {step}, everything so far is in {place}\nhint: the same command with --resume \
         goes on"
    )))
}

/// What the models write after the beginning of a document that was held out, if there is one.
/// Without a tokenizer there is nothing to read.
pub(crate) fn samples(machine: &Machine, job: &Job, result: &Path) -> Result<Vec<Sample>> {
    let Some(file) = job.tokenizer() else { return Ok(Vec::new()) };
    let tokenizer = Tokenizer::from_file(file)?;
    let documents = || job.held_out().iter().flatten().chain(job.documents());
    // The later parts of a document that was split begin in the middle of it.
    let whole = documents().find(|&&it| job.dataset().doc(it).ids[0] == tokenizer.bos());
    let Some(&document) = whole.or_else(|| documents().next()) else { return Ok(Vec::new()) };
    let ids = job.dataset().doc(document).ids;
    let given = PROMPT_TOKENS.min(ids.len().div_ceil(4));
    let question = Question { ids: ids[..given].to_vec(), max_tokens: SAMPLE_TOKENS };
    let recipe = job.recipe();
    let form = Form::of_job(job);
    let Some(base) = recipe.model.directory.as_deref().filter(|_| job.lora().is_some()) else {
        let source = Source::at(result, None, form)?;
        return Ok(vec![sample(machine, &source, &tokenizer, ("Trained model", &question))?]);
    };
    let before = Source::at(base, None, form)?;
    let before = sample(machine, &before, &tokenizer, ("Base model", &question))?;
    let after = Source::at(base, Some(result), form)?;
    let after = sample(machine, &after, &tokenizer, ("Tuned model", &question))?;
    Ok(vec![before, after])
}

/// The report of a run.
fn report_of(job: &Job, ran: &Ran, samples: Vec<Sample>, machine: &Machine) -> Report {
    let mut numbers: Vec<(String, String)> =
        ran.rows().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    numbers.push(("tier".into(), machine.tier()));
    numbers.push(("threads".into(), machine.threads.to_string()));
    Report {
        title: "Training report".into(),
        lead: format!(
            "{} steps over {} documents of {}, {} of them held out.",
            ran.state().step,
            job.dataset().len(),
            job.recipe().data.directory.display(),
            job.held_out().iter().map(Vec::len).sum::<usize>()
        ),
        figures: vec![ran.losses.figure("Loss per trained token")],
        tables: vec![
            Table { title: "Numbers".into(), rows: numbers },
            Table { title: "Settings".into(), rows: settings(job.recipe()) },
        ],
        samples,
    }
}

/// Every setting with its section before a dot.
fn settings(recipe: &Recipe) -> Vec<(String, String)> {
    let table: toml::Table = toml::from_str(&recipe.to_toml()).expect("a recipe is TOML");
    let mut rows = Vec::new();
    for (name, value) in &table {
        flatten(name, value, &mut rows);
    }
    rows
}

fn flatten(name: &str, value: &toml::Value, rows: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => {
            table.iter().for_each(|(key, value)| flatten(&format!("{name}.{key}"), value, rows));
        }
        toml::Value::String(text) => rows.push((name.to_owned(), text.clone())),
        other => rows.push((name.to_owned(), other.to_string())),
    }
}

fn answer(ran: &Ran, result: &Path, report: &Path) -> Answer {
    let mut rows = ran.rows();
    if matches!(ran.outcome, Outcome::StoppedEarly { .. }) {
        rows.push(("stopped", "early, the held-out loss fell no more".to_owned()));
    }
    rows.push(("result", result.display().to_string()));
    rows.push(("report", report.display().to_string()));
    let mut json = ran.json();
    json["stopped_early"] = matches!(ran.outcome, Outcome::StoppedEarly { .. }).into();
    json["result"] = result.display().to_string().into();
    json["report"] = report.display().to_string().into();
    Answer { text: pairs(&rows), json }
}
