//! Which chat template a command uses.

use crate::args::TemplateArgs;
use crate::exit::usage;
use anyhow::Result;
use std::path::Path;
use text::chat::{Date, Message, Role, Template};
use text::llm::{LlmError, Prompt};
use text::tokenizer::Tokenizer;

/// What a user says and perhaps what was said before, as the model reads it: up to where its answer
/// begins.
///
/// # Errors
/// What the template refuses, or text that cannot be encoded.
pub(crate) fn framed(
    template: &Template,
    tokenizer: &Tokenizer,
    before: &[(String, String)],
    text: &str,
) -> Result<Prompt, LlmError> {
    let mut messages = Vec::new();
    for (asked, answered) in before {
        messages.push(Message::new(Role::User, asked.as_str()));
        messages.push(Message::new(Role::Assistant, answered.as_str()));
    }
    messages.push(Message::new(Role::User, text));
    let rendered = template.render(&messages.into(), tokenizer, true)?;
    Ok(Prompt::Ids(rendered.encode(tokenizer)?.0))
}

/// The template of a model's directory, else the built-in one that fits its tokenizer.
///
/// # Errors
/// A template that is damaged.
pub(crate) fn of_model(directory: &Path, tokenizer: &Tokenizer) -> Result<Template> {
    let own = Template::open(directory, Date::STANDARD)?;
    Ok(own.unwrap_or_else(|| Template::fitting(tokenizer, Date::STANDARD)))
}

/// The template that the arguments name; none if they say so. `tokenizer_file` is where the
/// tokenizer came from, if it may have brought a template of its own.
///
/// # Errors
/// A date that is none, a template that is damaged, or one that the tokenizer cannot write.
pub(crate) fn choose(
    args: &TemplateArgs,
    tokenizer: &Tokenizer,
    tokenizer_file: Option<&Path>,
) -> Result<Option<Template>> {
    let date = match &args.date {
        None => Date::STANDARD,
        Some(text) => Date::parse(text)
            .ok_or_else(|| usage(format!("--date is {text:?}, expected a day as 2024-05-17")))?,
    };
    let template = match args.template.as_str() {
        "none" => return Ok(None),
        "auto" => {
            let directory = tokenizer_file.map(|file| file.parent().unwrap_or(Path::new("")));
            let own = directory.map(|directory| Template::open(directory, date)).transpose()?;
            own.flatten().unwrap_or_else(|| Template::fitting(tokenizer, date))
        }
        "llama3" => {
            Template::check_llama3(tokenizer)?;
            Template::llama3(date)
        }
        "plain" => Template::plain(date),
        file => Template::from_file(Path::new(file), date)?,
    };
    Ok(Some(template))
}
