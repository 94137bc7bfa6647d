//! BPE over bytes or over characters and bytes: text to token ids and back.
//!
//! The pair merging itself, in training and in encoding, is the work of the `tokenizers` crate;
//! this file decides which tokenizers are acceptable and what text may turn into:
//!
//! - Only byte-level BPE and the BPE of SentencePiece are taken, with every byte in the vocabulary.
//!   Then no text is unknown to it, and `decode(encode(text)) == text` holds for every text that it
//!   leaves alone: U+2581 is SentencePiece's space and comes back as one, and a file with the
//!   pre-tokenizer Metaspace does not tell one space at the start of a text from none.
//! - SentencePiece puts a space in front of a text ([`After`]); decoding takes it away again.
//! - Plain text never becomes a special token, whatever is written in it.
//! - A `tokenizer.json` says nothing about truncation, padding or begin marks here: what it says
//!   would change documents behind the back of whoever counts tokens.
//! - The hash is that of the `tokenizer.json` bytes, so `sha256sum` says the same. Other formats
//!   become a `tokenizer.json` first ([`tiktoken`], [`GgufKeys`]).

use crate::{Error, Result};
use serde::Deserialize as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::Replace;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, OffsetReferential, OffsetType,
    PostProcessorWrapper, PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper,
    TokenizerImpl, Trainer as _,
};

mod cut;
mod file;
mod gguf;
mod json;
mod stream;
#[cfg(test)]
mod tests;
mod tiktoken;
mod to_gguf;
mod words;

pub use gguf::GgufKeys;
pub use stream::Stream;
pub use tiktoken::{Llama3, tiktoken};
use words::Words;

/// The special token in front of every document in the vocabularies of Llama 3, and in those that are
/// learned here.
pub const BEGIN_OF_TEXT: &str = "<|begin_of_text|>";
/// The special token after every document there.
pub const END_OF_TEXT: &str = "<|end_of_text|>";

/// Begin and end mark by their names: Llama 3's, then those of Llama 2.
const MARKS: [[&str; 2]; 2] = [[BEGIN_OF_TEXT, END_OF_TEXT], ["<s>", "</s>"]];

/// The files of a model's directory that hold its tokenizer, the first of which counts.
const FILES: [&str; 2] = ["tokenizer.json", "tokenizer.model"];

/// The special tokens of a tokenizer that is learned here, in the order of their ids: the begin and
/// end of a document, and what Llama 3's chat format is made of.
const LEARNED_MARKS: [&str; 5] =
    [BEGIN_OF_TEXT, END_OF_TEXT, "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"];

/// Largest `tokenizer.json` that is read. Those of the largest vocabularies in use have 35 MB.
const FILE_LIMIT_BYTES: u64 = 128 << 20;

/// Most text that a vocabulary is trained on: the trainer counts pairs in 31 bits.
const TRAINING_LIMIT_BYTES: u64 = (1 << 31) - 1;

/// Text whose words are found at once in training, because that takes dozens of times its memory.
const TRAINING_PIECE_BYTES: usize = 1 << 18;

/// The largest vocabulary that is learned.
const LARGEST_VOCABULARY: usize = 1 << 20;
/// The smallest vocabulary: every byte, and the marks.
pub const SMALLEST_VOCABULARY: usize = 256 + LEARNED_MARKS.len();

/// What a token id stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// No token has this id.
    Unused,
    /// These bytes of text.
    Bytes(Box<[u8]>),
    /// A mark with this name, which is not text.
    Special(Box<str>),
}

/// What stands before a text that is encoded or decoded by itself. It matters where a tokenizer puts a
/// space in front of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing that is part of the text: a begin mark at most.
    Nothing,
    /// A special token within the text, as chat templates write them.
    Mark,
    /// Text, which goes on.
    Text,
}

/// Where a tokenizer puts a space in front of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    /// Nowhere.
    None,
    /// At its start.
    Start,
    /// At its start and behind every special token.
    Segment,
}

impl Prefix {
    fn is_put(self, after: After) -> bool {
        match after {
            After::Nothing => self != Self::None,
            After::Mark => self == Self::Segment,
            After::Text => false,
        }
    }
}

