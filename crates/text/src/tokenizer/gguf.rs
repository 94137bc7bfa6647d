//! The tokenizer that a GGUF file carries in its keys.

use super::file;
use super::json::{self, Added, Form, Parts};
use crate::{Error, Result};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Words are cut as Llama 3 does, by the names that llama.cpp gives that.
const LLAMA3_WORDS: [&str; 4] = ["llama-bpe", "llama3", "llama-v3", "smaug-bpe"];
/// Of these, the one whose tokenizer merges also what is a token as a whole word.
const MERGES_WHOLE_WORDS: &str = "smaug-bpe";
/// Words are cut as GPT-2 does.
const GPT2_WORDS: &str = "gpt-2";

/// The values of the keys `tokenizer.ggml.*`, each named like its key. What a file does not have is
/// empty or `None`.
#[derive(Clone, Debug, Default)]
pub struct GgufKeys {
    /// `model`: `gpt2` for byte-level BPE, `llama` for the BPE of SentencePiece.
    pub model: String,
    /// `pre`: how text is cut into words.
    pub pre: Option<String>,
    /// `tokens`, by id.
    pub tokens: Vec<String>,
    /// `token_type`, by id: 1 text, 2 unknown, 3 control, 4 defined by a user, 5 unused, 6 byte.
    pub token_type: Vec<i32>,
    /// `merges`: two tokens with a blank between them, the first merged first.
    pub merges: Vec<String>,
    /// `scores`, by id: the token with the greatest is made first. Without `merges` they follow
    /// from these.
    pub scores: Vec<f32>,
    /// `bos_token_id`.
    pub bos_token_id: Option<u32>,
    /// `eos_token_id`.
    pub eos_token_id: Option<u32>,
    /// `unknown_token_id`.
    pub unknown_token_id: Option<u32>,
    /// `add_bos_token`: whether other programs put the begin mark in front of a text.
    pub add_bos_token: Option<bool>,
    /// `add_space_prefix`: whether `llama` puts a space in front of a text; it does by default.
    pub add_space_prefix: Option<bool>,
}

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Mark,
    UserDefined,
    Unused,
    Byte,
}

type Parsed<T> = std::result::Result<T, String>;

impl GgufKeys {
    /// The `tokenizer.json` that encodes as this tokenizer does.
    ///
    /// # Errors
    /// [`Error::Tokenizer`]: a kind of tokenizer that is not known, or a value that does not fit the
    /// others.
    pub fn tokenizer_json(&self) -> Result<Vec<u8>> {
        let problem = |problem| Error::Tokenizer { from: "of a GGUF file".to_owned(), problem };
        self.convert().map_err(problem)
    }

    /// The values of a `tokenizer_config.json` that chat templates are read with.
    pub fn tokenizer_config(&self, chat_template: Option<&str>) -> Value {
        let name = |id: Option<u32>| id.and_then(|id| self.tokens.get(id as usize));
        let mut config = json!({});
        let values = [
            ("bos_token", name(self.bos_token_id).map(String::as_str)),
            ("eos_token", name(self.eos_token_id).map(String::as_str)),
            ("unk_token", name(self.unknown_token_id).map(String::as_str)),
            ("chat_template", chat_template),
        ];
        for (key, value) in values {
            if let Some(value) = value {
                config[key] = value.into();
            }
        }
        config
    }

    fn convert(&self) -> Parsed<Vec<u8>> {
        let form = self.form()?;
        let kinds = self.kinds(form)?;
        let ids = self.ids(&kinds)?;
        let begin = self.mark("bos_token_id", self.bos_token_id, &kinds)?;
        self.mark("eos_token_id", self.eos_token_id, &kinds)?;
        let merges = match form {
            Form::Characters { .. } if self.merges.is_empty() => self.merges_by_score(&kinds)?,
            _ => self.merges(&ids)?,
        };
        let numbered = || (0_u32..).zip(&self.tokens).zip(&kinds);
        let found = |kind: Kind| matches!(kind, Kind::Mark | Kind::UserDefined);
        let added = numbered().filter(|(_, kind)| found(**kind));
        let added = added.map(|((id, token), kind)| Added::new(id, token, *kind == Kind::Mark));
        // As in their own files: byte-level vocabularies have the marks behind them if they can.
        let text = kinds.iter().take_while(|kind| **kind == Kind::Text).count();
        let behind = kinds[text..].iter().all(|&kind| found(kind));
        let in_vocabulary = |kind: Kind| match form {
            Form::Characters { .. } => kind != Kind::Unused,
            _ => kind == Kind::Text || (!behind && found(kind)),
        };
        let vocab = numbered().filter(|(_, kind)| in_vocabulary(**kind));
        let unknown = self.unknown_token_id.and_then(|id| self.tokens.get(id as usize));
        let unknown = unknown.filter(|_| matches!(form, Form::Characters { .. }));
        let pre = self.pre.as_deref();
        let bytes = json::write(&Parts {
            form,
            vocab: vocab.map(|((id, token), _)| (token.as_str(), id)).collect(),
            merges,
            added: added.collect(),
            begin: begin.filter(|_| self.add_bos_token != Some(false)),
            unknown: unknown.map(String::as_str),
            whole_words: form == Form::Llama3 && pre != Some(MERGES_WHOLE_WORDS),
        });
        file::read(&bytes).map(|_| bytes)
    }

