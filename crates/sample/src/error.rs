//! What can fail while a data set is written.

use std::{io, path::PathBuf};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a data set was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options ask for too few or too many images.
    #[error("write sample: \"images\" is {images}, not 1 to {max}")]
    Images {
        /// The number that the options ask for.
        images: u32,
        /// The largest number that is allowed.
        max: u32,
    },
    /// The folder has content, which is left as it is.
    #[error(
        "write sample to \"{}\": the folder is not empty; name a new one, or remove what is in it",
        .folder.display()
    )]
    NotEmpty {
        /// The folder that was to be written.
        folder: PathBuf,
    },
    /// The file system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, and to which path.
        doing: String,
        /// What the file system says.
        source: io::Error,
    },
    /// A bug: what was drawn has no picture or no JSON.
    #[error("{0}")]
    Internal(String),
}
