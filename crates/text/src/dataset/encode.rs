//! A record becomes documents of token ids and labels.

use super::shard::Encoded;
use crate::chat::{self, Conversation, Template};
use crate::record::{Content, MASKED, Record};
use crate::tokenizer::Tokenizer;
use crate::{Error, Place, Result};

/// What token ids mean.
#[derive(Clone, Copy, Debug)]
pub enum Vocabulary<'a> {
    /// Texts are encoded with this tokenizer; a prompt and its completion follow each other
    /// without any template.
    Tokenizer(&'a Tokenizer),
    /// Texts are encoded with this tokenizer, and conversations through this template.
    Chat {
        /// The tokenizer.
        tokenizer: &'a Tokenizer,
        /// What conversations are written with.
        template: &'a Template,
    },
    /// There is no tokenizer: only records that are tokenized already are taken.
    Ids {
        /// Ids and labels are below this.
        vocab_size: u32,
    },
}

impl Vocabulary<'_> {
    pub(super) fn size(&self) -> u32 {
        match self {
            Self::Tokenizer(tokenizer) | Self::Chat { tokenizer, .. } => {
                tokenizer.vocab_size() as u32
            }
            Self::Ids { vocab_size } => *vocab_size,
        }
    }

    pub(super) fn hash(&self) -> Option<String> {
        self.tokenizer().map(|tokenizer| tokenizer.hash().to_owned())
    }

    fn tokenizer(&self) -> Option<&Tokenizer> {
        match self {
            Self::Tokenizer(tokenizer) | Self::Chat { tokenizer, .. } => Some(tokenizer),
            Self::Ids { .. } => None,
        }
    }

    /// The template's hash, if conversations go through one.
    pub(super) fn template_hash(&self) -> Option<String> {
        match self {
            Self::Chat { template, .. } => Some(template.hash().to_owned()),
            Self::Tokenizer(_) | Self::Ids { .. } => None,
        }
    }
}

/// What happens to a document with more tokens than the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongDocument {
    /// It is an error.
    Refuse,
    /// It becomes several documents, all but the last as long as the context. Their first tokens
    /// are not trained, because the tokens before them are not seen.
    Split,
}

/// Token ids and as many labels.
pub(super) type Tokens = (Vec<u32>, Vec<i32>);

/// How records become documents.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoder<'a> {
    pub(super) vocabulary: Vocabulary<'a>,
    /// Most tokens of a document, at least 1.
    pub(super) context: u32,
    pub(super) long_documents: LongDocument,
    /// Whether long Markdown is cut at headings.
    pub(super) sections: bool,
}

