//! The tokens of a tokenizer as a trie of bytes, for masks.

use crate::tokenizer::{After, Encoder, Tokenizer};
use crate::{Error, Result};
use llguidance::ParserFactory;
use llguidance::api::ParserLimits;
use llguidance::earley::SlicedBiasComputer;
use std::fmt;
use std::sync::Arc;
use toktrie::{InferenceCapabilities, TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};

/// Largest vocabulary: the trie counts its nodes in 22 bits.
const MOST_TOKENS: usize = 1 << 20;
/// Tokens of more bytes are never allowed by a mask: the trie is not that deep, and their text can
/// be written with shorter ones.
const MOST_TOKEN_BYTES: usize = 512;

/// A vocabulary that masks can be computed for; made once per tokenizer and shared.
pub struct Vocabulary {
    factory: ParserFactory,
    encoder: Encoder,
    /// The token of every byte.
    bytes: [u32; 256],
    hash: String,
}

impl Vocabulary {
    /// The vocabulary of a tokenizer.
    ///
    /// # Errors
    /// More than a million tokens.
    pub fn of(tokenizer: &Tokenizer) -> Result<Arc<Vocabulary>> {
        let size = tokenizer.vocab_size();
        let wrong = |problem: String| Error::Tokenizer { from: "for masks".to_owned(), problem };
        if size > MOST_TOKENS {
            return Err(wrong(format!("{size} tokens, expected at most {MOST_TOKENS}")));
        }
        let mut bytes = [0; 256];
        let mut words = Vec::with_capacity(size);
        for id in 0..size as u32 {
            let word = tokenizer.token_bytes(id).unwrap_or_default();
            if let [byte] = word {
                bytes[usize::from(*byte)] = id;
            }
            // 0xff is in no UTF-8 text, and marks special tokens in the trie.
            let usable = word.len() <= MOST_TOKEN_BYTES && !word.contains(&0xff);
            words.push(if usable { word.to_vec() } else { Vec::new() });
        }
        let trie = TokTrie::from(&TokRxInfo::new(size as u32, tokenizer.eos()), &words);
        let environment: TokEnv = Arc::new(Environment { trie });
        let slices = SlicedBiasComputer::json_slices();
        let mut factory =
            ParserFactory::new(&environment, InferenceCapabilities::default(), &slices)
                .map_err(|error| wrong(error.to_string()))?;
        factory.quiet();
        *factory.limits_mut() = ParserLimits {
            step_lexer_fuel: 1_000_000,
            verbose_errors: false,
            ..ParserLimits::default()
        };
        Ok(Arc::new(Self {
            factory,
            encoder: tokenizer.encoder(),
            bytes,
            hash: tokenizer.hash().to_owned(),
        }))
    }

    /// Tokens, used ids and unused ones: the bits of a mask.
    pub fn size(&self) -> usize {
        self.trie().vocab_size()
    }

    /// The hash of the tokenizer.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    pub(super) fn factory(&self) -> &ParserFactory {
        &self.factory
    }

    pub(super) fn trie(&self) -> &TokTrie {
        self.factory.tok_env().tok_trie()
    }

    /// The text of a token; empty for special ones.
    pub(super) fn token(&self, id: u32) -> &[u8] {
        self.trie().token(id)
    }

    /// Tokens whose bytes are these. Where they begin within a character, or are no text, that part
    /// takes a token per byte.
    pub(super) fn tokens(&self, bytes: &[u8]) -> Vec<u32> {
        let continues = |byte: &&u8| (0x80..0xc0).contains(*byte);
        let head = bytes.iter().take_while(continues).count();
        let single = |bytes: &[u8]| -> Vec<u32> {
            bytes.iter().map(|&byte| self.bytes[usize::from(byte)]).collect()
        };
        let mut ids = single(&bytes[..head]);
        let tail = &bytes[head..];
        let text = std::str::from_utf8(tail).ok();
        let encoded = text.and_then(|text| self.encoder.encode(After::Text, text).ok());
        // A normalizer could have changed the text.
        let exact = encoded.filter(|ids| self.trie().decode_raw(ids) == tail);
        ids.extend(exact.unwrap_or_else(|| single(tail)));
        ids
    }
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Vocabulary").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// The trie for the parser. It never asks for tokens of a text: forced text is encoded here.
struct Environment {
    trie: TokTrie,
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.trie.greedy_tokenize(bytes)
    }

    fn tokenize_is_canonical(&self) -> bool {
        false
    }
}
