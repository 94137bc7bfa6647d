//! The logits of every position of a list of ids, by the training forward.

use crate::{Error, Result};
use model::{Batch, Model, Pass, Place, Policy, Step, StepOptions};
use ops::Backend;
use ops::linear_cross_entropy::IGNORED;

/// Rows of logits that are computed at a time.
const ROWS: usize = 64;

/// A laid-out forward over one list of ids.
#[derive(Clone, Debug)]
pub struct AllLogits {
    step: Step,
}

impl AllLogits {
    /// Lays out lists of at most `length` ids on top of a laid-out model; it only allocates. On
    /// [`ops::Dry`], followed by [`AllLogits::run`] over `length` ids, this is the plan.
    ///
    /// # Errors
    /// When `length` is 0 or more than the model has positions.
    pub fn layout<B: Backend>(backend: &mut B, model: &Model, length: usize) -> Result<AllLogits> {
        let positions = model.spec().positions;
        if !(1..=positions).contains(&length) {
            let expected = format!("1 to {positions}, the longest sequence of this model");
            return Err(Error::Option { name: "length", value: length, expected });
        }
        let options = StepOptions {
            tokens: length,
            document: length,
            tile: length,
            policies: vec![Policy::Recompute; model.config().layers],
            chunk: ROWS.min(length),
            pass: Pass::Loss,
        };
        Ok(AllLogits { step: Step::layout(backend, model, &options) })
    }

    /// The logits (T,V) after each of `ids` (T), handed out in blocks of whole rows, in order.
    ///
    /// # Errors
    /// No id, more of them than the layout has room for, one outside of the vocabulary, or what the
    /// backend reports.
    pub fn run<B: Backend>(
        &self,
        backend: &mut B,
        model: &Model,
        ids: &[u32],
        each: impl FnMut(&[f32]),
    ) -> Result<()> {
        let most = self.step.options().tokens;
        if !(1..=most).contains(&ids.len()) {
            let expected = format!("1 to {most}");
            return Err(Error::Option { name: "length", value: ids.len(), expected });
        }
        let mut batch = Batch::default();
        let labels = vec![IGNORED; ids.len()];
        let vocab = model.config().vocab;
        if let Err(Place::Token { index, .. }) = batch.push(model.config(), ids, &labels) {
            return Err(Error::Token { index, id: ids[index], vocab });
        }
        Ok(self.step.logits(backend, model, &batch, each)?)
    }
}
