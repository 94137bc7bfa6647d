//! A command line into words, as a POSIX shell does it.

use crate::kubernetes::finding::{Finding, Problem};

/// How a command is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It is run as it stands, and not by a shell: variables, pipes and placeholders are mistakes.
    Exact,
    /// It is written for a reader: `$NAME`, `$(…)` and `<name>` stand for words, and what follows
    /// a pipe or another command separator is not judged.
    Written,
}

/// A word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// Its text, with [`PLACEHOLDER`] for what is not known.
    pub(super) text: String,
    /// Whether a part of it is not known.
    pub(super) open: bool,
}

/// Stands for what a reader fills in. It is a valid name.
const PLACEHOLDER: &str = "placeholder";

/// The words of a command.
pub(super) fn split(command: &str, form: Form) -> Result<Vec<Word>, Finding> {
    let mut splitter = Splitter { letters: command.chars().peekable(), form, word: None };
    let mut words = Vec::new();
    while splitter.advance(&mut words)? {}
    words.extend(splitter.word);
    Ok(words)
}

struct Splitter<'a> {
    letters: std::iter::Peekable<std::str::Chars<'a>>,
    form: Form,
    /// The word that is being read; an empty quote makes an empty one.
    word: Option<Word>,
}

fn wrong(message: &str) -> Finding {
    Finding::new(Problem::Syntax, "", message)
}

impl Splitter<'_> {
    fn word(&mut self) -> &mut Word {
        self.word.get_or_insert_default()
    }

    /// Reads on; `false` where the command ends.
    fn advance(&mut self, words: &mut Vec<Word>) -> Result<bool, Finding> {
        let Some(letter) = self.letters.next() else { return Ok(false) };
        match letter {
            '\n' if self.form == Form::Exact => return Err(wrong("a command is one line")),
            letter if letter.is_whitespace() => words.extend(self.word.take()),
            '\'' => self.single()?,
            '"' => self.double()?,
            '\\' => match self.letters.next() {
                Some('\n') => {}
                Some(letter) => self.word().text.push(letter),
                None => return Err(wrong("it ends with a backslash")),
            },
            '$' | '`' => self.unknown(letter)?,
            '<' if self.form == Form::Written && self.placeholder() => {}
            '|' | ';' | '&' | '<' | '>' | '(' | ')' => {
                if self.form == Form::Exact {
                    return Err(wrong(&format!("{letter:?} belongs to a shell, not to kubectl")));
                }
                return Ok(false);
            }
            letter => self.word().text.push(letter),
        }
        Ok(true)
    }

    fn single(&mut self) -> Result<(), Finding> {
        self.word();
        loop {
            match self.letters.next() {
                Some('\'') => return Ok(()),
                Some(letter) => self.word().text.push(letter),
                None => return Err(wrong("a ' is not closed")),
            }
        }
    }

    fn double(&mut self) -> Result<(), Finding> {
        self.word();
        loop {
            match self.letters.next() {
                Some('"') => return Ok(()),
                Some('\\') => match self.letters.next() {
                    Some(letter @ ('"' | '\\' | '$' | '`')) => self.word().text.push(letter),
                    Some(letter) => self.word().text.extend(['\\', letter]),
                    None => return Err(wrong("a \" is not closed")),
                },
                Some(letter @ ('$' | '`')) => self.unknown(letter)?,
                Some(letter) => self.word().text.push(letter),
                None => return Err(wrong("a \" is not closed")),
            }
        }
    }

    /// A variable or the output of another command.
    fn unknown(&mut self, mark: char) -> Result<(), Finding> {
        if self.form == Form::Exact {
            let message = format!("{mark:?} is expanded by a shell and means nothing to kubectl");
            return Err(wrong(&message));
        }
        match (mark, self.letters.peek()) {
            ('`', _) => self.until('`', None)?,
            (_, Some('(')) => {
                self.letters.next();
                self.until(')', Some('('))?;
            }
            (_, Some('{')) => self.until('}', None)?,
            _ => while self.letters.next_if(|it| it.is_alphanumeric() || *it == '_').is_some() {},
        }
        self.fill();
        Ok(())
    }

    fn fill(&mut self) {
        let word = self.word();
        word.text.push_str(PLACEHOLDER);
        word.open = true;
    }

    /// Passes over everything up to the closing mark; `opening` marks inside are counted.
    fn until(&mut self, closing: char, opening: Option<char>) -> Result<(), Finding> {
        let mut depth = 1;
        for letter in self.letters.by_ref() {
            if letter == closing {
                depth -= 1;
            } else if Some(letter) == opening {
                depth += 1;
            }
            if depth == 0 {
                return Ok(());
            }
        }
        Err(wrong(&format!("{closing:?} is missing")))
    }

    /// Reads the rest of `<name>`; `false` and nothing read where it is none.
    fn placeholder(&mut self) -> bool {
        let mut ahead = self.letters.clone();
        let inside = |it: &char| it.is_alphanumeric() || matches!(it, '-' | '_' | '.' | ' ');
        let mut length = 0;
        while ahead.next_if(inside).is_some() {
            length += 1;
        }
        if length == 0 || ahead.next() != Some('>') {
            return false;
        }
        self.letters = ahead;
        self.fill();
        true
    }
}
