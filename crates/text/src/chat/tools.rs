//! Tools: what a model may call, what it does call, and how chat templates see both.
//!
//! Both are JSON in the form of chat services: a list of tools, each `{"type": "function", "function":
//! {"name", "description", "parameters"}}` with a JSON schema as parameters, and in an answer
//! `tool_calls`, a list of `{"type": "function", "id", "function": {"name", "arguments"}}`. Where the inner
//! object stands alone, as in ShareGPT's calls, it is put into that form, since templates look for it.
//! They are kept as the text of JSON in which every character stands as itself: so whoever looks through
//! texts for secrets sees what would be trained.
//!
//! For a template they become values again. Their texts are guarded there as those of messages are
//! (`chat/spans.rs`): none becomes a special token. Of names, those that a record chooses are guarded,
//! too (of arguments and properties); the others are those of the form, for which templates look.

use super::spans::{self, COUNTED};
use crate::tokenizer::Tokenizer;
use serde_json::{Map, Value};

/// Most bytes of the tools of a conversation, or of the calls of a message.
const LIMIT_BYTES: usize = 256 << 10;

/// The key of calls among the fields of a message.
pub(crate) const CALLS: &str = "tool_calls";

/// The tools of a conversation as text, out of JSON that may be a list of them or a text with the list;
/// none where the list or the text is empty.
///
/// # Errors
/// What is wrong with it, without what it says.
pub(crate) fn of_tools(json: &str) -> Result<Option<String>, String> {
    let listed = match checked("tools", json)? {
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => checked("tools", &text)?,
        other => other,
    };
    let Value::Array(tools) = listed else {
        return Err("the tools are no list".to_owned());
    };
    let tool = |(index, mut tool): (usize, Value)| {
        named(&mut tool).map_err(|problem| format!("tool {}: {problem}", index + 1))?;
        Ok(wrapped(tool))
    };
    let tools: Vec<Value> =
        tools.into_iter().enumerate().map(tool).collect::<Result<_, String>>()?;
    Ok((!tools.is_empty()).then(|| Value::Array(tools).to_string()))
}

/// The calls of an answer, out of JSON; none where the list is empty. Arguments that are a text with an
/// object become the object, as templates expect them.
///
/// # Errors
/// What is wrong with it, without what it says.
pub(crate) fn of_calls(json: &str) -> Result<Option<Value>, String> {
    let listed = match checked("calls", json)? {
        Value::Array(calls) => calls,
        Value::Object(call) => vec![Value::Object(call)],
        _ => return Err("tool_calls is no list".to_owned()),
    };
    let call = |(index, mut call): (usize, Value)| {
        let wrong = |problem: &str| format!("call {}: {problem}", index + 1);
        let function = named(&mut call).map_err(|problem| wrong(&problem))?;
        let arguments =
            function.get_mut("arguments").ok_or_else(|| wrong("it has no arguments"))?;
        if let Value::String(text) = arguments {
            let read = exactly(text);
            *arguments = read.map_err(|problem| wrong(&format!("its arguments {problem}")))?;
        }
        let is_object = arguments.is_object();
        is_object.then(|| wrapped(call)).ok_or_else(|| wrong("its arguments are no object"))
    };
    let calls: Vec<Value> =
        listed.into_iter().enumerate().map(call).collect::<Result<_, String>>()?;
    Ok((!calls.is_empty()).then_some(Value::Array(calls)))
}

/// A tool or call as the object that templates look for.
fn wrapped(entry: Value) -> Value {
    let Value::Object(mut inner) = entry else { return entry };
    if inner.contains_key("function") {
        return Value::Object(inner);
    }
    let mut outer = Map::new();
    if let Some(id) = inner.shift_remove("id") {
        outer.insert("id".to_owned(), id);
    }
    inner.shift_remove("type");
    outer.insert("type".to_owned(), "function".into());
    outer.insert("function".to_owned(), Value::Object(inner));
    Value::Object(outer)
}

fn checked(what: &str, json: &str) -> Result<Value, String> {
    if json.len() > LIMIT_BYTES {
        return Err(format!("the {what} have {} bytes, at most {LIMIT_BYTES} go", json.len()));
    }
    exactly(json).map_err(|problem| format!("the {what} {problem}"))
}

/// The value of JSON, if all its numbers can be kept.
fn exactly(json: &str) -> Result<Value, String> {
    let value = serde_json::from_str(json).map_err(|_| "are no JSON".to_owned())?;
    if has_changed_number(json) {
        return Err(
            "hold a whole number of more than 64 bits, or -0, which would be written otherwise\n\
                    hint: write it as a text"
                .to_owned(),
        );
    }
    Ok(value)
}