    /// The form that `model` and `pre` name. Files from before there was a `pre`, and those of which
    /// llama.cpp did not know how they cut words, are Llama 3's if they have its begin mark.
    fn form(&self) -> Parsed<Form> {
        let prefix = self.add_space_prefix != Some(false);
        let is_llama3 = || self.tokens.iter().any(|token| token == super::BEGIN_OF_TEXT);
        match (self.model.as_str(), self.pre.as_deref()) {
            ("llama", _) => Ok(Form::Characters { prefix }),
            ("gpt2", Some(GPT2_WORDS)) => Ok(Form::Gpt2),
            ("gpt2", Some(pre)) if LLAMA3_WORDS.contains(&pre) => Ok(Form::Llama3),
            ("gpt2", None | Some("default")) if is_llama3() => Ok(Form::Llama3),
            ("gpt2", None | Some("default")) => Ok(Form::Gpt2),
            ("gpt2", Some(pre)) => Err(format!(
                "its words (pre) are those of {pre:?}, expected {}, {GPT2_WORDS} or default",
                LLAMA3_WORDS.join(", ")
            )),
            (model, _) => Err(format!("its model is {model:?}, expected \"gpt2\" or \"llama\"")),
        }
    }

    fn kinds(&self, form: Form) -> Parsed<Vec<Kind>> {
        let total = self.tokens.len();
        if total > json::TOKENS_LIMIT {
            let most = json::TOKENS_LIMIT;
            return Err(format!("there are {total} tokens, expected at most {most}"));
        }
        let counts = [("token_type", self.token_type.len()), ("scores", self.scores.len())];
        for (key, found) in counts {
            if found != total && (key == "token_type" || found != 0) {
                return Err(format!("{key} has {found} values, there are {total} tokens"));
            }
        }
        if let Some(id) = self.scores.iter().position(|score| score.is_nan()) {
            return Err(format!("the score of token {id} is no number"));
        }
        let is_characters = matches!(form, Form::Characters { .. });
        let kind = |(id, &kind): (usize, &i32)| match kind {
            1 => Ok(Kind::Text),
            2 | 3 => Ok(Kind::Mark),
            4 => Ok(Kind::UserDefined),
            5 => Ok(Kind::Unused),
            6 if is_characters => Ok(Kind::Byte),
            6 => Err(format!("token {id} is a byte by its type, which \"gpt2\" has not")),
            _ => Err(format!("token {id} has the type {kind}, expected 1 to 6")),
        };
        self.token_type.iter().enumerate().map(kind).collect()
    }

    /// The ids of the tokens that are used.
    fn ids(&self, kinds: &[Kind]) -> Parsed<HashMap<&str, u32>> {
        let mut ids = HashMap::with_capacity(self.tokens.len());
        let used = (0_u32..).zip(&self.tokens).zip(kinds);
        for ((id, token), _) in used.filter(|(_, kind)| **kind != Kind::Unused) {
            if token.is_empty() || token.len() > json::TOKEN_LIMIT {
                let (length, most) = (token.len(), json::TOKEN_LIMIT);
                return Err(format!("token {id} has {length} bytes, expected 1 to {most}"));
            }
            if let Some(before) = ids.insert(token.as_str(), id) {
                return Err(format!("token {id} is {token:?}, as is token {before}"));
            }
        }
        Ok(ids)
    }

    /// The mark with this id, which the key names.
    fn mark(&self, key: &str, id: Option<u32>, kinds: &[Kind]) -> Parsed<Option<(&str, u32)>> {
        let Some(id) = id else { return Ok(None) };
        match (self.tokens.get(id as usize), kinds.get(id as usize)) {
            (Some(token), Some(Kind::Mark)) => Ok(Some((token, id))),
            (Some(token), _) => Err(format!("{key} is {id}, which is {token:?} and no mark")),
            (None, _) => Err(format!("{key} is {id}, there are {} tokens", self.tokens.len())),
        }
    }

    fn merges(&self, ids: &HashMap<&str, u32>) -> Parsed<Vec<(&str, &str)>> {
        let mut merges = Vec::with_capacity(self.merges.len());
        for (rank, merge) in self.merges.iter().enumerate() {
            let pair = merge.split_once(' ');
            let known = |pair: &(&str, &str)| ids.contains_key(pair.0) && ids.contains_key(pair.1);
            let wrong = || format!("merge {rank} is {merge:?}, expected two tokens");
            merges.push(pair.filter(known).ok_or_else(wrong)?);
        }
        Ok(merges)
    }

    /// What SentencePiece does: of all neighbours those are merged first that make the token with the
    /// greatest score. Only text is made of text. Between equal scores the order is that in which the
    /// published `tokenizer.json` of Llama 2 has its runs of blanks.
    fn merges_by_score(&self, kinds: &[Kind]) -> Parsed<Vec<(&str, &str)>> {
        if self.scores.is_empty() && !self.tokens.is_empty() {
            return Err("there are neither merges nor scores".to_owned());
        }
        let is_text = |id: &usize| kinds[*id] == Kind::Text;
        let mut order: Vec<usize> = (0..self.tokens.len()).filter(is_text).collect();
        let ids = order.iter().map(|&id| (self.tokens[id].as_str(), id as u32)).collect();
        order.sort_by(|&one, &next| self.scores[next].total_cmp(&self.scores[one]));
        let tokens: Vec<&str> = order.iter().map(|&id| self.tokens[id].as_str()).collect();
        let scores: Vec<f32> = order.iter().map(|&id| self.scores[id]).collect();
        let mut from = 0;
        let groups = scores.chunk_by(|one, next| one == next).map(|group| {
            from += group.len();
            &tokens[from - group.len()..from]
        });
        json::merges(groups.collect::<Vec<_>>().into_iter(), &ids)
    }
}
