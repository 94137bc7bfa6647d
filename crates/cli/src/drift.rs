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
        Drift {
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

    /// In fields of an answer.
    pub(crate) fn json(&self) -> Map<String, Value> {
        let fields = [
            ("drift_most", self.most),
            ("drift_root_mean_square", self.root_mean_square),
            ("agreement", self.agreement),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}
