//! `srek export`: base and adapter in the forms that other programs load, read back before they appear.

mod gguf;
mod modelfile;

use crate::args::{ExportArgs, ExportFormat};
use crate::companions::{self, is_companion};
use crate::drift::{self, Drift};
use crate::exit::usage;
use crate::machine::Machine;
use crate::output::{Answer, bytes, note, pairs};
use crate::weights::{Form, Source};
use crate::{models, paths};
use anyhow::Result;
use model::save::{self, GgufForm};
use model::{Base, Checkpoint, Head, LoraConfig};
use serde_json::json;
use std::path::{Path, PathBuf};
use train::{Made, Maker, Provenance, Record};

/// What is written as a model directory, and as one of PEFT.
const MERGED: [&str; 2] = ["config.json", "model.safetensors"];
const PEFT: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];
/// What is written into every directory.
const RECORD: &str = "srek.json";
/// The largest file of an adapter.
const ADAPTER_LIMIT_BYTES: u64 = 1 << 34;

/// How far the logits of the export may be from those that are served, as a share of the largest.
/// Where it holds the weights that were served, all that differs is one rounding of each weight;
/// onto other weights than were served, what 4 bits had cost comes back.
const MOST_OF_SAME: f64 = 0.05;
const MOST_OF_OTHER: f64 = 0.5;

/// What is read.
struct Inputs<'a> {
    args: &'a ExportArgs,
    model: PathBuf,
    /// Whose weights are written.
    onto: PathBuf,
    adapter: Option<&'a Path>,
}

/// Writes what was asked for.
pub(crate) fn run(args: &ExportArgs, machine: &Machine) -> Result<Answer> {
    let model = models::directory_or_embedded(args.model.as_deref())?;
    let onto = args.onto.as_deref().map(models::directory).transpose()?;
    let onto = onto.unwrap_or_else(|| model.clone());
    let inputs = Inputs { args, model, onto, adapter: args.adapter.as_deref() };
    let alone = matches!(args.format, ExportFormat::Peft | ExportFormat::GgufLora);
    if alone && args.onto.is_some() {
        return Err(usage(
            "--onto: an adapter alone is merged onto nothing\nhint: --format merged",
        ));
    }
    match args.format {
        ExportFormat::Merged => inputs.merged(machine),
        ExportFormat::Peft => inputs.peft(machine),
        ExportFormat::GgufLora => inputs.lora(machine),
        ExportFormat::GgufF16 => gguf::write(&inputs, GgufForm::F16, machine),
        ExportFormat::GgufQ8 => gguf::write(&inputs, GgufForm::Q8_0, machine),
        ExportFormat::GgufQ4K => gguf::write(&inputs, GgufForm::Q4K, machine),
    }
}

