//! How hard the incidents are: what a reader gets right that understands nothing. The numbers steer
//! the tables: a nearest neighbour over the words of the prompts must be well above always saying
//! the same and well below one who reads.

use super::{Part, Settings, pack};
use crate::many;
use std::collections::{BTreeMap, BTreeSet};

/// A prompt without its options, and the right answer to it.
struct Example {
    text: String,
    service: String,
    cause: String,
    told: bool,
}

fn examples(part: Part, count: u64) -> Vec<Example> {
    let settings = Settings::new(11, part);
    let causes = settings.causes();
    many(&settings, 0..count, |simulated| {
        let pack = pack(&simulated, &causes);
        let said = simulated.record(&pack);
        let (text, _) = pack.prompt.split_once("causes:").unwrap();
        let told = said.cause == simulated.truth.cause;
        let (service, cause) = (said.service, said.cause.name().to_owned());
        Example { text: text.to_owned(), service, cause, told }
    })
}

type Vector = BTreeMap<usize, f64>;

/// Words that occur with their weights: term frequency by inverse document frequency, length 1.
struct Words {
    index: BTreeMap<String, (usize, f64)>,
}

/// Words of letters only: ids, labels and numbers differ everywhere and would hide the rest.
fn words(text: &str) -> impl Iterator<Item = String> {
    let split = text.split(|c: char| !c.is_alphanumeric());
    let kept = split.filter(|word| word.chars().all(char::is_alphabetic) && !word.is_empty());
    kept.map(str::to_lowercase)
}

impl Words {
    fn of(examples: &[Example]) -> Self {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for example in examples {
            for word in words(&example.text).collect::<BTreeSet<_>>() {
                *counts.entry(word).or_default() += 1;
            }
        }
        let total = examples.len() as f64;
        let index = counts.into_iter().enumerate().map(|(index, (word, count))| {
            (word, (index, libm::log((1.0 + total) / (1.0 + count as f64)) + 1.0))
        });
        Self { index: index.collect() }
    }

    fn vector(&self, text: &str) -> Vector {
        let mut vector = Vector::new();
        for word in words(text) {
            if let Some((index, weight)) = self.index.get(&word) {
                *vector.entry(*index).or_default() += weight;
            }
        }
        let length = vector.values().map(|x| x * x).sum::<f64>().sqrt().max(1e-9);
        vector.values_mut().for_each(|x| *x /= length);
        vector
    }
}

/// For each word the training examples that have it.
struct Index(BTreeMap<usize, Vec<(usize, f64)>>);

impl Index {
    fn of(vectors: &[Vector]) -> Self {
        let mut lists: BTreeMap<usize, Vec<(usize, f64)>> = BTreeMap::new();
        for (example, vector) in vectors.iter().enumerate() {
            for (word, weight) in vector {
                lists.entry(*word).or_default().push((example, *weight));
            }
        }
        Self(lists)
    }

    fn nearest(&self, vector: &Vector, count: usize) -> usize {
        let mut scores = vec![0.0; count];
        for (word, weight) in vector {
            for (example, other) in self.0.get(word).into_iter().flatten() {
                scores[*example] += weight * other;
            }
        }
        (0..count).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
    }
}

/// The shares of right causes and right services of the nearest neighbour.
fn nearest_neighbour(
    train: &[Example],
    test: &[Example],
) -> (f64, f64, BTreeMap<String, (u32, u32)>) {
    let words = Words::of(train);
    let vectors: Vec<Vector> = train.iter().map(|it| words.vector(&it.text)).collect();
    let index = Index::of(&vectors);
    let (mut causes, mut services, mut by_cause) = (0, 0, BTreeMap::new());
    for example in test {
        let near = &train[index.nearest(&words.vector(&example.text), train.len())];
        let right = near.cause == example.cause;
        causes += usize::from(right);
        services += usize::from(near.service == example.service);
        let entry: &mut (u32, u32) = by_cause.entry(example.cause.clone()).or_default();
        entry.0 += u32::from(right);
        entry.1 += 1;
    }
    let share = |count: usize| count as f64 / test.len() as f64;
    (share(causes), share(services), by_cause)
}

fn majority(train: &[Example], test: &[Example]) -> (f64, f64) {
    let most = |of: fn(&Example) -> &String| {
        let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
        train.iter().for_each(|it| *counts.entry(of(it)).or_default() += 1);
        let best = counts.into_iter().max_by_key(|(_, count)| *count).unwrap().0.clone();
        test.iter().filter(|it| *of(it) == best).count() as f64 / test.len() as f64
    };
    (most(|it| &it.cause), most(|it| &it.service))
}

#[test]
fn neither_trivial_nor_hopeless() {
    let (train, test) = (examples(Part::Train, 2000), examples(Part::Test, 500));
    let (dummy, dummy_service) = majority(&train, &test);
    let (nearest, service, by_cause) = nearest_neighbour(&train, &test);
    let (seen, _, _) = nearest_neighbour(&train[..1500], &train[1500..]);
    println!("majority: cause {dummy:.3} service {dummy_service:.3}");
    println!("nearest neighbour: cause {nearest:.3} service {service:.3}, within train {seen:.3}");
    for (name, examples) in [("train", &train), ("test", &test)] {
        let told = examples.iter().filter(|it| it.told).count() as f64 / examples.len() as f64;
        println!("{name}: the pack tells the truth in {told:.3}");
    }
    for (cause, (right, all)) in by_cause {
        println!("  {cause:26} {right:3} of {all}");
    }
    assert!((0.3..0.7).contains(&nearest), "{nearest}");
    assert!(nearest > dummy + 0.1, "{nearest} {dummy}");
}
