//! Simulated incidents as examples, and what a language model says about them.

use crate::example::{Case, Example, Prediction};
use crate::interval::Interval;
use crate::score::{Abstention, Accuracy, Calibration, Citations, Hits, citations};
use lab::{Settings, Simulated};
use serde::{Deserialize, Serialize};
use sre::analyst::{Analyst, AnalystError, Opinion, pack};
use sre::answer::{MOST_CITED, NO_SERVICE, Said};
use sre::cause::Cause;
use sre::evidence::Pack;
use sre::fusion::{Heard, Suspects, Weights, pairs};
use sre::sign;
use std::ops::Range;
use text::duplicates::{Pair, between};
use text::llm::{GenerateRequest, Sampling};

#[cfg(test)]
mod tests;

/// Most tokens of an answer that no grammar holds.
const FREE_TOKENS: usize = 120;

/// How much of an incident is shown.
pub struct Shown<'a> {
    /// Most tokens of a pack.
    pub budget: usize,
    /// Counts tokens.
    pub tokens: &'a (dyn Fn(&str) -> text::Result<usize> + Sync),
}

/// The incidents of these numbers, as a method gets to see them, with the right answers.
///
/// # Errors
/// A budget that is too small for the services, or text that cannot be counted.
pub fn examples(
    settings: &Settings,
    numbers: Range<u64>,
    shown: &Shown<'_>,
) -> Result<Vec<Example>, AnalystError> {
    let causes = settings.causes();
    let made = lab::many(settings, numbers, |simulated| {
        let pack = pack(&simulated.incident, shown.budget, &causes, false, shown.tokens)?;
        Ok(example(&simulated, pack, settings))
    });
    made.into_iter().collect()
}

fn example(simulated: &Simulated, pack: Pack, settings: &Settings) -> Example {
    let said = simulated.record(&pack);
    let truth = &simulated.truth;
    let case = match truth {
        _ if truth.fault == Cause::None => Case::Healthy,
        _ if truth.second.is_some() => Case::Two,
        _ if settings.held_out_faults.contains(&truth.fault) => Case::HeldOut,
        _ if said.cause == Cause::Unknown => Case::Thin,
        _ => Case::Known,
    };
    let second = truth.second.as_ref();
    let names = truth.service.iter().chain(second.map(|(service, _)| service));
    Example {
        id: simulated.incident.id.clone(),
        case,
        cause: said.cause,
        second_cause: second.map(|(_, cause)| *cause),
        services: names.filter_map(|name| pack.label(name)).collect(),
        support: truth.evidence.clone(),
        answer: said.text(),
        suspects: Suspects::of(&simulated.incident, &pack),
        pack,
    }
}

/// What the model finds probable on its own, and, if `cite`, which evidence it names under the grammar;
/// and all that was heard, for those who know more.
///
/// # Errors
/// A prompt that does not fit the model, or a failure of the model.
pub fn ask(
    analyst: &mut Analyst<'_>,
    example: &Example,
    cite: bool,
) -> Result<(Prediction, Heard), AnalystError> {
    let heard = analyst.hear(&example.pack, &example.suspects)?;
    let opinion = Opinion::alone(&heard, analyst.causes);
    let cited = match cite {
        true => Some(analyst.answer(&example.pack, &opinion, &[])?.0.evidence),
        false => None,
    };
    Ok((Prediction { causes: opinion.causes, services: opinion.services, cited }, heard))
}

/// What the ranking says of an incident: services in shares of their scores; of causes, that there is
/// one or none, and not which.
pub fn ranked(example: &Example, causes: &[Cause]) -> Prediction {
    let Suspects { scores, .. } = &example.suspects;
    let total: f64 = scores.iter().map(|(_, score)| score).sum();
    let mut services: Vec<(String, f64)> =
        example.pack.labels().into_iter().map(|label| (label, 0.0)).collect();
    for (label, share) in &mut services {
        let score = scores.iter().find(|(known, _)| known == label).map_or(0.0, |(_, it)| *it);
        *share = if total > 0.0 { score / total } else { 0.0 };
    }
    services.push((NO_SERVICE.to_owned(), f64::from(u8::from(scores.is_empty()))));
    let likely = if scores.is_empty() { Cause::None } else { Cause::Unknown };
    let share = |cause: &Cause| (*cause, f64::from(u8::from(*cause == likely)));
    Prediction::new(causes.iter().map(share).collect(), services)
}

/// What ranking and signs say of an incident, with a model where one was heard.
pub fn fused(
    example: &Example,
    heard: Option<&Heard>,
    weights: &Weights,
    causes: &[Cause],
) -> Prediction {
    let pairs = pairs(&example.pack, causes, &example.suspects, heard);
    let opinion = Opinion::fused(&pairs, weights, causes);
    let cited = sign::telling(opinion.cause(), &opinion.service, &example.pack);
    let cited = cited.into_iter().take(MOST_CITED).map(str::to_owned).collect();
    let Opinion { causes, services, .. } = opinion;
    Prediction { causes, services, cited: Some(cited) }
}

/// Whether the model's answer is valid when nothing holds it to the schema: JSON of the right form
/// that names only what was shown and offered.
///
/// # Errors
/// As [`ask`].
pub fn is_valid_unheld(analyst: &mut Analyst<'_>, example: &Example) -> Result<bool, AnalystError> {
    let completion = analyst.llm.generate(&GenerateRequest {
        prompt: (analyst.frame)(&example.pack.prompt)?,
        max_tokens: FREE_TOKENS,
        sampling: Sampling::GREEDY,
        stop: Vec::new(),
        schema: None,
        deadline: None,
    })?;
    Ok(Said::parse(&completion.text).is_ok_and(|said| names_what_exists(&said, example, analyst)))
}

