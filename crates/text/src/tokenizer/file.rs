//! What a `tokenizer.json` must hold before anything else may look at it.
//!
//! The library that encodes trusts its input in places (a merge of parts that are no token is an
//! index out of bounds there), so the vocabulary and the merges are checked here first. The same
//! pass collects the bytes of every token.
//!
//! Two kinds are known by their decoders. In byte-level vocabularies every byte is written as a
//! character. In those of SentencePiece, which Llama 2 has, a space is U+2581 and a byte without a
//! character is a token named `<0x0A>`; a text becomes such a token only where it has no other.

use super::{Piece, Prefix};
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::{HashMap, HashSet};
use std::ops::Deref;

/// Token ids stay below this, or below what follows from how many tokens there are: a larger one is
/// damage, and would cost memory for the ids before it.
const ID_LIMIT: u32 = 1 << 24;
/// Ids for each token, and ids that may be unused beside.
const IDS_A_TOKEN: usize = 2;
const IDS_UNUSED: usize = 4096;
/// Most steps that cut text into words: each may hold an expression of ten megabytes, which a few
/// characters can say.
const STEPS_LIMIT: usize = 8;

/// What SentencePiece writes for a space.
const SPACE: &str = "▁";

/// The tokens of a checked file.
pub(super) struct Vocabulary {
    /// By token id.
    pub(super) pieces: Vec<Piece>,
    /// Id and content of the tokens that are not part of the model, special or not.
    pub(super) added: Vec<(u32, String)>,
    pub(super) prefix: Prefix,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<Step>,
    pre_tokenizer: Option<Step>,
    decoder: Option<Step>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    special: bool,
}

/// A step on the way from text to tokens or back, as far as the vocabularies of SentencePiece have
/// such.
#[derive(Deserialize)]
struct Step {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, alias = "normalizers", alias = "pretokenizers", alias = "decoders")]
    steps: Vec<Step>,
    pattern: Option<Pattern>,
    content: Option<String>,
    prepend: Option<String>,
    replacement: Option<String>,
    prepend_scheme: Option<String>,
    behavior: Option<String>,
    add_prefix_space: Option<bool>,
}

#[derive(Deserialize)]
enum Pattern {
    String(String),
    Regex(IgnoredAny),
}

impl Step {
    /// Itself, or the steps of which it is a sequence.
    fn parts(step: Option<&Self>) -> Vec<&Self> {
        match step {
            None => Vec::new(),
            Some(step) if step.kind == "Sequence" => step.steps.iter().collect(),
            Some(step) => vec![step],
        }
    }

    fn replaces(&self, from: &str, to: &str) -> bool {
        let pattern = match &self.pattern {
            Some(Pattern::String(text)) => text.as_str(),
            Some(Pattern::Regex(_)) | None => return false,
        };
        self.kind == "Replace" && pattern == from && self.content.as_deref() == Some(to)
    }
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    ignore_merges: Option<bool>,
    vocab: Vocab,
    merges: Vec<Merge>,
}

/// Tokens and their ids. None is there twice: which of the two holds would be a matter of who reads it.
struct Vocab(HashMap<String, u32>);