/// The library's tokenizer, known to be BPE. One that may be of any kind has its model read three times, twice
/// of them into trees of values, to learn which: three quarters of the time of loading.
type Bpe = TokenizerImpl<
    BPE,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// A BPE tokenizer with a begin and an end mark.
pub struct Tokenizer {
    encoder: Encoder,
    /// The `tokenizer.json`, as read or as trained.
    file: Vec<u8>,
    hash: String,
    /// By token id.
    pieces: Vec<Piece>,
    /// The names of all special tokens with their ids, the longest first.
    specials: Vec<(Box<str>, u32)>,
    bos: u32,
    eos: u32,
}

impl Tokenizer {
    /// The file of a model's directory that holds its tokenizer: `tokenizer.json`, unless there is
    /// only a `tokenizer.model`.
    pub fn file_in(directory: &Path) -> PathBuf {
        let files = FILES.map(|name| directory.join(name));
        let found = files.iter().find(|file| file.exists());
        found.unwrap_or(&files[0]).clone()
    }

    /// Reads a `tokenizer.json`, or the `tokenizer.model` of Llama 3 with the special tokens of
    /// Llama 3.1 and later.
    ///
    /// # Errors
    /// A file that cannot be read, or what [`Tokenizer::from_bytes`] refuses.
    pub fn from_file(path: &Path) -> Result<Self> {
        let bytes = files::read(path, FILE_LIMIT_BYTES)?;
        Self::parse(bytes, &path.display().to_string())
    }

