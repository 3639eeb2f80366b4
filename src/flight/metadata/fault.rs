//! The failure to build the rows of an answer.

use crate::error::Error;

/// The error for a failure of Arrow to build the rows.
pub fn encode(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("encode metadata").with_source(err)
}
