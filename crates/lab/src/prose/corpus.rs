//! The corpus that a small model learns to read from: an endless sequence of documents, each a
//! function of seed and number.

use super::lookup::lookup;
use super::post_mortem::post_mortem;
use super::reading::reading;
use super::runbook::runbook;
use super::telemetry::excerpt;
use crate::settings::{Part, Settings};
use crate::simulate::incident;
use crate::simulated::Simulated;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use sre::evidence::{Options, Pack};
use std::ops::Range;

/// Keeps the incidents of the corpus apart from those that answers are trained on.
const PURPOSE: u64 = 0x636f_7270_7573;

/// Tokens that the evidence packs have at most; they take turns.
const BUDGETS: [usize; 4] = [500, 420, 340, 260];

/// What kind of document it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// A post-mortem.
    PostMortem,
    /// A runbook.
    Runbook,
    /// An evidence pack and its explanation in prose.
    Reading,
    /// An evidence pack, and questions and answers about what stands in it.
    Lookup,
    /// Log lines, events, samples of metrics, changes.
    Telemetry,
}

/// The documents that one incident gives, in their order: the shares of the mixture.
pub const DECK: [DocumentKind; 8] = [
    DocumentKind::PostMortem,
    DocumentKind::Reading,
    DocumentKind::Lookup,
    DocumentKind::Runbook,
    DocumentKind::Reading,
    DocumentKind::Telemetry,
    DocumentKind::Lookup,
    DocumentKind::Reading,
];

/// A document of the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What kind it is.
    pub kind: DocumentKind,
    /// Its incident: documents of one belong to one side of any split.
    pub group: String,
    /// Its text.
    pub text: String,
}

/// The documents of a seed and a side of the split, in their order, without end.
#[derive(Clone, Debug)]
pub struct Corpus {
    seed: u64,
    part: Part,
    next: u64,
    /// Documents of the last incident that are still to come, last first.
    ready: Vec<Document>,
}

/// The documents of a seed, from the first on. What is held out from [`Part::Train`] (names,
/// wordings, a dialect, faults) occurs in none of its documents, and no document names a cause or an
/// action as answers do.
pub fn corpus(seed: u64, part: Part) -> Corpus {
    Corpus { seed, part, next: 0, ready: Vec::new() }
}

impl Iterator for Corpus {
    type Item = Document;

    fn next(&mut self) -> Option<Document> {
        if self.ready.is_empty() {
            self.ready = documents(self.seed, self.part, self.next);
            self.ready.reverse();
            self.next += 1;
        }
        self.ready.pop()
    }
}

/// The documents of the incident of this number, one for each card of [`DECK`]: documents
/// `DECK.len() * number` and following of the corpus.
pub fn documents(seed: u64, part: Part, number: u64) -> Vec<Document> {
    let settings = Settings::new(seed ^ PURPOSE, part);
    let simulated = incident(&settings, number);
    let first = number.wrapping_mul(DECK.len() as u64);
    let budget = |turn: u64| BUDGETS[(number.wrapping_add(turn) % BUDGETS.len() as u64) as usize];
    let packs = [pack(&simulated, budget(0)), pack(&simulated, budget(1))];
    let numbered = DECK.into_iter().zip(first..);
    numbered
        .map(|(kind, number)| {
            let variation = seed.rotate_left(32) ^ number;
            let pack = &packs[usize::from(number % 2 == 1)];
            let text = match kind {
                DocumentKind::PostMortem => post_mortem(&simulated, pack, variation),
                DocumentKind::Runbook => runbook(&simulated, pack, variation),
                DocumentKind::Reading => reading(&simulated, pack, variation),
                DocumentKind::Lookup => lookup(&simulated, pack, variation),
                DocumentKind::Telemetry => excerpt(&simulated, variation),
            };
            Document { kind, group: simulated.incident.id.clone(), text }
        })
        .collect()
}

/// The documents of these incidents, in their order, made on all threads.
pub fn many_documents(seed: u64, part: Part, numbers: Range<u64>) -> Vec<Document> {
    let of_one = |number| documents(seed, part, number);
    numbers.into_par_iter().map(of_one).collect::<Vec<_>>().into_iter().flatten().collect()
}

/// A pack within a budget; the whole one where the services alone are more.
fn pack(simulated: &Simulated, budget: usize) -> Pack {
    let tokens = |text: &str| text.len().div_ceil(3);
    let within = |budget| Options { budget, causes: &[], tokens: &tokens };
    let pack = Pack::new(&simulated.incident, &within(budget));
    let whole = || Pack::new(&simulated.incident, &within(usize::MAX));
    // Without a bound there is nothing that could be over it.
    pack.or_else(|_| whole()).unwrap_or_else(|_| Pack {
        services: Vec::new(),
        items: Vec::new(),
        prompt: String::new(),
    })
}
