//! Micro-batches of packed documents.

use crate::Config;
use ops::linear_cross_entropy::IGNORED;

/// A micro-batch: whole documents, one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// (N) token ids.
    pub ids: Vec<u32>,
    /// (N) position of each token in its document.
    pub positions: Vec<u32>,
    /// (N) row of the document's first token.
    pub first: Vec<u32>,
    /// (N) rows that each token sees: its position + 1.
    pub visible: Vec<u32>,
    /// (N) the token to predict at each place, or -100.
    pub targets: Vec<i32>,
}

/// A document that cannot be part of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Place {
    /// An id or label outside of the vocabulary.
    #[error("token {index} is {value}, outside of the vocabulary of {vocab}")]
    Token {
        /// Position in the document.
        index: usize,
        /// What stands there.
        value: i64,
        /// V.
        vocab: usize,
    },
}

impl Batch {
    /// Appends a document. `labels` are those of the tokens themselves, -100 where not trained on; the
    /// token at place t predicts label t + 1, and the last one nothing.
    ///
    /// # Errors
    /// When an id or label lies outside of the vocabulary; the batch is unchanged.
    pub fn push(
        &mut self,
        config: &Config,
        ids: &[u32],
        labels: &[i32],
    ) -> std::result::Result<(), Place> {
        assert_eq!(ids.len(), labels.len(), "one label per token");
        let vocab = config.vocab;
        for (index, (&id, &label)) in ids.iter().zip(labels).enumerate() {
            let wrong = if id as usize >= vocab {
                Some(i64::from(id))
            } else if label != IGNORED && !(0..vocab as i64).contains(&i64::from(label)) {
                Some(i64::from(label))
            } else {
                None
            };
            if let Some(value) = wrong {
                return Err(Place::Token { index, value, vocab });
            }
        }
        let start = self.ids.len() as u32;
        self.ids.extend_from_slice(ids);
        self.positions.extend(0..ids.len() as u32);
        self.first.extend(std::iter::repeat_n(start, ids.len()));
        self.visible.extend(1..=ids.len() as u32);
        self.targets.extend(labels.iter().skip(1).chain([&IGNORED]).take(ids.len()));
        Ok(())
    }

    /// N.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Tokens with a target.
    pub fn trained(&self) -> usize {
        self.targets.iter().filter(|t| **t != IGNORED).count()
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        let Batch { ids, positions, first, visible, targets } = self;
        for list in [ids, positions, first, visible] {
            list.clear();
        }
        targets.clear();
    }
}
