//! The nearest training incident by the words of its prompt: TF-IDF weights, cosine similarity. The
//! cause is that of the nearest incidents, weighted by similarity; the service is the one that shows
//! most, as in the nearest incident.

use super::{Method, labels};
use crate::example::{Example, Prediction};
use sre::cause::Cause;
use std::collections::BTreeMap;

/// Neighbours that have a say.
const NEIGHBOURS: usize = 5;

/// The training incidents as vectors.
#[derive(Clone, Debug)]
pub struct Nearest {
    /// Words, each with its place and its weight.
    words: BTreeMap<String, (usize, f64)>,
    /// For each word the incidents that have it, with their weights.
    postings: Vec<Vec<(usize, f64)>>,
    /// Cause, and the rank of the service at fault among those that show most.
    answers: Vec<(Cause, Option<usize>)>,
}

impl Nearest {
    /// Learns from examples.
    pub fn train(examples: &[Example]) -> Self {
        let documents: Vec<_> = examples.iter().map(|it| counts(&it.pack.prompt)).collect();
        let mut frequency: BTreeMap<String, usize> = BTreeMap::new();
        for word in documents.iter().flat_map(BTreeMap::keys) {
            *frequency.entry(word.clone()).or_default() += 1;
        }
        let total = examples.len() as f64;
        let weight = |count: usize| libm::log((1.0 + total) / (1.0 + count as f64)) + 1.0;
        let words: BTreeMap<_, _> = frequency
            .into_iter()
            .enumerate()
            .map(|(place, (word, count))| (word, (place, weight(count))))
            .collect();
        let mut postings = vec![Vec::new(); words.len()];
        for (number, document) in documents.iter().enumerate() {
            for (place, value) in vector(&words, document) {
                postings[place].push((number, value));
            }
        }
        let answers = examples.iter().map(|it| (it.cause, rank_at_fault(it))).collect();
        Self { words, postings, answers }
    }

    /// The most similar incidents and how similar they are.
    fn neighbours(&self, example: &Example) -> Vec<(usize, f64)> {
        let mut similarity = vec![0.0; self.answers.len()];
        for (place, value) in vector(&self.words, &counts(&example.pack.prompt)) {
            for (number, other) in &self.postings[place] {
                similarity[*number] += value * other;
            }
        }
        let mut ranked: Vec<_> = similarity.into_iter().enumerate().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        ranked.truncate(NEIGHBOURS);
        ranked
    }
}

impl Method for Nearest {
    fn predict(&self, example: &Example) -> Prediction {
        let neighbours = self.neighbours(example);
        let total: f64 = neighbours.iter().map(|(_, similarity)| similarity).sum();
        let mut causes: BTreeMap<Cause, f64> = BTreeMap::new();
        let mut services: BTreeMap<String, f64> = BTreeMap::new();
        let ranked = by_weight(example);
        for (number, similarity) in neighbours {
            let (cause, rank) = self.answers[number];
            let share = similarity / total.max(1e-300);
            *causes.entry(cause).or_default() += share;
            let label = rank.and_then(|rank| ranked.get(rank).cloned());
            let label = label.unwrap_or_else(|| sre::answer::NO_SERVICE.to_owned());
            *services.entry(label).or_default() += share;
        }
        // Services that no neighbour speaks for follow in the order of what they show.
        for (rank, label) in ranked.into_iter().enumerate() {
            services.entry(label).or_insert(1e-6 / (1.0 + rank as f64));
        }
        Prediction::new(causes.into_iter().collect(), services.into_iter().collect())
    }
}

/// The labels of services, the one whose lines weigh most first.
fn by_weight(example: &Example) -> Vec<String> {
    let weight = |label: &String| {
        let name = example.pack.service(label);
        let own = example.pack.items.iter().filter(|item| Some(item.service.as_str()) == name);
        own.map(|item| libm::log1p(item.weight.max(0.0))).sum::<f64>()
    };
    let mut ranked: Vec<_> = example.pack.labels();
    ranked.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    ranked
}

fn rank_at_fault(example: &Example) -> Option<usize> {
    debug_assert!(labels(example).count() > 0);
    by_weight(example).iter().position(|label| example.is_service(label))
}

/// How often each word occurs in what a prompt says before its list of options. Numbers count as one word,
/// and numbers at the end of words are left out: `m12` and `s3` name things of one incident alone.
fn counts(prompt: &str) -> BTreeMap<String, f64> {
    let shown = prompt.rsplit_once("causes:").map_or(prompt, |(shown, _)| shown);
    let mut counts = BTreeMap::new();
    let split = |c: char| !c.is_alphanumeric();
    for word in shown.split(split).filter(|word| !word.is_empty()) {
        let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let word = if letters.is_empty() { "0".to_owned() } else { letters.to_lowercase() };
        *counts.entry(word).or_default() += 1.0;
    }
    counts
}

/// The vector of a document, of length 1.
fn vector(
    words: &BTreeMap<String, (usize, f64)>,
    counts: &BTreeMap<String, f64>,
) -> Vec<(usize, f64)> {
    let weighted = counts.iter().filter_map(|(word, count)| {
        let (place, weight) = words.get(word)?;
        Some((*place, (1.0 + libm::log(*count)) * weight))
    });
    let mut values: Vec<_> = weighted.collect();
    let length = values.iter().map(|(_, value)| value * value).sum::<f64>().sqrt().max(1e-300);
    values.iter_mut().for_each(|(_, value)| *value /= length);
    values
}
