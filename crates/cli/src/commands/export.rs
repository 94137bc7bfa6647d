//! `srek export`: base and adapter as one model that other programs load, read back before it
//! appears; or the adapter for llama.cpp.

use crate::args::{ExportArgs, ExportFormat};
use crate::commands::logits;
use crate::companions::{self, COMPANIONS};
use crate::exit::usage;
use crate::machine::Machine;
use crate::output::{Answer, bytes, note, pairs};
use crate::paths;
use crate::weights::{Form, Source};
use anyhow::Result;
use model::{Base, Checkpoint, Head, LoraConfig, save};
use serde_json::json;
use std::path::Path;
use text::tokenizer::Tokenizer;
use train::Provenance;

/// What is written.
const WRITTEN: [&str; 2] = ["config.json", "model.safetensors"];
/// Prose whose logits are compared.
const TEXT: &str = include_str!("../../../../datasets/general.md");
/// Tokens of it.
const TOKENS: usize = 96;

/// How far the logits of the export may be from those that are served, as a share of the largest.
/// Where it holds the weights that were served, all that differs is one rounding of each weight;
/// onto other weights than were served, what 4 bits had cost comes back.
const MOST_OF_SAME: f64 = 0.05;
const MOST_OF_OTHER: f64 = 0.5;

/// Writes what was asked for.
pub(crate) fn run(args: &ExportArgs, machine: &Machine) -> Result<Answer> {
    let model = args.model.clone().map_or_else(crate::embedded::directory, Ok)?;
    match args.format {
        ExportFormat::Merged => merged(args, &model, machine),
        ExportFormat::GgufLora => lora(args, &model, machine),
    }
}

/// Base and adapter as they are served. It reads all of the base, so places are checked before.
fn served(args: &ExportArgs, model: &Path, machine: &Machine) -> Result<Source> {
    let record = Provenance::read(&args.adapter)?;
    Source::checked(model, Some(&args.adapter), Form::recorded(record.as_ref()), machine)
}

/// Writes the adapter for llama.cpp.
fn lora(args: &ExportArgs, model: &Path, machine: &Machine) -> Result<Answer> {
    let out = &args.out;
    if args.onto.is_some() {
        return Err(usage(
            "--onto: an adapter alone is merged onto nothing\nhint: --format merged",
        ));
    }
    if out.extension().is_none_or(|it| it != "gguf") {
        let name = out.display();
        return Err(usage(format!("--out {name}: expected a file\nhint: --out {name}.gguf")));
    }
    let served = served(args, model, machine)?;
    let (lora, adapter) = LoraConfig::read(&args.adapter)?;
    paths::make_parent(out)?;
    let name = args.adapter.file_name().unwrap_or_default().to_string_lossy();
    save::lora_gguf((&lora, &adapter), &served.config, &name, out)?;
    let size = std::fs::metadata(out)?.len();
    let text = pairs(&[
        ("adapter", bytes(size)),
        ("read back", "all factors are those that were written".to_owned()),
        ("written to", out.display().to_string()),
    ]);
    Ok(Answer { text, json: json!({ "bytes": size, "out": out }) })
}

