//! The suite `incidents`: models and methods without one on the same simulated incidents.

mod overlap;
#[cfg(test)]
mod tests;

use super::{Subject, share};
use crate::args::EvalArgs;
use crate::asked::{Asked, Manner, Voice};
use crate::machine::Machine;
use crate::output::table;
use crate::progress::Progress;
use anyhow::Result;
use eval::baseline;
use eval::example::{Case, Example, Prediction};
use eval::fit::Fitted;
use eval::incidents::{Difference, Score, Shown, ask, counts, examples, fused, is_valid_unheld};
use eval::interval::Interval;
use lab::{Part, Settings};
use overlap::Overlap;
use serde_json::{Value, json};
use sre::cause::Cause;
use sre::fusion::{Heard, Weights, pairs};

/// Solved incidents that the base is shown before each question, in the comparison "few-shot": as
/// many as fit into the 1,024 tokens that sre-tiny was pretrained on.
const SHOTS: usize = 2;
/// Among this many training incidents the shortest are chosen for it.
const SHOTS_FROM: usize = 200;
/// Incidents of whose answers the form is looked at where no grammar holds it.
const UNHELD: usize = 50;

/// The names of methods that are more than one witness.
const ALONE: &str = "ranking and signs";
const FUSED: &str = "fused";

/// How much is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Training incidents of the methods without a model.
    pub(crate) train: u64,
    /// Incidents that are asked about.
    pub(crate) test: u64,
    /// Most tokens of a prompt's evidence.
    pub(crate) budget: usize,
    /// Names the test incidents.
    pub(crate) seed: u64,
    /// Names the training incidents.
    pub(crate) train_seed: u64,
    /// Further incidents of the side that is tested, on which weights and a threshold are fitted.
    pub(crate) held_out: u64,
}

/// The incidents of a comparison.
pub(crate) struct Laboratory {
    /// What is learned from.
    pub(crate) train: Vec<Example>,
    /// What is asked about.
    pub(crate) test: Vec<Example>,
    /// What weights and a threshold are fitted on.
    held_out: Vec<Example>,
    /// The causes on offer.
    pub(crate) causes: Vec<Cause>,
    seed: u64,
    /// What was counted before anybody was asked.
    overlap: Overlap,
}

impl Laboratory {
    /// Simulates both sides, shown in this model's tokens.
    ///
    /// # Errors
    /// A budget that is too small, or incidents that give answers away.
    pub(crate) fn new(voice: &Voice, sizes: &Sizes) -> Result<Laboratory> {
        let tokens = |text: &str| voice.tokens(text);
        let shown = Shown { budget: sizes.budget, tokens: &tokens };
        let settings = Settings::new(sizes.seed, Part::Test);
        let test = examples(&settings, 0..sizes.test, &shown)?;
        let held_out = examples(&settings, sizes.test..sizes.test + sizes.held_out, &shown)?;
        let train = Settings::new(sizes.train_seed, Part::Train);
        let train = examples(&train, 0..sizes.train, &shown)?;
        let overlap = Overlap::of(&train, &test).checked()?;
        let (causes, seed) = (settings.causes(), sizes.seed);
        Ok(Laboratory { train, test, held_out, causes, seed, overlap })
    }

    /// Looks at what another laboratory trains as at its own training incidents.
    ///
    /// # Errors
    /// Incidents that give answers away.
    pub(super) fn check_with(&mut self, other: &Laboratory) -> Result<()> {
        self.overlap = self.overlap.and(Overlap::of(&other.train, &self.test)).checked()?;
        Ok(())
    }

    /// Questions with their right answers, short ones of different causes.
    fn shots(&self) -> Vec<(String, String)> {
        let mut known: Vec<&Example> =
            self.train.iter().take(SHOTS_FROM).filter(|it| it.case == Case::Known).collect();
        known.sort_by_key(|example| example.pack.prompt.len());
        let mut shots: Vec<&Example> = Vec::new();
        for example in known {
            if shots.len() < SHOTS && shots.iter().all(|it| it.cause != example.cause) {
                shots.push(example);
            }
        }
        shots.iter().map(|it| (it.pack.prompt.clone(), it.answer.clone())).collect()
    }
}