    /// Reads the bytes of such a file.
    ///
    /// # Errors
    /// Bytes that are no tokenizer, or one that is of another kind, misses a byte or a mark, or would
    /// not encode the same text to the same tokens every time.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::parse(bytes.to_owned(), "in memory")
    }

    fn parse(bytes: Vec<u8>, from: &str) -> Result<Self> {
        let wrong = |problem: String| Error::Tokenizer { from: from.to_owned(), problem };
        let bytes = as_json(bytes).map_err(wrong)?;
        let vocabulary = file::read(&bytes).map_err(wrong)?;
        let mut inner =
            read_bpe(&bytes).map_err(|error| wrong(format!("not a tokenizer: {error}")))?;
        for (id, name) in &vocabulary.added {
            let given = inner.token_to_id(name);
            if given != Some(*id) {
                return Err(wrong(format!(
                    "added token {name:?} has id {id}, but reads {given:?}"
                )));
            }
        }
        inner.with_truncation(None).map_err(|error| wrong(error.to_string()))?;
        inner.with_padding(None);
        inner.set_encode_special_tokens(true);
        let pieces = vocabulary.pieces;
        let specials = specials(&pieces);
        let id = |name: &str| specials.iter().find(|(it, _)| **it == *name).map(|&(_, id)| id);
        let begins = MARKS.iter().find(|[begin, _]| id(begin).is_some());
        let [bos, eos] = begins
            .unwrap_or(&MARKS[0])
            .map(|name| id(name).ok_or_else(|| wrong(format!("there is no special token {name}"))));
        let hash = files::sha256(&bytes);
        let encoder = Encoder::new(inner, vocabulary.prefix, special_ids(&pieces));
        let encoder = encoder.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { encoder, file: bytes, hash, specials, pieces, bos: bos?, eos: eos? })
    }

    /// Learns a vocabulary of at most `vocab_size` tokens from these texts: the five marks
    /// (begin, end, and those of Llama 3's chat format), the 256 bytes, then merges of pairs that occur at least twice, the most frequent
    /// first and equally frequent ones in the order of their ids. Fewer tokens come out where the
    /// texts hold no more such pairs. The threads that count do not change the result.
    ///
    /// # Errors
    /// The first error among the texts, a `vocab_size` below [`SMALLEST_VOCABULARY`], no text at
    /// all, or more text than the trainer can count (2 GiB).
    pub fn train_bpe<S: AsRef<str> + Send>(
        texts: impl Iterator<Item = Result<S>> + Send,
        vocab_size: usize,
    ) -> Result<Self> {
        let wrong = |problem: String| Error::Tokenizer { from: "training".to_owned(), problem };
        if vocab_size > LARGEST_VOCABULARY {
            return Err(wrong(format!(
                "a vocabulary of {vocab_size} tokens was asked for, the most is {LARGEST_VOCABULARY}"
            )));
        }
        if vocab_size < SMALLEST_VOCABULARY {
            return Err(wrong(format!(
                "a vocabulary of {vocab_size} tokens was asked for, the bytes and marks alone are \
                 {SMALLEST_VOCABULARY}"
            )));
        }
        let marks = LEARNED_MARKS.map(|name| AddedToken::from(name, true));
        let mut trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(marks.to_vec())
            .build();
        count_words(&mut trainer, texts)?;
        let mut model = BPE::default();
        trainer.train(&mut model).map_err(|error| wrong(error.to_string()))?;
        let inner = assemble(model, &marks).map_err(|error| wrong(error.to_string()))?;
        let bytes = inner.to_string(true).map_err(|error| wrong(error.to_string()))?.into_bytes();
        Self::parse(bytes, "training")
    }

    /// Writes the `tokenizer.json`, byte for byte what was read or trained.
    ///
    /// # Errors
    /// The file cannot be written; an existing one is then unchanged.
    pub fn save(&self, path: &Path) -> Result<()> {
        Ok(files::write_atomic(path, |out| out.write_all(&self.file))?)
    }

    /// The tokens of a text, without marks. What looks like a special token in it is encoded as
    /// the characters it is made of.
    ///
    /// # Errors
    /// A text that the tokenizer's own rules cannot split, or turn into a special token all the
    /// same. Neither happens with tokenizers trained here or those of Llama 2 and 3.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.encode_after(After::Nothing, text)
    }

    /// The tokens of a text behind something else.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_after(&self, after: After, text: &str) -> Result<Vec<u32>> {
        self.encoder.encode(after, text).map_err(|problem| match problem {
            Refusal::Split(problem) => Error::Encode { bytes: text.len(), problem },
            Refusal::Special(id) => {
                let name = self.special_name(id).unwrap_or_default();
                let problem = format!("it would become the special token {name}");
                Error::Encode { bytes: text.len(), problem }
            }
        })
    }

    /// Its encoding part, which can be kept without it.
    pub(crate) fn encoder(&self) -> Encoder {
        self.encoder.clone()
    }

    /// The text of these tokens. Special tokens are no text and leave nothing; bytes that are no
    /// UTF-8, and ids that no token has, become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.decode_after(After::Nothing, ids)
    }

    /// The text of the tokens that [`Tokenizer::encode_after`] gives.
    pub fn decode_after(&self, after: After, ids: &[u32]) -> String {
        let mut stream = self.stream_after(after);
        let mut text: String = ids.iter().filter_map(|&id| stream.push(id)).collect();
        text.extend(stream.finish());
        text
    }

    /// Decodes one token after another, giving out whole characters only.
    pub fn stream(&self) -> Stream<'_> {
        self.stream_after(After::Nothing)
    }

    /// The same for the tokens of a text behind something else.
    pub fn stream_after(&self, after: After) -> Stream<'_> {
        Stream::new(self, after)
    }

    /// What the text stands behind that goes on from these tokens.
    pub fn after(&self, ids: &[u32]) -> After {
        match ids {
            [] => After::Nothing,
            [only] if *only == self.bos => After::Nothing,
            [.., last] if self.special_name(*last).is_some() => After::Mark,
            _ => After::Text,
        }
    }

    /// The bytes that a token stands for; `None` for special tokens and ids that no token has.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        match self.pieces.get(id as usize) {
            Some(Piece::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The name of a special token; `None` for all other ids.
    pub fn special_name(&self, id: u32) -> Option<&str> {
        match self.pieces.get(id as usize) {
            Some(Piece::Special(name)) => Some(name),
            _ => None,
        }
    }

    /// The id of the special token with this name.
    pub fn special_id(&self, name: &str) -> Option<u32> {
        let found = self.specials.iter().find(|(it, _)| **it == *name);
        found.map(|&(_, id)| id)
    }

    /// The special token whose name this text begins with, the longest if there are several, and
    /// the length of its name.
    pub fn special_at(&self, text: &str) -> Option<(u32, usize)> {
        let first = text.as_bytes().first()?;
        let found = self
            .specials
            .iter()
            .filter(|(name, _)| name.as_bytes().first() == Some(first))
            .find(|(name, _)| text.starts_with(&**name));
        found.map(|(name, id)| (*id, name.len()))
    }

    /// One more than the largest token id.
    pub fn vocab_size(&self) -> usize {
        self.pieces.len()
    }

    /// The id of the mark in front of every document: [`BEGIN_OF_TEXT`], or `<s>`.
    pub fn bos(&self) -> u32 {
        self.bos
    }

    /// The id of the mark after every document: [`END_OF_TEXT`], or `</s>`.
    pub fn eos(&self) -> u32 {
        self.eos
    }

    /// The tokens at which an answer is over: the end mark, and those that end a turn of a
    /// conversation in the formats of Llama 3, as far as there are any. No text encodes to them.
    pub fn ends(&self) -> Vec<u32> {
        let turns = ["<|eot_id|>", "<|eom_id|>"].into_iter().filter_map(|it| self.special_id(it));
        std::iter::once(self.eos).chain(turns).collect()
    }

    /// The SHA-256 of the `tokenizer.json`, in hexadecimal. Two tokenizers with one hash encode
    /// every text to the same tokens.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// What turns text into tokens; cheap to clone.
#[derive(Clone)]
pub(crate) struct Encoder {
    inner: Arc<Bpe>,
    /// The same without a space in front, where `inner` puts one there.
    unprefixed: Option<Arc<Bpe>>,
    prefix: Prefix,
    /// The short way to the same tokens, where there is one.
    words: Option<Arc<Words>>,
    /// Ids of special tokens, ascending.
    special: Arc<[u32]>,
}

/// Why a text was not encoded.
pub(crate) enum Refusal {
    /// The tokenizer's own rules failed.
    Split(String),
    /// It would have become this special token.
    Special(u32),
}

impl Encoder {
    fn new(inner: Bpe, prefix: Prefix, special: Arc<[u32]>) -> tokenizers::Result<Self> {
        let unprefixed = match prefix {
            Prefix::None => None,
            Prefix::Start | Prefix::Segment => Some(Arc::new(unprefixed(&inner)?)),
        };
        let words = Words::of(&inner).map(Arc::new);
        Ok(Self { inner: Arc::new(inner), unprefixed, prefix, words, special })
    }

    /// The tokens of a text, without marks, none of them special.
    pub(crate) fn encode(
        &self,
        after: After,
        text: &str,
    ) -> std::result::Result<Vec<u32>, Refusal> {
        let inner = match &self.unprefixed {
            Some(unprefixed) if !self.prefix.is_put(after) => unprefixed,
            _ => &self.inner,
        };
        let known = self.words.as_ref().and_then(|words| words.encode(&self.inner, text));
        let ids = match known {
            Some(ids) => ids,
            None => {
                let encoding = inner.encode_fast(text, false);
                encoding.map_err(|error| Refusal::Split(error.to_string()))?.get_ids().to_vec()
            }
        };
        match ids.iter().find(|id| self.special.binary_search(id).is_ok()) {
            Some(&id) => Err(Refusal::Special(id)),
            None => Ok(ids),
        }
    }
}

/// The tokenizer without what puts a space in front of a text.
fn unprefixed(inner: &Bpe) -> tokenizers::Result<Bpe> {
    let mut inner = inner.clone();
    let replace = Replace::new(" ", "▁")?;
    inner.with_normalizer(Some(NormalizerWrapper::Replace(replace)))?;
    if let Some(PreTokenizerWrapper::Metaspace(words)) = inner.get_pre_tokenizer() {
        let mut words = words.clone();
        words.set_prepend_scheme(PrependScheme::Never);
        inner.with_pre_tokenizer(Some(words));
    }
    Ok(inner)
}

/// Reads a `tokenizer.json`.
fn read_bpe(bytes: &[u8]) -> tokenizers::Result<Bpe> {
    Bpe::from_bytes(bytes).or_else(|_| {
        // The library stumbles over fields of a model that it does not know, unless it walks a tree of values.
        let tree: serde_json::Value = serde_json::from_slice(bytes)?;
        Ok(Bpe::deserialize(&tree)?)
    })
}

/// The bytes of a tokenizer's file as those of a `tokenizer.json`. What is neither that nor a format
/// that becomes one stays as it is, and is refused by whoever reads it.
fn as_json(bytes: Vec<u8>) -> std::result::Result<Vec<u8>, String> {
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return Ok(bytes);
    }
    if tiktoken::is_tiktoken(&bytes) {
        return tiktoken::convert(&bytes, Llama3::V3_1);
    }
    // The first field of SentencePiece's message is a token, and that begins with one, too.
    if bytes.first() == Some(&b'\n') && bytes.get(2) == Some(&b'\n') {
        return Err("it is a SentencePiece model, which is not read\nhint: take the \
                    tokenizer.json of the same model"
            .to_owned());
    }
    Ok(bytes)
}

