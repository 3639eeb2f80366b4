//! Errors.

use std::{io, path::PathBuf};

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a data set was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A number in the options is out of range.
    #[error("write sample: \"{option}\" is {value}, not 1 to {max}")]
    OutOfRange {
        /// The name of the option.
        option: &'static str,
        /// The requested number.
        value: u32,
        /// The largest allowed number.
        max: u32,
    },
    /// The folder is not empty. It is not changed.
    #[error(
        "write sample to \"{}\": the folder is not empty; specify a new one, or remove its contents",
        .folder.display()
    )]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// A file cannot be created or written.
    #[error("{doing}: {source}")]
    Io {
        /// The operation and the path.
        doing: String,
        /// The error of the file system.
        source: io::Error,
    },
    /// A bug: a picture or a document cannot be encoded.
    #[error("{0}")]
    Internal(String),
}

// === impl Error ===

impl Error {
    /// [`Self::OutOfRange`] for a `value` that is not in `1..=max`.
    pub(super) fn check_range(option: &'static str, value: u32, max: u32) -> Result<()> {
        if (1..=max).contains(&value) { Ok(()) } else { Err(Self::OutOfRange { option, value, max }) }
    }
}
