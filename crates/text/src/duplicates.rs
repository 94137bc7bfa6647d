//! Documents that say the same: equal ones, and ones whose words are nearly the same.
//!
//! Words are separated by white space, their case does not matter. Two texts are nearly the same if
//! the sets of their runs of five words have a Jaccard similarity (what both have, divided by what
//! either has) of at least [`SIMILAR`]. An index finds them among all documents before by MinHash
//! and bands (see `duplicates/sketch.rs`) and then counts, so that nothing is taken for similar that
//! is not; a pair at exactly that similarity is overlooked once in about 16 000 times.
//!
//! A document with an answer is the same as another one if its prompt is nearly the same and its
//! answer is the same to the letter: one that differs by a word may be another answer.

use crate::chat::{Conversation, Message, Role};
use crate::record::Content;
use rayon::prelude::*;
use std::collections::HashMap;

mod sketch;
#[cfg(test)]
mod tests;

use sketch::{BANDS, Kept, Sketch};

/// The similarity from which on two texts are nearly the same.
pub const SIMILAR: f64 = 0.8;

/// Most documents of a bucket that are looked at, the newest ones. It bounds the work where very many
/// documents are alike; equal ones are found without any bucket.
const LOOKED_AT: usize = 256;

/// Stands before the oldest document of a bucket.
const NONE: u32 = u32::MAX;

/// Between messages: no word, and never lost with white space.
const BETWEEN: &str = "\n\u{1e}\n";

/// What is compared of a document.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint {
    /// Of all words of the prompt.
    prompt: u128,
    /// Of the answer.
    answer: u128,
    /// None where the prompt is only ever compared for equality.
    sketch: Option<Sketch>,
}

impl Fingerprint {
    /// Of what a record holds. Of a conversation, what trains is the answer and the rest is the
    /// prompt; system messages and tools say how to answer, not what is asked, and do
    /// not count.
    pub(crate) fn of(content: &Content) -> Self {
        match content {
            Content::Text(text) => Self::of_text(text),
            Content::Messages(Conversation { messages, .. }) => {
                let side = |trained| {
                    let counts = |it: &&Message| it.trained == trained && it.role != Role::System;
                    let chosen = messages.iter().filter(counts);
                    let texts = chosen.flat_map(|it| [Some(&it.content), it.fields.as_ref()]);
                    let texts = texts.flatten().map(String::as_str);
                    texts.collect::<Vec<_>>().join(BETWEEN)
                };
                Self::of_pair(&side(false), &side(true))
            }
            Content::Tokens { ids, labels } => Self::of_tokens(ids, labels),
        }
    }

    /// A text without an answer.
    fn of_text(text: &str) -> Self {
        Self::of_pair(text, "")
    }

    /// A prompt and its answer. Where there is no prompt, the answer is the text.
    fn of_pair(prompt: &str, answer: &str) -> Self {
        let (prompt, answer) = match prompt.trim() {
            "" => (answer, prompt),
            _ => (prompt, answer),
        };
        let words = sketch::normalise(prompt);
        let sketch = Sketch::of(&words);
        Self { prompt: hash(words.as_bytes()), answer: hash(answer.trim().as_bytes()), sketch }
    }

    /// Token ids and what is trained of them. Ids have no words: only equal ones are the same.
    fn of_tokens(ids: &[u32], labels: &[i64]) -> Self {
        let prompt = hash(bytemuck::cast_slice(ids));
        Self { prompt, answer: hash(bytemuck::cast_slice(labels)), sketch: None }
    }

    /// A number that equal prompts share.
    pub(crate) fn number(&self) -> u64 {
        (self.prompt >> 64) as u64
    }
}

/// The first half of a SHA-256.
fn hash(bytes: &[u8]) -> u128 {
    let hash = files::sha256(bytes);
    u128::from_str_radix(&hash[..32], 16).expect("a hash is made of hexadecimal digits")
}

/// What an index holds that is like a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Likeness {
    /// Prompts that are nearly the same, in the order of their numbers, with their similarity.
    pub(crate) prompts: Vec<(u32, f64)>,
    /// The first document that is the same, with the similarity of its prompt.
    pub(crate) duplicate: Option<(u32, f64)>,
}

