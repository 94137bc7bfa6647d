//! A tokenizer in the keys of a GGUF file: the way back of [`super::gguf`].

use super::json::LLAMA3_WORDS;
use super::{GgufKeys, Piece, Prefix, Tokenizer};
use crate::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// What a token is, as llama.cpp numbers it.
const TEXT: i32 = 1;
const UNKNOWN: i32 = 2;
const MARK: i32 = 3;
const WHOLE: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// How text is cut into words, by the names that llama.cpp has.
const LLAMA3: &str = "llama-bpe";
const GPT2: &str = "gpt-2";

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
    #[serde(default)]
    byte_fallback: bool,
    unk_token: Option<String>,
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Spaced(String),
}

impl Merge {
    fn pair(&self) -> (&str, &str) {
        match self {
            Merge::Pair(left, right) => (left, right),
            Merge::Spaced(pair) => pair.split_once(' ').unwrap_or((pair, "")),
        }
    }
}

impl Tokenizer {
    /// Its keys, without the end mark, which the model's configuration names.
    ///
    /// # Errors
    /// One that cuts text in a way that llama.cpp has no name for.
    pub fn gguf_keys(&self) -> Result<GgufKeys> {
        let wrong = |problem: &str| Error::Tokenizer {
            from: "for a GGUF file".to_owned(),
            problem: format!("{problem}, so llama.cpp cannot have it"),
        };
        let file: File = serde_json::from_slice(&self.file)
            .map_err(|error| wrong(&format!("not a BPE tokenizer ({error})")))?;
        let characters = file.model.byte_fallback;
        let pre = match characters {
            true => "default",
            false => pre(&file.pre_tokenizer)
                .ok_or_else(|| wrong("it cuts text neither as GPT-2 nor as Llama 3 does"))?,
        };
        let unknown = file.model.unk_token.as_ref();
        let unknown = unknown.and_then(|name| file.model.vocab.get(name)).copied();
        let scores = if characters { self.scores(&file.model) } else { Vec::new() };
        let merges = file.model.merges.iter().map(Merge::pair);
        let merges = merges.map(|(left, right)| format!("{left} {right}"));
        let merges = if characters { Vec::new() } else { merges.collect() };
        let (tokens, token_type) = self.tokens(file, unknown);
        Ok(GgufKeys {
            model: if characters { "llama" } else { "gpt2" }.to_owned(),
            pre: Some(pre.to_owned()),
            tokens,
            token_type,
            merges,
            scores,
            bos_token_id: Some(self.bos()),
            eos_token_id: None,
            unknown_token_id: unknown,
            add_bos_token: Some(true),
            add_space_prefix: characters.then_some(self.encoder.prefix != Prefix::None),
        })
    }

    /// Names and types by id.
    fn tokens(&self, file: File, unknown: Option<u32>) -> (Vec<String>, Vec<i32>) {
        let mut tokens: Vec<String> =
            (0..self.pieces.len()).map(|id| format!("[PAD{id}]")).collect();
        let mut types = vec![UNUSED; tokens.len()];
        for (token, id) in file.model.vocab {
            let byte = file.model.byte_fallback && token.len() == 6 && token.starts_with("<0x");
            types[id as usize] = if byte { BYTE } else { TEXT };
            tokens[id as usize] = token;
        }
        for token in file.added_tokens {
            let id = token.id as usize;
            types[id] = match self.pieces[id] {
                Piece::Special(_) => MARK,
                _ => WHOLE,
            };
            tokens[id] = token.content;
        }
        if let Some(id) = unknown {
            types[id as usize] = UNKNOWN;
        }
        (tokens, types)
    }

    /// What SentencePiece orders its merges by: the token that is made first has the greatest.
    fn scores(&self, model: &Model) -> Vec<f32> {
        let mut scores: Vec<f32> =
            (0..self.pieces.len()).map(|id| -((model.merges.len() + id) as f32)).collect();
        for (rank, merge) in model.merges.iter().enumerate().rev() {
            let (left, right) = merge.pair();
            if let Some(&id) = model.vocab.get(&format!("{left}{right}")) {
                scores[id as usize] = -(rank as f32);
            }
        }
        scores
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
                && split["pattern"]["Regex"] == LLAMA3_WORDS =>
        {
            Some(LLAMA3)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_back_to_the_same_tokens() {
        let texts = ["the quick brown fox jumps over the lazy dog, the fox; größer 123"; 9];
        let learned = Tokenizer::train_bpe(texts.into_iter().map(Ok), 320).unwrap();
        let keys = learned.gguf_keys().unwrap();
        assert_eq!((keys.model.as_str(), keys.pre.as_deref()), ("gpt2", Some("gpt-2")));
        let again = Tokenizer::from_bytes(&keys.tokenizer_json().unwrap()).unwrap();
        for text in ["the quick fox", "größer\n\n als 1234 Häuser <|eot_id|> \u{1f600}", ""] {
            assert_eq!(again.encode(text).unwrap(), learned.encode(text).unwrap(), "{text}");
        }
        assert_eq!((again.bos(), again.eos()), (learned.bos(), learned.eos()));
    }
}
