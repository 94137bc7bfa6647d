//! `srek verify`: is a directory what was written, and was it made of what is given?

use crate::args::VerifyArgs;
use crate::exit::usage;
use crate::output::{Answer, Format, pairs};
use crate::progress::Transfer;
use crate::{models, templates};
use anyhow::{Result, anyhow};
use model::Checkpoint;
use serde_json::json;
use std::path::Path;
use text::dataset::Dataset;
use text::tokenizer::Tokenizer;
use train::Record;
use train::verify::{self, Found, Given, Part};

/// Prints what was found of every part.
///
/// # Errors
/// A directory without a record, a record that is damaged, something given that cannot be read; or,
/// after the answer, that something differs.
pub(crate) fn run(args: &VerifyArgs, format: Format) -> Result<Answer> {
    let directory = &args.directory;
    let record = Record::read(directory)?.ok_or_else(|| missing(directory))?;
    let mut given = Given::default();
    if let Some(named) = &args.model {
        add_model(&mut given, &models::directory(named)?)?;
    }
    if let Some(data) = &args.data {
        add_data(&mut given, data)?;
    }
    let mut parts = files(&record, directory)?;
    parts.extend(verify::inputs(&record, directory, &given)?);
    let answer = answer(&record, directory, &parts);
    let differing: Vec<String> = parts
        .iter()
        .filter(|part| part.verdict.differs())
        .map(|part| format!("{} ({})", part.name, part.verdict.name()))
        .collect();
    if differing.is_empty() && record.files().is_some() {
        return Ok(answer);
    }
    // What is as it was is an answer, too.
    answer.print(format)?;
    if differing.is_empty() {
        return Err(unlisted(directory));
    }
    Err(anyhow!(
        "{}: it differs from its record: {}\nhint: take it from where it was made, or make it again",
        directory.display(),
        differing.join(", ")
    ))
}

/// Why there is nothing to compare with.
fn missing(directory: &Path) -> anyhow::Error {
    let name = directory.display();
    if !directory.is_dir() {
        let is =
            if directory.exists() { "it is no directory" } else { "there is no such directory" };
        return usage(format!(
            "{name}: {is}\nhint: name the directory of an adapter, a model or an export that srek wrote, \
             such as runs/NAME/adapter"
        ));
    }
    usage(format!(
        "{name}: it has no srek.json, so nothing is known of how it was made\nhint: other programs \
         write none; `srek export --format peft` writes one beside an adapter"
    ))
}

/// Nothing was found to differ because the files could not be looked at, which is no "as recorded".
fn unlisted(directory: &Path) -> anyhow::Error {
    usage(format!(
        "{}: its srek.json is of version 1 and lists no files, so whether they are what was written could \
         not be checked\nhint: compare them with a copy that you trust; then write a record that lists \
         them, with `srek export --format peft` of an adapter, `srek quantize` of a model, or `--resume` of \
         a run",
        directory.display()
    ))
}

fn files(record: &Record, directory: &Path) -> Result<Vec<Part>> {
    let size = |name: &str| directory.join(name).metadata().map_or(0, |it| it.len());
    let all = record.files().map_or(0, |files| files.keys().map(|name| size(name)).sum());
    let mut progress = Transfer::new(all);
    Ok(verify::files(record, directory, &mut |name, done| match done {
        0 => progress.begin(name, size(name), 0),
        done => progress.at(done),
    })?)
}

/// The fingerprint of a model, its tokenizer and its template.
fn add_model(given: &mut Given, model: &Path) -> Result<()> {
    let fingerprint = match Checkpoint::open(model) {
        Ok(weights) => Ok(fingerprint(&weights)?),
        // One that is there and damaged is another one; the rest is compared all the same.
        Err(error) if model.join("config.json").is_file() => Err(first_line(&error)),
        Err(error) => return Err(error.into()),
    };
    given.model = Some(fingerprint);
    let file = Tokenizer::file_in(model);
    if !file.is_file() {
        return Ok(());
    }
    given.tokenizers.push(Ok(files::sha256_file(&file)?));
    // One that cannot be read is named by its hash already, and has no template that fits it.
    if let Ok(tokenizer) = Tokenizer::from_file(&file) {
        let template = templates::of_model(model, &tokenizer);
        let hash = template.map(|template| template.hash().to_owned());
        given.templates.push(hash.map_err(|error| first_line(&error)));
    }
    Ok(())
}

fn fingerprint(weights: &Checkpoint) -> Result<String> {
    let all = weights.files().iter().map(|map| map.len() as u64).sum();
    let mut progress = Transfer::new(all);
    progress.begin("base", all, 0);
    Ok(train::fingerprint_watched(weights, "config.json", &mut |done| progress.at(done))?)
}

/// The hash of a data set, with those that it holds of its tokenizer and template.
fn add_data(given: &mut Given, directory: &Path) -> Result<()> {
    match Dataset::open(directory) {
        Ok(dataset) => {
            let or_none = |hash: Option<&str>| -> Found { Ok(hash.unwrap_or("none").to_owned()) };
            given.tokenizers.push(or_none(dataset.tokenizer_hash()));
            given.templates.push(or_none(dataset.template_hash()));
            given.dataset = Some(Ok(dataset.hash().to_owned()));
        }
        Err(error) if directory.join("dataset.json").is_file() => {
            given.dataset = Some(Err(first_line(&error)));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// An error without its hint.
fn first_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn answer(record: &Record, directory: &Path, parts: &[Part]) -> Answer {
    let line = |part: &Part| match part.verdict.detail() {
        Some(detail) => format!("{}: {detail}", part.verdict.name()),
        None => part.verdict.name().to_owned(),
    };
    let mut rows = vec![("written by", record.program())];
    rows.extend(parts.iter().map(|part| (part.name.as_str(), line(part))));
    let listed: Vec<_> = parts
        .iter()
        .map(|part| {
            json!({
                "part": part.name,
                "state": part.verdict.name(),
                "differs": part.verdict.differs(),
                "detail": part.verdict.detail(),
            })
        })
        .collect();
    let json = json!({
        "directory": directory,
        "program": record.program(),
        "differs": parts.iter().any(|part| part.verdict.differs()),
        "parts": listed,
    });
    Answer { text: pairs(&rows), json }
}
