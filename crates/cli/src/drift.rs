//! How far a model in another form is from the one that is served: logits of a fixed text.

use crate::machine::{self, Machine};
use crate::weights::Source;
use anyhow::Result;
use engine::AllLogits;
use model::Model;
use ops::{Backend, Dry};
use serde_json::{Map, Value};
use std::path::Path;
use text::tokenizer::Tokenizer;

/// Prose whose logits are compared.
const TEXT: &str = include_str!("../../../datasets/general.md");
/// Tokens of it.
const TOKENS: usize = 96;

/// The ids of a text that every form of a model is compared on; without a tokenizer some ids of the
/// model.
///
/// # Errors
/// A tokenizer that is damaged.
pub(crate) fn ids(model: &Path, vocab: usize, context: usize) -> Result<Vec<u32>> {
    let file = Tokenizer::file_in(model);
    let mut ids: Vec<u32> = if file.is_file() {
        Tokenizer::from_file(&file)?.encode(TEXT)?
    } else {
        (0..TOKENS).map(|at| ((at * 7919 + 13) % vocab) as u32).collect()
    };
    ids.truncate(TOKENS.min(context));
    Ok(ids)
}

/// The logits (lists, T, V) of lists of T ids each.
///
/// # Errors
/// Weights that are damaged, or memory that is not there.
pub(crate) fn logits(machine: &Machine, source: &Source, lists: &[Vec<u32>]) -> Result<Vec<f32>> {
    let length = lists[0].len();
    let spec = source.spec(length);
    let mut dry = Dry::new(machine.target());
    let planned = Model::layout(&mut dry, &spec, &source.origin())?;
    AllLogits::layout(&mut dry, &planned, length)?.run(&mut dry, &planned, &lists[0], |_| {})?;
    let mut backend = machine::backend(machine, dry.trace().peak)?;
    let mut model = Model::layout(&mut backend, &spec, &source.origin())?;
    model.fill(&mut backend, &source.origin())?;
    let pass = AllLogits::layout(&mut backend, &model, length)?;
    let mut logits = Vec::with_capacity(lists.len() * length * source.config.vocab);
    for list in lists {
        pass.run(&mut backend, &model, list, |rows| logits.extend_from_slice(rows))?;
    }
    Ok(logits)
}

/// How far logits are from those that were expected.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drift {
    /// The largest difference as a share of the largest logit.
    most: f64,
    /// The root of the mean square of all differences, likewise.
    root_mean_square: f64,
    /// How often the likeliest token is the same.
    agreement: f64,
    /// The mean of KL(expected || found) over the positions, in nats.
    divergence: f64,
}

impl Drift {
    /// Of logits of so many positions.
    pub(crate) fn of(expected: &[f32], found: &[f32], positions: usize) -> Drift {
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
        let rows = expected.chunks(vocab).zip(found.chunks(vocab));
        let divergence: f64 = rows.map(|(a, b)| divergence(a, b)).sum();
        Drift {
            divergence: divergence / positions as f64,
            most,
            root_mean_square: (squares / expected.len() as f64).sqrt(),
            agreement: same as f64 / positions as f64,
        }
    }

    /// Refuses logits that are further away than that.
    ///
    /// # Errors
    /// They are.
    pub(crate) fn check(&self, most: f64, hint: &str) -> Result<()> {
        if self.most <= most {
            return Ok(());
        }
        Err(anyhow::anyhow!(
            "what was written gives other logits than what is served: {:.1} % of the largest apart, \
             expected at most {:.0} %; nothing is kept\nhint: {hint}",
            100.0 * self.most,
            100.0 * most
        ))
    }

    /// In lines of an answer.
    pub(crate) fn lines(&self) -> [(&'static str, String); 2] {
        [
            ("drift", format!("{:.2} % of the largest logit at most", 100.0 * self.most)),
            ("likeliest token", format!("the same in {:.1} %", 100.0 * self.agreement)),
        ]
    }

    /// What another way to compute does to answers.
    pub(crate) fn sentence(&self) -> String {
        format!(
            "KL {:.5} nats, the likeliest token is the same in {:.1} %",
            self.divergence,
            100.0 * self.agreement
        )
    }

    /// In fields of an answer.
    pub(crate) fn json(&self) -> Map<String, Value> {
        let fields = [
            ("drift_most", self.most),
            ("drift_root_mean_square", self.root_mean_square),
            ("agreement", self.agreement),
            ("divergence", self.divergence),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}

/// KL(expected || found) of the distributions of two rows of logits, in nats.
fn divergence(expected: &[f32], found: &[f32]) -> f64 {
    let normalizer = |row: &[f32]| {
        let most = row.iter().fold(f32::NEG_INFINITY, |most, it| most.max(*it));
        let sum: f64 = row.iter().map(|it| f64::from(it - most).exp()).sum();
        f64::from(most) + sum.ln()
    };
    let (a, b) = (normalizer(expected), normalizer(found));
    let terms = expected.iter().zip(found).map(|(&x, &y)| {
        let log = f64::from(x) - a;
        log.exp() * (log - (f64::from(y) - b))
    });
    terms.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divergence_is_that_of_the_distributions() {
        // Of (1/2, 1/2) from (1/4, 3/4): ln 2 - (ln 1 + ln 3) / 2 + ..., by hand 0.1438.
        let found = [0.25_f32.ln() + 7.0, 0.75_f32.ln() + 7.0];
        let drift = Drift::of(&[3.0, 3.0], &found, 1);
        assert!((drift.divergence - 0.143_841).abs() < 1e-5, "{}", drift.divergence);
        assert_eq!(Drift::of(&[1.0, 2.0], &[1.0, 2.0], 1).divergence, 0.0);
    }
}
