//! What was there before: duplicates are removed or kept, and records that are alike share a group.

use super::encode::number;
use crate::Place;
use crate::duplicates::{Fingerprint, Index, Likeness};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Duplicates that a report lists; the others are counted.
const LISTED: usize = 10;

/// What happens to records that say the same as one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// They are kept, on the same side of a split.
    Keep,
    /// They are left out.
    Remove,
}

/// A record that says the same as one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Duplicate {
    /// Where it stands.
    pub place: Place,
    /// Where the first one stands.
    pub first: Place,
    /// How many of the runs of five words in either are in both: 1 where all are.
    pub similarity: f64,
}

/// What was found of records that are alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alike {
    /// Records that say the same as one before; with [`Duplicates::Remove`] they are left out.
    pub duplicates: u64,
    /// The first of them.
    pub first: Vec<Duplicate>,
    /// Records whose prompt is nearly the same as one before, with another answer.
    pub answered_otherwise: u64,
}

/// Looks every record up among the ones before.
#[derive(Debug)]
pub(super) struct Deduplicator {
    mode: Duplicates,
    index: Index,
    /// The place of every document in the index.
    places: Places,
    /// The group of the first document with each prompt.
    groups: Vec<u64>,
    unions: Unions,
    /// Groups that are to be one.
    pub(super) joined: Vec<[u64; 2]>,
    pub(super) alike: Alike,
}

impl Deduplicator {
    pub(super) fn new(mode: Duplicates) -> Self {
        Self {
            mode,
            index: Index::default(),
            places: Places::default(),
            groups: Vec::new(),
            unions: Unions::default(),
            joined: Vec::new(),
            alike: Alike::default(),
        }
    }

    /// The group of a record that stays; none where it is to be left out. `named` is the group that it
    /// names itself.
    pub(super) fn sift(
        &mut self,
        place: &Place,
        named: Option<&str>,
        fingerprint: Fingerprint,
    ) -> Option<u64> {
        let Likeness { prompts, duplicate } = self.index.find(&fingerprint);
        let group = match (named, prompts.first()) {
            (Some(name), _) => number(name.as_bytes()),
            (None, Some(&(first, _))) => self.groups[first as usize],
            (None, None) => fingerprint.number(),
        };
        // Also where it is left out: the others of its group belong to the same incident.
        for &(prompt, _) in &prompts {
            let pair = [self.groups[prompt as usize], group];
            if self.unions.join(pair) {
                self.joined.push(pair);
            }
        }
        if let Some((document, similarity)) = duplicate {
            self.alike.duplicates += 1;
            if self.alike.first.len() < LISTED {
                let (place, first) = (place.clone(), self.places.get(document as usize));
                self.alike.first.push(Duplicate { place, first, similarity });
            }
            if self.mode == Duplicates::Remove {
                return None;
            }
        }
        self.alike.answered_otherwise += u64::from(duplicate.is_none() && !prompts.is_empty());
        if self.index.insert(fingerprint) as usize == self.groups.len() {
            self.groups.push(group);
        }
        self.places.push(place);
        Some(group)
    }
}

/// Places, most of which are lines of one file.
#[derive(Debug, Default)]
struct Places {
    paths: Vec<PathBuf>,
    places: Vec<(u32, Option<u64>)>,
}

impl Places {
    fn push(&mut self, place: &Place) {
        if self.paths.last() != Some(&place.path) {
            self.paths.push(place.path.clone());
        }
        self.places.push((self.paths.len() as u32 - 1, place.line));
    }

    fn get(&self, index: usize) -> Place {
        let (path, line) = self.places[index];
        Place { path: self.paths[path as usize].clone(), line }
    }
}

/// Groups that are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Unions {
    /// For a group that is not the first of its union, one that is nearer to it and smaller.
    parents: BTreeMap<u64, u64>,
}

impl Unions {
    /// The group that stands for all that this one is united with.
    pub(super) fn first(&mut self, group: u64) -> u64 {
        let mut first = group;
        while let Some(&parent) = self.parents.get(&first) {
            first = parent;
        }
        // The way is short next time.
        let mut at = group;
        while at != first {
            at = self.parents.insert(at, first).unwrap_or(first);
        }
        first
    }

    /// Unites two groups; gives whether they were two.
    pub(super) fn join(&mut self, pair: [u64; 2]) -> bool {
        let [one, two] = pair.map(|group| self.first(group));
        if one != two {
            self.parents.insert(one.max(two), one.min(two));
        }
        one != two
    }
}