fn special_ids(pieces: &[Piece]) -> Arc<[u32]> {
    let is_special = |piece: &Piece| matches!(piece, Piece::Special(_));
    (0..).zip(pieces).filter(|(_, piece)| is_special(piece)).map(|(id, _)| id).collect()
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size())
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

/// The names of the special tokens, the longest first.
fn specials(pieces: &[Piece]) -> Vec<(Box<str>, u32)> {
    let name = |(id, piece): (usize, &Piece)| match piece {
        Piece::Special(name) => Some((name.clone(), id as u32)),
        _ => None,
    };
    let mut specials: Vec<_> = pieces.iter().enumerate().filter_map(name).collect();
    specials.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    specials
}

/// How text is cut into words before pairs are merged, and how bytes are written as characters.
fn words() -> ByteLevel {
    ByteLevel::default().add_prefix_space(false).use_regex(true)
}

/// Feeds the words of all texts to the trainer.
fn count_words<S: AsRef<str> + Send>(
    trainer: &mut BpeTrainer,
    texts: impl Iterator<Item = Result<S>> + Send,
) -> Result<()> {
    let wrong = |problem: String| Error::Tokenizer { from: "training".to_owned(), problem };
    let mut failure = None;
    let mut total_bytes = 0;
    let good = texts.map_while(|text| match text {
        Ok(text) => {
            total_bytes += text.as_ref().len() as u64;
            (total_bytes <= TRAINING_LIMIT_BYTES).then_some(text)
        }
        Err(error) => {
            failure = Some(error);
            None
        }
    });
    let split = |text: &str| {
        let mut found = Vec::new();
        for piece in pieces(text, TRAINING_PIECE_BYTES) {
            let mut split = PreTokenizedString::from(piece);
            words().pre_tokenize(&mut split)?;
            let splits = split.get_splits(OffsetReferential::Original, OffsetType::Byte);
            found.extend(splits.into_iter().map(|(word, ..)| word.to_owned()));
        }
        Ok(found)
    };
    trainer.feed(good, split).map_err(|error| wrong(error.to_string()))?;
    match failure {
        Some(error) => Err(error),
        None if total_bytes == 0 => Err(wrong("there is no text to learn from".to_owned())),
        None if total_bytes > TRAINING_LIMIT_BYTES => Err(wrong(format!(
            "more than {TRAINING_LIMIT_BYTES} bytes of text\nhint: train on a sample of it"
        ))),
        None => Ok(()),
    }
}

