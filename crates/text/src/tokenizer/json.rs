//! Writing a `tokenizer.json`, the one form in which tokenizers of other formats are taken.

use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;

/// How the tokenizers of Llama 3 cut text into words, as their files say it.
pub(super) const LLAMA3_WORDS: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}",
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

/// How often the text of merges may be that of the tokens. Real vocabularies have less than 10.
const MERGES_LIMIT: usize = 32;

/// Most tokens of a vocabulary that is converted.
pub(super) const TOKENS_LIMIT: usize = super::LARGEST_VOCABULARY;

/// Most bytes of a token: each of its splits is looked up.
pub(super) const TOKEN_LIMIT: usize = 1024;

/// How text becomes the symbols that are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Bytes, in the words of Llama 3.
    Llama3,
    /// Bytes, in the words of GPT-2.
    Gpt2,
    /// Characters or else bytes, with U+2581 for spaces.
    Characters {
        /// Whether a space is put in front of a text.
        prefix: bool,
    },
}

/// A token that is found in text before anything is merged.
#[derive(Serialize, Deserialize)]
pub(super) struct Added {
    pub(super) id: u32,
    pub(super) content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    pub(super) special: bool,
}

impl Added {
    pub(super) fn new(id: u32, content: &str, special: bool) -> Self {
        let content = content.to_owned();
        let (single_word, lstrip, rstrip, normalized) = (false, false, false, false);
        Self { id, content, single_word, lstrip, rstrip, normalized, special }
    }
}

/// What a file is written from.
pub(super) struct Parts<'a> {
    pub(super) form: Form,
    pub(super) vocab: Vec<(&'a str, u32)>,
    /// The first is merged first.
    pub(super) merges: Vec<(&'a str, &'a str)>,
    pub(super) added: Vec<Added>,
    /// The mark that other programs put in front of a text.
    pub(super) begin: Option<(&'a str, u32)>,
    pub(super) unknown: Option<&'a str>,
    /// Whether a word that is a token is that token, whatever the merges say.
    pub(super) whole_words: bool,
}

#[derive(Serialize)]
struct File<'a> {
    version: &'a str,
    truncation: Option<()>,
    padding: Option<()>,
    added_tokens: &'a [Added],
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Model<'a>,
}

#[derive(Serialize)]
struct Model<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    dropout: Option<f64>,
    unk_token: Option<&'a str>,
    continuing_subword_prefix: Option<&'a str>,
    end_of_word_suffix: Option<&'a str>,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    #[serde(serialize_with = "as_map")]
    vocab: &'a [(&'a str, u32)],
    merges: &'a [(&'a str, &'a str)],
}

fn as_map<S: Serializer>(vocab: &[(&str, u32)], out: S) -> Result<S::Ok, S::Error> {
    let mut map = out.serialize_map(Some(vocab.len()))?;
    for (token, id) in vocab {
        map.serialize_entry(token, id)?;
    }
    map.end()
}

/// The bytes of the file.
pub(super) fn write(parts: &Parts<'_>) -> Vec<u8> {
    let is_characters = matches!(parts.form, Form::Characters { .. });
    let (normalizer, pre_tokenizer, decoder) = steps(parts.form);
    let file = File {
        version: "1.0",
        truncation: None,
        padding: None,
        added_tokens: &parts.added,
        normalizer,
        pre_tokenizer,
        post_processor: parts.begin.map_or(Value::Null, post_processor),
        decoder,
        model: Model {
            kind: "BPE",
            dropout: None,
            unk_token: parts.unknown,
            continuing_subword_prefix: None,
            end_of_word_suffix: None,
            fuse_unk: is_characters,
            byte_fallback: is_characters,
            ignore_merges: parts.whole_words,
            vocab: &parts.vocab,
            merges: &parts.merges,
        },
    };
    serde_json::to_vec(&file).expect("names and numbers can be written")
}

/// Normalizer, pre-tokenizer and decoder.
fn steps(form: Form) -> (Value, Value, Value) {
    let bytes = |use_regex: bool| {
        json!({
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": use_regex
        })
    };
    let replace = |from: &str, to: &str| {
        let pattern = json!({ "String": from });
        json!({ "type": "Replace", "pattern": pattern, "content": to })
    };
    match form {
        Form::Gpt2 => (Value::Null, bytes(true), bytes(true)),
        Form::Llama3 => {
            let split = json!({
                "type": "Split", "pattern": { "Regex": LLAMA3_WORDS }, "behavior": "Isolated",
                "invert": false
            });
            let words = json!({ "type": "Sequence", "pretokenizers": [split, bytes(false)] });
            (Value::Null, words, bytes(true))
        }
        Form::Characters { prefix } => {
            let mut before = vec![replace(" ", "▁")];
            let mut after = vec![
                replace("▁", " "),
                json!({ "type": "ByteFallback" }),
                json!({ "type": "Fuse" }),
            ];
            if prefix {
                before.insert(0, json!({ "type": "Prepend", "prepend": "▁" }));
                after.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
            }
            (
                json!({ "type": "Sequence", "normalizers": before }),
                Value::Null,
                json!({ "type": "Sequence", "decoders": after }),
            )
        }
    }
}

fn post_processor((name, id): (&str, u32)) -> Value {
    let mark = |type_id: u32| json!({ "SpecialToken": { "id": name, "type_id": type_id } });
    let text = |name: &str, type_id: u32| json!({ "Sequence": { "id": name, "type_id": type_id } });
    json!({
        "type": "TemplateProcessing",
        "single": [mark(0), text("A", 0)],
        "pair": [mark(0), text("A", 0), mark(1), text("B", 1)],
        "special_tokens": { name: { "id": name, "ids": [id], "tokens": [name] } }
    })
}

/// All merges that make tokens of two others. The groups stand in the order in which their tokens are
/// made; within one, what is made of tokens with smaller ids comes first. The error is the problem in
/// words.
pub(super) fn merges<'a, 't>(
    groups: impl Iterator<Item = &'t [&'a str]> + Clone,
    ids: &HashMap<&str, u32>,
) -> Result<Vec<(&'a str, &'a str)>, String>
where
    'a: 't,
{
    let text_bytes: usize = groups.clone().flatten().map(|token| token.len()).sum();
    let (mut merges, mut merged_bytes) = (Vec::new(), 0);
    for group in groups {
        let first = merges.len();
        for token in group {
            for (at, _) in token.char_indices().skip(1) {
                let (left, right) = token.split_at(at);
                if ids.contains_key(left) && ids.contains_key(right) {
                    merged_bytes += token.len();
                    merges.push((left, right));
                }
            }
            if merged_bytes > MERGES_LIMIT * text_bytes {
                return Err("its tokens can be made of each other in too many ways".to_owned());
            }
        }
        merges[first..].sort_by_cached_key(|(left, right)| (ids[left], ids[right]));
    }
    Ok(merges)
}
