//! What can be wrong with a manifest, a path or a command.

use std::fmt;

/// The kinds of mistakes. They are counted apart, because they come from different causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Problem {
    /// It cannot be taken apart: quotes, a missing argument, a name that no object can have.
    Syntax,
    /// `kubectl` has no such command.
    UnknownVerb,
    /// The API has no such kind or resource.
    UnknownKind,
    /// The type has no such field.
    UnknownField,
    /// A value of another type, outside of its allowed values, or a command that does not work on
    /// this kind.
    WrongType,
    /// A field, an argument or a flag that must be there is not.
    MissingRequired,
    /// The command has no such flag.
    UnknownFlag,
}

impl Problem {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::Syntax,
        Self::UnknownVerb,
        Self::UnknownKind,
        Self::UnknownField,
        Self::WrongType,
        Self::MissingRequired,
        Self::UnknownFlag,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownVerb => "unknown verb",
            Self::UnknownKind => "unknown kind",
            Self::UnknownField => "unknown field",
            Self::WrongType => "wrong type",
            Self::MissingRequired => "missing required",
            Self::UnknownFlag => "unknown flag",
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What sort of mistake.
    pub problem: Problem,
    /// Where: the path of a field, a flag or a word; empty for the whole.
    pub at: String,
    /// What was found and what was expected.
    pub message: String,
}

impl Finding {
    pub(super) fn new(problem: Problem, at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { problem, at: at.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { problem, at, message } = self;
        match at.as_str() {
            "" => write!(out, "{}: {message}", problem.name()),
            _ => write!(out, "{}: {at}: {message}", problem.name()),
        }
    }
}

/// `, did you mean "x"?` where one of the names is close to what was written, or nothing.
pub(super) fn suggestion<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let lower = written.to_lowercase();
    let scored = names.into_iter().map(|name| (distance(&lower, &name.to_lowercase()), name));
    match scored.min() {
        Some((away, name)) if away <= 1 + written.chars().count() / 5 => {
            format!(", did you mean {name:?}?")
        }
        _ => String::new(),
    }
}

/// The longest name that is compared; no name of the API is longer.
const COMPARED_CHARACTERS: usize = 80;

/// How many characters have to be inserted, removed or replaced (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    if one.len().abs_diff(other.len()) > 4 || one.len() > COMPARED_CHARACTERS {
        return usize::MAX;
    }
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = line + 1;
        for (column, &twin) in other.iter().enumerate() {
            let replaced = corner + usize::from(letter != twin);
            corner = row[column + 1];
            row[column + 1] = replaced.min(corner + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