/// The text in pieces of at most this many bytes (4 or more), cut behind a line where there is one.
fn pieces(text: &str, limit_bytes: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let most = rest.floor_char_boundary(limit_bytes);
        let cut = match rest[..most].rfind('\n') {
            Some(line_end) if most < rest.len() => line_end + 1,
            _ => most,
        };
        let (piece, after) = rest.split_at(cut);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Puts the parts around a trained model. The begin mark is also put in front by other programs
/// that read the file, as it is in training.
fn assemble(model: BPE, marks: &[AddedToken]) -> tokenizers::Result<Bpe> {
    let mut inner = Bpe::new(model);
    inner.with_pre_tokenizer(Some(words()));
    inner.with_decoder(Some(ByteLevel::default().add_prefix_space(false)));
    inner.add_special_tokens(marks.iter().cloned())?;
    let bos = inner.token_to_id(BEGIN_OF_TEXT).ok_or("the begin mark got no id")?;
    let template = TemplateProcessing::builder()
        .try_single(format!("{BEGIN_OF_TEXT} $A"))?
        .try_pair(format!("{BEGIN_OF_TEXT} $A {BEGIN_OF_TEXT}:1 $B:1"))?
        .special_tokens(vec![(BEGIN_OF_TEXT, bos)])
        .build()?;
    inner.with_post_processor(Some(PostProcessorWrapper::Template(template)));
    Ok(inner)
}
