//! Words into a command, its flags and its arguments.

use super::flags::{self, ALIASES, COMMANDS, Command, Flag, Value};
use super::words::Word;
use crate::kubernetes::finding::{Finding, Problem, suggestion};

/// A command line, taken apart.
pub(super) struct Line {
    /// Which command it is.
    pub(super) command: &'static Command,
    /// Flags by their long names, with their values; `true` for a switch.
    pub(super) flags: Vec<(&'static str, Word)>,
    /// What is no flag, without the command's own words.
    pub(super) arguments: Vec<Word>,
    /// What stands behind `--`.
    pub(super) rest: Option<Vec<Word>>,
}

impl Line {
    /// The last value of a flag.
    pub(super) fn flag(&self, name: &str) -> Option<&Word> {
        self.flags.iter().rev().find(|(flag, _)| *flag == name).map(|(_, value)| value)
    }

    /// Whether one of these flags was given, and not as `=false`.
    pub(super) fn any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.flag(name).is_some_and(|value| value.text != "false"))
    }

    /// Takes words apart, the first of which is `kubectl`.
    pub(super) fn parse(words: &[Word]) -> Result<Self, Finding> {
        let words = match words {
            [first, rest @ ..] if first.text == "kubectl" => rest,
            _ => return Err(Finding::new(Problem::Syntax, "", "a command begins with kubectl")),
        };
        let mut flags = Vec::new();
        let (command, words) = named(words, &mut flags)?;
        let known = command.flags();
        let mut line = Self { command, flags, arguments: Vec::new(), rest: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word.text == "--" {
                line.rest = Some(words.cloned().collect());
                break;
            }
            match word.text.starts_with('-') && word.text.len() > 1 {
                true => take(word, &mut words, &known, &mut line.flags)?,
                false => line.arguments.push(word.clone()),
            }
        }
        Ok(line)
    }
}

/// The command that these words name, and what follows it. Flags of every command may stand
/// before and between its words.
fn named<'a>(
    words: &'a [Word],
    flags: &mut Vec<(&'static str, Word)>,
) -> Result<(&'static Command, &'a [Word]), Finding> {
    let global = flags::global();
    let mut name = String::new();
    let mut found = None;
    let mut rest = words.iter();
    while let Some(word) = rest.as_slice().first() {
        if word.text.starts_with('-') && word.text.len() > 1 {
            // A flag of the command itself ends the command's words.
            if found.is_some() || name_is_open(&name) && word.text == "--" {
                break;
            }
            rest.next();
            take(word, &mut rest, &global, flags)?;
            continue;
        }
        let alias = ALIASES.iter().find(|(alias, _)| *alias == word.text && !name.is_empty());
        let text = alias.map_or(word.text.as_str(), |(_, full)| full);
        let longer = if name.is_empty() { text.to_owned() } else { format!("{name} {text}") };
        let exact = COMMANDS.iter().find(|it| it.name == longer);
        if exact.is_none() && !name_is_open(&longer) {
            break;
        }
        found = exact.or(found);
        name = longer;
        rest.next();
    }
    match found {
        Some(command) if command.name == name => Ok((command, rest.as_slice())),
        _ => Err(unknown(&name, rest.as_slice().first())),
    }
}

/// Whether more words may follow these.
fn name_is_open(name: &str) -> bool {
    COMMANDS.iter().any(|it| it.name.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))
}

fn unknown(name: &str, next: Option<&Word>) -> Finding {
    let Some(next) = next else {
        return Finding::new(Problem::Syntax, name, "the command is not complete");
    };
    let beginning = if name.is_empty() { String::new() } else { format!("{name} ") };
    let words = COMMANDS.iter().filter_map(|it| it.name.strip_prefix(beginning.as_str()));
    let guess = suggestion(&next.text, words.filter_map(|it| it.split(' ').next()));
    let message =
        format!("kubectl has no command {:?}{guess}", format!("{beginning}{}", next.text));
    Finding::new(Problem::UnknownVerb, &next.text, message)
}

/// Reads the flag that a word begins, or the flags that its letters are.
fn take<'a>(
    word: &Word,
    next: &mut impl Iterator<Item = &'a Word>,
    known: &[Flag],
    into: &mut Vec<(&'static str, Word)>,
) -> Result<(), Finding> {
    if let Some(long) = word.text.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let flag = known.iter().find(|it| it.name == name).ok_or_else(|| {
            let guess = suggestion(name, known.iter().map(|it| it.name));
            missing(&format!("--{name}"), &guess)
        })?;
        into.push((flag.name, valued(flag, word, value, next)?));
        return Ok(());
    }
    let letters = &word.text[1..];
    for (at, letter) in letters.char_indices() {
        let flag = known
            .iter()
            .find(|it| it.short == Some(letter))
            .ok_or_else(|| missing(&format!("-{letter}"), ""))?;
        let behind = &letters[at + letter.len_utf8()..];
        if flag.value == Value::Needed {
            let value =
                Some(behind.strip_prefix('=').unwrap_or(behind)).filter(|it| !it.is_empty());
            into.push((flag.name, valued(flag, word, value, next)?));
            return Ok(());
        }
        if let Some(value) = behind.strip_prefix('=') {
            into.push((flag.name, valued(flag, word, Some(value), next)?));
            return Ok(());
        }
        into.push((flag.name, Word { text: "true".to_owned(), open: false }));
    }
    Ok(())
}

fn missing(flag: &str, guess: &str) -> Finding {
    Finding::new(Problem::UnknownFlag, flag, format!("the command has no such flag{guess}"))
}

/// The value of a flag: from behind its equals sign, or the next word.
fn valued<'a>(
    flag: &Flag,
    word: &Word,
    value: Option<&str>,
    next: &mut impl Iterator<Item = &'a Word>,
) -> Result<Word, Finding> {
    let at = format!("--{}", flag.name);
    match (flag.value, value) {
        (Value::Switch, Some(value)) if !word.open && value.parse::<bool>().is_err() => {
            let message = format!("it is true or false, not {value:?}");
            Err(Finding::new(Problem::WrongType, at, message))
        }
        (_, Some(value)) => Ok(Word { text: value.to_owned(), open: word.open }),
        (Value::Needed, None) => next
            .next()
            .cloned()
            .ok_or_else(|| Finding::new(Problem::MissingRequired, at, "it needs a value")),
        (Value::Switch | Value::Optional, None) => {
            Ok(Word { text: "true".to_owned(), open: false })
        }
    }
}