impl Deref for Vocab {
    type Target = HashMap<String, u32>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Vocab {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Vocab;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a map of tokens and their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocab, A::Error> {
                let mut vocab = HashMap::new();
                while let Some((token, id)) = map.next_entry::<String, u32>()? {
                    if vocab.contains_key(&token) {
                        return Err(A::Error::custom(format!(
                            "the token {token:?} is there twice"
                        )));
                    }
                    vocab.insert(token, id);
                }
                Ok(Vocab(vocab))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// A pair of tokens to merge, in both forms in which files write it.
enum Merge {
    Pair(String, String),
    Spaced(String),
}

/// Written out, because what serde derives for it reads every pair twice.
impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Merge;

            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a merge, as two tokens or as a text with a blank between them")
            }

            fn visit_str<E>(self, pair: &str) -> Result<Merge, E> {
                Ok(Merge::Spaced(pair.to_owned()))
            }

            fn visit_string<E>(self, pair: String) -> Result<Merge, E> {
                Ok(Merge::Spaced(pair))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merge, A::Error> {
                let mut token = |at: usize| {
                    let token = list.next_element::<String>()?;
                    token.ok_or_else(|| A::Error::invalid_length(at, &self))
                };
                let pair = Merge::Pair(token(0)?, token(1)?);
                match list.next_element::<IgnoredAny>()? {
                    None => Ok(pair),
                    Some(_) => Err(A::Error::invalid_length(3, &self)),
                }
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// Reads and checks the bytes of a `tokenizer.json`; the error is the problem in words.
pub(super) fn read(bytes: &[u8]) -> Result<Vocabulary, String> {
    let file: File = serde_json::from_slice(bytes)
        .map_err(|error| format!("not a byte-level BPE tokenizer: {error}"))?;
    check_kind(&file.model)?;
    let prefix = match file.decoder.as_ref().map_or("none", |decoder| &decoder.kind) {
        "ByteLevel" => {
            byte_level(&file)?;
            None
        }
        "Sequence" => Some(sentence_piece(&file)?),
        kind => {
            return Err(format!(
                "its decoder is {kind:?}, expected \"ByteLevel\" or the \"Sequence\" of Llama 2"
            ));
        }
    };
    check_merges(&file)?;
    let pieces = pieces(&file, prefix.is_some())?;
    let missing = match prefix {
        Some(_) => (0..=255).find(|&byte| !file.model.vocab.contains_key(&byte_name(byte))),
        None => missing_byte(&pieces),
    };
    if let Some(byte) = missing {
        return Err(format!("no token stands for the byte {byte:#04x}, so not all text fits"));
    }
    let added = file.added_tokens.into_iter().map(|token| (token.id, token.content)).collect();
    Ok(Vocabulary { pieces, added, prefix: prefix.unwrap_or(Prefix::None) })
}

fn missing_byte(pieces: &[Piece]) -> Option<u8> {
    let mut present = [false; 256];
    for piece in pieces {
        if let Piece::Bytes(bytes) = piece
            && let [byte] = **bytes
        {
            present[usize::from(byte)] = true;
        }
    }
    (0..=255).find(|&byte: &u8| !present[usize::from(byte)])
}

fn check_kind(model: &Model) -> Result<(), String> {
    if let Some(kind) = model.kind.as_deref().filter(|&kind| kind != "BPE") {
        return Err(format!("its model is {kind:?}, expected \"BPE\""));
    }
    if model.dropout.is_some_and(|dropout| dropout != 0.0) {
        return Err("it drops merges at random (dropout), expected none".to_owned());
    }
    let affixes = [&model.continuing_subword_prefix, &model.end_of_word_suffix];
    if affixes.into_iter().flatten().any(|affix| !affix.is_empty()) {
        return Err("it marks the parts of words with a prefix or suffix, expected none".to_owned());
    }
    Ok(())
}

/// Checks that a byte-level vocabulary gets a text as it is: nothing is changed, left out or put in front.
fn byte_level(file: &File) -> Result<(), String> {
    if let Some(step) = Step::parts(file.normalizer.as_ref()).first() {
        let kind = &step.kind;
        return Err(format!(
            "it changes text before it is cut (normalizer {kind:?}), expected none"
        ));
    }
    let words = Step::parts(file.pre_tokenizer.as_ref());
    let cuts = |step: &&Step| ["Split", "Digits", "Punctuation"].contains(&step.kind.as_str());
    let is_known = matches!(&words[..], [before @ .., last] if last.kind == "ByteLevel" && before.iter().all(cuts));
    if !is_known {
        let kinds: Vec<&str> = words.iter().map(|step| step.kind.as_str()).collect();
        return Err(format!(
            "it cuts text into words by {}, expected ByteLevel, perhaps behind Split, Digits or Punctuation",
            if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
        ));
    }
    if words.len() > STEPS_LIMIT {
        let steps = words.len();
        return Err(format!(
            "it cuts text into words in {steps} steps, expected at most {STEPS_LIMIT}"
        ));
    }
    if let Some(step) = words.iter().find(|step| step.behavior.as_deref() == Some("Removed")) {
        return Err(format!("it leaves text out ({} with the behavior \"Removed\")", step.kind));
    }
    if words.iter().any(|step| step.add_prefix_space == Some(true)) {
        return Err(
            "it puts a space in front of a text (add_prefix_space), expected none".to_owned()
        );
    }
    Ok(())
}

/// Checks that everything around the vocabulary is as SentencePiece does it: spaces become U+2581
/// and come back, one may be put in front, and nothing else happens to a text.
fn sentence_piece(file: &File) -> Result<Prefix, String> {
    if !file.model.byte_fallback {
        return Err("it has no bytes for unknown characters (byte_fallback)".to_owned());
    }
    if file.model.ignore_merges == Some(true) {
        return Err("it takes whole words for tokens (ignore_merges), so that a text could name \
                    a byte or a mark"
            .to_owned());
    }
    let decoder = Step::parts(file.decoder.as_ref());
    let kinds: Vec<&str> = decoder.iter().map(|step| step.kind.as_str()).collect();
    let is_known = matches!(
        kinds[..],
        ["Replace", "ByteFallback", "Fuse"] | ["Replace", "ByteFallback", "Fuse", "Strip"]
    );
    if !is_known || !decoder[0].replaces(SPACE, " ") {
        return Err(format!(
            "its decoder is {}, expected Replace (of U+2581), ByteFallback, Fuse and Strip",
            kinds.join(", ")
        ));
    }
    let before = Step::parts(file.normalizer.as_ref());
    let words = Step::parts(file.pre_tokenizer.as_ref());
    let is_prepend = |step: &Step| step.kind == "Prepend" && step.prepend.as_deref() == Some(SPACE);
    match (&before[..], &words[..]) {
        ([replace], []) if replace.replaces(" ", SPACE) => Ok(Prefix::None),
        ([prepend, replace], []) if is_prepend(prepend) && replace.replaces(" ", SPACE) => {
            Ok(Prefix::Segment)
        }
        ([], [words])
            if words.kind == "Metaspace" && words.replacement.as_deref() == Some(SPACE) =>
        {
            Ok(match (words.prepend_scheme.as_deref(), words.add_prefix_space) {
                (Some("never"), _) | (None, Some(false)) => Prefix::None,
                (Some("first"), _) => Prefix::Start,
                _ => Prefix::Segment,
            })
        }
        _ => {
            let steps = before.iter().chain(&words).map(|step| step.kind.as_str());
            let steps: Vec<&str> = steps.collect();
            Err(format!(
                "it prepares a text by {}, expected Prepend and Replace, or Metaspace, of U+2581",
                if steps.is_empty() { "nothing".to_owned() } else { steps.join(", ") }
            ))
        }
    }
}

fn check_merges(file: &File) -> Result<(), String> {
    let vocab = &file.model.vocab;
    let marks = file.added_tokens.iter().filter(|token| token.special);
    let marks: HashSet<&str> = marks.map(|token| token.content.as_str()).collect();
    for (rank, merge) in file.model.merges.iter().enumerate() {
        let (left, right) = match merge {
            Merge::Pair(left, right) => (left.as_str(), right.as_str()),
            Merge::Spaced(pair) => pair
                .split_once(' ')
                .ok_or_else(|| format!("merge {rank} is {pair:?}, expected two tokens"))?,
        };
        let made = format!("{left}{right}");
        for token in [left, right, &made] {
            if !vocab.contains_key(token) {
                return Err(format!("merge {rank} needs {token:?}, which is no token"));
            }
        }
        if file.model.byte_fallback && (marks.contains(&*made) || named_byte(&made).is_some()) {
            return Err(format!("merge {rank} makes {made:?}, which is not text"));
        }
    }
    Ok(())
}

fn pieces(file: &File, is_sentence_piece: bool) -> Result<Vec<Piece>, String> {
    let byte_of: HashMap<char, u8> = (0..=255).map(|byte| (character_of(byte), byte)).collect();
    let tokens = file.model.vocab.len() + file.added_tokens.len();
    let ids = (IDS_A_TOKEN * tokens + IDS_UNUSED).min(ID_LIMIT as usize);
    let mut pieces = Vec::new();
    for (token, &id) in &*file.model.vocab {
        let bytes = match (is_sentence_piece, named_byte(token)) {
            (true, Some(byte)) => vec![byte],
            (true, None) => token.replace(SPACE, " ").into_bytes(),
            (false, _) => {
                // An entry with a character that stands for no byte was never meant as text in
                // this form.
                let bytes = token.chars().map(|it| byte_of.get(&it).copied()).collect();
                let bytes: Option<Vec<u8>> = bytes;
                bytes.unwrap_or_else(|| token.as_bytes().to_vec())
            }
        };
        let slot = slot(&mut pieces, id, ids)?;
        if *slot != Piece::Unused {
            return Err(format!("two tokens have the id {id}, one of them {token:?}"));
        }
        *slot = Piece::Bytes(bytes.into());
    }
    for token in &file.added_tokens {
        *slot(&mut pieces, token.id, ids)? = match token.special {
            true => Piece::Special(token.content.as_str().into()),
            false => Piece::Bytes(token.content.as_bytes().into()),
        };
    }
    Ok(pieces)
}

/// The token of a byte that no character stands for.
fn byte_name(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

/// The byte whose token has this name.
fn named_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let byte = u8::from_str_radix(digits, 16).ok()?;
    (byte_name(byte) == token).then_some(byte)
}

fn slot(pieces: &mut Vec<Piece>, id: u32, ids: usize) -> Result<&mut Piece, String> {
    let position = id as usize;
    if position >= ids {
        return Err(format!("a token has the id {id}, expected less than {ids}"));
    }
    if pieces.len() <= position {
        pieces.resize(position + 1, Piece::Unused);
    }
    Ok(&mut pieces[position])
}

/// The character by which vocabularies of this kind write a byte: itself where it is printable in
/// Latin-1, else the next one free from U+0100 on, in the order of the bytes.
pub(super) fn character_of(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&byte| !printable(byte)).count() as u32;
    char::from_u32(0x100 + before).expect("the 68 characters from U+0100 on are all assigned")
}