/// What a method said about them.
struct Said {
    name: String,
    predictions: Vec<Prediction>,
    /// What else a model said; empty for methods without one.
    heard: Vec<Heard>,
    /// Share of answers that are valid where nothing holds them to the schema; `None` where that
    /// was not looked at.
    valid_unheld: Option<Interval>,
    /// Whether all others are compared with it.
    is_target: bool,
}

/// What everybody said about the incidents of a laboratory.
pub(crate) struct Incidents {
    /// The incidents.
    pub(crate) laboratory: Laboratory,
    /// In the order in which they were asked.
    said: Vec<Said>,
}

impl Incidents {
    /// Asks the methods without a model.
    pub(crate) fn new(laboratory: Laboratory) -> Incidents {
        let methods = baseline::all(&laboratory.train);
        let mut incidents = Incidents { laboratory, said: Vec::new() };
        for (name, method) in methods {
            let test = &incidents.laboratory.test;
            let predictions = test.iter().map(|it| method.predict(it)).collect();
            incidents.keep(name, (predictions, Vec::new()));
        }
        let test = &incidents.laboratory.test;
        let ranked =
            test.iter().map(|it| eval::incidents::ranked(it, &incidents.laboratory.causes));
        incidents.keep("ranking", (ranked.collect(), Vec::new()));
        incidents.keep_fused(ALONE, None, &Weights::ALONE);
        incidents
    }

    fn keep(&mut self, name: &str, (predictions, heard): (Vec<Prediction>, Vec<Heard>)) {
        let name = name.to_owned();
        self.said.push(Said { name, predictions, heard, valid_unheld: None, is_target: false });
    }

    /// Adds what ranking and signs say, with a model where one was heard.
    fn keep_fused(&mut self, name: &str, heard: Option<&[Heard]>, weights: &Weights) {
        let Laboratory { test, causes, .. } = &self.laboratory;
        let heard = |index: usize| heard.and_then(|all| all.get(index));
        let examples = test.iter().enumerate();
        let predictions = examples.map(|(index, it)| fused(it, heard(index), weights, causes));
        let predictions = predictions.collect();
        self.keep(name, (predictions, Vec::new()));
    }

    /// Joins the last model with ranking and signs.
    pub(crate) fn fuse(&mut self, weights: &Weights) {
        let heard = self.said.last().map(|it| it.heard.clone()).unwrap_or_default();
        self.keep_fused(FUSED, Some(&heard), weights);
    }

    /// Fits how much the last model, ranking and signs say on incidents that are not scored, and
    /// joins them so; the same of ranking and signs alone.
    ///
    /// # Errors
    /// A failure of the model.
    pub(super) fn calibrate(&mut self, asked: &mut Asked, precision: f64) -> Result<Fitted> {
        let Laboratory { held_out, causes, .. } = &self.laboratory;
        let (_, heard) = answers(held_out, asked, &Manner::plain(causes), false)?;
        let fit = |heard: &[Heard], start: &Weights| {
            let described = |(index, it): (usize, &Example)| {
                pairs(&it.pack, causes, &it.suspects, heard.get(index))
            };
            let described: Vec<_> = held_out.iter().enumerate().map(described).collect();
            let weights = eval::fit::weights(held_out, &described, start);
            eval::fit::sharpened(held_out, &described, &weights, causes)
        };
        let (weights, alone) = (fit(&heard, &Weights::TUNED), fit(&[], &Weights::ALONE));
        let said: Vec<_> =
            held_out.iter().zip(&heard).map(|(a, b)| fused(a, Some(b), &weights, causes)).collect();
        let threshold = eval::fit::threshold(held_out, &said, precision);
        let incidents = held_out.len();
        self.fuse(&weights);
        self.keep_fused("ranking and signs, fitted", None, &alone);
        Ok(Fitted { weights, alone, threshold, precision, incidents })
    }

