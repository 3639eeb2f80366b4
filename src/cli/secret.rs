//! Secrets that people type or pipe.

use std::io::{self, Write};

use console::Term;

use crate::error::{Error, Result};

/// Asks for a secret on the terminal, without showing it.
///
/// # Errors
/// When the terminal cannot be read.
pub fn ask(prompt: &str) -> Result<String> {
    write!(io::stderr().lock(), "{prompt}")?;
    Ok(Term::stderr().read_secure_line()?)
}

/// The first line of stdin; what follows stays there.
///
/// # Errors
/// `InvalidArgument` when there is none.
pub fn from_stdin() -> Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let secret = line.trim_end_matches(['\r', '\n']);
    if secret.is_empty() { Err(Error::invalid("stdin holds no password")) } else { Ok(secret.to_owned()) }
}
