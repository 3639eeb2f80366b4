//! Reading secrets from the terminal and from stdin.

use std::io::{self, Write};

use console::Term;

use crate::error::{Error, Result};

/// Prompts for a secret on the terminal, without echo.
///
/// # Errors
/// If the terminal cannot be read.
pub fn ask(prompt: &str) -> Result<String> {
    write!(io::stderr().lock(), "{prompt}")?;
    Ok(Term::stderr().read_secure_line()?)
}

/// Reads the first line of stdin.
///
/// # Errors
/// `InvalidArgument` if it is empty.
pub fn from_stdin() -> Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let secret = line.trim_end_matches(['\r', '\n']);
    if secret.is_empty() { Err(Error::invalid("no password on stdin")) } else { Ok(secret.to_owned()) }
}
