//! `srek quantize`: a model in 4 bits, written once, so that it is loaded as it is.

use crate::args::{BaseFormat, EmbeddingFormat, QuantizeArgs};
use crate::companions::{self, COMPANIONS};
use crate::output::{Answer, bytes, pairs};
use crate::progress::Progress;
use crate::{models, paths};
use anyhow::Result;
use model::save::{self, BaseForm};
use model::{Checkpoint, Head};
use serde_json::json;
use std::collections::BTreeSet;

/// What is copied beside what goes with every model.
const COPIED: [&str; 2] = ["README.md", "srek.json"];
/// What is written.
const WRITTEN: [&str; 2] = ["config.json", "model.safetensors"];
/// Whether a file of this name is copied where it is there.
fn is_copied(name: &str) -> bool {
    COMPANIONS.contains(&name) || COPIED.contains(&name)
}

/// Quantizes, and copies what else belongs to the model.
pub(crate) fn run(args: &QuantizeArgs) -> Result<Answer> {
    let directory = models::directory(&args.model)?;
    paths::check_directory(&args.out, [("--model", directory.as_path())])?;
    files::check_replaceable(&args.out, "a quantized model", |name| {
        WRITTEN.contains(&name) || is_copied(name)
    })?;
    let model = Checkpoint::open(&directory)?;
    let layers = model.config()?.layers;
    let form = BaseForm {
        double: args.format == BaseFormat::Nf4Dq,
        embedding: match args.embedding {
            EmbeddingFormat::Stored => Head::AsStored,
            EmbeddingFormat::Q8 => Head::EightBit,
        },
    };
    let mut progress = Progress::new("quantizing", Some(7 * layers as u64));
    let before = files::memory::statistics().heap_bytes;
    let mut copied = Vec::new();
    paths::make_parent(&args.out)?;
    files::write_dir_atomic(&args.out, |out| -> Result<()> {
        save::base(&model, form, out, &mut |done| {
            progress.at(done as u64, || "projections".to_owned());
        })?;
        let names = COMPANIONS.into_iter().chain(COPIED);
        copied = companions::copy(names, &[&directory], out)?;
        Ok(())
    })?;
    drop(progress);
    let peak = files::memory::statistics().peak_bytes.saturating_sub(before);
    answer(args, &model, &copied, peak)
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
            || name == "model.safetensors.index.json";
        if !known && !weights.contains(&path) {
            names.insert(name);
        }
    }
    Ok(names)
}

fn answer(args: &QuantizeArgs, model: &Checkpoint, copied: &[&str], peak: usize) -> Result<Answer> {
    let from: u64 = model.files().iter().map(|map| map.len() as u64).sum();
    let size = std::fs::metadata(args.out.join("model.safetensors"))?.len();
    let left_out = left_out(model)?;
    let listed = |names: &mut dyn Iterator<Item = &str>| {
        let names: Vec<&str> = names.collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    let text = pairs(&[
        ("weights", format!("{} of {}", bytes(size), bytes(from))),
        ("copied", listed(&mut copied.iter().copied())),
        ("left out", listed(&mut left_out.iter().map(String::as_str))),
        ("memory", bytes(peak as u64)),
        ("written to", args.out.display().to_string()),
    ]);
    let json = json!({
        "bytes": size,
        "model_bytes": from,
        "copied": copied,
        "left_out": left_out,
        "measured_bytes": peak,
        "out": args.out,
    });
    Ok(Answer { text, json })
}
