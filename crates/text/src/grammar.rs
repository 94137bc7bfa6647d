//! Constrained decoding: a JSON schema becomes the set of tokens that may come next.
//!
//! *What is produced*: compact JSON (no white space between tokens), the properties of an object in
//! the order of the schema, those that it does not name after them; strings hold no control
//! characters but `\b \t \n \f \r` (so no terminal escapes either) and every character is written in
//! one way; numbers are decimals of at most 18 characters; nesting ends at 64. A name that the
//! schema leaves open may come twice; the last one counts, as in every JSON reader here.
//!
//! *What is promised*: whoever follows the masks of a [`Constraint`] gets text that fits the schema,
//! and can at any time end it within the tokens that are left. For that the constraint holds, beside
//! the state of the parser, a *closing path*: tokens that complete the text from here. A token is
//! taken only if a closing path is found behind it that still fits; so the promise does not rest on
//! the search finding the shortest path, or any.
//!
//! A keyword that cannot be kept is an error that names its place; none is ignored.

mod closing;
mod constraint;
mod position;
mod schema;
mod shortest;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use constraint::Constraint;
pub use vocabulary::Vocabulary;

use crate::{Error, Result};
use llguidance::TokenParser;
use llguidance::api::TopLevelGrammar;
use serde_json::{Value, json};
use shortest::Fragments;
use std::fmt;
use std::sync::Arc;

/// Most lines and most characters of a library's message that are shown.
const MOST_LINES: usize = 4;
const MOST_SHOWN: usize = 240;

/// A schema compiled for a vocabulary.
pub struct Grammar {
    schema: Value,
    vocabulary: Arc<Vocabulary>,
    /// At the beginning of the text; requests work on copies.
    parser: TokenParser,
    fragments: Fragments,
}

impl Grammar {
    /// Compiles a JSON schema (draft 2020-12).
    ///
    /// # Errors
    /// [`Error::Schema`]: a keyword that is unknown or cannot be kept, a schema that nothing fits,
    /// one that is too large, or one whose text could not be told to be at its end (a number as the
    /// root).
    pub fn json(schema: &Value, vocabulary: &Arc<Vocabulary>) -> Result<Arc<Grammar>> {
        schema::check(schema)?;
        let leaf = |schema: &Value| {
            let mut parser = parser(schema, vocabulary).ok()?;
            closing::scalar(&mut parser)
        };
        let fragments = Fragments::of(schema, &leaf);
        let parser = parser(schema, vocabulary).map_err(|problem| whole(&problem))?;
        let grammar =
            Self { schema: schema.clone(), vocabulary: vocabulary.clone(), parser, fragments };
        let grammar = Arc::new(grammar);
        // Also finds roots without an end, and schemas that only endless texts fit.
        Constraint::new(&grammar).map_err(|error| match error {
            Error::Grammar { .. } => whole(
                "what it forces is endless or too complex\nhint: look for definitions that never end",
            ),
            other => other,
        })?;
        Ok(grammar)
    }

    /// The schema, as it was given.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The vocabulary that it was compiled for.
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }
}

impl fmt::Debug for Grammar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Grammar({})", self.schema)
    }
}

/// The same schema over the same vocabulary.
impl PartialEq for Grammar {
    fn eq(&self, other: &Self) -> bool {
        self.vocabulary.hash() == other.vocabulary.hash() && self.schema == other.schema
    }
}

/// An error about the schema as a whole.
fn whole(problem: &str) -> Error {
    Error::Schema { pointer: String::new(), problem: problem.to_owned() }
}

/// The message of a library as one line. A pattern's has the pattern and, below it, a mark under the
/// place and the reason.
fn in_one_line(message: &str) -> String {
    let lines = message.lines().map(|line| line.trim().trim_start_matches("error: "));
    let said = lines.filter(|line| line.chars().any(char::is_alphanumeric));
    let parts: Vec<&str> = said.take(MOST_LINES).collect();
    let text = parts.join("; ").replace(":; ", ": ");
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A parser at the beginning of a text; the error is the problem in words.
fn parser(schema: &Value, vocabulary: &Vocabulary) -> std::result::Result<TokenParser, String> {
    let mut schema = schema.clone();
    if let Value::Object(map) = &mut schema {
        // Compact, and one spelling for every string: a second one of a property's name would get
        // around its schema.
        let options = json!({ "whitespace_flexible": false, "json_allowed_escapes": "nrbtf\\\"" });
        map.insert("x-guidance".to_owned(), options);
    }
    let grammar = TopLevelGrammar::from_json_schema(schema);
    let mut parser = vocabulary
        .factory()
        .create_parser(grammar)
        .map_err(|error| format!("it cannot be expressed: {}", in_one_line(&error.to_string())))?;
    parser.start_without_prompt();
    if let Some(warning) = parser.grammar_warnings().into_iter().next() {
        return Err(format!("it cannot be expressed exactly: {warning}"));
    }
    Ok(parser)
}
