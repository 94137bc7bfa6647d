//! The corpus that a small model learns to read from: an endless sequence of documents, each a
//! function of seed and number.

use super::card::card;
use super::close_up::close_up;
use super::lookup::lookup;
use super::post_mortem::post_mortem;
use super::reading::{explanation, hint, reading, title};
use super::runbook::runbook;
use super::talk::talk;
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
const BUDGETS: [usize; 4] = [500, 400, 300, 220];

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
    /// A conversation about what stands in an evidence pack, with answers in JSON.
    Talk,
    /// A question about an evidence pack, and its explanation in prose as the answer.
    Explanation,
    /// A question about an evidence pack, answered with nothing but where it points and why.
    Hint,
    /// A question about an evidence pack, answered with a title in JSON, its words joined.
    Title,
    /// What stands on a card, and the same in JSON.
    Card,
    /// Log lines, events, samples of metrics, changes.
    Telemetry,
}

/// A mixture of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deck {
    /// Prose, telemetry, evidence packs with their readings, and talk about them.
    Texts,
    /// Conversations about whole evidence packs, in which only the answers are learned.
    Conversations,
    /// Conversations that grow over so many documents from a line or two of evidence to whole packs.
    /// From whole packs alone a small model learns in millions of tokens how to speak, but not to look
    /// at what it speaks about; from a few lines it learns that at once.
    Growing {
        /// Documents until the whole packs are reached, at least 1.
        documents: u64,
    },
}

impl Deck {
    /// The kinds that documents have in turn: the shares of the mixture.
    pub fn kinds(self) -> &'static [DocumentKind] {
        use DocumentKind as Kind;
        match self {
            Self::Texts => &[
                Kind::Reading,
                Kind::Talk,
                Kind::Reading,
                Kind::PostMortem,
                Kind::Reading,
                Kind::Lookup,
                Kind::Reading,
                Kind::Runbook,
                Kind::Talk,
                Kind::Telemetry,
            ],
            Self::Conversations => &[
                Kind::Hint,
                Kind::Card,
                Kind::Title,
                Kind::Explanation,
                Kind::Title,
                Kind::Talk,
                Kind::Title,
            ],
            Self::Growing { .. } => &[Kind::Hint, Kind::Hint, Kind::Talk, Kind::Hint],
        }
    }

    /// Most lines of evidence in the document of this number, where that is bounded: 2, then 4, 8,
    /// 16 and 32, each for a fifth of the documents.
    pub fn lines(self, number: u64) -> Option<usize> {
        match self {
            Self::Growing { documents } => {
                Some(2 << (number.saturating_mul(5) / documents.max(1)).min(4))
            }
            Self::Texts | Self::Conversations => None,
        }
    }
}

/// A document of the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What kind it is.
    pub kind: DocumentKind,
    /// Its incident: documents of one belong to one side of any split.
    pub group: String,
    /// Its text; of a conversation, all turns.
    pub text: String,
    /// The turns of a conversation, what is asked and what is answered; else empty.
    pub turns: Vec<(String, String)>,
}

/// The document of this number, of the kind that the deck gives it. Each is about an incident of its
/// own: a model that reads so many tokens learns more from many incidents than from many words about
/// few. What is held out from [`Part::Train`] (names, wordings, a dialect, faults) occurs in none of
/// its documents, and no document names a cause or an action as answers do.
pub fn document(deck: Deck, seed: u64, part: Part, number: u64) -> Document {
    let mut simulated = incident(&Settings::new(seed ^ PURPOSE, part), number);
    let kinds = deck.kinds();
    let kind = kinds[(number % kinds.len() as u64) as usize];
    // Budgets change once per deck, so that every kind has all of them.
    let turn = (number / kinds.len() as u64 + number) % BUDGETS.len() as u64;
    let mut pack = within(&simulated, BUDGETS[turn as usize]);
    let variation = seed.rotate_left(32) ^ number;
    if let Some(lines) = deck.lines(number) {
        simulated = close_up(&simulated, &pack, lines, variation);
        pack = within(&simulated, usize::MAX);
    }
    let turns = match kind {
        DocumentKind::Talk => talk(&simulated, &pack, variation),
        DocumentKind::Explanation => vec![explanation(&simulated, &pack, variation)],
        DocumentKind::Hint => vec![hint(&simulated, &pack, variation)],
        DocumentKind::Title => vec![title(&simulated, &pack, variation)],
        DocumentKind::Card => vec![card(part, variation)],
        _ => Vec::new(),
    };
    let text = match kind {
        DocumentKind::PostMortem => post_mortem(&simulated, &pack, variation),
        DocumentKind::Runbook => runbook(&simulated, &pack, variation),
        DocumentKind::Reading => reading(&simulated, &pack, variation),
        DocumentKind::Lookup => lookup(&simulated, &pack, variation),
        DocumentKind::Talk
        | DocumentKind::Explanation
        | DocumentKind::Hint
        | DocumentKind::Title
        | DocumentKind::Card => {
            turns.iter().map(|(asked, answered)| format!("{asked}\n{answered}\n")).collect()
        }
        DocumentKind::Telemetry => excerpt(&simulated, variation),
    };
    Document { kind, group: simulated.incident.id, text, turns }
}

/// The documents of these numbers, in their order, made on all threads.
pub fn documents(deck: Deck, seed: u64, part: Part, numbers: Range<u64>) -> Vec<Document> {
    numbers.into_par_iter().map(|number| document(deck, seed, part, number)).collect()
}

/// A pack within a budget; the whole one where the services alone are more.
fn within(simulated: &Simulated, budget: usize) -> Pack {
    let tokens = |text: &str| text.len().div_ceil(3);
    let options = |budget| Options { budget, causes: &[], tokens: &tokens, excerpts: false };
    let pack = Pack::new(&simulated.incident, &options(budget));
    let whole = || Pack::new(&simulated.incident, &options(usize::MAX));
    // Without a bound there is nothing that could be over it.
    pack.or_else(|_| whole()).unwrap_or_else(|_| Pack {
        services: Vec::new(),
        items: Vec::new(),
        all: Vec::new(),
        prompt: String::new(),
    })
}