    /// Asks a model about all incidents, for evidence too if `cite`.
    ///
    /// # Errors
    /// A failure of the model.
    pub(crate) fn ask(&mut self, name: &str, asked: &mut Asked, cite: bool) -> Result<()> {
        let manner = Manner::plain(&self.laboratory.causes);
        let said = answers(&self.laboratory.test, asked, &manner, cite)?;
        self.keep(name, said);
        Ok(())
    }

    /// Looks at the form of the last model's answers where no grammar holds them.
    ///
    /// # Errors
    /// A failure of the model.
    pub(crate) fn look_unheld(&mut self, asked: &mut Asked) -> Result<()> {
        let manner = Manner::plain(&self.laboratory.causes);
        let looked_at = self.laboratory.test.iter().take(UNHELD);
        let valid: Vec<f64> = asked.analyst(&manner, |analyst| {
            let valid = |example| Ok(f64::from(u8::from(is_valid_unheld(analyst, example)?)));
            looked_at.map(valid).collect::<Result<_>>()
        })?;
        if let Some(said) = self.said.last_mut() {
            said.valid_unheld = Interval::of(&valid, self.laboratory.seed);
        }
        Ok(())
    }

    /// Compares all others with the last model: with what was tuned, and not with a control.
    pub(super) fn compare_last(&mut self) {
        if let Some(said) = self.said.last_mut() {
            said.is_target = true;
        }
    }

    /// Asks a model that is shown a few solved incidents before each question.
    ///
    /// # Errors
    /// A failure of the model.
    pub(crate) fn ask_with_examples(&mut self, name: &str, asked: &mut Asked) -> Result<()> {
        let shots = self.laboratory.shots();
        let manner = Manner { examples: &shots, ..Manner::plain(&self.laboratory.causes) };
        let said = answers(&self.laboratory.test, asked, &manner, false)?;
        self.keep(name, said);
        Ok(())
    }

    /// Every method's scores, in order; behind them the mean of the models that all others are
    /// compared with, if there are several.
    pub(crate) fn scores(&self) -> Vec<Score> {
        let Laboratory { test, seed, .. } = &self.laboratory;
        let score = |it: &Said| {
            let score = Score::of(&it.name, test, &it.predictions, *seed);
            Score { valid_unheld: it.valid_unheld, ..score }
        };
        let mean = (self.targets().len() > 1).then(|| self.score_of_target());
        self.said.iter().map(score).chain(mean).collect()
    }

    /// How well the models do that all others are compared with, as a mean over them.
    pub(super) fn score_of_target(&self) -> Score {
        let Laboratory { test, seed, .. } = &self.laboratory;
        let targets = self.targets();
        Score::of_runs(&name_of(&targets), test, &runs(&targets), *seed)
    }

    /// Those that all others are compared with; where none was named, whoever was asked last.
    fn targets(&self) -> Vec<&Said> {
        let named: Vec<_> = self.said.iter().filter(|it| it.is_target).collect();
        let asked =
            self.said.iter().rev().find(|it| !it.name.starts_with(ALONE) && it.name != FUSED);
        if named.is_empty() { asked.into_iter().collect() } else { named }
    }

    /// How much better the target is than every other method, and how much better it is together
    /// with ranking and signs.
    fn differences(&self) -> Vec<Difference> {
        let fused: Vec<_> = self.said.iter().filter(|it| it.name == FUSED).collect();
        let mut differences = self.differences_to(&self.targets());
        if !fused.is_empty() {
            differences.retain(|it| it.from != FUSED);
            differences.extend(self.differences_to(&fused));
        }
        differences
    }

