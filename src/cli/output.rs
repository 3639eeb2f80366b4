//! What people and programs see.

use std::{
    fmt::Display,
    io::{self, Write},
};

use crate::error::{Error, Result};

/// The text by which an error of writing to a closed pipe is known again.
const BROKEN_PIPE: &str = "broken pipe";

/// Writes a line to stdout.
///
/// # Errors
/// When stdout is closed.
pub fn print(line: impl Display) -> Result<()> {
    writeln!(io::stdout().lock(), "{line}").map_err(write_failed)
}

/// Writes a line to stderr.
pub fn note(line: impl Display) {
    // Where stderr is closed nobody can be told.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Says why the command failed.
pub fn complain(cause: impl Display) {
    note(format_args!("merganser: {cause}"));
}

/// The error of a failed write to stdout.
pub fn write_failed(err: impl Into<io::Error>) -> Error {
    let err = err.into();
    let text = if err.kind() == io::ErrorKind::BrokenPipe { BROKEN_PIPE.to_owned() } else { err.to_string() };
    Error::internal(text)
}

/// Whether an error says that the reader of stdout has gone.
pub fn is_broken_pipe(err: &Error) -> bool {
    err.message() == BROKEN_PIPE
}
