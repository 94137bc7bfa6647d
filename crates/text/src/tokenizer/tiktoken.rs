//! The `tokenizer.model` of Llama 3: a line per token, its bytes in base64 and its rank.
//!
//! The rank is the token's id, and says when it is made: of all neighbours in a word those are merged
//! first that make the token of the smallest rank. Special tokens are not in the file. They stand
//! behind its tokens, and which they are is a matter of the model's version.

use super::file::character_of;
use super::json::{self, Added, Form, Parts};
use super::{BEGIN_OF_TEXT, END_OF_TEXT};
use crate::{Error, Result};
use std::collections::HashMap;

/// How many special tokens stand behind the others.
const MARKS: usize = 256;

/// A version of Llama 3, as far as it names special tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Llama3 {
    /// Llama 3.
    V3_0,
    /// Llama 3.1, 3.2 and 3.3, with `<|eom_id|>` and `<|python_tag|>`.
    V3_1,
}

/// The `tokenizer.json` for a `tokenizer.model` of Llama 3.
///
/// # Errors
/// [`Error::Tokenizer`]: a line that is not what it should be, a token or rank that is there twice,
/// or a byte or rank that is missing.
pub fn tiktoken(bytes: &[u8], version: Llama3) -> Result<Vec<u8>> {
    convert(bytes, version)
        .map_err(|problem| Error::Tokenizer { from: "in memory".to_owned(), problem })
}

/// Whether this looks like such a file: base64, a blank and a digit.
pub(super) fn is_tiktoken(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut parts = line.trim_ascii_end().split(|&byte| byte == b' ');
    let token = parts.next().and_then(base64);
    let rank = parts.next().unwrap_or_default();
    token.is_some() && !rank.is_empty() && rank.iter().all(u8::is_ascii_digit)
}

/// The same; the error is the problem in words.
pub(super) fn convert(bytes: &[u8], version: Llama3) -> std::result::Result<Vec<u8>, String> {
    let tokens = tokens(bytes)?;
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let ids: HashMap<&str, u32> = tokens.iter().copied().zip(0..).collect();
    if let Some(byte) = (0..=255).find(|&byte| !ids.contains_key(&*character_of(byte).to_string()))
    {
        return Err(format!("no token stands for the byte {byte:#04x}, so not all text fits"));
    }
    let merges = json::merges(tokens.chunks(1), &ids)?;
    let first = tokens.len() as u32;
    let names = names(version);
    let added = (first..).zip(&names).map(|(id, name)| Added::new(id, name, true));
    Ok(json::write(&Parts {
        form: Form::Llama3,
        vocab: tokens.iter().copied().zip(0..).collect(),
        merges,
        added: added.collect(),
        begin: Some((BEGIN_OF_TEXT, first)),
        unknown: None,
        whole_words: true,
    }))
}

/// The tokens by rank, each byte as the character that stands for it.
fn tokens(bytes: &[u8]) -> std::result::Result<Vec<String>, String> {
    let characters: Vec<char> = (0..=255).map(character_of).collect();
    let lines = || bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end);
    let total = lines().filter(|line| !line.is_empty()).count();
    if total > json::TOKENS_LIMIT {
        let most = json::TOKENS_LIMIT;
        return Err(format!("there are {total} tokens, expected at most {most}"));
    }
    let mut tokens = vec![String::new(); total];
    let mut lines_of: HashMap<String, usize> = HashMap::with_capacity(total);
    for (number, line) in (1..).zip(lines()).filter(|(_, line)| !line.is_empty()) {
        let wrong = |problem: String| format!("line {number}: {problem}");
        let (token, rank) = entry(line).map_err(wrong)?;
        let text: String = token.iter().map(|&byte| characters[usize::from(byte)]).collect();
        if let Some(before) = lines_of.insert(text.clone(), number) {
            return Err(wrong(format!("its token is that of line {before}")));
        }
        let place = usize::try_from(rank).ok().and_then(|rank| tokens.get_mut(rank));
        let place = place.ok_or_else(|| {
            wrong(format!("its rank is {rank}, expected less than the {total} of the tokens"))
        })?;
        if !place.is_empty() {
            return Err(wrong(format!("its rank {rank} is that of line {}", lines_of[&*place])));
        }
        *place = text;
    }
    Ok(tokens)
}

/// Token and rank of a line.
fn entry(line: &[u8]) -> std::result::Result<(Vec<u8>, u64), String> {
    let shown = || String::from_utf8_lossy(&line[..line.len().min(40)]).into_owned();
    let cut = line.iter().position(|&byte| byte == b' ');
    let (token, rank) =
        line.split_at(cut.ok_or_else(|| {
            format!("{:?} is not a token in base64, a blank and its rank", shown())
        })?);
    let token = base64(token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| format!("the token of {:?} is not base64", shown()))?;
    if token.len() > json::TOKEN_LIMIT {
        let (length, most) = (token.len(), json::TOKEN_LIMIT);
        return Err(format!("its token has {length} bytes, expected at most {most}"));
    }
    let rank = std::str::from_utf8(&rank[1..]).ok().filter(|rank| !rank.starts_with('+'));
    let rank = rank.and_then(|rank| rank.parse().ok());
    Ok((token, rank.ok_or_else(|| format!("the rank of {:?} is no number", shown()))?))
}

/// The bytes of a text in base64 with its padding, or `None`.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for &byte in &text[..text.len() - padding] {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    // What is left over must say nothing, else two texts would mean the same bytes.
    (bits == 0).then_some(bytes)
}

/// The names of the special tokens, in the order of their ids.
fn names(version: Llama3) -> Vec<String> {
    let mut named = HashMap::from([
        (0, BEGIN_OF_TEXT),
        (1, END_OF_TEXT),
        (6, "<|start_header_id|>"),
        (7, "<|end_header_id|>"),
        (9, "<|eot_id|>"),
    ]);
    if version == Llama3::V3_1 {
        named.extend([(4, "<|finetune_right_pad_id|>"), (8, "<|eom_id|>"), (10, "<|python_tag|>")]);
    }
    let mut reserved = 0..;
    let mut name = |place: usize| match named.get(&place) {
        Some(name) => (*name).to_owned(),
        None => {
            let number: usize = reserved.next().expect("it does not end");
            format!("<|reserved_special_token_{number}|>")
        }
    };
    (0..MARKS).map(&mut name).collect()
}
