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
}

impl Message {
    /// A turn that is trained if it is the assistant's.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), trained: role == Role::Assistant }
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
/// Messages other than one that is not trained and a trained one after it.
pub fn concatenated(messages: &[Message], tokenizer: &Tokenizer) -> Result<Rendered> {
    let [prompt, completion] = messages else {
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