impl Inputs<'_> {
    /// The adapter, without which there is nothing to export.
    fn adapter(&self) -> Result<&Path> {
        self.adapter.ok_or_else(|| {
            usage("--adapter is missing: there is nothing to export\nhint: --adapter runs/NAME/adapter")
        })
    }

    /// What the user named, which may be files whose directories lie in the cache.
    fn named(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let (model, onto) = (self.args.model.as_deref(), self.args.onto.as_deref());
        let all = [("--model", model), ("--onto", onto), ("--adapter", self.adapter)];
        all.into_iter().filter_map(|(name, path)| Some((name, path?)))
    }

    /// Where licences lie of models that were named as files.
    fn beside(&self) -> Vec<PathBuf> {
        let named = [self.args.onto.as_deref(), self.args.model.as_deref()];
        named.into_iter().flat_map(models::beside).collect()
    }

    /// Refuses a directory for the export that is, holds or lies in what is read, or in which other
    /// files than these lie.
    fn check_out(&self, written: impl Fn(&str) -> bool) -> Result<()> {
        let mut read = vec![("--model", self.model.as_path()), ("--onto", self.onto.as_path())];
        read.extend(self.named());
        paths::check_directory(&self.args.out, read)?;
        let written = |name: &str| name == RECORD || written(name);
        files::check_replaceable(&self.args.out, "an export", written)?;
        paths::check_made(&self.args.out)
    }

    /// Writes the record of an export that was made of these weights, with what is known of how they, or
    /// the adapter, were trained. All other files stand there already.
    fn record(&self, base: &Checkpoint, out: &Path) -> Result<()> {
        let adapter = match self.adapter {
            Some(directory) => {
                let (_, weights) = LoraConfig::read(directory)?;
                Some(train::fingerprint(&weights, "adapter_config.json")?)
            }
            None => None,
        };
        let model = train::fingerprint(base, "config.json")?;
        let before = Record::read(self.adapter.unwrap_or(&self.onto))?;
        Record::made(Made { by: Maker::Export, model, adapter }, before).write(out)?;
        Ok(())
    }

    /// Base and adapter as they are served. It reads all of the base, so places are checked before.
    fn served(&self, machine: &Machine) -> Result<Source> {
        let record = self.adapter.map(Provenance::read).transpose()?.flatten();
        Source::checked(&self.model, self.adapter, Form::recorded(record.as_ref()), machine)
    }

    /// The weights that are written, which are those of the same model.
    fn base(&self, served: &Source) -> Result<Checkpoint> {
        let base = Checkpoint::open(&self.onto)?;
        if base.config()? == served.config {
            return Ok(base);
        }
        Err(usage(format!(
            "{}: it is another model than {}\nhint: --onto names what --model was quantized from",
            self.onto.display(),
            self.model.display()
        )))
    }

    /// Whether the weights are held otherwise than they are written: quantized when they are loaded, or
    /// the original of them.
    fn is_other(&self, served: &Source, base: &Checkpoint) -> Result<bool> {
        let stored = base.form(&served.config, Base::AsStored, Head::AsStored)?;
        Ok(stored.0 != served.form.base || self.onto != self.model)
    }

    /// Merges, reads back, compares.
    fn merged(&self, machine: &Machine) -> Result<Answer> {
        self.adapter()?;
        let out = &self.args.out;
        self.check_out(|name| MERGED.contains(&name) || is_companion(name))?;
        let companions =
            companions::find(is_companion, &[&self.onto, &self.model], &self.beside())?;
        let served = self.served(machine)?;
        let base = self.base(&served)?;
        let other = self.is_other(&served, &base)?;
        let compared = Compared::new(self, served, machine)?;
        let (lora, adapter) = LoraConfig::read(self.adapter()?)?;
        paths::make_parent(out)?;
        let mut drift = Drift::default();
        files::write_dir_atomic(out, |out| -> Result<()> {
            save::merged(&base, (&lora, &adapter), out)?;
            companions.copy(out)?;
            self.record(&base, out)?;
            drift = compared.with(out, None, machine)?;
            let most = if other { MOST_OF_OTHER } else { MOST_OF_SAME };
            drift.check(
                most,
                "without --onto, the weights that the adapter was trained over are exported",
            )
        })?;
        if other {
            note(OTHER);
        }
        answer(&out.join("model.safetensors"), out, &drift)
    }

    /// Copies the adapter with what it needs, reads back, compares.
    fn peft(&self, machine: &Machine) -> Result<Answer> {
        let (adapter, out) = (self.adapter()?, &self.args.out);
        self.check_out(|name| PEFT.contains(&name) || is_companion(name))?;
        let companions = companions::find(is_companion, &[&self.model], &self.beside())?;
        let served = self.served(machine)?;
        let base = self.base(&served)?;
        let compared = Compared::new(self, served, machine)?;
        paths::make_parent(out)?;
        let mut drift = Drift::default();
        files::write_dir_atomic(out, |out| -> Result<()> {
            for name in PEFT {
                let content = files::read(adapter.join(name), ADAPTER_LIMIT_BYTES)?;
                files::write_atomic(out.join(name), |file| file.write_all(&content))?;
            }
            companions.copy(out)?;
            self.record(&base, out)?;
            drift = compared.with(&self.model, Some(out), machine)?;
            drift.check(0.0, "copy the directory by hand and compare")
        })?;
        answer(&out.join("adapter_model.safetensors"), out, &drift)
    }

    /// Writes the adapter for llama.cpp.
    fn lora(&self, machine: &Machine) -> Result<Answer> {
        let (place, out) = (self.adapter()?, &self.args.out);
        if out.extension().is_none_or(|it| it != "gguf") {
            let name = out.display();
            return Err(usage(format!("--out {name}: expected a file\nhint: --out {name}.gguf")));
        }
        self.named().try_for_each(|input| paths::check_other(out, input))?;
        if out.exists() && !crate::gguf::is_adapter(out) {
            let name = out.display();
            return Err(usage(format!(
                "--out {name}: what is there is no adapter in GGUF\nhint: choose another --out"
            )));
        }
        let served = self.served(machine)?;
        let (lora, adapter) = LoraConfig::read(place)?;
        paths::make_parent(out)?;
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        save::lora_gguf((&lora, &adapter), &served.config, &name, out)?;
        let size = std::fs::metadata(out)?.len();
        let text = pairs(&[
            ("adapter", bytes(size)),
            ("read back", "all factors are those that were written".to_owned()),
            ("written to", out.display().to_string()),
        ]);
        Ok(Answer { text, json: json!({ "bytes": size, "out": out }) })
    }
}

/// What is said where the weights are held otherwise than they are written.
const OTHER: &str = "the weights that are served are in 4 bits, and what is exported is made of others: \
                     the drift is what these bits were";

/// The logits that are served, to be compared with those of an export.
struct Compared {
    ids: Vec<u32>,
    expected: Vec<f32>,
    form: Form,
}

impl Compared {
    fn new(inputs: &Inputs<'_>, served: Source, machine: &Machine) -> Result<Compared> {
        let ids = drift::ids(&inputs.model, served.config.vocab, served.config.context)?;
        let expected = drift::logits(machine, &served, std::slice::from_ref(&ids))?;
        Ok(Compared { ids, expected, form: served.form })
    }

    /// The drift of a model, perhaps with an adapter, from what is served.
    fn with(&self, model: &Path, adapter: Option<&Path>, machine: &Machine) -> Result<Drift> {
        let as_stored = Form { base: Base::AsStored, head: Head::AsStored, ..self.form };
        let form = if adapter.is_some() { self.form } else { as_stored };
        let found = drift::logits(
            machine,
            &Source::at(model, adapter, form)?,
            std::slice::from_ref(&self.ids),
        )?;
        Ok(Drift::of(&self.expected, &found, self.ids.len()))
    }
}

fn answer(weights: &Path, out: &Path, drift: &Drift) -> Result<Answer> {
    let size = std::fs::metadata(weights)?.len();
    let [first, second] = drift.lines();
    let place = ("written to", out.display().to_string());
    let text = pairs(&[("weights", bytes(size)), first, second, place]);
    let mut json = json!({ "bytes": size, "out": out });
    json.as_object_mut().expect("an object").extend(drift.json());
    Ok(Answer { text, json })
}
