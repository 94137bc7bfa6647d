//! Some documents are held out of training, to see what was learned and what was only memorised.

use super::Dataset;
use super::similar::Unions;
use crate::random::Numbers;
use crate::{Error, Result};
use std::collections::BTreeSet;

/// Which documents are trained and which are held out. Together they are all, each once, in the
/// order of the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Documents to train on; at least one of their tokens is trained.
    pub train: Vec<usize>,
    /// Documents to measure on; at least one of their tokens is trained.
    pub held_out: Vec<usize>,
}

impl Dataset {
    /// Holds out this fraction of the groups, at least one. A choice depends on nothing but a group's
    /// content or name and the seed. Documents that are alike, the parts of a long one and the records
    /// of one incident are one group and stay on one side, so nothing that is held out was seen in
    /// training.
    ///
    /// # Errors
    /// A fraction that is not above 0 and below 1, or too few different documents to have some with
    /// a trained token on both sides.
    pub fn split(&self, held_out_fraction: f64, seed: u64) -> Result<Split> {
        if !(held_out_fraction > 0.0 && held_out_fraction < 1.0) {
            let problem = format!(
                "the held-out fraction is {held_out_fraction}, expected above 0 and below 1"
            );
            return Err(Error::Split { problem });
        }
        let groups = self.groups();
        let held_out = choose(&groups, held_out_fraction, seed)?;
        let (held_out, train): (Vec<usize>, Vec<usize>) =
            (0..self.len()).partition(|&document| held_out.contains(&groups[document]));
        let split = Split { train, held_out };
        for (side, documents) in [("training", &split.train), ("held-out", &split.held_out)] {
            let trained = |&document: &usize| self.doc(document).labels.iter().any(|&it| it >= 0);
            if !documents.iter().any(trained) {
                let problem = format!("no document on the {side} side has a trained token");
                return Err(Error::Split { problem });
            }
        }
        Ok(split)
    }

    /// For every document the number that its group has, with those in one that are joined.
    pub(super) fn groups(&self) -> Vec<u64> {
        let mut unions = Unions::default();
        self.manifest.joined_groups.iter().for_each(|&pair| {
            unions.join(pair);
        });
        self.shards.iter().flat_map(|shard| shard.groups()).map(|&it| unions.first(it)).collect()
    }
}

/// The groups that are held out.
fn choose(groups: &[u64], fraction: f64, seed: u64) -> Result<BTreeSet<u64>> {
    let mut different: Vec<u64> = groups.to_vec();
    different.sort_unstable();
    different.dedup();
    let count = different.len();
    if count < 2 {
        let problem = "there is only one document, or copies of one".to_owned();
        return Err(Error::Split { problem });
    }
    // Ordering by a number that each group has for itself: adding a document to the data set
    // moves at most the documents at the border to the other side.
    different.sort_by_cached_key(|&group| (Numbers::named(&[seed, group]).next(), group));
    let held_out = ((count as f64 * fraction).round() as usize).clamp(1, count - 1);
    Ok(different.into_iter().take(held_out).collect())
}
