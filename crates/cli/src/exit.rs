//! The exit codes and the one place that prints an error.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed: the disk, the memory, a model that diverged |
//! | 2 | wrong usage or input |
//! | 130 | interrupted: a training run with everything so far in a checkpoint, all else with nothing written |

use crate::output::printable;
use crate::{called, interrupt};
use eval::commands::CommandError;
use sre::analyst::AnalystError;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use text::llm::LlmError;

const FAILED: u8 = 1;
const WRONG_INPUT: u8 = 2;

/// What was typed cannot be done as it stands.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

/// The run was asked to stop and did, after saving what it had.
#[derive(Debug)]
pub(crate) struct Interrupted(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
impl std::error::Error for Interrupted {}

/// A wrong usage or input, as an error.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(message.into()))
}

/// Prints the error, if there is one, and says with which code to exit.
pub(crate) fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if is_broken_pipe(&error) {
        // Whoever read our output has seen enough.
        return ExitCode::SUCCESS;
    }
    let interrupted = error.downcast_ref::<Interrupted>().is_some();
    let (message, hint) = parts(&error);
    let told = |text: &str| one_error(&called::by_name(text));
    let (message, hint) = (told(&message), hint.as_deref().map(told));
    let first = if interrupted { "interrupted" } else { "error" };
    let mut text = format!("{first}: {message}\n");
    if let Some(hint) = hint {
        text.push_str(&format!("hint: {hint}\n"));
    }
    // Nothing is left to tell it to if standard error is closed as well.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(if interrupted { interrupt::CODE } else { code(&error) })
}

/// The chain of causes in one line each, outermost first, and the innermost hint.
fn parts(error: &anyhow::Error) -> (String, Option<String>) {
    let mut messages: Vec<String> = Vec::new();
    let mut hint = None;
    for cause in error.chain() {
        let text = cause.to_string();
        let message = match text.split_once("\nhint: ") {
            Some((message, advice)) => {
                hint = Some(advice.to_owned());
                message.to_owned()
            }
            None => text,
        };
        // An error that repeats its cause already said it.
        if !messages.last().is_some_and(|last| last.ends_with(&message)) {
            messages.push(message);
        }
    }
    (messages.join(": "), hint)
}

/// The text without what a terminal obeys, and without lines that could be another error: names in files may
/// hold both. Lists of ours are indented.
fn one_error(text: &str) -> String {
    let text = printable(text);
    let mut lines = text.split('\n');
    let mut shown = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        shown.push_str(if line.starts_with("  ") { "\n" } else { "\\n" });
        shown.push_str(line);
    }
    shown
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
    })
}

/// Whose fault it is, from the error that knows it best.
fn code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(of_cause).unwrap_or(FAILED)
}

fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if let Some(error) = cause.downcast_ref() {
        return Some(of_files(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_text(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_model(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_engine(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_train(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_llm(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(of_analyst(error));
    }
    if let Some(error) = cause.downcast_ref() {
        return Some(match error {
            CommandError::Text(error) => of_text(error),
            CommandError::Llm(error) => of_llm(error),
        });
    }
    if cause.is::<sre::Error>() {
        return Some(WRONG_INPUT);
    }
    cause.downcast_ref::<Usage>().map(|_| WRONG_INPUT)
}

fn of_text(error: &text::Error) -> u8 {
    match error {
        text::Error::File(error) => of_files(error),
        _ => WRONG_INPUT,
    }
}

fn of_llm(error: &LlmError) -> u8 {
    match error {
        LlmError::Text(error) => of_text(error),
        LlmError::Model(error) => error.downcast_ref().map_or(FAILED, of_engine),
        _ => WRONG_INPUT,
    }
}

fn of_analyst(error: &AnalystError) -> u8 {
    match error {
        AnalystError::Sre(_) => WRONG_INPUT,
        AnalystError::Text(error) => of_text(error),
        AnalystError::Llm(error) => of_llm(error),
    }
}

fn of_model(error: &model::Error) -> u8 {
    match error {
        model::Error::Files(error) => of_files(error),
        model::Error::Backend(_) => FAILED,
        _ => WRONG_INPUT,
    }
}

fn of_engine(error: &engine::Error) -> u8 {
    use engine::Error::{Model, NotFinite, Text};
    match error {
        Text(error) => of_text(error),
        Model(error) => of_model(error),
        NotFinite { .. } => FAILED,
        _ => WRONG_INPUT,
    }
}

fn of_train(error: &train::Error) -> u8 {
    use train::Error::{Checkpoint, Files, Mismatch, Model, Recipe, Text};
    match error {
        Files(error) => of_files(error),
        Model(error) => of_model(error),
        Text(error) => of_text(error),
        Recipe { .. } | Mismatch { .. } | Checkpoint { .. } => WRONG_INPUT,
        _ => FAILED,
    }
}

/// A file that cannot be read is wrong input; one that cannot be written is a failure.
fn of_files(error: &files::Error) -> u8 {
    use files::Operation::{Map, Read};
    match error {
        files::Error::Io { operation: Read | Map, .. }
        | files::Error::WrongKind { .. }
        | files::Error::TooLarge { .. }
        | files::Error::Stranger { .. }
        | files::Error::NotUtf8 { .. } => WRONG_INPUT,
        files::Error::Io { .. } => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_chain_is_one_line_and_the_hint_stands_alone() {
        let inner: anyhow::Result<()> = Err(usage("line 3: no such key\nhint: look it up"));
        let (message, hint) = parts(&inner.context("recipe.toml").unwrap_err());
        assert_eq!(message, "recipe.toml: line 3: no such key");
        assert_eq!(hint.as_deref(), Some("look it up"));
    }

    #[test]
    fn names_in_files_cannot_write_on_the_terminal() {
        assert_eq!(one_error("a\u{1b}[2J\r\u{7}b\tü\n"), "a\\u{1b}[2J\\r\\u{7}b\tü\\n");
        assert_eq!(one_error("2 secrets:\n  a\n  b\nerror: c"), "2 secrets:\n  a\n  b\\nerror: c");
    }

    #[test]
    fn the_code_says_whose_fault_it_is() {
        let read = files::read("no such file", 1).unwrap_err();
        assert_eq!(code(&anyhow::Error::new(read)), WRONG_INPUT);
        let write = files::write_atomic("/proc/none/file", |_| Ok(())).unwrap_err();
        assert_eq!(code(&anyhow::Error::new(write)), FAILED);
        assert_eq!(code(&usage("no").context("outer")), WRONG_INPUT);
        assert_eq!(code(&anyhow::anyhow!("other")), FAILED);
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let error = anyhow::Error::new(std::io::Error::from(ErrorKind::BrokenPipe));
        assert!(is_broken_pipe(&error.context("cannot print")));
    }
}
