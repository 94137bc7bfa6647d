//! `srek quantize`: a model in 4 bits, written once, so that it is loaded as it is.

use crate::args::{BaseFormat, EmbeddingFormat, QuantizeArgs};
use crate::companions::{self, is_companion};
use crate::drift::{self, Drift};
use crate::exit::usage;
use crate::gguf::SUMS;
use crate::machine::Machine;
use crate::output::{Answer, bytes, pairs};
use crate::progress::Progress;
use crate::weights::{Form, Source};
use crate::{models, paths};
use anyhow::Result;
use model::save::{self, BaseForm};
use model::{Base, Checkpoint, Config, Head};
use ops::Numerics;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;
use train::{Made, Maker, Record};

/// What is copied beside what goes with every model.
const CARD: &str = "README.md";
/// What is written.
const WRITTEN: [&str; 3] = ["config.json", "model.safetensors", "srek.json"];
/// Whether a file of this name is copied where it is there.
fn is_copied(name: &str) -> bool {
    is_companion(name) || name == CARD
}

/// Quantizes, and copies what else belongs to the model.
pub(crate) fn run(args: &QuantizeArgs, machine: &Machine) -> Result<Answer> {
    let Some(named) = &args.model else { return random(args) };
    if let Some(shape) = named.to_str().filter(|it| Config::known(it).is_some() && !named.exists())
    {
        return Err(usage(format!(
            "--model {shape}: there is no such directory; it is the name of a shape, not of weights\nhint: \
             --random {shape} stores random weights of this shape; the model itself is named ORG/NAME"
        )));
    }
    let directory = models::directory(named)?;
    let read = [("--model", directory.as_path()), ("--model", named.as_path())];
    paths::check_directory(&args.out, read)?;
    check_replaceable(args)?;
    paths::check_made(&args.out)?;
    let model = Checkpoint::open(&directory)?;
    let layers = model.config()?.layers;
    let form = form(args);
    let companions = companions::find(is_copied, &[&directory], &models::beside(Some(named)))?;
    let mut progress = Progress::new("quantizing", Some(7 * layers as u64));
    let before = files::memory::statistics().heap_bytes;
    let mut copied = Vec::new();
    paths::make_parent(&args.out)?;
    files::write_dir_atomic(&args.out, |out| -> Result<()> {
        save::base(&model, form, out, &mut |done| {
            progress.at(done as u64, || "projections".to_owned());
        })?;
        copied = companions.copy(out)?;
        let fingerprint = train::fingerprint(&model, "config.json")?;
        let made = Made { by: Maker::Quantize, model: fingerprint, adapter: None };
        Record::made(made, Record::read(&directory)?).write(out)?;
        Ok(())
    })?;
    drop(progress);
    let drift = requantized(args, &model, machine)?;
    let peak = files::memory::statistics().peak_bytes.saturating_sub(before);
    answer(args, &model, &copied, (peak, drift))
}

fn check_replaceable(args: &QuantizeArgs) -> files::Result<()> {
    files::check_replaceable(&args.out, "a quantized model", |name| {
        WRITTEN.contains(&name) || is_copied(name)
    })
}

fn form(args: &QuantizeArgs) -> BaseForm {
    BaseForm {
        double: args.format == BaseFormat::Nf4Dq,
        embedding: match args.embedding {
            EmbeddingFormat::Stored => Head::AsStored,
            EmbeddingFormat::Q8 => Head::EightBit,
        },
    }
}

/// Writes random weights of a published shape.
fn random(args: &QuantizeArgs) -> Result<Answer> {
    let shape = args.random.as_deref().unwrap_or_default();
    let config = Config::known(shape).ok_or_else(|| {
        let known = Config::KNOWN.join(", ");
        usage(format!(
            "--random is {shape:?}, expected one of {known}\nhint: take the shape of the model that will come; \
             any other one is stored with --model"
        ))
    })?;
    paths::check_directory(&args.out, [])?;
    check_replaceable(args)?;
    paths::make_parent(&args.out)?;
    let mut progress = Progress::new("random weights", Some(7 * config.layers as u64));
    files::write_dir_atomic(&args.out, |out| {
        save::random_base((&config, args.seed), form(args), out, &mut |done| {
            progress.at(done as u64, || "projections".to_owned());
        })
    })?;
    drop(progress);
    let size = std::fs::metadata(args.out.join("model.safetensors"))?.len();
    let place = args.out.display().to_string();
    let text = pairs(&[
        ("random weights", format!("{}, {} parameters", bytes(size), config.parameters())),
        ("written to", place),
    ]);
    let json = json!({
        "bytes": size, "parameters": config.parameters(), "random": shape, "out": args.out,
    });
    Ok(Answer { text, json })
}

/// How far the logits of a GGUF file are from those of what became of it, which was in few bits before.
fn requantized(
    args: &QuantizeArgs,
    model: &Checkpoint,
    machine: &Machine,
) -> Result<Option<Drift>> {
    if model.files().iter().any(|map| map.path().extension().is_none_or(|it| it != "gguf")) {
        return Ok(None);
    }
    let config = model.config()?;
    let ids = drift::ids(model.directory(), config.vocab, config.context)?;
    let form = Form { base: Base::AsStored, head: Head::AsStored, numerics: Numerics::Bf16 };
    let logits = |directory: &Path| {
        let source = Source::at(directory, None, form)?;
        drift::logits(machine, &source, std::slice::from_ref(&ids))
    };
    let (before, after) = (logits(model.directory())?, logits(&args.out)?);
    Ok(Some(Drift::of(&before, &after, ids.len())))
}

/// The names in the model's directory that have no counterpart in the new one.
fn left_out(model: &Checkpoint) -> Result<BTreeSet<String>> {
    let weights: Vec<_> = model.files().iter().map(|map| map.path().to_owned()).collect();
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(model.directory())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let known = WRITTEN.contains(&name.as_str())
            || is_copied(&name)
            || name == SUMS
            || name == "model.safetensors.index.json";
        if !known && !weights.contains(&path) {
            names.insert(name);
        }
    }
    Ok(names)
}

fn answer(
    args: &QuantizeArgs,
    model: &Checkpoint,
    copied: &[String],
    (peak, drift): (usize, Option<Drift>),
) -> Result<Answer> {
    let from: u64 = model.files().iter().map(|map| map.len() as u64).sum();
    let size = std::fs::metadata(args.out.join("model.safetensors"))?.len();
    let left_out = left_out(model)?;
    let listed = |names: &mut dyn Iterator<Item = &str>| {
        let names: Vec<&str> = names.collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    let mut lines = vec![
        ("weights", format!("{} of {}", bytes(size), bytes(from))),
        ("copied", listed(&mut copied.iter().map(String::as_str))),
        ("left out", listed(&mut left_out.iter().map(String::as_str))),
        ("memory", bytes(peak as u64)),
        ("written to", args.out.display().to_string()),
    ];
    lines.extend(drift.iter().flat_map(Drift::lines));
    let mut json = json!({
        "bytes": size,
        "model_bytes": from,
        "copied": copied,
        "left_out": left_out,
        "measured_bytes": peak,
        "out": args.out,
    });
    if let Some(drift) = &drift {
        json.as_object_mut().expect("an object").extend(drift.json());
    }
    Ok(Answer { text: pairs(&lines), json })
}
