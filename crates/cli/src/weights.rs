//! A model directory, perhaps with an adapter, opened and ready to be laid out.

use crate::args::{HeadName, ModelArgs, NumericsName, Quant};
use crate::exit::usage;
use crate::machine::Machine;
use crate::output::note;
use crate::vocabulary;
use anyhow::Result;
use model::{Base, Checkpoint, Config, Embedding, Head, LoraConfig, Origin, Spec, Trained};
use ops::Numerics;
use std::path::Path;
use text::tokenizer::Tokenizer;
use train::{Job, Provenance, Recipe, Record};

/// How a model is held and computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Storage of the seven projections.
    pub(crate) base: Base,
    /// Storage of the head.
    pub(crate) head: Head,
    /// How products treat their operands.
    pub(crate) numerics: Numerics,
}

impl Form {
    /// What was asked for; where nothing was, what is recorded, else the usual.
    fn of(args: &ModelArgs, record: Option<&Provenance>) -> Form {
        let base = args.quant.map(Quant::base).or(record.map(Provenance::base));
        let head = args.head.map(HeadName::head).or(record.map(Provenance::head));
        let numerics =
            args.numerics.map(NumericsName::numerics).or(record.map(Provenance::numerics));
        Form {
            base: base.unwrap_or(Base::AsStored),
            head: head.unwrap_or(Head::AsStored),
            numerics: numerics.unwrap_or(Numerics::Bf16),
        }
    }

    /// What is recorded beside an adapter, else the usual.
    pub(crate) fn recorded(record: Option<&Provenance>) -> Form {
        Form {
            base: record.map_or(Base::AsStored, Provenance::base),
            head: record.map_or(Head::AsStored, Provenance::head),
            numerics: record.map_or(Numerics::Bf16, Provenance::numerics),
        }
    }

    /// What a recipe asks for.
    pub(crate) fn of_recipe(recipe: &Recipe) -> Form {
        let model = &recipe.model;
        Form { base: model.base.into(), head: model.head.into(), numerics: model.numerics.into() }
    }

    /// That of a training run: what its recipe asks for, over the files of its base.
    pub(crate) fn of_job(job: &Job) -> Form {
        let spec = job.spec();
        Form { base: spec.base, head: spec.head, numerics: spec.numerics }
    }

    /// The projections' storage as `--quant` names it.
    pub(crate) fn quant(self) -> &'static str {
        if self.base == Base::AsStored { "none" } else { self.base.name() }
    }

    /// All of it in a line, with the tier, on which its bits depend as well.
    pub(crate) fn describe(self, machine: &Machine) -> String {
        format!(
            "numerics {}, base {}, head {}, tier {}",
            self.numerics.name(),
            self.base.name(),
            self.head.name(),
            machine.tier()
        )
    }

    /// Warns where an adapter was trained in another form.
    pub(crate) fn compare(self, adapter: &Path, record: &Provenance, machine: &Machine) {
        let used = (self.numerics, self.base, self.head);
        for difference in record.differences(used, &machine.tier()) {
            note(&format!("warning: {}: {difference}", adapter.display()));
        }
    }
}

/// A model and perhaps an adapter, opened.
pub(crate) struct Source {
    /// The model's shape.
    pub(crate) config: Config,
    weights: Checkpoint,
    adapter: Option<(LoraConfig, Checkpoint)>,
    /// How it is held and computed with.
    pub(crate) form: Form,
}

impl Source {
    /// Opens what the arguments name, in the form that they say or in which the adapter was trained;
    /// warns where these differ.
    ///
    /// # Errors
    /// As [`Source::at`], or an adapter that was trained over another model or changed since.
    pub(crate) fn open(args: &ModelArgs, machine: &Machine) -> Result<Source> {
        let adapter = args.adapter.as_deref();
        let record = adapter.map(Provenance::read).transpose()?.flatten();
        Source::checked(&args.directory()?, adapter, Form::of(args, record.as_ref()), machine)
    }

    /// Opens the directories in this form; warns where the adapter was trained in another.
    ///
    /// # Errors
    /// As [`Source::at`], or an adapter that was trained over another model or changed since.
    pub(crate) fn checked(
        model: &Path,
        adapter: Option<&Path>,
        form: Form,
        machine: &Machine,
    ) -> Result<Source> {
        let source = Source::at(model, adapter, form)?;
        let record = adapter.map(Record::read).transpose()?.flatten();
        if let (Some(adapter), Some(record)) = (adapter, &record) {
            let fingerprint = train::fingerprint(&source.weights, "config.json")?;
            record.check_adapter(adapter, &fingerprint)?;
            if let Some(training) = record.training() {
                source.form.compare(adapter, training, machine);
            }
        }
        Ok(source)
    }

    /// Opens the directories. A base or head that is stored quantized goes by that name.
    ///
    /// # Errors
    /// A file that is missing, damaged or of something else than a Llama, or a base that is stored in
    /// another 4-bit format than asked for.
    pub(crate) fn at(model: &Path, adapter: Option<&Path>, form: Form) -> Result<Source> {
        let weights = Checkpoint::open(model)?;
        let config = weights.config()?;
        let (base, head) = weights.form(&config, form.base, form.head)?;
        let form = Form { base, head, ..form };
        let adapter = adapter.map(LoraConfig::read).transpose()?;
        Ok(Source { config, weights, adapter, form })
    }

    /// Checks that this tokenizer's ids mean the same to the model; warns of other end marks.
    ///
    /// # Errors
    /// Ids that the model does not have, or marks of the model that are none to the tokenizer.
    pub(crate) fn check_tokenizer(&self, tokenizer: &Tokenizer, file: &Path) -> Result<()> {
        let name = file.display();
        let warnings = vocabulary::compare(&self.config, tokenizer).map_err(|message| {
            usage(format!(
                "{name}: {message}\nhint: take the tokenizer.json that the model was trained with"
            ))
        })?;
        for warning in warnings {
            note(&format!("warning: {name}: {warning}"));
        }
        Ok(())
    }

    /// What to lay out, for sequences of at most `positions` tokens.
    pub(crate) fn spec(&self, positions: usize) -> Spec {
        Spec {
            config: self.config.clone(),
            numerics: self.form.numerics,
            base: self.form.base,
            head: self.form.head,
            embedding: Embedding::OnDevice,
            trained: Trained::Nothing(self.adapter.as_ref().map(|(lora, _)| lora.clone())),
            positions,
        }
    }

    /// Where the values come from.
    pub(crate) fn origin(&self) -> Origin<'_> {
        let adapter = self.adapter.as_ref().map(|(_, checkpoint)| checkpoint);
        Origin { weights: Some(&self.weights), adapter, seed: 0 }
    }
}
