//! Errors.

use std::{io, path::PathBuf};

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a data set was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The number of images is out of range.
    #[error("write sample: \"images\" is {images}, not 1 to {max}")]
    Images {
        /// The requested number.
        images: u32,
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
