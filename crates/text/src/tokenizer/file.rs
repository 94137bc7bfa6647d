//! What a `tokenizer.json` must hold before anything else may look at it.
//!
//! The library that encodes trusts its input in places (a merge of parts that are no token is an
//! index out of bounds there), so the vocabulary and the merges are checked here first. The same
//! pass collects the bytes of every token.

use super::Piece;
use serde::Deserialize;
use std::collections::HashMap;

/// Token ids stay below this: a larger one is damage, and would cost memory for the ids before it.
const ID_LIMIT: u32 = 1 << 24;

/// The tokens of a checked file.
pub(super) struct Vocabulary {
    /// By token id.
    pub(super) pieces: Vec<Piece>,
    /// Id and content of the tokens that are not part of the model, special or not.
    pub(super) added: Vec<(u32, String)>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    decoder: Option<Decoder>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    special: bool,
}

#[derive(Deserialize)]
struct Decoder {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

/// A pair of tokens to merge, in both forms in which files write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Spaced(String),
}

/// Reads and checks the bytes of a `tokenizer.json`; the error is the problem in words.
pub(super) fn read(bytes: &[u8]) -> Result<Vocabulary, String> {
    let file: File = serde_json::from_slice(bytes)
        .map_err(|error| format!("not a byte-level BPE tokenizer: {error}"))?;
    check_kind(&file)?;
    check_merges(&file.model)?;
    let pieces = pieces(&file)?;
    let mut present = [false; 256];
    for piece in &pieces {
        if let Piece::Bytes(bytes) = piece
            && let [byte] = **bytes
        {
            present[usize::from(byte)] = true;
        }
    }
    if let Some(byte) = present.iter().position(|present| !present) {
        return Err(format!("no token stands for the byte {byte:#04x}, so not all text fits"));
    }
    let added = file.added_tokens.into_iter().map(|token| (token.id, token.content)).collect();
    Ok(Vocabulary { pieces, added })
}

fn check_kind(file: &File) -> Result<(), String> {
    let model = &file.model;
    if let Some(kind) = model.kind.as_deref().filter(|&kind| kind != "BPE") {
        return Err(format!("its model is {kind:?}, expected \"BPE\""));
    }
    let decoder = file.decoder.as_ref().map_or("none", |decoder| &decoder.kind);
    if decoder != "ByteLevel" {
        return Err(format!("its decoder is {decoder:?}, expected \"ByteLevel\""));
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

fn check_merges(model: &Model) -> Result<(), String> {
    for (rank, merge) in model.merges.iter().enumerate() {
        let (left, right) = match merge {
            Merge::Pair(left, right) => (left.as_str(), right.as_str()),
            Merge::Spaced(pair) => pair
                .split_once(' ')
                .ok_or_else(|| format!("merge {rank} is {pair:?}, expected two tokens"))?,
        };
        for token in [left, right, &format!("{left}{right}")] {
            if !model.vocab.contains_key(token) {
                return Err(format!("merge {rank} needs {token:?}, which is no token"));
            }
        }
    }
    Ok(())
}

fn pieces(file: &File) -> Result<Vec<Piece>, String> {
    let byte_of: HashMap<char, u8> = (0..=255).map(|byte| (character_of(byte), byte)).collect();
    let mut pieces = Vec::new();
    for (token, &id) in &file.model.vocab {
        // An entry with a character that stands for no byte was never meant as text in this form.
        let bytes: Option<Vec<u8>> = token.chars().map(|it| byte_of.get(&it).copied()).collect();
        let bytes = bytes.unwrap_or_else(|| token.as_bytes().to_vec());
        let slot = slot(&mut pieces, id)?;
        if *slot != Piece::Unused {
            return Err(format!("two tokens have the id {id}, one of them {token:?}"));
        }
        *slot = Piece::Bytes(bytes.into());
    }
    for token in &file.added_tokens {
        *slot(&mut pieces, token.id)? = match token.special {
            true => Piece::Special(token.content.as_str().into()),
            false => Piece::Bytes(token.content.as_bytes().into()),
        };
    }
    Ok(pieces)
}

fn slot(pieces: &mut Vec<Piece>, id: u32) -> Result<&mut Piece, String> {
    if id >= ID_LIMIT {
        return Err(format!("a token has the id {id}, expected less than {ID_LIMIT}"));
    }
    let position = id as usize;
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