    fn differences_to(&self, targets: &[&Said]) -> Vec<Difference> {
        let Laboratory { test, seed, .. } = &self.laboratory;
        let (name, after) = (name_of(targets), runs(targets));
        let is_other = |it: &&Said| targets.iter().all(|target| target.name != it.name);
        let difference = |it: &Said| {
            let before: [&[Prediction]; 1] = [&it.predictions];
            Difference::between((&it.name, &before), (&name, &after), test, *seed)
        };
        self.said.iter().filter(is_other).map(difference).collect()
    }

    /// A table and all numbers.
    pub(crate) fn findings(&self) -> (String, Value) {
        let Laboratory { train, test, overlap, .. } = &self.laboratory;
        let (scores, differences) = (self.scores(), self.differences());
        let found: Vec<_> =
            counts(test).iter().map(|(case, n)| format!("{n} {}", case.name())).collect();
        let Overlap { train: checked, leaks, near_duplicates } = overlap;
        let mut text = format!(
            "{} test incidents: {}; {} training incidents\nprompts that name a cause outside of the \
             options: {leaks}; nearly the same in the test and in {checked} of training: \
             {near_duplicates}\n\n",
            test.len(),
            found.join(", "),
            train.len()
        );
        text.push_str(&score_table(&scores));
        text.push_str(&difference_lines(&differences));
        let cases: serde_json::Map<_, _> =
            counts(test).into_iter().map(|(case, n)| (case.name().to_owned(), n.into())).collect();
        let json = json!({
            "cases": cases,
            "train": train.len(),
            "train_checked": checked,
            "leaks": leaks,
            "near_duplicates": near_duplicates,
            "scores": scores,
            "differences": differences,
        });
        (text, json)
    }
}

/// What a model says about each of these incidents.
fn answers(
    examples: &[Example],
    asked: &mut Asked,
    manner: &Manner<'_>,
    cite: bool,
) -> Result<(Vec<Prediction>, Vec<Heard>)> {
    let mut progress = Progress::new("asking", Some(examples.len() as u64));
    asked.analyst(manner, |analyst| {
        let mut said = (Vec::with_capacity(examples.len()), Vec::with_capacity(examples.len()));
        for example in examples {
            let (prediction, heard) = ask(analyst, example, cite)?;
            said.0.push(prediction);
            said.1.push(heard);
            progress.at(said.0.len() as u64, || "incidents".to_owned());
        }
        Ok(said)
    })
}

/// What one model or the mean of several is called.
fn name_of(targets: &[&Said]) -> String {
    match targets {
        [one] => one.name.clone(),
        several => format!("tuned, mean of {} seeds", several.len()),
    }
}

fn runs<'a>(targets: &[&'a Said]) -> Vec<&'a [Prediction]> {
    targets.iter().map(|it| it.predictions.as_slice()).collect()
}

