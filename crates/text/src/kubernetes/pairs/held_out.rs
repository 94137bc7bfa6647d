//! Which kinds are held out, and where they occur.

use super::HELD_OUT;
use crate::Result;
use crate::kubernetes::schema::{Kind, Schema};
use crate::random::Numbers;
use std::collections::BTreeSet;

/// Which kinds are kept apart for evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldOut {
    /// None.
    Nothing,
    /// These, by their names in manifests.
    Kinds(BTreeSet<String>),
    /// This many of a hundred, from 1 to 99, chosen by the seed; at least one.
    Percent(u32),
}

impl Schema {
    /// The names of the kinds that are held out, of whatever group and version.
    ///
    /// # Errors
    /// A kind to be held out that the schema does not have, a share that is none, or no kind left
    /// to train on.
    pub fn held_out(&self, hold_out: &HoldOut, seed: u64) -> Result<BTreeSet<String>> {
        let names: BTreeSet<&String> = self.taught().map(|it| &it.kind).collect();
        let held_out = match hold_out {
            HoldOut::Nothing => BTreeSet::new(),
            HoldOut::Kinds(chosen) => {
                if let Some(unknown) = chosen.iter().find(|it| !names.contains(it)) {
                    return Err(self.refused(&format!(
                        "there is no kind {unknown:?} to hold out\nhint: kinds are written as in \
                         manifests: Deployment"
                    )));
                }
                chosen.clone()
            }
            HoldOut::Percent(percent @ 1..=99) => {
                let count = (names.len() * *percent as usize).div_ceil(100);
                let mut names: Vec<&String> = names.iter().copied().collect();
                Numbers::named(&[seed, HELD_OUT]).shuffle(&mut names);
                names.into_iter().take(count).cloned().collect()
            }
            HoldOut::Percent(percent) => {
                return Err(self.refused(&format!(
                    "{percent} percent of the kinds cannot be held out, expected 1 to 99"
                )));
            }
        };
        if held_out.len() == names.len() {
            return Err(self.refused("every kind is held out, none is left to train on"));
        }
        Ok(held_out)
    }

    /// One kind for each name: the version that a command means.
    pub(super) fn taught(&self) -> impl Iterator<Item = &Kind> {
        // They stand in the order of their names, the preferred ones first.
        let same = |one: &Kind, next: &Kind| one.kind == next.kind;
        self.kinds().chunk_by(same).map(|kinds| &kinds[0])
    }
}

/// The kinds that are held out, by everything that gives them away.
#[derive(Debug, Default)]
pub(in crate::kubernetes) struct Apart {
    kinds: BTreeSet<String>,
    types: BTreeSet<String>,
    /// Plural and singular, as commands have them.
    resources: BTreeSet<String>,
    short_names: BTreeSet<String>,
}

impl Apart {
    pub(in crate::kubernetes) fn new(schema: &Schema, held_out: &BTreeSet<String>) -> Self {
        let mut apart = Self { kinds: held_out.clone(), ..Self::default() };
        for kind in schema.kinds().iter().filter(|it| held_out.contains(&it.kind)) {
            apart.types.insert(kind.type_name.clone());
            apart.resources.extend([kind.plural.clone(), kind.singular()]);
            apart.short_names.extend(kind.short_names.iter().cloned());
        }
        apart
    }

    /// Whether this is the type of such a kind.
    pub(in crate::kubernetes) fn has_type(&self, type_name: &str) -> bool {
        self.types.contains(type_name)
    }

    /// Whether a word of this text is such a kind.
    pub(in crate::kubernetes) fn is_named(&self, text: &str) -> bool {
        !self.kinds.is_empty() && words(text).any(|word| self.kinds.contains(word))
    }

    /// Whether a word of this text is such a kind, or what commands call it. Short names are not
    /// looked for: some are words of English.
    pub(super) fn is_spoken_of(&self, text: &str) -> bool {
        self.is_named(text) || words(text).any(|word| self.resources.contains(word))
    }

    /// Whether a command, or something that it would take, is about such a kind.
    pub(super) fn is_commanded(&self, command: &str) -> bool {
        let marks = |it: char| it.is_whitespace() || matches!(it, '/' | ',' | '.');
        self.is_spoken_of(command)
            || command.split(marks).any(|word| self.short_names.contains(word))
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| !it.is_alphanumeric())
}
