//! How long masks take over a vocabulary of the size of Llama 3's, 128,256 tokens:
//! `cargo test -p text -- --ignored --nocapture masks_of_a_large_vocabulary`.
//!
//! The vocabulary is byte pairs learned from made-up text, the same everywhere: words of syllables in
//! the forms that words have in prose and code, in Latin, Cyrillic and Chinese letters, numbers, runs
//! of blanks and what stands between words in JSON and YAML. Real vocabularies have the same kinds of
//! tokens in other shares. What is measured is one thread, following valid texts token by token as an
//! engine would: `mask` before a token, `accept` behind it (its forced tokens and the search for its
//! closing path included). Everything is done five times and the shortest time of each place counts:
//! other work on the machine would otherwise be most of the 99th percentile.

use super::{Constraint, allowed, grammar, kubernetes};
use crate::grammar::{Grammar, Vocabulary};
use crate::random::Numbers;
use crate::tokenizer::Tokenizer;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The tokens of Llama 3, its special ones included.
const TOKENS: usize = 128_256;
/// Words that the vocabulary is learned from.
const WORDS: usize = 60_000;
/// Schemas at random.
const SCHEMAS: u64 = 20;
/// How often everything is done.
const ROUNDS: usize = 5;

/// Syllables of words with letters from these.
fn word(letters: &[&[&str]; 3], numbers: &mut Numbers) -> String {
    let pick = |list: &[&str], numbers: &mut Numbers| list[numbers.below(list.len())].to_owned();
    let syllables = 1 + numbers.below(3) + numbers.below(2);
    (0..syllables).map(|_| letters.iter().map(|it| pick(it, numbers)).collect::<String>()).collect()
}

/// A text in which everything comes at least twice.
fn made_up(numbers: &mut Numbers) -> Vec<String> {
    let latin: [&[&str]; 3] = [
        &[
            "b", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr", "pl",
            "ch", "",
        ],
        &["a", "e", "i", "o", "u", "ea", "io"],
        &["", "", "n", "r", "s", "t", "l", "m", "ng", "ck"],
    ];
    let cyrillic: [&[&str]; 3] = [
        &["б", "в", "г", "д", "к", "л", "м", "н", "п", "р", "с", "т"],
        &["а", "е", "и", "о", "у", "я"],
        &["", "", "н", "й", "т"],
    ];
    let mut texts = Vec::new();
    for index in 0..WORDS {
        let word = word(if index % 8 == 0 { &cyrillic } else { &latin }, numbers);
        let mut letters = word.chars();
        let first: String =
            letters.next().map(|it| it.to_uppercase().collect()).unwrap_or_default();
        let title = first + letters.as_str();
        let other = [". ", "_", "/", "-", "\"", "(", "."][numbers.below(7)];
        texts.push(format!(" {word} {title}\n{word}{other}{word} {word}s {}", word.to_uppercase()));
    }
    for number in 0..1000 {
        texts.push(format!("{number} {number:02} {number:03}"));
        texts.push(char::from_u32(0x4e00 + number * 7).map(String::from).unwrap_or_default());
        texts.push(" ".repeat(number as usize % 90) + "\n");
    }
    let between = [
        "{\"", "\":\"", "\",\"", "\":", "\":{\"", "\"}", "\"]}", "\":[\"", "},{\"", "\\n", ": ",
        "- ",
    ];
    texts.extend(between.map(|it| format!("{it}a{it}b")));
    let again = texts.clone();
    texts.extend(again);
    texts
}

/// Times of one kind, in the order in which they were taken.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn take<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = run();
        self.0.push(begun.elapsed());
        result
    }

    /// The shorter of both at every place.
    fn shorter(&mut self, other: Self) {
        assert!(self.0.is_empty() || self.0.len() == other.0.len(), "the same work");
        let first = self.0.is_empty();
        let pairs = self.0.iter().zip(&other.0).map(|(a, b)| *a.min(b));
        self.0 = if first { other.0 } else { pairs.collect() };
    }

    /// Mean, median, 99th percentile and largest, in microseconds.
    fn row(&mut self) -> String {
        self.0.sort();
        let micro = |time: Duration| time.as_secs_f64() * 1e6;
        let share = |part: usize| micro(self.0[(self.0.len() - 1) * part / 100]);
        let mean = self.0.iter().map(|it| micro(*it)).sum::<f64>() / self.0.len() as f64;
        let (p50, p99, most) = (share(50), share(99), share(100));
        format!("{},{mean:.0},{p50:.0},{p99:.0},{most:.0}", self.0.len())
    }
}

/// The times of a group of schemas.
#[derive(Default)]
struct Measured {
    compile: Times,
    start: Times,
    mask: Times,
    accept: Times,
}

