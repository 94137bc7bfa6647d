//! Scores of predictions: accuracy by case, citations, calibration and abstention.

use crate::example::{Case, Example, Prediction};
use crate::interval::Interval;
use serde::{Deserialize, Serialize};
use sre::cause::Cause;

#[cfg(test)]
mod tests;

/// Bins of the reliability diagram.
const BINS: usize = 10;

/// One method's scores on one kind of case, or on all of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Whether the likeliest cause is right.
    pub cause_top1: Interval,
    /// Whether a right cause is among the three likeliest.
    pub cause_top3: Interval,
    /// Whether the likeliest service is at fault.
    pub service_top1: Interval,
    /// Whether a service at fault is among the three likeliest.
    pub service_top3: Interval,
}

/// One value per example: 1 where the method was right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hits {
    /// The likeliest cause.
    pub cause_top1: Vec<f64>,
    /// The three likeliest causes.
    pub cause_top3: Vec<f64>,
    /// The likeliest service.
    pub service_top1: Vec<f64>,
    /// The three likeliest services.
    pub service_top3: Vec<f64>,
}

impl Hits {
    /// What was right among the examples of some kinds of case.
    pub fn of(examples: &[Example], predictions: &[Prediction], cases: &[Case]) -> Self {
        let mut hits = Self::default();
        for (example, prediction) in examples.iter().zip(predictions) {
            if !cases.contains(&example.case) {
                continue;
            }
            let hit = |right: bool| f64::from(u8::from(right));
            hits.cause_top1.push(hit(prediction.cause_in_top(example, 1)));
            hits.cause_top3.push(hit(prediction.cause_in_top(example, 3)));
            hits.service_top1.push(hit(prediction.service_in_top(example, 1)));
            hits.service_top3.push(hit(prediction.service_in_top(example, 3)));
        }
        hits
    }

    /// What was right in several runs over the same examples: for each example the mean over the
    /// runs.
    pub fn of_runs(examples: &[Example], runs: &[&[Prediction]], cases: &[Case]) -> Self {
        let hits: Vec<_> = runs.iter().map(|run| Self::of(examples, run, cases)).collect();
        Self {
            cause_top1: mean(&hits, |it| it.cause_top1.as_slice()),
            cause_top3: mean(&hits, |it| it.cause_top3.as_slice()),
            service_top1: mean(&hits, |it| it.service_top1.as_slice()),
            service_top3: mean(&hits, |it| it.service_top3.as_slice()),
        }
    }

    /// Their means with intervals; `None` without any example.
    pub fn accuracy(&self, seed: u64) -> Option<Accuracy> {
        Some(Accuracy {
            cause_top1: Interval::of(&self.cause_top1, seed)?,
            cause_top3: Interval::of(&self.cause_top3, seed)?,
            service_top1: Interval::of(&self.service_top1, seed)?,
            service_top3: Interval::of(&self.service_top3, seed)?,
        })
    }
}

/// Example by example, the mean of one measure over runs.
fn mean(runs: &[Hits], of: fn(&Hits) -> &[f64]) -> Vec<f64> {
    let mut sums: Vec<f64> = vec![0.0; runs.first().map_or(0, |run| of(run).len())];
    for run in runs {
        sums.iter_mut().zip(of(run)).for_each(|(sum, value)| *sum += *value);
    }
    sums.into_iter().map(|sum| sum / runs.len() as f64).collect()
}

/// What a method cites.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Citations {
    /// Share of cited ids that were shown. A grammar that knows no other ids makes it 1: it says
    /// nothing about a model.
    pub exist: f64,
    /// Share of cited ids that support the right answer.
    pub support: f64,
    /// What `support` is by chance: of all that was shown, the share that supports the right answer,
    /// as the mean over the same incidents.
    pub at_random: f64,
    /// Share of answers to incidents with support that cite at least one id that supports.
    pub grounded: f64,
}

/// What the methods cite in cases that have support; `None` where nothing is cited.
pub fn citations(examples: &[Example], predictions: &[Prediction]) -> Option<Citations> {
    let (mut cited, mut exist, mut support) = (0usize, 0usize, 0usize);
    let (mut answers, mut grounded, mut at_random) = (0usize, 0usize, 0.0);
    for (example, prediction) in examples.iter().zip(predictions) {
        let Some(ids) = &prediction.cited else { continue };
        if example.support.is_empty() {
            continue;
        }
        let supporting = ids.iter().filter(|id| example.support.contains(*id)).count();
        cited += ids.len();
        exist += ids.iter().filter(|id| example.pack.all.iter().any(|it| it.id == **id)).count();
        support += supporting;
        answers += 1;
        at_random += share_of_support(example);
        grounded += usize::from(supporting > 0);
    }
    let share = |part: usize, whole: usize| part as f64 / whole as f64;
    (cited > 0).then(|| Citations {
        exist: share(exist, cited),
        support: share(support, cited),
        at_random: at_random / answers as f64,
        grounded: share(grounded, answers),
    })
}