/// Documents by what they say. A different prompt takes about 1.3 KiB and 4 bytes for every different
/// run of five words, of which at most 16 384 are kept.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The number of every prompt.
    numbers: HashMap<u128, u32>,
    /// The document that first gave this answer to the prompt with this number.
    answered: HashMap<(u32, u128), u32>,
    documents: u32,
    kept: Vec<Option<Kept>>,
    /// The newest prompt in every bucket.
    newest: HashMap<u64, u32>,
    /// For each prompt and band, the prompt before it in the bucket.
    before: Vec<[u32; BANDS]>,
}

impl Index {
    /// What is in the index that is like this.
    pub(crate) fn find(&self, fingerprint: &Fingerprint) -> Likeness {
        let mut prompts: Vec<(u32, f64)> = match &fingerprint.sketch {
            Some(sketch) => self.similar(sketch),
            None => Vec::new(),
        };
        if let Some(&equal) = self.numbers.get(&fingerprint.prompt) {
            prompts.retain(|&(prompt, _)| prompt != equal);
            let at = prompts.partition_point(|&(prompt, _)| prompt < equal);
            prompts.insert(at, (equal, 1.0));
        }
        let answered = prompts.iter().filter_map(|&(prompt, similarity)| {
            let document = self.answered.get(&(prompt, fingerprint.answer))?;
            Some((*document, similarity))
        });
        let duplicate = answered.min_by_key(|&(document, _)| document);
        Likeness { prompts, duplicate }
    }

    /// Adds a document; gives the number of its prompt. Documents and prompts count from 0.
    ///
    /// # Panics
    /// Beyond 2^32 - 1 documents, which no memory holds.
    pub(crate) fn insert(&mut self, fingerprint: Fingerprint) -> u32 {
        let Fingerprint { prompt, answer, sketch } = fingerprint;
        let document = self.documents;
        assert!(document != NONE, "an index holds fewer than 2^32 documents");
        self.documents += 1;
        let number = *self.numbers.entry(prompt).or_insert(self.kept.len() as u32);
        if number as usize == self.kept.len() {
            let mut before = [NONE; BANDS];
            for (&bucket, before) in sketch.iter().flat_map(|it| &it.bands).zip(&mut before) {
                *before = self.newest.insert(bucket, number).unwrap_or(NONE);
            }
            self.before.push(before);
            self.kept.push(sketch.map(|it| it.kept));
        }
        self.answered.entry((number, answer)).or_insert(document);
        number
    }

    /// Prompts that share a bucket with this one and are similar, in the order of their numbers.
    fn similar(&self, sketch: &Sketch) -> Vec<(u32, f64)> {
        let mut candidates = Vec::new();
        for (band, bucket) in sketch.bands.iter().enumerate() {
            let newest = self.newest.get(bucket).copied();
            let before = |&number: &u32| {
                Some(self.before[number as usize][band]).filter(|&before| before != NONE)
            };
            candidates.extend(std::iter::successors(newest, before).take(LOOKED_AT));
        }
        candidates.sort_unstable();
        candidates.dedup();
        let similarity = |number: u32| {
            let similarity = self.kept[number as usize].as_ref()?.similarity(&sketch.kept)?;
            Some((number, similarity))
        };
        candidates.into_iter().filter_map(similarity).collect()
    }
}

/// A text that is nearly the same as one of another collection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Its place in its own collection.
    pub test: usize,
    /// The place of the most similar text in the other collection, the first of equals.
    pub train: usize,
    /// The Jaccard similarity of their runs of five words, at least [`SIMILAR`].
    pub similarity: f64,
}

/// The texts of `test` that are nearly the same as one of `train`, in their order: how many there are
/// says how much of a test was seen in training.
pub fn between<Text: AsRef<str> + Sync>(train: &[Text], test: &[Text]) -> Vec<Pair> {
    let fingerprint = |text: &Text| Fingerprint::of_text(text.as_ref());
    let mut index = Index::default();
    // The first text of every prompt.
    let mut first = Vec::new();
    let known: Vec<Fingerprint> = train.par_iter().map(fingerprint).collect();
    for (place, known) in known.into_iter().enumerate() {
        if index.insert(known) as usize == first.len() {
            first.push(place);
        }
    }
    let pair = |(test, text): (usize, &Text)| {
        let mut pairs = index.find(&fingerprint(text)).prompts.into_iter();
        let best = pairs.next()?;
        let (number, similarity) =
            pairs.fold(best, |best, next| if next.1 > best.1 { next } else { best });
        Some(Pair { test, train: first[number as usize], similarity })
    };
    test.par_iter().enumerate().filter_map(pair).collect()
}
