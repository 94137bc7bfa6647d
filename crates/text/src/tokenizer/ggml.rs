//! A tokenizer as llama.cpp has it: the parts of GGUF's `tokenizer.ggml.*` keys.

use super::{Piece, Tokenizer};
use crate::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

/// What a token is, as llama.cpp numbers it.
const TEXT: i32 = 1;
const MARK: i32 = 3;
const WHOLE: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// How text is cut into words, by the name that llama.cpp has for it.
const LLAMA3: &str = "llama-bpe";
const GPT2: &str = "gpt-2";
/// The pattern of Llama 3's words, which no other tokenizer has.
const LLAMA3_PATTERN: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| \
                              ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/// The parts of a tokenizer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// `gpt2` (byte-level) or `llama` (SentencePiece).
    pub model: &'static str,
    /// How text is cut before pairs are merged.
    pub pre: &'static str,
    /// By id.
    pub tokens: Vec<String>,
    /// By id: 1 text, 3 a mark, 4 text that is never cut, 5 unused, 6 a byte.
    pub types: Vec<i32>,
    /// Pairs with a space between, the first ones first.
    pub merges: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    pre_tokenizer: Value,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
}

#[derive(Deserialize)]
struct Model {
    vocab: std::collections::HashMap<String, u32>,
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Spaced(String),
}

impl Tokenizer {
    /// Its parts.
    ///
    /// # Errors
    /// One that cuts text in a way that llama.cpp has no name for.
    pub fn parts(&self) -> Result<Parts> {
        let wrong = |problem: &str| Error::Tokenizer {
            from: "in memory".to_owned(),
            problem: format!("{problem}, so llama.cpp cannot have it"),
        };
        let file: File = serde_json::from_slice(&self.file)
            .map_err(|error| wrong(&format!("not a byte-level BPE tokenizer ({error})")))?;
        let pre = pre(&file.pre_tokenizer)
            .ok_or_else(|| wrong("it cuts text neither as GPT-2 nor as Llama 3 does"))?;
        let mut tokens = vec![String::new(); self.pieces.len()];
        let mut types = vec![UNUSED; self.pieces.len()];
        for (token, id) in file.model.vocab {
            let id = id as usize;
            types[id] = if token.len() == 6 && token.starts_with("<0x") { BYTE } else { TEXT };
            tokens[id] = token;
        }
        for token in file.added_tokens {
            let id = token.id as usize;
            let special = matches!(self.pieces[id], Piece::Special(_));
            types[id] = if special { MARK } else { WHOLE };
            tokens[id] = token.content;
        }
        for (id, token) in tokens.iter_mut().enumerate().filter(|(_, token)| token.is_empty()) {
            *token = format!("[PAD{id}]");
        }
        let merge = |merge: Merge| match merge {
            Merge::Pair(left, right) => format!("{left} {right}"),
            Merge::Spaced(pair) => pair,
        };
        let merges = file.model.merges.into_iter().map(merge).collect();
        Ok(Parts { model: "gpt2", pre, tokens, types, merges })
    }
}

/// The name of how text is cut; none where llama.cpp has none.
fn pre(pre_tokenizer: &Value) -> Option<&'static str> {
    let steps = match &pre_tokenizer["pretokenizers"] {
        Value::Array(steps) => steps.as_slice(),
        _ => std::slice::from_ref(pre_tokenizer),
    };
    let kind = |step: &Value, kind: &str| step["type"] == kind;
    match steps {
        [bytes] if kind(bytes, "ByteLevel") && bytes["use_regex"] != false => Some(GPT2),
        [split, bytes]
            if kind(split, "Split")
                && kind(bytes, "ByteLevel")
                && bytes["use_regex"] == false
                && split["pattern"]["Regex"] == LLAMA3_PATTERN =>
        {
            Some(LLAMA3)
        }
        _ => None,
    }
}
