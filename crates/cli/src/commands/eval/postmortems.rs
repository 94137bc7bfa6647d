//! The suite `postmortems`: causes of real post-mortems, by models and methods that only ever saw
//! simulated incidents.

use super::Subject;
use super::incidents::{Laboratory, Sizes, score_table};
use crate::args::EvalArgs;
use crate::asked::{Asked, Manner};
use crate::exit::usage;
use crate::machine::Machine;
use anyhow::{Context, Result};
use eval::baseline::{Logistic, Majority, Method, Nearest};
use eval::example::{Example, Prediction};
use eval::incidents::{Score, ask, counts};
use eval::postmortems::{example, labels};
use serde_json::{Value, json};
use sre::evidence::Options;
use std::path::{Path, PathBuf};

/// Given by one reader before any model was asked.
const LABELS: &str = include_str!("../../../../../datasets/labels/dfds.jsonl");
/// Largest document that is read.
const LIMIT_BYTES: u64 = 4 << 20;

/// Runs the suite.
pub(super) fn suite(
    args: &EvalArgs,
    directory: &Path,
    machine: &Machine,
    subjects: &[Subject],
) -> Result<(String, Value)> {
    let mut scored: Vec<(String, Vec<Prediction>)> = Vec::new();
    let mut examples = Vec::new();
    for subject in subjects {
        let mut asked = subject.open(machine)?;
        let (budget, seed) = (args.budget, args.seed);
        let sizes = Sizes { train: args.train, test: 0, budget, seed, train_seed: seed };
        let laboratory = Laboratory::new(&asked.voice, &sizes)?;
        if examples.is_empty() {
            examples = read(directory, &asked, &laboratory, budget)?;
            scored = without_model(&laboratory, &examples);
        }
        let manner = Manner::plain(&laboratory.causes);
        let predictions = asked.analyst(&manner, |analyst| {
            examples.iter().map(|it| ask(analyst, it, false)).collect::<Result<Vec<_>, _>>()
        })?;
        scored.push((subject.name.clone(), predictions));
    }
    let scores: Vec<Score> =
        scored.iter().map(|(name, said)| Score::of(name, &examples, said, args.seed)).collect();
    let found: Vec<_> = counts(&examples)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(case, count)| format!("{count} {}", case.name()))
        .collect();
    let text = format!(
        "{} real post-mortems ({}); everything was learned from simulated incidents\n\n{}",
        examples.len(),
        found.join(", "),
        score_table(&scores)
    );
    Ok((text, json!({ "documents": examples.len(), "scores": scores })))
}

fn without_model(laboratory: &Laboratory, examples: &[Example]) -> Vec<(String, Vec<Prediction>)> {
    let train = &laboratory.train;
    let methods: [(&str, Box<dyn Method>); 3] = [
        ("majority", Box::new(Majority::train(train))),
        ("logistic regression", Box::new(Logistic::train(train))),
        ("nearest neighbour", Box::new(Nearest::train(train))),
    ];
    let said = methods.map(|(name, method)| {
        (name.to_owned(), examples.iter().map(|it| method.predict(it)).collect())
    });
    said.into()
}

/// The labelled documents of the directory.
fn read(
    directory: &Path,
    asked: &Asked,
    laboratory: &Laboratory,
    budget: usize,
) -> Result<Vec<Example>> {
    let name = directory.display();
    let entries = std::fs::read_dir(directory).with_context(|| name.to_string())?;
    let mut files: Vec<PathBuf> = entries.map(|it| Ok(it?.path())).collect::<Result<_>>()?;
    files.sort();
    // A text that cannot be counted is one that cannot be shown: it fails when it is asked about.
    let tokens = |text: &str| asked.voice.tokens(text).unwrap_or(usize::MAX);
    let options = Options { budget, causes: &laboratory.causes, tokens: &tokens };
    let labels = labels(LABELS).map_err(|error| anyhow::anyhow!("labels: {error}"))?;
    let mut examples = Vec::new();
    for label in &labels {
        let begins = |path: &&PathBuf| {
            path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(&label.document))
        };
        let Some(file) = files.iter().find(begins) else { continue };
        let markdown = files::read_to_string(file, LIMIT_BYTES)?;
        examples.extend(example(label, &markdown, &options)?);
    }
    if examples.is_empty() {
        return Err(usage(format!(
            "{name}: none of the {} labelled documents is there\nhint: their names begin with \
             {} and so on",
            labels.len(),
            labels.first().map_or("", |it| &it.document)
        )));
    }
    Ok(examples)
}
