//! What is in a data set, as plain numbers and marks. Whoever shows them decides how.

use crate::dataset::Dataset;
use crate::record::MASKED;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

#[cfg(test)]
mod tests;

/// Documents of about one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The least length in it, in tokens.
    pub from: u32,
    /// The greatest length in it, in tokens.
    pub to: u32,
    /// How many documents have such a length.
    pub documents: u64,
    /// How many tokens they have together.
    pub tokens: u64,
}

/// One document among the longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Longest {
    /// Its index in the data set.
    pub document: usize,
    /// Where it came from.
    pub source: String,
    /// Its length.
    pub tokens: u32,
}

/// A data set in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Documents.
    pub documents: u64,
    /// Tokens of all documents.
    pub tokens: u64,
    /// Tokens that are trained.
    pub trained_tokens: u64,
    /// Tokens that are not, every document's first included.
    pub masked_tokens: u64,
    /// Documents without a trained token.
    pub untrained_documents: u64,
    /// Documents by length; each bucket reaches to just below the next power of two. Those below
    /// the shortest and above the longest document are left out.
    pub histogram: Vec<Bucket>,
    /// The longest documents, longest first, and in their order where equal.
    pub longest: Vec<Longest>,
}

/// Counts a data set and names this many of its longest documents.
pub fn summarize(dataset: &Dataset, longest: usize) -> Summary {
    let lengths = dataset.lengths();
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&document| std::cmp::Reverse(lengths[document]));
    let longest = order.into_iter().take(longest).map(|document| Longest {
        document,
        source: dataset.doc(document).source.to_owned(),
        tokens: lengths[document],
    });
    let is_untrained = |labels: &[i32]| labels.iter().all(|&label| label == MASKED);
    Summary {
        documents: dataset.len() as u64,
        tokens: dataset.total_tokens(),
        trained_tokens: dataset.trained_tokens(),
        masked_tokens: dataset.total_tokens() - dataset.trained_tokens(),
        untrained_documents: dataset.docs().filter(|doc| is_untrained(doc.labels)).count() as u64,
        histogram: histogram(&lengths),
        longest: longest.collect(),
    }
}

fn histogram(lengths: &[u32]) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = (0..u32::BITS)
        .map(|bits| Bucket {
            from: 1 << bits,
            to: u32::MAX >> (u32::BITS - 1 - bits),
            documents: 0,
            tokens: 0,
        })
        .collect();
    for &length in lengths {
        let bucket = &mut buckets[length.ilog2() as usize];
        bucket.documents += 1;
        bucket.tokens += u64::from(length);
    }
    let is_used = |bucket: &Bucket| bucket.documents > 0;
    let first = buckets.iter().position(is_used).unwrap_or(0);
    let end = buckets.iter().rposition(is_used).map_or(first, |last| last + 1);
    buckets[first..end].to_vec()
}

/// A token as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleToken {
    /// Its id.
    pub id: u32,
    /// Its text: a special token's name, or the characters that are complete with this token
    /// (none while a character is still open).
    pub text: String,
    /// Whether it is a special token, and not text that looks like one.
    pub special: bool,
    /// Whether it is trained.
    pub trained: bool,
}

/// A document as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Where it came from.
    pub source: String,
    /// Its tokens.
    pub tokens: Vec<SampleToken>,
}

/// The document at `index`, token by token, with what of it is trained.
///
/// # Errors
/// An index beyond the data set, or a tokenizer that is not the data set's own.
pub fn sample(dataset: &Dataset, tokenizer: &Tokenizer, index: usize) -> Result<Sample> {
    let wrong = |problem: String| Error::Sample { problem };
    if index >= dataset.len() {
        let last = dataset.len() - 1;
        return Err(wrong(format!("document {index} was asked for, the last one is {last}")));
    }
    if let Some(hash) = dataset.tokenizer_hash().filter(|&hash| hash != tokenizer.hash()) {
        let found = tokenizer.hash();
        return Err(wrong(format!(
            "the tokenizer has the hash {found}, that of the data set has {hash}\nhint: give the \
             tokenizer that the data set was built with"
        )));
    }
    let doc = dataset.doc(index);
    let mut stream = tokenizer.stream();
    let mut tokens: Vec<SampleToken> = doc
        .ids
        .iter()
        .zip(doc.labels)
        .map(|(&id, &label)| {
            let mut text = stream.push(id).unwrap_or_default();
            text.push_str(tokenizer.special_name(id).unwrap_or_default());
            let special = tokenizer.special_name(id).is_some();
            SampleToken { id, text, special, trained: label != MASKED }
        })
        .collect();
    if let (Some(last), Some(rest)) = (tokens.last_mut(), stream.finish()) {
        last.text.push_str(&rest);
    }
    Ok(Sample { source: doc.source.to_owned(), tokens })
}
