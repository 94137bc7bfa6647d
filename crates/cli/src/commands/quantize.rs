//! `srek quantize`: a model in 4 bits, written once, so that it is loaded as it is.

use crate::args::{BaseFormat, EmbeddingFormat, QuantizeArgs};
use crate::output::{Answer, bytes, pairs};
use crate::paths;
use crate::progress::Progress;
use anyhow::Result;
use model::save::{self, BaseForm};
use model::{Checkpoint, Head};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// What is copied where it is there.
const COPIED: [&str; 15] = [
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "NOTICE",
    "README.md",
    "USE_POLICY.md",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "special_tokens_map.json",
    "srek.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
];
/// What is written.
const WRITTEN: [&str; 2] = ["config.json", "model.safetensors"];
/// The largest file that is copied.
const COPY_LIMIT_BYTES: u64 = 64 << 20;

/// Quantizes, and copies what else belongs to the model.
pub(crate) fn run(args: &QuantizeArgs) -> Result<Answer> {
    paths::check_directory(&args.out, [("--model", args.model.as_path())])?;
    files::check_replaceable(&args.out, "a quantized model", |name| {
        WRITTEN.contains(&name) || COPIED.contains(&name)
    })?;
    let model = Checkpoint::open(&args.model)?;
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
        copied = copy(&args.model, out)?;
        Ok(())
    })?;
    drop(progress);
    let peak = files::memory::statistics().peak_bytes.saturating_sub(before);
    answer(args, &model, &copied, peak)
}

/// Copies the files that are known; gives their names.
fn copy(from: &Path, to: &Path) -> Result<Vec<&'static str>> {
    let mut copied = Vec::new();
    for name in COPIED.into_iter().filter(|name| from.join(name).is_file()) {
        let content = files::read(from.join(name), COPY_LIMIT_BYTES)?;
        files::write_atomic(to.join(name), |out| out.write_all(&content))?;
        copied.push(name);
    }
    Ok(copied)
}

/// The names in the model's directory that have no counterpart in the new one.
fn left_out(model: &Checkpoint) -> Result<BTreeSet<String>> {
    let weights: Vec<_> = model.files().iter().map(|map| map.path().to_owned()).collect();
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(model.directory())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let known = WRITTEN.contains(&name.as_str())
            || COPIED.contains(&name.as_str())
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
