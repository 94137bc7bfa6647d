//! The suite `postmortems`: causes of real post-mortems, by models and methods that only ever saw
//! simulated incidents.

use super::Subject;
use super::incidents::{ALL, CAUSES, Laboratory, Sizes, rows};
use crate::args::EvalArgs;
use crate::asked::{Asked, Manner};
use crate::exit::usage;
use crate::machine::Machine;
use anyhow::Result;
use eval::baseline;
use eval::example::{Case, Example, Prediction};
use eval::incidents::{Score, Shown, ask, counts};
use eval::postmortems::{Label, example, labels};
use serde_json::{Value, json};
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
        let sizes =
            Sizes { train: args.train, test: 0, budget, seed, train_seed: seed, held_out: 0 };
        let laboratory = Laboratory::new(&asked.voice, &sizes)?;
        if examples.is_empty() {
            examples = read(directory, &asked, &laboratory, budget)?;
            let methods = baseline::all(&laboratory.train).into_iter();
            let said = methods.map(|(name, method)| {
                (name.to_owned(), examples.iter().map(|it| method.predict(it)).collect())
            });
            scored = said.collect();
        }
        let manner = Manner::plain(&laboratory.causes);
        let predictions = asked.analyst(&manner, |analyst| {
            examples
                .iter()
                .map(|it| ask(analyst, it, false).map(|(said, _)| said))
                .collect::<Result<Vec<_>, _>>()
        })?;
        scored.push((subject.name.clone(), predictions));
    }
    let scores: Vec<Score> =
        scored.iter().map(|(name, said)| Score::of(name, &examples, said, args.seed)).collect();
    let found: Vec<_> = counts(&examples)
        .into_iter()
        .filter(|(_, count)| *count > 0)
        // A cause that no option names is one of a kind that training never had.
        .map(|(case, count)| match case {
            Case::Known => format!("{count} of a cause on offer"),
            _ => format!("{count} of another"),
        })
        .collect();
    let text = format!(
        "{} real post-mortems ({}); everything was learned from simulated incidents\n\n{}",
        examples.len(),
        found.join(", "),
        // Causes alone: a post-mortem is shown with one service.
        rows(&scores, &[&CAUSES, &ALL])
    );
    Ok((text, json!({ "documents": examples.len(), "scores": scores })))
}

/// The labelled documents of the directory.
fn read(
    directory: &Path,
    asked: &Asked,
    laboratory: &Laboratory,
    budget: usize,
) -> Result<Vec<Example>> {
    let tokens = |text: &str| asked.voice.tokens(text);
    let shown = Shown { budget, tokens: &tokens };
    let mut examples = Vec::new();
    for (label, file) in &files(directory)? {
        let markdown = files::read_to_string(file, LIMIT_BYTES)?;
        examples.extend(example(label, &markdown, &laboratory.causes, &shown)?);
    }
    Ok(examples)
}

/// The labels of the documents that are in the directory, and where these are.
pub(super) fn files(directory: &Path) -> Result<Vec<(Label, PathBuf)>> {
    let unreadable = files::Error::io(files::Operation::Read, directory);
    let entries = std::fs::read_dir(directory).map_err(unreadable)?;
    let mut files: Vec<PathBuf> = entries.filter_map(|it| Some(it.ok()?.path())).collect();
    files.sort();
    let labels = labels(LABELS).map_err(|error| anyhow::anyhow!("labels: {error}"))?;
    let (count, first) = (labels.len(), labels.first().map(|it| it.document.clone()));
    let found = labels.into_iter().filter_map(|label| {
        let begins = |path: &&PathBuf| {
            path.file_name().is_some_and(|it| it.to_string_lossy().starts_with(&label.document))
        };
        let file = files.iter().find(begins)?.clone();
        Some((label, file))
    });
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Err(usage(format!(
            "{}: none of the {count} labelled documents is there\nhint: their names begin with {} \
             and so on",
            directory.display(),
            first.unwrap_or_default()
        )));
    }
    Ok(found)
}
