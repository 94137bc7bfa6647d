//! Conversations: from messages through a chat template to tokens, and which of them are trained.
//!
//! A [`Template`] is the tokenizer's own or one of the two that are built in. What it writes is
//! taken apart into [`Piece`]s by where each character came from, which is known while rendering
//! (`chat/spans.rs`) and never searched for afterwards. So a message can say whatever it likes:
//! its text is never a special token and never changes what is trained.
//!
//! Training and serving go the same way: [`Template::render`] with a generation prompt is exactly
//! the beginning of the same conversation with the answer in it. For that, an answer is encoded
//! by itself, because in serving the prompt ends before it.

use crate::record::MASKED;
use crate::tokenizer::{After, Tokenizer};
use crate::{Error, Result};

mod functions;
mod go;
mod spans;
mod template;
#[cfg(test)]
mod tests;
pub(crate) mod tools;

pub use functions::Date;
pub use template::Template;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whoever sets the task.
    System,
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
    /// The result of something that the model called.
    Tool,
}

impl Role {
    /// All of them, in the order in which errors list them.
    pub const ALL: [Self; 4] = [Self::System, Self::User, Self::Assistant, Self::Tool];

    /// Its name in records and templates.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; text only, whatever it looks like.
    pub content: String,
    /// Whether the model learns to say it.
    pub trained: bool,
    /// What else it holds, as the text of a JSON object: `tool_calls` of an answer, `name` and
    /// `tool_call_id` of a result.
    pub fields: Option<String>,
}

impl Message {
    /// A turn that is trained if it is the assistant's.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), trained: role == Role::Assistant, fields: None }
    }

    /// Whether it calls something: calls are all that an answer has beside what it says.
    fn calls(&self) -> bool {
        self.role == Role::Assistant && self.fields.is_some()
    }

    /// Whether it says or calls nothing.
    pub(crate) fn is_silent(&self) -> bool {
        self.content.trim().is_empty() && !self.calls()
    }
}

/// Turns, and what the model may call in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// The turns in order.
    pub messages: Vec<Message>,
    /// The tools, as the text of a JSON list.
    pub tools: Option<String>,
}

impl From<Vec<Message>> for Conversation {
    fn from(messages: Vec<Message>) -> Self {
        Self { messages, tools: None }
    }
}

impl Conversation {
    /// All texts in it, for whoever looks through them.
    pub(crate) fn texts_mut<'a>(&'a mut self) -> Vec<&'a mut String> {
        let of_message = |it: &'a mut Message| [&mut it.content].into_iter().chain(&mut it.fields);
        self.tools.iter_mut().chain(self.messages.iter_mut().flat_map(of_message)).collect()
    }

    /// Bytes of all texts in it.
    pub(crate) fn size_bytes(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let of_message = |it: &Message| it.content.len() + optional(&it.fields);
        optional(&self.tools) + self.messages.iter().map(of_message).sum::<usize>()
    }
}

/// A stretch of a rendered conversation, encoded by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its text; a special token's name.
    pub text: String,
    /// The special token that it is. Only templates write these.
    pub special: Option<u32>,
    /// Whether it is trained.
    pub trained: bool,
}

/// A conversation as the model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// Its stretches in order, none of them empty.
    pub pieces: Vec<Piece>,
    /// What the text stands behind that follows a mark.
    behind_marks: After,
}

impl Rendered {
    /// The text with the names of special tokens in it.
    pub fn text(&self) -> String {
        self.pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    /// Token ids and as many labels: the id where it is trained, [`MASKED`] where it is only read.
    /// Marks of begin and end are there as the template wrote them; none is added.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode(&self, tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<i32>)> {
        let (mut ids, mut labels) = (Vec::new(), Vec::new());
        let mut after = After::Nothing;
        for piece in &self.pieces {
            let start = ids.len();
            match piece.special {
                Some(id) => ids.push(id),
                None => ids.extend(tokenizer.encode_after(after, &piece.text)?),
            }
            after = if piece.special.is_some() { self.behind_marks } else { After::Text };
            let label = |&id: &u32| if piece.trained { id as i32 } else { MASKED };
            labels.extend(ids[start..].iter().map(label));
        }
        Ok((ids, labels))
    }
}

/// Prompt, completion and end mark one after another, without any template: the completion and
/// the end mark are trained, the begin mark and the prompt are not.
///
/// # Errors
/// Messages other than one that is not trained and a trained one after it, tools and calls.
pub fn concatenated(conversation: &Conversation, tokenizer: &Tokenizer) -> Result<Rendered> {
    let Conversation { messages, tools } = conversation;
    if tools.is_some() || messages.iter().any(|message| message.fields.is_some()) {
        return Err(not_a_pair("tools or calls".to_owned()));
    }
    let [prompt, completion] = &messages[..] else {
        return Err(not_a_pair(format!("{} messages", messages.len())));
    };
    if prompt.trained || !completion.trained {
        return Err(not_a_pair("turns that are trained otherwise".to_owned()));
    }
    let special = |id: u32, trained| Piece {
        text: tokenizer.special_name(id).unwrap_or_default().to_owned(),
        special: Some(id),
        trained,
    };
    let text = |message: &Message| Piece {
        text: message.content.clone(),
        special: None,
        trained: message.trained,
    };
    let mut pieces = vec![
        special(tokenizer.bos(), false),
        text(prompt),
        text(completion),
        special(tokenizer.eos(), true),
    ];
    pieces.retain(|piece| !piece.text.is_empty());
    // The begin mark stands before the text, as in front of a prompt that is served as it is.
    Ok(Rendered { pieces, behind_marks: After::Nothing })
}

fn not_a_pair(found: String) -> Error {
    Error::Conversation {
        problem: format!(
            "without a chat template a prompt and its completion are expected, there are {found}\n\
             hint: choose a chat template"
        ),
    }
}
