//! The step itself: a window of micro-batches forward and backward, then the optimizer, on buffers
//! that were laid out beforehand. After the first step none of it allocates.

use crate::job::Job;
use crate::optimizer::{Optimizer, Update};
use crate::recipe::OptimizerSection;
use crate::{Error, NotFinite, Result, checkpoint};
use model::{Batch, Checkpoint, Model, Origin, Pass, Place, Spec, Step, StepOptions};
use ops::Backend;
use ops::backend::Mark;
use ops::linear_cross_entropy::IGNORED;
use std::collections::BTreeMap;
use text::dataset::Doc;

/// What a window of micro-batches came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Mean loss over all trained tokens of the window.
    pub loss: f64,
    /// Tokens that went through the model.
    pub tokens: usize,
    /// Tokens that were trained.
    pub trained: usize,
}

/// Losses of held-out documents, means per trained token in nats.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOut {
    /// Over all of them.
    pub loss: f64,
    /// Over those of each collection, a directory's, a file's or an id's name.
    pub by_source: BTreeMap<String, f64>,
}

/// Collections that are told apart; where sources have more names than that, the names say nothing.
const MOST_COLLECTIONS: usize = 12;

/// What a document's source belongs to: its name up to the first `/`, `:` or `#`, without a number at
/// the end. Documents of a directory share its name, records of a file that of the file or of their ids.
fn collection(source: &str) -> &str {
    let name = source.split(['/', ':', '#']).next().unwrap_or(source);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-' || c == '_');
    if bare.is_empty() { name } else { bare }
}

/// A laid-out training run: model, optimizer, step and the host's side of a batch.
#[derive(Debug)]
pub struct Trainer {
    model: Model,
    optimizer: Optimizer,
    options: StepOptions,
    /// Below it stand model and optimizer, above it the step of training or that of evaluation.
    mark: Mark,
    step: Step,
    batch: Batch,
    losses: Vec<f32>,
}

/// Tokens of a document that have a target.
pub(crate) fn trained_tokens(doc: &Doc<'_>) -> usize {
    doc.labels.iter().skip(1).filter(|label| **label != IGNORED).count()
}

impl Trainer {
    /// Lays out everything that training and evaluation need. [`Trainer::fill`] must follow before the
    /// first step.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape than the configuration says.
    pub fn layout<B: Backend>(
        backend: &mut B,
        job: &Job,
        options: &StepOptions,
    ) -> Result<Trainer> {
        let optimizer = &job.recipe().optimizer;
        Trainer::layout_for(backend, job.spec(), &job.origin(None), optimizer, options)
    }

    /// The same of the parts of a job.
    pub(crate) fn layout_for<B: Backend>(
        backend: &mut B,
        spec: &Spec,
        origin: &Origin<'_>,
        optimizer: &OptimizerSection,
        options: &StepOptions,
    ) -> Result<Trainer> {
        let model = Model::layout(backend, spec, origin)?;
        let optimizer = Optimizer::layout(backend, model.params(), optimizer);
        let (tokens, options) = (options.tokens, options.clone());
        let mark = backend.mark();
        let step = Step::layout(backend, &model, &options);
        let mut batch = Batch::default();
        let Batch { ids, positions, first, visible, targets } = &mut batch;
        for list in [ids, positions, first, visible] {
            list.reserve_exact(tokens);
        }
        targets.reserve_exact(tokens);
        Ok(Trainer { model, optimizer, options, mark, step, batch, losses: vec![0.0; tokens] })
    }

    /// Fills the model, and the moments from a checkpoint.
    ///
    /// # Errors
    /// When a weight is not finite or a file does not fit the model.
    pub fn fill<B: Backend>(
        &mut self,
        backend: &mut B,
        job: &Job,
        resumed: Option<&crate::checkpoint::Weights>,
    ) -> Result<()> {
        let Some(resumed) = resumed else {
            self.model.fill(backend, &job.origin(None))?;
            return Ok(backend.finish()?);
        };
        let directory = resumed.moments.directory();
        let filled = self.model.fill(backend, &job.origin(Some(&resumed.trained)));
        let loaded = filled
            .map_err(Error::from)
            .and_then(|()| self.optimizer.load(backend, self.model.params(), &resumed.moments));
        loaded.map_err(|error| checkpoint::damaged_tensor(error, directory))?;
        Ok(backend.finish()?)
    }

    /// Sets the trained tensors to those of a checkpoint, leaving everything else.
    ///
    /// # Errors
    /// As [`Trainer::fill`].
    pub(crate) fn replace<B: Backend>(
        &mut self,
        backend: &mut B,
        job: &Job,
        trained: &Checkpoint,
    ) -> Result<()> {
        assert!(job.recipe().trains_everything(), "an adapter's files are copied instead");
        self.model.fill(backend, &job.origin(Some(trained)))?;
        Ok(())
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Host bytes that it holds beside the backend's own.
    pub(crate) fn host_bytes(&self) -> usize {
        let batch = 5 * 4 * self.options.tokens;
        batch + self.losses.len() * 4 + self.optimizer.host_bytes()
    }

    /// Forward and backward of all micro-batches of a window, each a list of documents. Gradients are
    /// divided by the trained tokens of the whole window, which are counted first.
    ///
    /// # Errors
    /// A loss that is not finite, with the samples that have it; or what the backend reports.
    ///
    /// # Panics
    /// When no token of the window is trained.
    pub fn window<'a, B: Backend>(
        &mut self,
        backend: &mut B,
        job: &Job,
        window: impl Iterator<Item = &'a [usize]> + Clone,
    ) -> Result<Window> {
        let docs = window.clone().flatten().map(|&index| job.dataset().doc(index));
        let trained: usize = docs.map(|doc| trained_tokens(&doc)).sum();
        assert!(trained > 0, "a window without a trained token");
        let (mut sum, mut tokens) = (0.0, 0);
        for documents in window {
            self.load(job, documents)?;
            tokens += self.batch.tokens();
            sum += self.run(backend, 1.0 / trained as f32)?;
            if !sum.is_finite() {
                return Err(self.not_finite(job, documents));
            }
        }
        Ok(Window { loss: sum / trained as f64, tokens, trained })
    }

