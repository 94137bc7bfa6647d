//! Some documents are held out of training, to see what was learned and what was only memorised.

use super::Dataset;
use super::similar::Unions;
use crate::random::Numbers;
use crate::record::Time;
use crate::{Error, Result};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

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
        // Ordering by a number that each group has for itself: adding a document to the data set
        // moves at most the documents at the border to the other side.
        let drawn = |group: u64| Numbers::named(&[seed, group]).next();
        self.hold_out(held_out_fraction, |groups| groups.sort_by_cached_key(|&it| (drawn(it), it)))
    }

    /// Holds out this fraction of the groups, at least one: the newest, as if the model had been tuned
    /// before they happened. A group is as new as its newest document.
    ///
    /// # Errors
    /// As [`Dataset::split`], or documents that say no time.
    pub fn split_by_time(&self, held_out_fraction: f64) -> Result<Split> {
        let mut newest: BTreeMap<u64, Time> = BTreeMap::new();
        let (mut timeless, mut first) = (0_usize, None);
        for (document, (group, time)) in self.groups().into_iter().zip(self.times()).enumerate() {
            let Some(time) = time else {
                timeless += 1;
                first.get_or_insert(document);
                continue;
            };
            newest.entry(group).and_modify(|it| *it = time.max(*it)).or_insert(time);
        }
        if let Some(first) = first {
            let problem = format!(
                "{timeless} of {} documents say no time, the first is {}\nhint: give their records a \
                 \"time\", or split by group",
                self.len(),
                self.doc(first).source
            );
            return Err(Error::Split { problem });
        }
        self.hold_out(held_out_fraction, |groups| {
            groups.sort_by_key(|group| (Reverse(newest[group]), *group));
        })
    }

    /// Holds out the first groups in an order.
    fn hold_out(&self, fraction: f64, order: impl FnOnce(&mut Vec<u64>)) -> Result<Split> {
        if !(fraction > 0.0 && fraction < 1.0) {
            let problem =
                format!("the held-out fraction is {fraction}, expected above 0 and below 1");
            return Err(Error::Split { problem });
        }
        let groups = self.groups();
        let mut different: Vec<u64> = groups.clone();
        different.sort_unstable();
        different.dedup();
        let count = different.len();
        if count < 2 {
            let problem = "there is only one document, or copies of one".to_owned();
            return Err(Error::Split { problem });
        }
        order(&mut different);
        let first = ((count as f64 * fraction).round() as usize).clamp(1, count - 1);
        let chosen: BTreeSet<u64> = different.into_iter().take(first).collect();
        let (held_out, train): (Vec<usize>, Vec<usize>) =
            (0..self.len()).partition(|&document| chosen.contains(&groups[document]));
        let split = Split { train, held_out };
        self.check_split(&split)?;
        Ok(split)
    }

    /// Refuses a side on which there is nothing to train or to measure.
    fn check_split(&self, split: &Split) -> Result<()> {
        for (side, documents) in [("training", &split.train), ("held-out", &split.held_out)] {
            let trained = |&document: &usize| self.doc(document).labels.iter().any(|&it| it >= 0);
            if !documents.iter().any(trained) {
                let problem = format!("no document on the {side} side has a trained token");
                return Err(Error::Split { problem });
            }
        }
        Ok(())
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