impl Measured {
    /// The work of all rounds.
    fn of(mut work: impl FnMut(&mut Self)) -> Self {
        let mut all = Self::default();
        for _ in 0..ROUNDS {
            let mut round = Self::default();
            work(&mut round);
            all.compile.shorter(round.compile);
            all.start.shorter(round.start);
            all.mask.shorter(round.mask);
            all.accept.shorter(round.accept);
        }
        all
    }

    /// Follows a text that fits.
    fn follow(&mut self, grammar: &Arc<Grammar>, text: &str) {
        let vocabulary = grammar.vocabulary();
        let written = |ids: &[u32]| ids.iter().map(|&id| vocabulary.token(id).len()).sum::<usize>();
        let mut constraint = self.start.take(|| Constraint::new(grammar).unwrap());
        let mut at = written(constraint.forced());
        while !constraint.is_complete() {
            let id = vocabulary.tokens(&text.as_bytes()[at..])[0];
            let mask = || constraint.mask().unwrap().is_some_and(|mask| allowed(mask, id));
            assert!(self.mask.take(mask), "{text} at {at}");
            assert!(self.accept.take(|| constraint.accept(id, 10_000)).unwrap());
            at += written(&[id]) + written(constraint.forced());
        }
        assert_eq!(at, text.len());
    }

    fn schema(&mut self, schema: &Value, vocabulary: &Arc<Vocabulary>, texts: &[String]) {
        let grammar = self.compile.take(|| grammar(schema, vocabulary));
        texts.iter().for_each(|text| self.follow(&grammar, text));
    }

    fn print(mut self, schemas: &str) {
        println!("what,schemas,count,mean,p50,p99,largest (microseconds)");
        for (what, times) in [
            ("compile", &mut self.compile),
            ("start", &mut self.start),
            ("mask", &mut self.mask),
            ("accept", &mut self.accept),
        ] {
            println!("{what},{schemas},{}", times.row());
        }
    }
}

/// The form of answers about incidents: names from closed lists.
fn answers() -> (Value, Vec<String>) {
    let services: Vec<String> = (1..=10).map(|it| format!("s{it}")).collect();
    let causes = [
        "memory-leak",
        "cpu-saturation",
        "bad-config",
        "image-pull-failure",
        "cache-stampede",
        "certificate-expired",
        "network-partition",
        "disk-full",
        "none",
        "unknown",
    ];
    let ids: Vec<String> =
        (0..40).map(|it| format!("{}{}", ["m", "l", "e", "c"][it % 4], it * 7)).collect();
    let actions = ["restart", "rollback", "scale-out", "raise-memory-limit", "escalate"];
    let schema = json!({ "type": "object", "additionalProperties": false,
        "required": ["service", "cause", "evidence", "action"],
        "properties": { "service": { "enum": services }, "cause": { "enum": causes },
            "evidence": { "type": "array", "items": { "enum": ids }, "maxItems": 4 },
            "action": { "enum": actions } } });
    let text = |it: usize| {
        json!({ "service": services[it % 10], "cause": causes[it * 3 % 10],
            "evidence": ids[it % 30..it % 30 + it % 5], "action": actions[it % 5] })
        .to_string()
    };
    (schema, (0..20).map(text).collect())
}

#[test]
#[ignore = "learns a vocabulary of 128,256 tokens and measures"]
fn masks_of_a_large_vocabulary() {
    let mut numbers = Numbers::named(&[128_256]);
    let begun = Instant::now();
    let texts = made_up(&mut numbers).into_iter().map(Ok);
    let tokenizer = Tokenizer::train_bpe(texts, TOKENS).unwrap();
    assert_eq!(tokenizer.vocab_size(), TOKENS, "more words are needed");
    let lengths = (0..TOKENS as u32).filter_map(|id| tokenizer.token_bytes(id)).map(<[u8]>::len);
    let bytes = lengths.sum::<usize>() as f64 / TOKENS as f64;
    println!("learned in {:.0?}, {bytes:.1} bytes a token", begun.elapsed());
    let begun = Instant::now();
    let vocabulary = Vocabulary::of(&tokenizer).unwrap();
    println!("the vocabulary is ready for masks after {:.0?}", begun.elapsed());

    let (schema, texts) = answers();
    Measured::of(|round| round.schema(&schema, &vocabulary, &texts)).print("answers");

    Measured::of(|round| {
        for seed in 0..SCHEMAS {
            let mut numbers = Numbers::named(&[seed, 77]);
            let schema = super::schema(&mut numbers);
            let texts: Vec<_> =
                (0..5).map(|_| super::instance(&schema, &mut numbers).to_string()).collect();
            round.schema(&schema, &vocabulary, &texts);
        }
    })
    .print("generated");

    if let Some(api) = kubernetes::api() {
        let (schema, object) = kubernetes::deployment(&api);
        let texts = [object.to_string()];
        Measured::of(|round| round.schema(&schema, &vocabulary, &texts)).print("Deployment");
    }
}
