//! The words of a text and their tokens, for the two ways of cutting text that Llama 3 and GPT-2 have.
//!
//! `tokenizers` makes several strings for every word, and keeps where each of their bytes came from; that is
//! ten times the work of cutting and merging. Nobody asks for it here: a word that was seen before is looked
//! up, and only a new one goes through the merges of that crate. The tokens are the same, and tests hold the
//! two beside each other.

use super::Bpe;
use super::cut::Cut;
use super::file::character_of;
use super::json::LLAMA3_WORDS;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokenizers::pre_tokenizers::split::SplitPattern;
use tokenizers::tokenizer::normalizer::SplitDelimiterBehavior;
use tokenizers::{Model as _, PreTokenizerWrapper};

/// Most words that a cache keeps: a few megabytes. A full one begins anew.
const CACHED_WORDS: usize = 1 << 16;
/// Most bytes of a word that is kept. Longer ones seldom come twice.
const CACHED_BYTES: usize = 64;

/// Cuts text and remembers the tokens of its words.
pub(super) struct Words {
    cut: Cut,
    /// What the merges know each byte as.
    characters: [char; 256],
    /// One for each text that is encoded at the same time.
    caches: Mutex<Vec<Cache>>,
}

#[derive(Default)]
struct Cache {
    /// Where the tokens of a word stand in `ids`.
    places: HashMap<Box<[u8]>, (u32, u32)>,
    ids: Vec<u32>,
}

impl Words {
    /// `None` for a tokenizer that does anything else to a text than to cut it in one of those ways.
    pub(super) fn of(tokenizer: &Bpe) -> Option<Self> {
        let plain = tokenizer.get_added_tokens_decoder().values().all(|token| token.special);
        let is_known =
            plain && tokenizer.get_encode_special_tokens() && tokenizer.get_normalizer().is_none();
        let cut = cut(tokenizer.get_pre_tokenizer()?)?;
        let characters = std::array::from_fn(|byte| character_of(byte as u8));
        is_known.then(|| Self { cut, characters, caches: Mutex::default() })
    }

    /// The tokens of a text; `None` where its words have none.
    pub(super) fn encode(&self, tokenizer: &Bpe, text: &str) -> Option<Vec<u32>> {
        let caches = || self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = caches().pop();
        let mut cache = idle.unwrap_or_default();
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut rest = text;
        while !rest.is_empty() {
            let (word, after) = rest.split_at(self.cut.word(rest));
            self.push(word.as_bytes(), tokenizer, &mut cache, &mut ids)?;
            rest = after;
        }
        caches().push(cache);
        Some(ids)
    }

    /// Appends the tokens of a word.
    fn push(
        &self,
        word: &[u8],
        tokenizer: &Bpe,
        cache: &mut Cache,
        ids: &mut Vec<u32>,
    ) -> Option<()> {
        if let Some(&(start, end)) = cache.places.get(word) {
            ids.extend_from_slice(&cache.ids[start as usize..end as usize]);
            return Some(());
        }
        let written: String = word.iter().map(|&byte| self.characters[usize::from(byte)]).collect();
        let tokens = tokenizer.get_model().tokenize(&written).ok()?;
        if word.len() <= CACHED_BYTES {
            if cache.places.len() == CACHED_WORDS {
                *cache = Cache::default();
            }
            let start = cache.ids.len() as u32;
            cache.ids.extend(tokens.iter().map(|token| token.id));
            cache.places.insert(word.into(), (start, cache.ids.len() as u32));
        }
        ids.extend(tokens.iter().map(|token| token.id));
        Some(())
    }
}

/// Whose words they are, if cutting is all that a pre-tokenizer does beside writing bytes as characters.
fn cut(steps: &PreTokenizerWrapper) -> Option<Cut> {
    match steps {
        PreTokenizerWrapper::ByteLevel(bytes) if bytes.use_regex && !bytes.add_prefix_space => {
            Some(Cut::Gpt2)
        }
        PreTokenizerWrapper::Sequence(steps) => match steps.as_ref() {
            [PreTokenizerWrapper::Split(split), PreTokenizerWrapper::ByteLevel(bytes)] => {
                let is_known = matches!(&split.pattern, SplitPattern::Regex(it) if it == LLAMA3_WORDS)
                    && split.behavior == SplitDelimiterBehavior::Isolated
                    && !split.invert
                    && !bytes.use_regex
                    && !bytes.add_prefix_space;
                is_known.then_some(Cut::Llama3)
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TEXTS, TOKENIZER, changed};
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// One that cuts like GPT-2's, and one that cuts like Llama 3's; each as the library reads it by itself,
    /// and as it is told to.
    static BOTH: LazyLock<[(tokenizers::Tokenizer, Bpe); 2]> = LazyLock::new(|| {
        let llama3 = changed(|json| {
            let split = serde_json::json!({
                "type": "Split", "pattern": { "Regex": LLAMA3_WORDS }, "behavior": "Isolated",
                "invert": false
            });
            json["pre_tokenizer"]["use_regex"] = false.into();
            let steps = serde_json::json!([split, json["pre_tokenizer"]]);
            json["pre_tokenizer"] =
                serde_json::json!({ "type": "Sequence", "pretokenizers": steps });
        });
        [TOKENIZER.file.clone(), llama3].map(|file| {
            let mut reference = tokenizers::Tokenizer::from_bytes(&file).unwrap();
            reference.set_encode_special_tokens(true);
            let mut bpe = Bpe::from_bytes(&file).unwrap();
            bpe.set_encode_special_tokens(true);
            (reference, bpe)
        })
    });

    fn assert_same(text: &str) {
        for (reference, tokenizer) in &*BOTH {
            let words = Words::of(tokenizer).expect("a known way of cutting");
            let expected = reference.encode_fast(text, false).unwrap().get_ids().to_vec();
            // The second time every word is known.
            for _ in 0..2 {
                assert_eq!(words.encode(tokenizer, text).as_ref(), Some(&expected), "{text:?}");
            }
        }
    }

    #[test]
    fn tokens_are_those_of_the_library() {
        TEXTS.iter().for_each(|text| assert_same(text));
        let spaces = " ".repeat(3000);
        for text in
            ["", " ", "a\r\n\r\n  b", "\u{85}x\u{a0}\u{2028}", "IT'S it'S ſ's 12345", &spaces]
        {
            assert_same(text);
        }
        assert_same(&"every-word-is-longer-than-a-cache-keeps".repeat(40));
    }

    #[test]
    fn a_full_cache_begins_anew() {
        let (reference, tokenizer) = &BOTH[0];
        let words = Words::of(tokenizer).unwrap();
        let text: String = (0..CACHED_WORDS + 10).map(|number| format!(" {number}")).collect();
        let expected = reference.encode_fast(text.as_str(), false).unwrap().get_ids().to_vec();
        assert_eq!(words.encode(tokenizer, &text), Some(expected));
        assert!(words.caches.lock().unwrap()[0].places.len() < 100);
    }

    #[test]
    fn other_ways_of_cutting_are_left_to_the_library() {
        let unknown = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut tokenizer = Bpe::from_bytes(changed(change)).unwrap();
            tokenizer.set_encode_special_tokens(true);
            assert!(Words::of(&tokenizer).is_none());
        };
        unknown(&|json| json["pre_tokenizer"]["use_regex"] = false.into());
        unknown(&|json| json["added_tokens"][4]["special"] = false.into());
    }

    proptest! {
        #[test]
        fn any_text_has_the_tokens_of_the_library(text in "(\\PC|[ \n\t'a-z0-9]){0,60}") {
            assert_same(&text);
        }
    }
}
