//! What can go wrong with a whole reading. What goes wrong with one answer is a [`super::Missing`].

use super::Missing;

/// Why there is no incident.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be asked for so: an address, a credential, a time.
    #[error("{0}")]
    Ask(String),
    /// Nobody answered anything.
    #[error("nothing could be read{}\nhint: name at least one source that answers; docs/diagnose.md says what each needs", list(.0))]
    Nothing(Vec<Missing>),
    /// There is nothing in the namespace.
    #[error("namespace {namespace}: nothing runs there, as far as could be seen{}\nhint: check the name of the namespace and the context", list(.missing))]
    Empty {
        /// The namespace.
        namespace: String,
        /// What could not be read.
        missing: Vec<Missing>,
    },
    /// A file of credentials or certificates.
    #[error(transparent)]
    Files(#[from] files::Error),
    /// What was read does not make an incident.
    #[error(transparent)]
    Incident(#[from] sre::Error),
}

/// The result of a reading.
pub type Result<T> = std::result::Result<T, Error>;

/// What is missing, one line each, indented as lists of messages are.
fn list(missing: &[Missing]) -> String {
    missing.iter().map(|it| format!("\n  {it}")).collect()
}