    /// The optimizer's step. Returns the norm of the gradients before clipping; where that is not
    /// finite, nothing was changed.
    ///
    /// # Errors
    /// What the backend reports.
    pub fn update<B: Backend>(&mut self, backend: &mut B, update: Update) -> Result<f64> {
        self.optimizer.step(backend, self.model.params(), update)
    }

    /// Mean losses per trained token over micro-batches of held-out documents. The step of evaluation
    /// stands where that of training stands, which is laid out again afterwards.
    ///
    /// # Errors
    /// As [`Trainer::window`].
    pub fn evaluate<B: Backend>(
        &mut self,
        backend: &mut B,
        job: &Job,
        micro_batches: &[Vec<usize>],
    ) -> Result<HeldOut> {
        self.exchange(backend, Pass::Loss);
        let result = self.measure(backend, job, micro_batches);
        self.exchange(backend, Pass::Gradients);
        result
    }

    fn measure<B: Backend>(
        &mut self,
        backend: &mut B,
        job: &Job,
        micro_batches: &[Vec<usize>],
    ) -> Result<HeldOut> {
        let (mut sum, mut trained) = (0.0, 0);
        let mut sources: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for documents in micro_batches {
            self.load(job, documents)?;
            trained += self.batch.trained();
            sum += self.run(backend, 1.0)?;
            if !sum.is_finite() {
                return Err(self.not_finite(job, documents));
            }
            let mut losses = &self.losses[..];
            for doc in documents.iter().map(|&index| job.dataset().doc(index)) {
                let own = losses.split_off(..doc.ids.len()).expect("the documents fill the batch");
                let source = sources.entry(collection(doc.source)).or_default();
                source.0 += own.iter().map(|&loss| f64::from(loss)).sum::<f64>();
                source.1 += trained_tokens(&doc);
            }
        }
        sources.retain(|_, (_, trained)| *trained > 0);
        if sources.len() > MOST_COLLECTIONS {
            sources.clear();
        }
        let by_source = sources
            .into_iter()
            .map(|(name, (sum, trained))| (name.to_owned(), sum / trained as f64));
        Ok(HeldOut { loss: sum / trained as f64, by_source: by_source.collect() })
    }

    /// Lays out the step of `pass` in place of the present one.
    pub(crate) fn exchange<B: Backend>(&mut self, backend: &mut B, pass: Pass) {
        backend.release(self.mark);
        let options = StepOptions { pass, ..self.options.clone() };
        self.step = Step::layout(backend, &self.model, &options);
    }

    /// Runs the present step on the loaded micro-batch; returns the sum of its losses.
    ///
    /// # Errors
    /// What the backend reports: a device that failed reads as zeros, which would be a fine loss.
    pub(crate) fn run<B: Backend>(&mut self, backend: &mut B, scale: f32) -> Result<f64> {
        self.step.run(backend, &self.model, &self.batch, scale);
        let losses = &mut self.losses[..self.batch.tokens()];
        self.step.losses(backend, losses);
        backend.finish()?;
        Ok(losses.iter().map(|&loss| f64::from(loss)).sum())
    }

    /// Lays the documents of a micro-batch end to end.
    fn load(&mut self, job: &Job, documents: &[usize]) -> Result<()> {
        self.batch.clear();
        for &index in documents {
            let doc = job.dataset().doc(index);
            self.batch.push(self.model.config(), doc.ids, doc.labels).map_err(|place: Place| {
                let message = format!("document {}: {place}", doc.source);
                Error::mismatch(&job.recipe().data.directory, message)
            })?;
        }
        Ok(())
    }

    /// Loads the largest micro-batch that there can be: as many of the longest documents as fit.
    pub(crate) fn load_bound(&mut self) {
        self.batch.clear();
        let tokens = self.options.tokens;
        while self.batch.tokens() < tokens {
            let len = self.options.document.min(tokens - self.batch.tokens());
            let (ids, labels) = (vec![0; len], vec![0; len]);
            self.batch.push(self.model.config(), &ids, &labels).expect("token 0 exists");
        }
    }

    /// The documents of the loaded micro-batch whose loss is not finite.
    fn not_finite(&self, job: &Job, documents: &[usize]) -> Error {
        let mut start = 0;
        let bad = documents.iter().filter_map(|&index| {
            let doc = job.dataset().doc(index);
            let losses = &self.losses[start..start + doc.ids.len()];
            start += doc.ids.len();
            losses.iter().any(|loss| !loss.is_finite()).then_some(doc.source)
        });
        let sources = crate::error::list_sources(bad);
        Error::NotFinite { step: 0, what: NotFinite::Loss, sources }
    }
}

#[cfg(test)]
mod tests {
    use super::collection;

    #[test]
    fn a_source_belongs_to_its_directory_file_or_kind_of_id() {
        for (source, expected) in [
            ("postmortems/2021 - ADFS outage.md#3", "postmortems"),
            ("records.jsonl:12", "records.jsonl"),
            ("notes.md#2", "notes.md"),
            ("train-1-000042", "train"),
            ("42", "42"),
        ] {
            assert_eq!(collection(source), expected);
        }
    }
}