/// Share of what was shown that supports the right answer.
fn share_of_support(example: &Example) -> f64 {
    let shown = &example.pack.items;
    let support = shown.iter().filter(|item| example.support.contains(&item.id)).count();
    support as f64 / shown.len().max(1) as f64
}

/// One bin of a reliability diagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Predictions in it.
    pub count: usize,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
}

/// How well confidence tells how often the cause is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error (Naeini et al., AAAI 2015): the mean distance between confidence
    /// and accuracy over ten equal bins, weighted by their counts.
    pub expected_error: f64,
    /// The bins, from confidence 0 to 1.
    pub bins: Vec<Bin>,
}

impl Calibration {
    /// Of the likeliest causes.
    pub fn of(examples: &[Example], predictions: &[Prediction]) -> Self {
        let mut bins = vec![Bin::default(); BINS];
        for (example, prediction) in examples.iter().zip(predictions) {
            let Some((cause, confidence)) = prediction.cause() else { continue };
            let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
            bin.count += 1;
            bin.confidence += confidence;
            bin.accuracy += f64::from(u8::from(example.is_cause(cause)));
        }
        let total: usize = bins.iter().map(|bin| bin.count).sum();
        let mut expected_error = 0.0;
        for bin in bins.iter_mut().filter(|bin| bin.count > 0) {
            let count = bin.count as f64;
            bin.confidence /= count;
            bin.accuracy /= count;
            expected_error += count / total as f64 * (bin.confidence - bin.accuracy).abs();
        }
        Self { expected_error, bins }
    }
}

/// How far a method stays silent where it should. Its doubt is 1 minus the probability of the
/// likeliest cause that names a fault.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Abstention {
    /// Share of healthy windows in which the likeliest cause is "none" or "unknown"; `None`, here
    /// and below, where there is no such case.
    pub healthy: Option<f64>,
    /// Share of faults of held-out kinds in which it is "none" or "unknown".
    pub held_out: Option<f64>,
    /// Share of known faults in which it wrongly is.
    pub known: Option<f64>,
    /// How well doubt separates cases without a nameable fault from known ones: the area under the
    /// receiver operating characteristic, 0.5 where not at all.
    pub auroc: f64,
}

impl Abstention {
    /// Over examples that have both kinds of case; `None` otherwise.
    pub fn of(examples: &[Example], predictions: &[Prediction]) -> Option<Self> {
        let silent = |prediction: &Prediction| {
            matches!(prediction.cause(), Some((Cause::None | Cause::Unknown, _)) | None)
        };
        let share = |case: Case| {
            let of_case = examples.iter().zip(predictions).filter(|(it, _)| it.case == case);
            let (count, quiet) = of_case.fold((0usize, 0usize), |(count, quiet), (_, it)| {
                (count + 1, quiet + usize::from(silent(it)))
            });
            (count > 0).then(|| quiet as f64 / count as f64)
        };
        let doubts = |known: bool| -> Vec<f64> {
            let chosen = examples
                .iter()
                .zip(predictions)
                .filter(|(example, _)| matches!(example.case, Case::Known | Case::Two) == known);
            chosen.map(|(_, prediction)| doubt(prediction)).collect()
        };
        let auroc = area(&doubts(false), &doubts(true))?;
        Some(Self {
            healthy: share(Case::Healthy),
            held_out: share(Case::HeldOut),
            known: share(Case::Known),
            auroc,
        })
    }
}

fn doubt(prediction: &Prediction) -> f64 {
    let faults = prediction.causes.iter().find(|(cause, _)| cause.is_fault());
    1.0 - faults.map_or(0.0, |(_, probability)| *probability)
}

/// The chance that a value of `high` is above one of `low`, ties counting half (Mann and Whitney
/// 1947). `None` where either is empty.
pub fn area(high: &[f64], low: &[f64]) -> Option<f64> {
    if high.is_empty() || low.is_empty() {
        return None;
    }
    let mut low = low.to_vec();
    low.sort_by(f64::total_cmp);
    let above = |value: &f64| {
        let less = low.partition_point(|other| other < value);
        let not_more = low.partition_point(|other| other <= value);
        less as f64 + (not_more - less) as f64 / 2.0
    };
    Some(high.iter().map(above).sum::<f64>() / (high.len() * low.len()) as f64)
}
