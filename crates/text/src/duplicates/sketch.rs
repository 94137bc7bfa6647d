//! The words of a text, small enough to be kept and compared.
//!
//! MinHash (Broder: "On the resemblance and containment of documents", 1997): for a random order of
//! all runs of words, two texts have the same first run with a probability that is their Jaccard
//! similarity. Of 192 orders, 32 bands of 6 are looked up at once: a pair of similarity 0.8 agrees in
//! at least one whole band with a probability of 1 - (1 - 0.8^6)^32 = 0.99994, one of 0.5 with 0.40.
//! What agrees is first compared by a byte of each of the 192 and then by the runs themselves.

use crate::random::{Numbers, mix};
use std::sync::LazyLock;

/// Bands that are looked up.
pub(super) const BANDS: usize = 32;

/// Hashes in a band.
const ROWS: usize = 6;

/// Random orders.
const HASHES: usize = BANDS * ROWS;

/// Words of a run.
const RUN: usize = 5;

/// Most runs that are kept of a text: the smallest ones, which are a fair sample. The similarity of
/// longer texts is estimated, with a standard deviation of 0.4 % or less.
const KEPT: usize = 16_384;

/// Orders that have to agree before the runs are compared. At a similarity of 0.8 it is 154 with a
/// standard deviation of 5.5, at 0.5 it is 96 with one of 7.
const AGREEING: usize = 127;

/// A text as it is looked up.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    /// The bucket of each band.
    pub(super) bands: [u64; BANDS],
    /// What is compared.
    pub(super) kept: Kept,
}

/// What is kept of a text.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Hashes of the runs, ascending, each once; at most [`KEPT`], and then the smallest.
    runs: Vec<u32>,
    /// Whether there are more.
    is_cut: bool,
    /// A byte of the smallest hash in every order.
    bytes: [u8; HASHES],
}

/// The words in lower case with one space between them.
pub(super) fn normalise(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut words = String::with_capacity(lower.len());
    for word in lower.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    words
}

impl Sketch {
    /// The sketch of normalised text; none without a word. A text of fewer than five words is one
    /// run.
    pub(super) fn of(normalised: &str) -> Option<Self> {
        let words: Vec<u64> = normalised.split(' ').filter(|it| !it.is_empty()).map(word).collect();
        if words.is_empty() {
            return None;
        }
        let mut runs: Vec<u32> = words.windows(RUN.min(words.len())).map(run).collect();
        runs.sort_unstable();
        runs.dedup();
        let smallest = smallest(&runs);
        let is_cut = runs.len() > KEPT;
        runs.truncate(KEPT);
        runs.shrink_to_fit();
        let bytes = smallest.map(|hash| hash as u8);
        Some(Self { bands: bands(&smallest), kept: Kept { runs, is_cut, bytes } })
    }
}

impl Kept {
    /// The Jaccard similarity of the runs, if it is at least [`super::SIMILAR`].
    pub(super) fn similarity(&self, other: &Self) -> Option<f64> {
        let agreeing: usize =
            self.bytes.iter().zip(&other.bytes).map(|(one, two)| usize::from(one == two)).sum();
        if agreeing < AGREEING {
            return None;
        }
        let (one, two) = (&self.runs, &other.runs);
        // With c of n in both and m in one only, n = 2 c + m, and c / (c + m) >= 4/5 means 9 m <= n.
        let most_different = (one.len() + two.len()) / 9;
        let (mut at, mut to, mut common, mut different) = (0, 0, 0_usize, 0_usize);
        while at < one.len() && to < two.len() && different <= most_different {
            let (left, right) = (one[at], two[to]);
            at += usize::from(left <= right);
            to += usize::from(right <= left);
            common += usize::from(left == right);
            different += usize::from(left != right);
        }
        // Behind the end of a list that was cut, nothing is known; behind a whole one, nothing is.
        if !(self.is_cut && at == one.len()) {
            different += two.len() - to;
        }
        if !(other.is_cut && to == two.len()) {
            different += one.len() - at;
        }
        (common >= 4 * different).then(|| common as f64 / (common + different) as f64)
    }
}

/// A hash of a word (FNV-1a, and then mixed).
fn word(word: &str) -> u64 {
    let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(word.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

/// A hash of a run of words, which depends on their order.
fn run(words: &[u64]) -> u32 {
    let fold = |hash: u64, &word: &u64| mix(hash.rotate_left(5) ^ word);
    (words.iter().fold(0, fold) >> 32) as u32
}

/// The smallest hash of these runs in every order.
fn smallest(runs: &[u32]) -> [u32; HASHES] {
    static ORDERS: LazyLock<[[u32; HASHES]; 2]> = LazyLock::new(|| {
        let mut numbers = Numbers::named(&[u64::from_le_bytes(*b"min hash")]);
        let keys = std::array::from_fn(|_| (numbers.next() >> 32) as u32);
        [keys, std::array::from_fn(|_| (numbers.next() >> 32) as u32 | 1)]
    });
    let [keys, factors] = &*ORDERS;
    let mut smallest = [u32::MAX; HASHES];
    for &run in runs {
        for ((smallest, key), factor) in smallest.iter_mut().zip(keys).zip(factors) {
            let hash = (run ^ key).wrapping_mul(*factor);
            *smallest = (*smallest).min(hash ^ (hash >> 15));
        }
    }
    smallest
}

/// The bucket of each band: its number and its hashes in one.
fn bands(smallest: &[u32; HASHES]) -> [u64; BANDS] {
    let (rows, _) = smallest.as_chunks::<ROWS>();
    std::array::from_fn(|band| {
        rows[band].iter().fold(mix(band as u64 + 1), |key, &row| mix(key ^ u64::from(row)))
    })
}