/// Merges, reads back, compares.
fn merged(args: &ExportArgs, model: &Path, machine: &Machine) -> Result<Answer> {
    let onto = args.onto.as_deref().unwrap_or(model);
    paths::check_directory(
        &args.out,
        [("--model", model), ("--adapter", &args.adapter), ("--onto", onto)],
    )?;
    files::check_replaceable(&args.out, "an export", |name| {
        WRITTEN.contains(&name) || COMPANIONS.contains(&name)
    })?;
    let served = served(args, model, machine)?;
    let base = Checkpoint::open(onto)?;
    if base.config()? != served.config {
        return Err(usage(format!(
            "{}: it is another model than {}\nhint: --onto names what --model was quantized from",
            onto.display(),
            model.display()
        )));
    }
    let stored = base.form(&served.config, Base::AsStored, Head::AsStored)?;
    // Held otherwise than it is merged: quantized when it is loaded, or the original of it.
    let other = stored.0 != served.form.base || args.onto.is_some();
    let ids = ids(model, served.config.vocab, served.config.context)?;
    let expected = logits::of(machine, &served, std::slice::from_ref(&ids))?;
    let (lora, adapter) = LoraConfig::read(&args.adapter)?;
    let numerics = served.form.numerics;
    drop(served);
    paths::make_parent(&args.out)?;
    let mut drift = Drift::default();
    files::write_dir_atomic(&args.out, |out| -> Result<()> {
        save::merged(&base, (&lora, &adapter), out)?;
        companions::copy(COMPANIONS, &[onto, model], out)?;
        let form = Form { base: Base::AsStored, head: Head::AsStored, numerics };
        let merged = Source::at(out, None, form)?;
        drift = Drift::of(
            &expected,
            &logits::of(machine, &merged, std::slice::from_ref(&ids))?,
            ids.len(),
        );
        drift.check(if other { MOST_OF_OTHER } else { MOST_OF_SAME })
    })?;
    if other {
        note(
            "the adapter was trained over weights in 4 bits, and what is exported is merged onto \
             others: the drift is what these bits were",
        );
    }
    answer(args, &drift)
}

/// How far logits are from those that were expected.
#[derive(Clone, Copy, Debug, Default)]
struct Drift {
    /// The largest difference as a share of the largest logit.
    most: f64,
    /// The root of the mean square of all differences, likewise.
    root_mean_square: f64,
    /// How often the likeliest token is the same.
    agreement: f64,
}

impl Drift {
    fn of(expected: &[f32], found: &[f32], positions: usize) -> Drift {
        let largest =
            expected.iter().fold(f64::MIN_POSITIVE, |most, it| most.max(f64::from(it.abs())));
        let differences = expected.iter().zip(found).map(|(a, b)| f64::from(a - b).abs() / largest);
        let (mut most, mut squares) = (0.0_f64, 0.0);
        for difference in differences {
            // A comparison with what is not a number is never met.
            most = if difference <= most { most } else { difference };
            squares += difference * difference;
        }
        let vocab = expected.len() / positions.max(1);
        let likeliest = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        let rows = expected.chunks(vocab).zip(found.chunks(vocab));
        let same = rows.filter(|(a, b)| likeliest(a) == likeliest(b)).count();
        Drift {
            most,
            root_mean_square: (squares / expected.len() as f64).sqrt(),
            agreement: same as f64 / positions as f64,
        }
    }

    fn check(&self, most: f64) -> Result<()> {
        if self.most <= most {
            return Ok(());
        }
        Err(anyhow::anyhow!(
            "what was written gives other logits than what is served: {:.1} % of the largest apart, \
             expected at most {:.0} %; nothing is kept\nhint: without --onto, the weights that the \
             adapter was trained over are exported",
            100.0 * self.most,
            100.0 * most
        ))
    }
}

/// The ids of a text that every export is compared on; without a tokenizer some ids of the model.
fn ids(model: &Path, vocab: usize, context: usize) -> Result<Vec<u32>> {
    let file = Tokenizer::file_in(model);
    let mut ids: Vec<u32> = if file.is_file() {
        Tokenizer::from_file(&file)?.encode(TEXT)?
    } else {
        (0..TOKENS).map(|at| ((at * 7919 + 13) % vocab) as u32).collect()
    };
    ids.truncate(TOKENS.min(context));
    Ok(ids)
}

fn answer(args: &ExportArgs, drift: &Drift) -> Result<Answer> {
    let size = std::fs::metadata(args.out.join("model.safetensors"))?.len();
    let text = pairs(&[
        ("weights", bytes(size)),
        ("drift", format!("{:.2} % of the largest logit at most", 100.0 * drift.most)),
        ("likeliest token", format!("the same in {:.1} %", 100.0 * drift.agreement)),
        ("written to", args.out.display().to_string()),
    ]);
    let json = json!({
        "bytes": size,
        "drift_most": drift.most,
        "drift_root_mean_square": drift.root_mean_square,
        "agreement": drift.agreement,
        "out": args.out,
    });
    Ok(Answer { text, json })
}
