//! The schema as questions and answers to train on.
//!
//! Three families: what a field means, which type it has and what is required; how a field is
//! reached; and commands, to be written or to be judged. The words around the facts are ours, the
//! facts and descriptions are the schema's. What a pair says about a command or a path is what the
//! judge of this module says, so no pair teaches a mistake.
//!
//! Every pair belongs to one kind. A kind that is held out occurs in no training pair: none is
//! about it, goes through it or names it. Types that other kinds have, too, stay known by these.

mod commands;
mod fields;
mod held_out;
#[cfg(test)]
mod tests;
mod wording;

pub use held_out::HoldOut;

use super::schema::{Kind, Schema, short};
use crate::random::Numbers;
use crate::{Error, Result};
pub(super) use held_out::Apart;
use std::collections::BTreeMap;

/// Most pairs of a schema. Kubernetes itself has about fifty thousand; a document with more is hostile.
const PAIRS_LIMIT: usize = 1_000_000;

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Unique: group, family and what it is about.
    pub id: String,
    /// What belongs together: group and kind, such as `apps/Deployment`.
    pub group: String,
    /// The question.
    pub prompt: String,
    /// The answer.
    pub completion: String,
}

/// Which pairs or documents are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those to train on.
    Training,
    /// Those of the kinds that are held out.
    HeldOut,
}

/// How pairs and documents are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairOptions {
    /// Chooses wordings, names, mistakes, the order, and what is held out.
    pub seed: u64,
    /// Which kinds are kept apart.
    pub hold_out: HoldOut,
    /// Which side of that is wanted.
    pub side: Side,
}

impl Schema {
    /// All pairs, in an order that the seed gives: the first so many are a fair sample.
    ///
    /// # Errors
    /// Kinds to be held out that cannot be, as [`Schema::held_out`], or a schema of a million pairs
    /// and more.
    pub fn pairs(&self, options: &PairOptions) -> Result<Vec<Pair>> {
        let held_out = self.held_out(&options.hold_out, options.seed)?;
        let apart = match options.side {
            Side::Training => Apart::new(self, &held_out),
            Side::HeldOut => Apart::default(),
        };
        let mut pairs = Vec::new();
        for kind in self.taught() {
            if held_out.contains(&kind.kind) != (options.side == Side::HeldOut) {
                continue;
            }
            let mut maker = Maker::new(self, kind, &apart, options.seed);
            maker.fields()?;
            maker.commands();
            pairs.append(&mut maker.pairs);
            if pairs.len() > PAIRS_LIMIT {
                return Err(self.too_many());
            }
        }
        Numbers::named(&[options.seed, ORDER]).shuffle(&mut pairs);
        Ok(pairs)
    }

    fn too_many(&self) -> Error {
        self.refused(&format!("it gives more than {PAIRS_LIMIT} records, the limit"))
    }

    fn refused(&self, problem: &str) -> Error {
        let from = format!("Kubernetes schema {}", self.version());
        Error::Kubernetes { from, problem: problem.to_owned() }
    }
}

/// What random numbers are drawn for.
const ORDER: u64 = 1;
const HELD_OUT: u64 = 2;
const WORDING: u64 = 3;

/// Makes the pairs of one kind.
struct Maker<'a> {
    schema: &'a Schema,
    kind: &'a Kind,
    apart: &'a Apart,
    numbers: Numbers,
    pairs: Vec<Pair>,
    /// How often each id was wanted; each is given once.
    ids: BTreeMap<String, u32>,
}

impl<'a> Maker<'a> {
    fn new(schema: &'a Schema, kind: &'a Kind, apart: &'a Apart, seed: u64) -> Self {
        // Named by the kind, so that no kind depends on which others there are.
        let name = kind.type_name.bytes().map(u64::from);
        let parts: Vec<u64> = [seed, WORDING].into_iter().chain(name).collect();
        let numbers = Numbers::named(&parts);
        Self { schema, kind, apart, numbers, pairs: Vec::new(), ids: BTreeMap::new() }
    }

    /// One of several.
    fn one<'b>(&mut self, of: &[&'b str]) -> &'b str {
        of[self.numbers.below(of.len())]
    }

    /// One of several wordings, filled in: `{kind}` by the kind, `{0}` and `{1}` by the values.
    fn worded(&mut self, templates: &[&str], values: &[&str]) -> String {
        let template = self.one(templates);
        let mut text = self.of_kind(template);
        for (index, value) in values.iter().enumerate() {
            text = text.replace(&format!("{{{index}}}"), value);
        }
        text
    }

    /// The text with the kind in it, under the right article.
    fn of_kind(&self, text: &str) -> String {
        let kind = &self.kind.kind;
        let article = if kind.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
        text.replace(" a {kind}", &format!(" {article} {{kind}}")).replace("{kind}", kind)
    }

    /// Adds a pair, unless it names a kind that is held out.
    fn push(&mut self, about: &str, prompt: String, completion: String) {
        let group = match self.kind.group.as_str() {
            "" => format!("core/{}", self.kind.kind),
            group => format!("{group}/{}", self.kind.kind),
        };
        let mut id = format!("kubernetes/{group}/{about}");
        let again = self.ids.entry(id.clone()).or_insert(0);
        *again += 1;
        if *again > 1 {
            id = format!("{id}/{again}");
        }
        if !self.apart.is_named(&prompt) && !self.apart.is_named(&completion) {
            self.pairs.push(Pair { id, group, prompt, completion });
        }
    }
}
