//! Conversations in the forms in which people keep them.
//!
//! - `{"messages": [{"role", "content"}]}`, as chat services take them;
//! - `{"conversations": [{"from", "value"}]}`, as ShareGPT wrote them;
//! - `{"instruction", "input", "output"}`, as Alpaca wrote them;
//! - `{"prompt", "completion"}`, both text or both lists of messages.
//!
//! Messages may call tools (`tool_calls`, or a turn of ShareGPT from `function_call`) and say which call
//! a result is of (`name`, `tool_call_id`).

use crate::chat::{Message, Role, tools};
use crate::secrets::quoted;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;

/// Most messages of one conversation.
const MESSAGES_LIMIT: usize = 10_000;

/// A message of `messages`, or of a prompt or completion that is a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Turn {
    role: String,
    content: Option<String>,
    train: Option<bool>,
    tool_calls: Option<Box<RawValue>>,
    tool_call_id: Option<String>,
    name: Option<String>,
}

/// A message of `conversations`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SharedTurn {
    from: String,
    value: String,
    train: Option<bool>,
}

/// One side of a pair.
pub(super) enum Side {
    Text(String),
    Turns(Vec<Turn>),
}

/// Written out, because what serde derives for it holds a list in a form that takes 16 times its bytes.
impl<'de> Deserialize<'de> for Side {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Side;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a prompt or completion that is a string or a list of messages")
            }

            fn visit_str<E>(self, text: &str) -> Result<Side, E> {
                Ok(Side::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Side, E> {
                Ok(Side::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Side, A::Error> {
                let mut turns = Vec::new();
                while let Some(turn) = list.next_element()? {
                    turns.push(turn);
                }
                Ok(Side::Turns(turns))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// The messages of `messages`.
pub(super) fn of_turns(turns: Vec<Turn>) -> Result<Vec<Message>, String> {
    checked(numbered(turns, |turn| {
        let known = Role::ALL.into_iter().find(|role| role.name() == turn.role);
        let role = known.ok_or_else(|| {
            let role = quoted(&turn.role);
            format!("the role \"{role}\" is none of system, user, assistant, tool")
        })?;
        let fields = fields(role, &turn)?;
        let content = match turn.content {
            None if fields.is_none() => return Err("it has no content".to_owned()),
            content => content.unwrap_or_default(),
        };
        Ok(Message { fields, ..with_choice(Message::new(role, content), turn.train) })
    })?)
}

/// The fields of a turn beside what it says.
fn fields(role: Role, turn: &Turn) -> Result<Option<String>, String> {
    let mut fields = Map::new();
    if let Some(calls) = &turn.tool_calls {
        if role != Role::Assistant {
            return Err(format!("tool_calls are the assistant's, not of {}", role.name()));
        }
        if let Some(calls) = tools::of_calls(calls.get())? {
            fields.insert(tools::CALLS.to_owned(), calls);
        }
    }
    for (key, text) in [("tool_call_id", &turn.tool_call_id), ("name", &turn.name)] {
        match text {
            Some(text) if role == Role::Tool => fields.insert(key.to_owned(), text.as_str().into()),
            Some(_) => return Err(format!("{key} is a result's, not of {}", role.name())),
            None => None,
        };
    }
    Ok((!fields.is_empty()).then(|| Value::Object(fields).to_string()))
}

/// The messages of `conversations`.
pub(super) fn of_shared(turns: Vec<SharedTurn>) -> Result<Vec<Message>, String> {
    checked(numbered(turns, |turn| {
        let role = match turn.from.as_str() {
            "system" => Role::System,
            "human" | "user" => Role::User,
            "gpt" | "assistant" | "function_call" => Role::Assistant,
            "tool" | "observation" => Role::Tool,
            other => {
                let other = quoted(other);
                return Err(format!(
                    "it is from \"{other}\", expected system, human, user, gpt, assistant, tool, \
                     function_call or observation"
                ));
            }
        };
        if turn.from != "function_call" {
            return Ok(with_choice(Message::new(role, turn.value), turn.train));
        }
        let calls = tools::of_calls(&turn.value)?.ok_or("it calls nothing")?;
        let calls = (tools::CALLS.to_owned(), calls);
        let fields = Some(Value::Object([calls].into_iter().collect()).to_string());
        Ok(Message { fields, ..with_choice(Message::new(role, ""), turn.train) })
    })?)
}

/// A message of each turn; what is wrong with one says which.
fn numbered<T>(
    turns: Vec<T>,
    message: impl Fn(T) -> Result<Message, String>,
) -> Result<Vec<Message>, String> {
    let each = turns.into_iter().enumerate();
    each.map(|(index, turn)| {
        message(turn).map_err(|problem| format!("message {}: {problem}", index + 1))
    })
    .collect()
}

/// An instruction with what it is about, and the answer.
pub(super) fn of_instruction(
    instruction: String,
    input: Option<String>,
    output: String,
) -> Result<Vec<Message>, String> {
    let prompt = match input.filter(|input| !input.trim().is_empty()) {
        Some(input) => format!("{instruction}\n\n{input}"),
        None => instruction,
    };
    pair(prompt, output)
}

/// A prompt and its completion. In a list, nothing of the prompt is trained by default.
pub(super) fn of_sides(prompt: Side, completion: Side) -> Result<Vec<Message>, String> {
    match (prompt, completion) {
        (Side::Text(prompt), Side::Text(completion)) => pair(prompt, completion),
        (Side::Turns(prompt), Side::Turns(completion)) => {
            if completion.is_empty() {
                return Err("the completion has no message".to_owned());
            }
            let asked =
                prompt.into_iter().map(|turn| Turn { train: turn.train.or(Some(false)), ..turn });
            of_turns(asked.chain(completion).collect())
        }
        _ => Err("prompt and completion must both be text or both be lists of messages".to_owned()),
    }
}

fn pair(prompt: String, completion: String) -> Result<Vec<Message>, String> {
    checked(vec![Message::new(Role::User, prompt), Message::new(Role::Assistant, completion)])
}

fn with_choice(message: Message, train: Option<bool>) -> Message {
    Message { trained: train.unwrap_or(message.trained), ..message }
}

/// What no conversation may be: empty, endless, or to be trained where nothing is said.
fn checked(messages: Vec<Message>) -> Result<Vec<Message>, String> {
    let length = messages.len();
    if length == 0 {
        return Err("the conversation has no message\nhint: remove the line".to_owned());
    }
    if length > MESSAGES_LIMIT {
        return Err(format!("the conversation has {length} messages, at most {MESSAGES_LIMIT} go"));
    }
    let silent = |message: &Message| message.trained && message.is_silent();
    match messages.iter().position(silent) {
        None => Ok(messages),
        Some(index) => Err(format!(
            "message {} is to be trained and says nothing\nhint: remove it, or set its train to false",
            index + 1
        )),
    }
}
