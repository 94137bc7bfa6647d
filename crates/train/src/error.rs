//! What can stop a training run.

use std::path::{Path, PathBuf};

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Sample ids that a message names; more are counted.
const NAMED_SOURCES: usize = 8;

/// What stopped being a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFinite {
    /// The loss of a token.
    Loss,
    /// The norm of the gradient.
    Gradient,
}

impl std::fmt::Display for NotFinite {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            NotFinite::Loss => "loss",
            NotFinite::Gradient => "gradient norm",
        })
    }
}

/// Why a run cannot be planned, started or continued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error(transparent)]
    Files(#[from] files::Error),
    /// A model or an adapter is not as needed.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// A data set or a tokenizer is not as needed.
    #[error(transparent)]
    Text(#[from] text::Error),
    /// A device failed.
    #[error(transparent)]
    Backend(#[from] ops::backend::BackendError),
    /// A recipe says something that cannot be.
    #[error("{from}: {message}")]
    Recipe {
        /// The recipe's file, with its line where that is known.
        from: String,
        /// The key, what it says and what was expected.
        message: String,
    },
    /// Two inputs of a run do not fit each other.
    #[error("{}: {message}", path.display())]
    Mismatch {
        /// The input that does not fit.
        path: PathBuf,
        /// What it does not fit, with at most one hint.
        message: String,
    },
    /// The loss or the gradient is not a number any more.
    #[error(
        "step {step}: the {what} is not finite, in {sources}\nhint: the last checkpoint is intact; lower the learning rate, or look at these samples"
    )]
    NotFinite {
        /// The step that could not be finished, counted from 1.
        step: u64,
        /// What is not finite.
        what: NotFinite,
        /// The samples that took part.
        sources: String,
    },
    /// A checkpoint is damaged, or belongs to another run.
    #[error("{}: {message}", path.display())]
    Checkpoint {
        /// The checkpoint's directory, or a file in it.
        path: PathBuf,
        /// What is wrong, with at most one hint.
        message: String,
    },
    /// The run does not fit into memory.
    #[error("{0}")]
    Memory(String),
}

impl Error {
    pub(crate) fn mismatch(path: &Path, message: impl Into<String>) -> Error {
        Error::Mismatch { path: path.into(), message: message.into() }
    }

    pub(crate) fn checkpoint(path: &Path, message: impl Into<String>) -> Error {
        Error::Checkpoint { path: path.into(), message: message.into() }
    }
}

/// Lists sample ids for a message, in order, each once.
pub(crate) fn list_sources<'a>(sources: impl Iterator<Item = &'a str>) -> String {
    let mut all: Vec<&str> = sources.collect();
    all.dedup();
    let more = all.len().saturating_sub(NAMED_SOURCES);
    let named = all[..all.len() - more].join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}