fn names_what_exists(said: &Said, example: &Example, analyst: &Analyst<'_>) -> bool {
    let pack = &example.pack;
    let service = said.service == sre::answer::NO_SERVICE || pack.service(&said.service).is_some();
    let shown = |id: &String| pack.items.iter().any(|item| item.id == *id);
    service && analyst.causes.contains(&said.cause) && said.evidence.iter().all(shown)
}

/// A method and everything that it scored on a list of examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The method's name.
    pub method: String,
    /// On single faults of kinds that training has.
    pub known: Option<Accuracy>,
    /// On two faults at once: one of them is enough.
    pub two: Option<Accuracy>,
    /// On all examples, those to which the right answer is "none" or "unknown" among them.
    pub all: Option<Accuracy>,
    /// Of the likeliest causes of all examples.
    pub calibration: Calibration,
    /// Silence where it is right.
    pub abstention: Option<Abstention>,
    /// Evidence; `None` for methods that cite nothing.
    pub citations: Option<Citations>,
    /// Share of answers that are valid where nothing holds them to the schema; `None` for methods
    /// that write nothing.
    pub valid_unheld: Option<Interval>,
}

impl Score {
    /// Of what a method said about these examples.
    pub fn of(method: &str, examples: &[Example], predictions: &[Prediction], seed: u64) -> Self {
        let accuracy = |cases: &[Case]| Hits::of(examples, predictions, cases).accuracy(seed);
        Self {
            method: method.to_owned(),
            known: accuracy(&[Case::Known]),
            two: accuracy(&[Case::Two]),
            all: accuracy(&Case::ALL),
            calibration: Calibration::of(examples, predictions),
            abstention: Abstention::of(examples, predictions),
            citations: citations(examples, predictions),
            valid_unheld: None,
        }
    }

    /// Of what a method said in several runs about these examples, as trained with different seeds.
    /// How often it is right is first averaged over the runs, example by example, so that its
    /// intervals are those of examples; the rest is of all answers together.
    pub fn of_runs(method: &str, examples: &[Example], runs: &[&[Prediction]], seed: u64) -> Self {
        let (repeated, said) = (vec![examples; runs.len()].concat(), runs.concat());
        let accuracy = |cases: &[Case]| Hits::of_runs(examples, runs, cases).accuracy(seed);
        Self {
            known: accuracy(&[Case::Known]),
            two: accuracy(&[Case::Two]),
            all: accuracy(&Case::ALL),
            ..Self::of(method, &repeated, &said, seed)
        }
    }
}

/// How much better one method is than another on the same examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// What is subtracted.
    pub from: String,
    /// From what.
    pub to: String,
    /// In the share of right likeliest causes, on single faults of known kinds.
    pub cause_top1: Option<Interval>,
    /// In the share of right likeliest services, on the same.
    pub service_top1: Option<Interval>,
}

impl Difference {
    /// Between two methods' predictions, example by example; of a method with several runs, their
    /// mean.
    pub fn between(
        (from, before): (&str, &[&[Prediction]]),
        (to, after): (&str, &[&[Prediction]]),
        examples: &[Example],
        seed: u64,
    ) -> Self {
        let hits = |runs| Hits::of_runs(examples, runs, &[Case::Known]);
        let (before, after) = (hits(before), hits(after));
        Self {
            from: from.to_owned(),
            to: to.to_owned(),
            cause_top1: Interval::of_difference(&before.cause_top1, &after.cause_top1, seed),
            service_top1: Interval::of_difference(&before.service_top1, &after.service_top1, seed),
        }
    }
}

/// How many examples there are of each kind of case.
pub fn counts(examples: &[Example]) -> Vec<(Case, usize)> {
    let of = |case| (case, examples.iter().filter(|it| it.case == case).count());
    Case::ALL.into_iter().map(of).collect()
}

/// Lists of examples in which a label of a cause stands outside of the list of options, in capitals
/// or not: their ids. A right answer that can be read off is no answer.
pub fn leaks(examples: &[Example]) -> Vec<String> {
    let labels: Vec<_> =
        Cause::ALL.map(Cause::name).into_iter().filter(|name| name.contains('-')).collect();
    let leaks = |example: &&Example| {
        let evidence = evidence(example).to_lowercase();
        labels.iter().any(|label| evidence.contains(label))
    };
    examples.iter().filter(leaks).map(|example| example.id.clone()).collect()
}

/// Test examples whose evidence is nearly that of a training example, names of services and numbers
/// apart: a right answer to them may be remembered and not found. Healthy windows do not count: where
/// nothing happened, little differs but names and numbers.
pub fn duplicates(train: &[Example], test: &[Example]) -> Vec<Pair> {
    let texts = |examples: &[Example]| examples.iter().map(form).collect::<Vec<String>>();
    let mut pairs = between(&texts(train), &texts(test));
    pairs.retain(|pair| test[pair.test].case != Case::Healthy);
    pairs
}

/// Evidence without what differs between any two incidents: every service of its table has the same
/// name and every number is 0.
fn form(example: &Example) -> String {
    let mut names: Vec<&str> = example.pack.services.iter().map(String::as_str).collect();
    // The longest first: a name may be a part of another one.
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let mut shown = evidence(example).to_owned();
    for name in names {
        shown = shown.replace(name, "service");
    }
    let mut form = String::with_capacity(shown.len());
    for character in shown.chars() {
        match character.is_ascii_digit() {
            true if form.ends_with('0') => {}
            true => form.push('0'),
            false => form.push(character),
        }
    }
    form
}

/// A prompt without the list of options, which all share.
fn evidence(example: &Example) -> &str {
    let prompt = &example.pack.prompt;
    prompt.rfind("causes:").map_or(prompt.as_str(), |end| &prompt[..end])
}
