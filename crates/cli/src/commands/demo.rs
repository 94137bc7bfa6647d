//! `srek demo`: the whole way in a few minutes. A tokenizer and a small Llama learn incident prose,
//! the Llama in 4 bits is tuned to another house's style, and both are compared.
//!
//! The two recipes are those in `configs/demo/`, so that every part can be done again by hand.

use crate::args::DemoArgs;
use crate::commands::{data, train as training_command};
use crate::exit::{Interrupted, usage};
use crate::interrupt::Interrupt;
use crate::machine::Machine;
use crate::output::{Answer, duration, note};
use crate::paths;
use crate::report::{Report, Sample, Table};
use crate::training::{self, Manner, Ran};
use anyhow::Result;
use documents::{Document, HOUSE_STYLE, INCIDENTS};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;
use text::dataset::{self, BuildOptions, LongDocument, Vocabulary};
use text::record::{self, Content, Limits, Sources};
use text::tokenizer::Tokenizer;
use train::{Job, Recipe, Resume};

mod documents;

const PRETRAIN: &str = include_str!("../../../../configs/demo/pretrain.toml");
const TUNE: &str = include_str!("../../../../configs/demo/train.toml");
/// Tokens of the demo's vocabulary, and of its context.
const VOCABULARY: usize = 1024;
const CONTEXT: u32 = 256;
/// Steps of both runs under `--quick`.
const QUICK_STEPS: [u64; 2] = [30, 15];

/// Where the demo keeps what.
struct Places {
    out: PathBuf,
    prose: PathBuf,
    tokenizer: PathBuf,
    style: PathBuf,
    pretrain: PathBuf,
    tune: PathBuf,
}

/// Both runs and what they wrote.
struct Shown {
    pretrain: Ran,
    tune: Ran,
    samples: Vec<Sample>,
    seconds: f64,
}

/// Runs the demo.
pub(crate) fn run(args: &DemoArgs, machine: &Machine) -> Result<Answer> {
    let started = Instant::now();
    let interrupt = Interrupt::listen()?;
    let places = Places::new(&args.out);
    paths::check_directory(&args.out, args.data.as_deref().map(|data| ("--data", data)))?;
    args.data.as_deref().map_or(Ok(()), check_own)?;
    places.prepare()?;
    build(&places, args.data.as_deref())?;

    note("1 of 3: a small Llama learns incident prose, every weight");
    let steps = |index: usize| args.quick.then_some(QUICK_STEPS[index]);
    let job = Job::open(&places.pretraining(steps(0))?)?;
    let pretrain = train(machine, &job, "pretraining", (&places.pretrain, &interrupt))?;
    note("2 of 3: it is tuned with LoRA over its weights in 4 bits");
    let job = Job::open(&places.tuning(steps(1))?)?;
    let tune = train(machine, &job, "tuning", (&places.tune, &interrupt))?;
    note("3 of 3: base and tuned model continue a report that neither has seen");
    let adapter = tune.result().expect("it was not interrupted");
    let samples = training_command::samples(machine, &job, adapter)?;

    let shown = Shown { pretrain, tune, samples, seconds: started.elapsed().as_secs_f64() };
    let report = places.out.join("report.html");
    shown.report(args, machine).write(&report)?;
    Ok(shown.answer(&report))
}

impl Places {
    fn new(out: &Path) -> Places {
        Places {
            out: out.to_owned(),
            prose: out.join("data"),
            tokenizer: out.join("data.tokenizer.json"),
            style: out.join("house-style"),
            pretrain: out.join("pretrain"),
            tune: out.join("train"),
        }
    }

    /// Makes the directory, and removes the runs of an earlier demo.
    fn prepare(&self) -> Result<()> {
        files::create_dir_all(&self.out)?;
        for run in [&self.pretrain, &self.tune] {
            if !run.exists() {
                continue;
            }
            if !run.join("resolved.toml").is_file() {
                let name = run.display();
                return Err(usage(format!(
                    "{name}: it is in the way and no run of an earlier demo\nhint: take another \
                     directory with --out"
                )));
            }
            std::fs::remove_dir_all(run)
                .map_err(files::Error::io(files::Operation::Replace, run))?;
        }
        Ok(())
    }

    fn pretraining(&self, steps: Option<u64>) -> Result<Recipe> {
        let mut recipe = Recipe::parse(PRETRAIN, "configs/demo/pretrain.toml")?;
        recipe.model.tokenizer = Some(self.tokenizer.clone());
        recipe.data.directory.clone_from(&self.prose);
        shorten(&mut recipe, steps);
        Ok(recipe)
    }

    fn tuning(&self, steps: Option<u64>) -> Result<Recipe> {
        let mut recipe = Recipe::parse(TUNE, "configs/demo/train.toml")?;
        recipe.model.directory = Some(self.pretrain.join("model"));
        recipe.data.directory.clone_from(&self.style);
        shorten(&mut recipe, steps);
        Ok(recipe)
    }
}

fn shorten(recipe: &mut Recipe, steps: Option<u64>) {
    let Some(steps) = steps else { return };
    recipe.schedule.steps = Some(steps);
    recipe.schedule.warmup_steps = steps / 10;
    recipe.evaluation.every = Some(steps / 2);
    recipe.checkpoint.every = None;
}