/// Whether there is a whole number in valid JSON that is none of 64 bits.
fn has_changed_number(json: &str) -> bool {
    let mut rest = json;
    while let Some(at) = rest.find(|it: char| it == '"' || it == '-' || it.is_ascii_digit()) {
        let found = &rest[at..];
        if let Some(text) = found.strip_prefix('"') {
            rest = behind_text(text);
            continue;
        }
        let part = |it: char| it.is_ascii_digit() || "+-.eE".contains(it);
        let end = found.find(|it| !part(it)).unwrap_or(found.len());
        let number = &found[..end];
        let is_whole = !number.contains(['.', 'e', 'E']);
        let is_kept = number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
        if is_whole && (!is_kept || number == "-0") {
            return true;
        }
        rest = &found[end..];
    }
    false
}

/// What stands behind a text of valid JSON, from behind its first quote.
fn behind_text(text: &str) -> &str {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        if byte == b'"' && !escaped {
            return &text[at + 1..];
        }
        escaped = byte == b'\\' && !escaped;
    }
    ""
}

/// The object that has the name, of a tool or of a call.
fn named(entry: &mut Value) -> Result<&mut Map<String, Value>, String> {
    let outer = entry.as_object_mut().ok_or("it is no object")?;
    let inner = match outer.contains_key("function") {
        true => outer["function"].as_object_mut().ok_or("its function is no object")?,
        false => outer,
    };
    match inner.get("name") {
        Some(Value::String(name)) if !name.trim().is_empty() => Ok(inner),
        _ => Err("it has no name".to_owned()),
    }
}

/// A text that was kept as the value that it is.
///
/// # Errors
/// It is none any more: a secret was masked with a part of its form.
pub(super) fn parsed(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|_| {
        "its tools or calls are no JSON once secrets are masked in them\nhint: mask them in the file"
            .to_owned()
    })
}

/// What the keys of an object are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// Those of the form; templates look for them.
    Form,
    /// Names that the record chose, of things that have the form again.
    Names,
    /// Names that the record chose, at any depth.
    Free,
}

/// The value with every text guarded, and a mark in the names of tools and calls and in all texts and
/// names among the arguments of calls, by which they are counted where they are written.
///
/// # Errors
/// A key of the form that holds the name of a special token.
pub(super) fn guarded(value: Value, tokenizer: &Tokenizer) -> Result<Value, String> {
    let mut value = guarded_in(value, Keys::Form, tokenizer)?;
    let lists = match &mut value {
        Value::Object(fields) => fields.get_mut(CALLS),
        list => Some(list),
    };
    for entry in lists.and_then(Value::as_array_mut).into_iter().flatten() {
        let function = named(entry)?;
        if let Some(Value::String(name)) = function.get_mut("name") {
            name.insert(0, COUNTED);
        }
    }
    Ok(value)
}

fn guarded_in(value: Value, keys: Keys, tokenizer: &Tokenizer) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => counted(spans::guarded(&text, tokenizer), keys).into(),
        Value::Array(list) => {
            let each = list.into_iter().map(|it| guarded_in(it, keys, tokenizer));
            Value::Array(each.collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let mut out = Map::new();
            for (key, value) in map {
                let inner = match (keys, key.as_str()) {
                    (Keys::Free, _) | (Keys::Form, "arguments") => Keys::Free,
                    (Keys::Form, "properties" | "$defs" | "definitions") => Keys::Names,
                    (Keys::Form | Keys::Names, _) => Keys::Form,
                };
                let name = match keys {
                    Keys::Form if spans::holds_special(&key, tokenizer) => {
                        return Err("a key of its tools or calls is a special token".to_owned());
                    }
                    Keys::Form => key,
                    Keys::Names | Keys::Free => counted(spans::guarded(&key, tokenizer), keys),
                };
                // Templates compare the names of types with those that there are.
                let is_type = keys == Keys::Form && name == "type" && is_plain(&value);
                let value = if is_type { value } else { guarded_in(value, inner, tokenizer)? };
                out.insert(name, value);
            }
            Value::Object(out)
        }
        other => other,
    })
}

/// The text with a mark where it has to be written.
fn counted(mut text: String, keys: Keys) -> String {
    if keys == Keys::Free {
        text.insert(0, COUNTED);
    }
    text
}

/// How many marks stand in the values.
pub(super) fn count<'a>(values: impl Iterator<Item = &'a Value>) -> usize {
    values.map(|value| value.to_string().matches(COUNTED).count()).sum()
}

/// Whether it is a text of small letters.
fn is_plain(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.bytes().all(|it| it.is_ascii_lowercase()))
}
