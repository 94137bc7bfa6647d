//! What can be wrong with a model directory, an adapter or a device.

use std::path::{Path, PathBuf};

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a model cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error(transparent)]
    Files(#[from] files::Error),
    /// A configuration file does not say what is needed.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, and a hint.
        message: String,
    },
    /// A weight file is damaged.
    #[error("{}: {message}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// Which part, what was found, and a hint.
        message: String,
    },
    /// A tensor is missing or not as the configuration says.
    #[error("{}: tensor {tensor}: {message}", path.display())]
    Tensor {
        /// The file or directory.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What was found and what was expected.
        message: String,
    },
    /// A device has no kernels for what was asked.
    #[error("{0}")]
    Device(String),
    /// A device failed.
    #[error(transparent)]
    Backend(#[from] ops::backend::BackendError),
}

impl Error {
    pub(crate) fn config(path: &Path, message: impl Into<String>) -> Error {
        Error::Config { path: path.into(), message: message.into() }
    }

    pub(crate) fn weights(path: &Path, message: impl Into<String>) -> Error {
        Error::Weights { path: path.into(), message: message.into() }
    }

    pub(crate) fn tensor(path: &Path, tensor: &str, message: impl Into<String>) -> Error {
        Error::Tensor { path: path.into(), tensor: tensor.into(), message: message.into() }
    }
}
