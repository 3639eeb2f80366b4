//! Output to stdout and stderr.

use std::{
    fmt::Display,
    io::{self, Write},
};

use crate::error::{Error, Result};

/// The message of the error for a closed pipe.
const BROKEN_PIPE: &str = "broken pipe";

/// Writes a line to stdout.
///
/// # Errors
/// If stdout is closed.
pub fn print(line: impl Display) -> Result<()> {
    writeln!(io::stdout().lock(), "{line}").map_err(write_failed)
}

/// Writes a line to stderr.
pub fn note(line: impl Display) {
    // There is no way to report a closed stderr.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes the error of a failed command to stderr.
pub fn error(cause: impl Display) {
    note(format_args!("merganser: {cause}"));
}

/// The error of a failed write to stdout.
pub fn write_failed(err: impl Into<io::Error>) -> Error {
    let err = err.into();
    let text = if err.kind() == io::ErrorKind::BrokenPipe { BROKEN_PIPE.to_owned() } else { err.to_string() };
    Error::internal(text)
}

/// Whether an error means that stdout was closed by its reader.
pub fn is_broken_pipe(err: &Error) -> bool {
    err.message() == BROKEN_PIPE
}