impl Encoder<'_> {
    /// The documents of a record: one, or several parts of a long one.
    pub(super) fn encode(&self, record: Record) -> Result<Vec<Encoded>> {
        let Record { source, place, content, .. } = record;
        let is_conversation = matches!(content, Content::Messages(_));
        let (ids, labels) = match content {
            Content::Text(text) => {
                let (ids, labels) = self.encode_text(&text, &place)?;
                if self.sections && ids.len() > self.context as usize && is_markdown(&place) {
                    let pieces = self.encode_sections(&text, &place)?;
                    return Ok(numbered(&source, pieces));
                }
                (ids, labels)
            }
            Content::Messages(conversation) => self.encode_messages(&conversation, &place)?,
            Content::Tokens { ids, labels } => {
                let labels = self.check_tokens(&ids, &labels, &place)?;
                (ids, labels)
            }
        };
        let (tokens, context) = (ids.len(), self.context);
        if tokens > context as usize && is_conversation {
            return Err(Error::Record { place, problem: too_long(tokens, context) });
        }
        if tokens > context as usize && self.long_documents == LongDocument::Refuse {
            return Err(Error::DocumentTooLong { place, tokens, context });
        }
        if tokens <= context as usize {
            return Ok(vec![part((ids, labels), source)]);
        }
        let parts = ids.chunks(context as usize).zip(labels.chunks(context as usize));
        Ok(numbered(&source, parts.map(|(ids, labels)| (ids.to_vec(), labels.to_vec())).collect()))
    }

    /// Begin mark, text and end mark, all trained.
    fn encode_text(&self, text: &str, place: &Place) -> Result<Tokens> {
        let wrong = |problem: String| Error::Record { place: place.clone(), problem };
        let tokenizer = self.tokenizer(place)?;
        let encoded = tokenizer.encode(text).map_err(|error| wrong(error.to_string()))?;
        let mut ids = Vec::with_capacity(encoded.len() + 2);
        ids.push(tokenizer.bos());
        ids.extend(encoded);
        ids.push(tokenizer.eos());
        let labels = ids.iter().map(|&id| id as i32).collect();
        Ok((ids, labels))
    }

    /// What the template makes of a conversation.
    fn encode_messages(&self, conversation: &Conversation, place: &Place) -> Result<Tokens> {
        let tokenizer = self.tokenizer(place)?;
        let rendered = match self.vocabulary {
            Vocabulary::Chat { template, .. } => template.render(conversation, tokenizer, false),
            Vocabulary::Tokenizer(_) | Vocabulary::Ids { .. } => {
                chat::concatenated(conversation, tokenizer)
            }
        };
        let encoded = rendered.and_then(|rendered| rendered.encode(tokenizer));
        let (ids, labels) = encoded
            .map_err(|error| Error::Record { place: place.clone(), problem: error.to_string() })?;
        if ids.is_empty() {
            let problem = "the chat template writes nothing for it".to_owned();
            return Err(Error::Record { place: place.clone(), problem });
        }
        Ok((ids, labels))
    }

    pub(super) fn tokenizer(&self, place: &Place) -> Result<&Tokenizer> {
        self.vocabulary.tokenizer().ok_or_else(|| Error::Record {
            place: place.clone(),
            problem:
                "a text needs a tokenizer, and there is none\nhint: give the tokenizer of the \
                      model, or records with input_ids and labels"
                    .to_owned(),
        })
    }

    fn check_tokens(&self, ids: &[u32], labels: &[i64], place: &Place) -> Result<Vec<i32>> {
        let size = self.vocabulary.size();
        let wrong = |problem: String| Error::Record { place: place.clone(), problem };
        if let Some(at) = ids.iter().position(|&id| id >= size) {
            let id = ids[at];
            return Err(wrong(format!("input_ids[{at}] is {id}, the vocabulary has {size} ids")));
        }
        let label = |(at, &label): (usize, &i64)| match i32::try_from(label) {
            Ok(MASKED) => Ok(MASKED),
            Ok(id) if (0..i64::from(size)).contains(&label) => Ok(id),
            _ => Err(wrong(format!(
                "labels[{at}] is {label}, expected {MASKED} or an id of the {size} in the \
                 vocabulary"
            ))),
        };
        labels.iter().enumerate().map(label).collect()
    }
}

/// A conversation is never cut: an answer would lose its question or its end.
fn too_long(tokens: usize, context: u32) -> String {
    format!(
        "the conversation has {tokens} tokens, the context holds {context}, and conversations are \
         not split\nhint: use a longer context, or shorten it"
    )
}

/// A document out of a part of a record. Nothing precedes its first token, so that is not trained;
/// written down, no reader can train across the seam by mistake.
fn part((ids, mut labels): Tokens, source: String) -> Encoded {
    labels[0] = MASKED;
    Encoded { ids, labels, source }
}

/// The parts of a record, named in their order.
fn numbered(source: &str, parts: Vec<Tokens>) -> Vec<Encoded> {
    let named = |(number, tokens)| part(tokens, format!("{source}#{}", number + 1));
    parts.into_iter().enumerate().map(named).collect()
}

fn is_markdown(place: &Place) -> bool {
    let ending = place.path.extension().unwrap_or_default();
    place.line.is_none() && ending.eq_ignore_ascii_case("md")
}

/// What the documents of a group share: the first 8 bytes of the SHA-256 of its name.
pub(super) fn number(bytes: &[u8]) -> u64 {
    let hash = files::sha256(bytes);
    u64::from_str_radix(&hash[..16], 16).expect("a hash is made of hexadecimal digits")
}
