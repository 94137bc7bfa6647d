//! The one error of this crate, and the place in a file that it names.

use std::fmt;
use std::path::{Path, PathBuf};

/// The result of everything in this crate that can fail on input.
pub type Result<T> = std::result::Result<T, Error>;

/// Where in the input something stands: a file, and a line of it where lines matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file or directory, as it was given.
    pub path: PathBuf,
    /// The line, counted from 1; `None` where the whole file is meant.
    pub line: Option<u64>,
}

impl Place {
    /// A whole file or directory.
    pub fn file(path: &Path) -> Self {
        Self { path: path.to_owned(), line: None }
    }

    /// One line of a file, counted from 1.
    pub fn line(path: &Path, line: u64) -> Self {
        Self { path: path.to_owned(), line: Some(line) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "{}:{line}", self.path.display()),
            None => write!(out, "{}", self.path.display()),
        }
    }
}

/// What can be wrong with texts, tokenizers, data sets and packing limits.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be opened, mapped or written, or is over its size limit.
    #[error(transparent)]
    File(#[from] files::Error),

    /// A tokenizer file that is damaged, or of a kind that is not supported.
    #[error("tokenizer {from}: {problem}")]
    Tokenizer {
        /// The file, or how the tokenizer came about.
        from: String,
        /// What is wrong with it, with at most one hint.
        problem: String,
    },

    /// A text that the tokenizer cannot encode faithfully.
    #[error("text of {bytes} bytes cannot be encoded: {problem}")]
    Encode {
        /// Length of the text.
        bytes: usize,
        /// Why not.
        problem: String,
    },

    /// A document or a line of a JSONL file that is not what it should be.
    #[error("{place}: {problem}")]
    Record {
        /// The file, and the line in a JSONL file.
        place: Place,
        /// What was found and expected, with at most one hint.
        problem: String,
    },

    /// Documents with secrets in them.
    #[error(
        "{count} secrets in the documents, nothing was written:\n  {list}\nhint: remove and revoke \
         them, or ask for secrets to be masked"
    )]
    Secrets {
        /// How many there are.
        count: usize,
        /// Place, kind and beginning of the first of them, a line for each.
        list: String,
    },

    /// A chat template that is damaged, or cannot write a conversation.
    #[error("{}{}: {problem}", origin.display(), in_line(*line))]
    Template {
        /// The file, or the name of a built-in template.
        origin: PathBuf,
        /// The line of the template, counted from 1 (in a configuration: within the string).
        line: Option<usize>,
        /// What is wrong, with at most one hint.
        problem: String,
    },

    /// A conversation that cannot be written.
    #[error("{problem}")]
    Conversation {
        /// What is wrong, with at most one hint.
        problem: String,
    },

    /// A document that does not fit into the context.
    #[error(
        "{place}: the document has {tokens} tokens, the context holds {context}\nhint: use a \
         longer context, or ask for long documents to be split"
    )]
    DocumentTooLong {
        /// The file, and the line in a JSONL file.
        place: Place,
        /// Tokens of the document, its begin and end marks included.
        tokens: usize,
        /// Tokens that the context holds.
        context: u32,
    },

    /// Inputs that hold not a single document.
    #[error(
        "{inputs}: no document found\nhint: directories are searched for .md and .txt; .jsonl files are named themselves, as DIR/*.jsonl"
    )]
    NoDocuments {
        /// The inputs that were searched.
        inputs: String,
    },

    /// A description of the Kubernetes API that is damaged, or of another kind.
    #[error("{from}: {problem}")]
    Kubernetes {
        /// The file, or what else the description came from.
        from: String,
        /// What was found and expected, with at most one hint.
        problem: String,
    },

    /// A data set from which nothing could be learned.
    #[error(
        "{from}: none of the {tokens} tokens in {documents} documents is trained\nhint: a \
         document's first token never trains, and a label of -100 masks its token"
    )]
    NothingTrained {
        /// The inputs or the data set's directory.
        from: String,
        /// Documents seen.
        documents: u64,
        /// Tokens seen.
        tokens: u64,
    },

    /// The output directory cannot take the data set.
    #[error("{}: {problem}", path.display())]
    Output {
        /// The output directory.
        path: PathBuf,
        /// Why not, with at most one hint.
        problem: String,
    },

    /// A data set's file that is damaged or does not belong to the others.
    #[error("{}: {problem}", path.display())]
    Dataset {
        /// The shard, or `dataset.json`.
        path: PathBuf,
        /// What was found and expected, with at most one hint.
        problem: String,
    },

    /// A split that would leave one side without a document.
    #[error("cannot split the data set: {problem}")]
    Split {
        /// What was asked and why it cannot be.
        problem: String,
    },

    /// A document that cannot be shown.
    #[error("cannot show a document: {problem}")]
    Sample {
        /// What was asked and why it cannot be.
        problem: String,
    },

    /// Packing limits into which the documents do not fit.
    #[error("cannot pack: {problem}")]
    Pack {
        /// What was asked and why it cannot be.
        problem: String,
    },

    /// A JSON schema that output cannot be held to.
    #[error("schema #{pointer}: {problem}")]
    Schema {
        /// Where in the schema, as a JSON pointer.
        pointer: String,
        /// What is wrong there, with at most one hint.
        problem: String,
    },

    /// A text that could not be held to its schema.
    #[error("output cannot be held to the schema: {problem}\nhint: use a simpler schema")]
    Grammar {
        /// What the parser says.
        problem: String,
    },
}

/// Behind a template's name: the line in it.
fn in_line(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line} of the chat template"))
}
