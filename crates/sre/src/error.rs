//! The one error of this crate.

/// The result of everything in this crate that can fail on input.
pub type Result<T> = std::result::Result<T, Error>;

/// What can be wrong with incidents and answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An incident file that is not JSON, or not of the documented form.
    #[error("incident: {0}\nhint: docs/incident.md shows the form")]
    Form(String),

    /// A part of an incident that contradicts another one or has no meaning.
    #[error("incident: {place}: {problem}")]
    Incident {
        /// Where, as a path inside the document: `metrics[3].service`.
        place: String,
        /// What was found and what was expected.
        problem: String,
    },

    /// A cause that is not in the list.
    #[error("\"{name}\" is not a cause\nhint: one of {known}")]
    Cause {
        /// What was found.
        name: String,
        /// The names that are known.
        known: String,
    },

    /// A remediation that is not in the list.
    #[error("\"{name}\" is not an action\nhint: one of {known}")]
    Action {
        /// What was found.
        name: String,
        /// The names that are known.
        known: String,
    },

    /// A table that cannot be read.
    #[error("line {line}: {problem}\nhint: {hint}")]
    Table {
        /// Where, from 1.
        line: usize,
        /// What was found.
        problem: String,
        /// What to do about it.
        hint: &'static str,
    },

    /// An answer that does not fit the incident that it is about.
    #[error("answer: {0}")]
    Answer(String),
}

impl Error {
    /// A part of an incident that has no meaning.
    pub(crate) fn incident(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Incident { place: place.into(), problem: problem.into() }
    }

    /// A table that cannot be read.
    pub(crate) fn table(line: usize, problem: impl Into<String>, hint: &'static str) -> Self {
        Self::Table { line, problem: problem.into(), hint }
    }
}
