//! Words of queries, for both query languages: names, numbers, durations, strings and signs.

use super::matcher::{Matcher, NAME, Operation};
use super::time;

/// Most bytes of a query, and how deep it may be nested.
const MOST_BYTES: usize = 16 << 10;
pub(super) const DEEPEST: usize = 32;

/// A word of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// A name, or a word of the language.
    Name(String),
    /// A number.
    Number(f64),
    /// A duration, in milliseconds.
    Duration(i64),
    /// A string, without its quotes.
    Text(String),
    /// A sign.
    Sign(&'static str),
}

/// Signs, the longer before those that they begin with.
const SIGNS: [&str; 25] = [
    "=~", "!~", "!=", "==", ">=", "<=", "|=", "|~", "{", "}", "(", ")", "[", "]", ",", "=", "|",
    "+", "-", "*", "/", "%", "^", "<", ">",
];

/// The words of a query and how far they are read.
#[derive(Debug)]
pub(super) struct Words {
    words: Vec<(usize, Word)>,
    at: usize,
    end: usize,
}

impl Words {
    /// Cuts a query into words.
    pub(super) fn of(query: &str) -> Result<Self, String> {
        if query.len() > MOST_BYTES {
            return Err(format!("a query of {} bytes, at most {MOST_BYTES} are read", query.len()));
        }
        let mut words = Vec::new();
        let mut rest = query;
        loop {
            rest = rest.trim_start();
            let at = query.len() - rest.len();
            let Some(first) = rest.chars().next() else { break };
            let (word, length) = match first {
                '"' | '\'' | '`' => text(rest).map_err(|problem| located(&problem, at))?,
                '0'..='9' | '.' => number(rest).map_err(|problem| located(&problem, at))?,
                _ if is_name(first) => {
                    let more = |c: char| is_name(c) || c.is_ascii_digit();
                    let length = rest.find(|c| !more(c)).unwrap_or(rest.len());
                    (Word::Name(rest[..length].to_owned()), length)
                }
                _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                    Some(sign) => (Word::Sign(sign), sign.len()),
                    None => return Err(located(&format!("unexpected character {first:?}"), at)),
                },
            };
            words.push((at, word));
            rest = &rest[length..];
        }
        Ok(Self { words, at: 0, end: query.len() })
    }

    /// The next word, which stays.
    pub(super) fn peek(&self) -> Option<&Word> {
        self.words.get(self.at).map(|(_, word)| word)
    }

    /// The word after the next one.
    pub(super) fn second(&self) -> Option<&Word> {
        self.words.get(self.at + 1).map(|(_, word)| word)
    }

    /// Takes the next word.
    pub(super) fn next(&mut self) -> Option<Word> {
        let word = self.peek().cloned();
        self.at += 1;
        word
    }

    /// Takes a sign, if it is the next word.
    pub(super) fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Word::Sign(it)) if *it == sign);
        self.at += usize::from(found);
        found
    }

    /// Takes a name, if it is the next word, letters of either size.
    pub(super) fn take_name(&mut self, name: &str) -> bool {
        let found = matches!(self.peek(), Some(Word::Name(it)) if it.eq_ignore_ascii_case(name));
        self.at += usize::from(found);
        found
    }

    /// Takes a sign that must come.
    pub(super) fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(self.wrong(&format!("expected {sign:?}"))) }
    }

    /// What is wrong with the next word.
    pub(super) fn wrong(&self, problem: &str) -> String {
        match self.words.get(self.at) {
            Some((at, word)) => located(&format!("{problem}, found {}", shown(word)), *at),
            None => located(&format!("{problem}, found the end"), self.end),
        }
    }

    /// Nothing may be left.
    pub(super) fn finish(&self) -> Result<(), String> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.wrong("unexpected input")),
        }
    }

    /// Conditions in braces, if they come.
    pub(super) fn matchers(&mut self) -> Result<Vec<Matcher>, String> {
        let mut matchers = Vec::new();
        if !self.take("{") {
            return Ok(matchers);
        }
        while !self.take("}") {
            matchers.push(self.matcher()?);
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(matchers)
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let label = match self.next() {
            Some(Word::Name(name)) => name,
            // A metric's name in quotes, as newer versions take it.
            Some(Word::Text(name)) if matches!(self.peek(), Some(Word::Sign("," | "}"))) => {
                return Matcher::new(NAME, Operation::Equal, &name);
            }
            Some(Word::Text(name)) => name,
            _ => {
                self.at -= 1;
                return Err(self.wrong("expected a label"));
            }
        };
        let operation = match self.next() {
            Some(Word::Sign("=")) => Operation::Equal,
            Some(Word::Sign("!=")) => Operation::NotEqual,
            Some(Word::Sign("=~")) => Operation::Matches,
            Some(Word::Sign("!~")) => Operation::NotMatches,
            _ => {
                self.at -= 1;
                return Err(self.wrong("expected =, !=, =~ or !~"));
            }
        };
        match self.next() {
            Some(Word::Text(value)) => Matcher::new(&label, operation, &value),
            _ => {
                self.at -= 1;
                Err(self.wrong("expected a string"))
            }
        }
    }

    /// `[5m]`, in milliseconds, if it comes.
    pub(super) fn range(&mut self) -> Result<Option<i64>, String> {
        if !self.take("[") {
            return Ok(None);
        }
        let range = match self.next() {
            Some(Word::Duration(millis)) if millis > 0 => millis,
            _ => {
                self.at -= 1;
                return Err(self.wrong("expected a duration above 0"));
            }
        };
        if matches!(self.peek(), Some(Word::Name(name)) if name.starts_with(':')) {
            return Err(self.wrong("subqueries are not supported here"));
        }
        self.expect("]")?;
        Ok(Some(range))
    }

    /// `offset 5m`, in milliseconds; 0 if it does not come.
    pub(super) fn offset(&mut self) -> Result<i64, String> {
        if !self.take_name("offset") {
            return Ok(0);
        }
        let sign = if self.take("-") { -1 } else { 1 };
        match self.next() {
            Some(Word::Duration(millis)) => Ok(sign * millis),
            _ => {
                self.at -= 1;
                Err(self.wrong("expected a duration"))
            }
        }
    }

    /// Names in parentheses.
    pub(super) fn names(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.take(")") {
            match self.next() {
                Some(Word::Name(name)) => names.push(name),
                _ => {
                    self.at -= 1;
                    return Err(self.wrong("expected a label"));
                }
            }
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(names)
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == ':'
}

fn located(problem: &str, at: usize) -> String {
    format!("1:{}: parse error: {problem}", at + 1)
}

fn shown(word: &Word) -> String {
    match word {
        Word::Name(name) => format!("{name:?}"),
        Word::Number(number) => number.to_string(),
        Word::Duration(millis) => format!("a duration of {millis} ms"),
        Word::Text(text) => format!("the string {text:?}"),
        Word::Sign(sign) => format!("{sign:?}"),
    }
}

/// A number or a duration, and its length.
fn number(rest: &str) -> Result<(Word, usize), String> {
    let more = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let mut length = rest.find(|c| !more(c)).unwrap_or(rest.len());
    // The sign of an exponent belongs to it.
    if rest[..length].ends_with(['e', 'E']) && rest[length..].starts_with(['+', '-']) {
        let digits = rest[length + 1..].find(|c: char| !c.is_ascii_digit());
        length += 1 + digits.unwrap_or(rest.len() - length - 1);
    }
    let text = &rest[..length];
    if let Some(millis) = time::duration(text) {
        return Ok((Word::Duration(millis), length));
    }
    match text.parse() {
        Ok(number) => Ok((Word::Number(number), length)),
        Err(_) => Err(format!("{text:?} is neither a number nor a duration")),
    }
}

/// A string, and its length with the quotes.
fn text(rest: &str) -> Result<(Word, usize), String> {
    let quote = rest.chars().next().unwrap_or('"');
    let mut out = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Ok((Word::Text(out), at + 1)),
            '\\' if quote != '`' => match characters.next().map(|(_, it)| it) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some(it @ ('\\' | '"' | '\'')) => out.push(it),
                Some(it) => return Err(format!("unknown escape sequence \\{it}")),
                None => break,
            },
            '\n' if quote != '`' => break,
            _ => out.push(character),
        }
    }
    Err("unterminated string".to_owned())
}