/// Checks the user's own documents: all can be read, and some can be held out while others train.
/// What is one document, or copies or records of one incident, is told as the data set tells it.
fn check_own(directory: &Path) -> Result<()> {
    let sources = Sources::find(&[directory.to_owned()])?;
    let mut different = BTreeSet::new();
    for record in record::read(&sources, Limits::STANDARD) {
        let record = record?;
        different.insert(match (record.group, record.content) {
            (Some(group), _) => (Some(group), String::new()),
            (None, Content::Text(text)) => (None, files::sha256(text.as_bytes())),
            (None, Content::Tokens { ids, .. }) => (None, format!("{ids:?}")),
            (None, Content::Messages(messages)) => (None, format!("{messages:?}")),
        });
    }
    if different.len() < 2 {
        let name = directory.display();
        return Err(usage(format!(
            "{name}: there is only one document, or copies of one, expected two or more\nhint: \
             the demo holds some documents out to compare base and tuned model on"
        )));
    }
    Ok(())
}

/// Builds tokenizer and data sets: from the project's prose, and for tuning from the user's own
/// documents if there are any.
fn build(places: &Places, own: Option<&Path>) -> Result<()> {
    let prose = unpack(&places.out.join(".demo-input").join("incidents"), INCIDENTS)?;
    let sources = Sources::find(std::slice::from_ref(&prose))?;
    let tokenizer = data::learn_tokenizer(&sources, &BuildOptions::new(CONTEXT), VOCABULARY)?;
    tokenizer.save(&places.tokenizer)?;
    let style = match own {
        Some(directory) => directory.to_owned(),
        None => unpack(&places.out.join(".demo-input").join("house-style"), HOUSE_STYLE)?,
    };
    build_one(prose, &tokenizer, &places.prose)?;
    build_one(style, &tokenizer, &places.style)
}

fn build_one(input: PathBuf, tokenizer: &Tokenizer, out: &Path) -> Result<()> {
    let mut options = BuildOptions::new(CONTEXT);
    options.long_documents = LongDocument::Split;
    let vocabulary = Vocabulary::Tokenizer(tokenizer);
    let report = dataset::build(&[input], vocabulary, &options, out, &mut |_| {})?;
    let name = out.display();
    note(&format!("{name}: {} documents, {} tokens", report.records, report.tokens));
    Ok(())
}

/// Writes documents into a directory of their own.
fn unpack(directory: &Path, documents: &[Document]) -> Result<PathBuf> {
    if let Some(parent) = directory.parent() {
        files::create_dir_all(parent)?;
    }
    files::write_dir_atomic(directory, |inside| -> files::Result<()> {
        documents.iter().try_for_each(|(name, text)| {
            files::write_atomic(inside.join(name), |out| out.write_all(text.as_bytes()))
        })
    })?;
    Ok(directory.to_owned())
}

fn train(
    machine: &Machine,
    job: &Job,
    what: &'static str,
    (directory, interrupt): (&Path, &Interrupt),
) -> Result<Ran> {
    let manner = Manner { what, directory, resume: Resume::Fresh, interrupt };
    let ran = training::train(machine, job, manner)?;
    if ran.result().is_none() {
        let step = ran.state().step;
        return Err(anyhow::Error::new(Interrupted(format!("{what}, after step {step}"))));
    }
    Ok(ran)
}

impl Shown {
    fn report(&self, args: &DemoArgs, machine: &Machine) -> Report {
        let style =
            args.data.as_ref().map_or("the project's house style".to_owned(), |directory| {
                format!("the documents in {}", directory.display())
            });
        let table = |title: &str, ran: &Ran| Table {
            title: title.to_owned(),
            rows: ran.rows().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        Report {
            title: "Demo".into(),
            lead: format!(
                "A small Llama was trained on incident prose and then tuned with QLoRA on {style}, \
                 in {}, on {} with {} threads ({}).",
                duration(self.seconds),
                crate::machine::processor(),
                machine.threads,
                machine.isa.name()
            ),
            figures: vec![
                self.pretrain.losses.figure("Pretraining: loss per token"),
                self.tune.losses.figure("Tuning: loss per token"),
            ],
            tables: vec![
                table("Pretraining", &self.pretrain),
                table("Tuning: LoRA over NF4", &self.tune),
            ],
            samples: self.samples.clone(),
        }
    }

    fn answer(&self, report: &Path) -> Answer {
        let mut text = String::new();
        for sample in &self.samples {
            let (title, prompt, more) = (&sample.title, &sample.prompt, &sample.text);
            text.push_str(&format!("--- {title}\n{prompt}│{more}\n\n"));
        }
        for (title, ran) in [("pretraining", &self.pretrain), ("tuning", &self.tune)] {
            text.push_str(&format!("--- {title}\n{}\n", crate::output::pairs(&ran.rows())));
        }
        let name = report.display();
        text.push_str(&format!("{}, report in {name}\n", duration(self.seconds)));
        let samples: Vec<_> = self
            .samples
            .iter()
            .map(
                |it| serde_json::json!({ "title": it.title, "prompt": it.prompt, "text": it.text }),
            )
            .collect();
        let json = serde_json::json!({
            "pretrain": self.pretrain.json(),
            "tune": self.tune.json(),
            "samples": samples,
            "seconds": self.seconds,
            "report": report,
        });
        Answer { text, json }
    }
}
