//! Packing: which whole documents share a micro-batch.
//!
//! A micro-batch is a run of documents laid end to end, bounded in tokens and in documents; no
//! attention and no loss crosses a seam between them, so packing changes the speed of training
//! and not its meaning. No document is ever cut or left out.
//!
//! In file order the documents are taken one after another (next fit). Shuffled, an epoch is one
//! random order of all documents, taken in windows; inside a window the longest documents are
//! placed first, each into the fullest micro-batch that still has room (best fit decreasing), and
//! the finished micro-batches are shuffled once more, because best fit leaves the long documents
//! at the front.

use crate::random::Numbers;
use crate::{Error, Result};
use std::collections::BTreeSet;

#[cfg(test)]
mod tests;

/// Documents in a window of [`Order::Shuffled`] where nobody asks for another number. Larger
/// windows pack tighter; at this one the slack of post-mortem lengths is below one percent.
pub const WINDOW: usize = 4096;

/// In which order an epoch goes through the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they stand in the data set.
    File,
    /// In a random order that these numbers determine.
    Shuffled {
        /// The seed of the run.
        seed: u64,
        /// The epoch, counted from 0; each has its own order.
        epoch: u64,
        /// Documents that are packed together, see [`WINDOW`].
        window: usize,
    },
}

/// The limits of a micro-batch and the order of the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackOptions {
    /// Most tokens in a micro-batch.
    pub tokens: usize,
    /// Most documents in a micro-batch.
    pub documents: usize,
    /// In which order the documents come.
    pub order: Order,
}

/// Documents that go through the model together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicroBatch {
    /// Indices into the lengths that were given, in the order in which they are laid end to end.
    pub documents: Vec<usize>,
    /// Tokens of all these documents.
    pub tokens: usize,
}

impl MicroBatch {
    fn empty() -> Self {
        Self { documents: Vec::new(), tokens: 0 }
    }

    fn has_room(&self, length: usize, options: &PackOptions) -> bool {
        self.documents.len() < options.documents && self.tokens + length <= options.tokens
    }

    fn push(&mut self, document: usize, length: usize) {
        self.documents.push(document);
        self.tokens += length;
    }
}

/// The micro-batches of one epoch over documents of these lengths in tokens. Every document is in
/// exactly one of them.
///
/// # Errors
/// A document longer than a micro-batch, or limits of zero.
pub fn plan_epoch(lengths: &[u32], options: &PackOptions) -> Result<Vec<MicroBatch>> {
    check(lengths, options)?;
    Ok(match options.order {
        Order::File => next_fit(lengths, options),
        Order::Shuffled { seed, epoch, window } => {
            let mut numbers = Numbers::named(&[seed, epoch]);
            let mut documents: Vec<usize> = (0..lengths.len()).collect();
            numbers.shuffle(&mut documents);
            let mut plan: Vec<MicroBatch> = documents
                .chunks(window)
                .flat_map(|window| best_fit_decreasing(window, lengths, options))
                .collect();
            numbers.shuffle(&mut plan);
            plan
        }
    })
}

fn check(lengths: &[u32], options: &PackOptions) -> Result<()> {
    let refuse = |problem: String| Err(Error::Pack { problem });
    if options.tokens == 0 || options.documents == 0 {
        return refuse(format!(
            "a micro-batch of {} tokens and {} documents holds nothing",
            options.tokens, options.documents
        ));
    }
    if let Order::Shuffled { window: 0, .. } = options.order {
        return refuse("a window of 0 documents holds nothing".to_owned());
    }
    for (document, &length) in lengths.iter().enumerate() {
        if length as usize > options.tokens {
            return refuse(format!(
                "document {document} has {length} tokens, a micro-batch holds {}\nhint: allow \
                 micro-batches of at least the longest document",
                options.tokens
            ));
        }
    }
    Ok(())
}

fn next_fit(lengths: &[u32], options: &PackOptions) -> Vec<MicroBatch> {
    let mut plan: Vec<MicroBatch> = Vec::new();
    for (document, &length) in lengths.iter().enumerate() {
        let length = length as usize;
        match plan.last_mut().filter(|last| last.has_room(length, options)) {
            Some(last) => last.push(document, length),
            None => {
                let mut next = MicroBatch::empty();
                next.push(document, length);
                plan.push(next);
            }
        }
    }
    plan
}

fn best_fit_decreasing(
    window: &[usize],
    lengths: &[u32],
    options: &PackOptions,
) -> Vec<MicroBatch> {
    let mut documents = window.to_vec();
    // A stable sort: documents of one length keep their random order.
    documents.sort_by_key(|&document| std::cmp::Reverse(lengths[document]));
    let mut plan: Vec<MicroBatch> = Vec::new();
    // Micro-batches that can take another document, by the tokens that they have left.
    let mut open: BTreeSet<(usize, usize)> = BTreeSet::new();
    for document in documents {
        let length = lengths[document] as usize;
        let fullest = open.range((length, 0)..).next().copied();
        let position = match fullest {
            Some(entry) => {
                open.remove(&entry);
                entry.1
            }
            None => {
                plan.push(MicroBatch::empty());
                plan.len() - 1
            }
        };
        plan[position].push(document, length);
        if plan[position].documents.len() < options.documents {
            open.insert((options.tokens - plan[position].tokens, position));
        }
    }
    plan
}