/// What a table of scores says in one column.
pub(super) type Column = (&'static str, fn(&Score) -> String);

/// Causes of known faults.
pub(super) const CAUSES: [Column; 2] = [
    ("cause top-1", |it| share(it.known.as_ref().map(|it| &it.cause_top1))),
    ("top-3", |it| mean(it.known.as_ref().map(|it| &it.cause_top3))),
];
/// Their services.
const SERVICES: [Column; 2] = [
    ("service top-1", |it| share(it.known.as_ref().map(|it| &it.service_top1))),
    ("top-3", |it| mean(it.known.as_ref().map(|it| &it.service_top3))),
];
/// All cases, and what confidence is worth.
pub(super) const ALL: [Column; 3] = [
    ("all", |it| mean(it.all.as_ref().map(|it| &it.cause_top1))),
    ("ECE", |it| number(Some(it.calibration.expected_error))),
    ("AUROC", |it| number(it.abstention.map(|it| it.auroc))),
];

/// Methods in rows.
pub(super) fn rows(scores: &[Score], columns: &[&[Column]]) -> String {
    let columns = columns.concat();
    let head = columns.iter().map(|(name, _)| (*name).to_owned());
    let mut rows = vec![std::iter::once("method".to_owned()).chain(head).collect::<Vec<_>>()];
    rows.extend(scores.iter().map(|score| {
        let cells = columns.iter().map(|(_, say)| say(score));
        std::iter::once(score.method.clone()).chain(cells).collect()
    }));
    table(&rows)
}

/// Methods in rows, and what does not go into them.
fn score_table(scores: &[Score]) -> String {
    let lines: String = scores.iter().map(lines).collect();
    format!("{}{lines}", rows(scores, &[&CAUSES, &SERVICES, &ALL]))
}

/// The mean, without its interval.
fn mean(interval: Option<&Interval>) -> String {
    number(interval.map(|it| it.mean))
}

/// A share, or a dash where there is none.
fn number(share: Option<f64>) -> String {
    share.map_or("-".into(), |share| format!("{share:.2}"))
}

/// What of a score does not go into a table.
fn lines(score: &Score) -> String {
    let name = &score.method;
    let mut text = String::new();
    if let Some(cited) = &score.citations {
        text.push_str(&format!(
            "{name} cites evidence that supports in {:.2} of all cases, at random {:.2}; {:.2} of \
             its answers cite some that supports; by the grammar what it cites exists, in {:.2}\n",
            cited.support, cited.at_random, cited.grounded, cited.exist
        ));
    }
    if let Some(valid) = &score.valid_unheld {
        let Interval { mean, count, .. } = valid;
        text.push_str(&format!(
            "{name} writes valid answers without the grammar in {mean:.2} of {count}\n"
        ));
    }
    if let Some(silent) = &score.abstention {
        text.push_str(&format!(
            "{name} names no fault in {} of healthy windows, {} of held-out faults, {} of known ones\n",
            number(silent.healthy),
            number(silent.held_out),
            number(silent.known)
        ));
    }
    text
}

fn difference_lines(differences: &[Difference]) -> String {
    let line = |it: &Difference| {
        let cause = it.cause_top1.as_ref();
        let (cause, service) = (share(cause), share(it.service_top1.as_ref()));
        format!(
            "{} minus {} in cause top-1: {cause}, in service top-1: {service}\n",
            it.to, it.from
        )
    };
    differences.iter().map(line).collect()
}

/// Asks everybody.
pub(super) fn suite(args: &EvalArgs, machine: &Machine, subjects: &[Subject]) -> Result<Incidents> {
    let sizes = Sizes {
        train: args.train,
        test: args.count,
        budget: args.budget,
        seed: args.seed,
        train_seed: args.seed,
        held_out: if args.calibrate.is_some() { args.held_out } else { 0 },
    };
    let mut incidents: Option<Incidents> = None;
    for subject in subjects {
        let mut asked = subject.open(machine)?;
        let incidents = match &mut incidents {
            Some(incidents) => incidents,
            none => none.insert(Incidents::new(Laboratory::new(&asked.voice, &sizes)?)),
        };
        if subject.adapter.is_none() {
            incidents.ask_with_examples("few-shot base", &mut asked)?;
        }
        incidents.ask(&subject.name, &mut asked, true)?;
        incidents.look_unheld(&mut asked)?;
        if subject.adapter.is_some() {
            incidents.compare_last();
        }
        if subject.adapter.is_some() == args.adapter.is_some() {
            // The model that is asked about in the end.
            match &args.calibrate {
                Some(file) => {
                    let fitted = incidents.calibrate(&mut asked, args.precision)?;
                    let text = format!("{:#}\n", json!(fitted));
                    files::write_atomic(file, |out| out.write_all(text.as_bytes()))?;
                }
                None => incidents.fuse(&Weights::TUNED),
            }
        }
    }
    incidents.ok_or_else(|| crate::exit::usage("there is no model to ask"))
}
