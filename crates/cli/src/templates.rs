//! Which chat template a command uses.

use crate::args::TemplateArgs;
use crate::exit::usage;
use anyhow::Result;
use std::path::Path;
use text::chat::{Date, Template};
use text::tokenizer::Tokenizer;

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
