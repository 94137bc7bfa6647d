//! Tuning on simulated incidents: records, a data set, and an adapter over a base.

use crate::asked::Voice;
use crate::commands::eval::Laboratory;
use crate::exit::{Interrupted, usage};
use crate::machine::Machine;
use crate::training::{self, Manner, Ran};
use anyhow::Result;
use eval::example::Example;
use serde_json::json;
use sre::answer::Said;
use std::path::{Path, PathBuf};
use text::dataset::{self, BuildOptions, Vocabulary};
use text::random::Numbers;
use train::recipe::NumericsKind;
use train::{Job, Recipe, Resume};

/// The recipe, which also stands in `configs/` to be run by hand.
const RECIPE: &str = include_str!("../../../configs/sre-tiny/incidents.toml");
const RECIPE_NAME: &str = "configs/sre-tiny/incidents.toml";

/// Longest record in tokens: a prompt of the usual budget, its frame, and the answer.
const CONTEXT: u32 = 1024;

/// What random numbers shuffle labels for.
const SHUFFLED: u64 = 0x7368_7566;

/// The recipe as it stands in `configs/`.
///
/// # Errors
/// None but a mistake in that file.
pub(crate) fn recipe() -> Result<Recipe> {
    Ok(Recipe::parse(RECIPE, RECIPE_NAME)?)
}

/// One adapter to be trained.
pub(crate) struct Tuning<'a> {
    /// What the progress is called.
    pub(crate) what: &'static str,
    /// The directory of the base.
    pub(crate) base: &'a Path,
    /// Where records, data set and run go.
    pub(crate) directory: &'a Path,
    /// Names the run's random numbers.
    pub(crate) seed: u64,
    /// Steps instead of the recipe's.
    pub(crate) steps: Option<u64>,
    /// Gives the causes of the incidents to other incidents: a control that must learn nothing.
    pub(crate) shuffled: bool,
    /// Computes in f32; over a base that is not in 4 bits, a control of what these cost.
    pub(crate) exact: bool,
}

impl Tuning<'_> {
    /// Where the adapter will be.
    pub(crate) fn run(&self) -> PathBuf {
        self.directory.join("run")
    }

    /// Trains on the training side of a laboratory.
    ///
    /// # Errors
    /// A base or a recipe that cannot be used, an interruption, or what stops the run.
    pub(crate) fn train(&self, machine: &Machine, laboratory: &Laboratory) -> Result<Ran> {
        files::create_dir_all(self.directory)?;
        let records = self.directory.join("incidents.jsonl");
        let lines = self.lines(&laboratory.train)?;
        files::write_atomic(&records, |out| {
            lines.iter().try_for_each(|line| writeln!(out, "{line}"))
        })?;
        let voice = Voice::of_model(self.base)?;
        let vocabulary =
            Vocabulary::Chat { tokenizer: &voice.tokenizer, template: voice.template() };
        let data = self.directory.join("data");
        let options = BuildOptions::new(CONTEXT);
        dataset::build(&[records], vocabulary, &options, &data, &mut |_| {})?;

        let job = Job::open(&self.recipe(data)?)?;
        let (run, unfinished) = (self.run(), self.directory.join("run.unfinished"));
        for directory in [&run, &unfinished] {
            if directory.exists() && !directory.join("resolved.toml").is_file() {
                let name = directory.display();
                return Err(usage(format!(
                    "{name}: it is in the way and no run of an earlier tuning\nhint: take another \
                     directory with --out"
                )));
            }
        }
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)
                .map_err(files::Error::io(files::Operation::Replace, &unfinished))?;
        }
        let manner = Manner { what: self.what, directory: &unfinished, resume: Resume::Fresh };
        let ran = training::train(machine, &job, manner)?;
        if ran.asked_to_stop || ran.result().is_none() {
            let step = ran.state().step;
            return Err(anyhow::Error::new(Interrupted(format!(
                "{}, after step {step}\nhint: the same command begins it anew; an earlier result is \
                 as it was",
                self.what
            ))));
        }
        ran.moved(&unfinished, &run)
    }

    fn recipe(&self, data: PathBuf) -> Result<Recipe> {
        let mut recipe = recipe()?;
        recipe.seed = self.seed;
        recipe.model.directory = Some(self.base.to_owned());
        recipe.data.directory = data;
        if let Some(steps) = self.steps {
            recipe.schedule.steps = Some(steps);
            recipe.schedule.warmup_steps = recipe.schedule.warmup_steps.min(steps / 10);
        }
        if self.exact {
            recipe.model.numerics = NumericsKind::F32;
        }
        Ok(recipe)
    }

    fn lines(&self, examples: &[Example]) -> Result<Vec<String>> {
        let mut answers: Vec<Said> =
            examples.iter().map(|it| Said::parse(&it.answer)).collect::<sre::Result<_>>()?;
        if self.shuffled {
            let mut labels: Vec<_> = answers.iter().map(|it| (it.cause, it.action)).collect();
            Numbers::named(&[self.seed, SHUFFLED]).shuffle(&mut labels);
            for (answer, (cause, action)) in answers.iter_mut().zip(labels) {
                (answer.cause, answer.action) = (cause, action);
            }
        }
        let line = |(example, answer): (&Example, &Said)| {
            json!({
                "id": example.id,
                "group": example.id,
                "prompt": example.pack.prompt,
                "completion": answer.text(),
            })
            .to_string()
        };
        Ok(examples.iter().zip(&answers).map(line).collect())
    }
}
