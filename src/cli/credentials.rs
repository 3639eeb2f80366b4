//! `merganser hash-password` and `merganser new-token`: what goes into the tables of the configuration file.

use std::io::{self, IsTerminal};

use clap::Args;

use super::{Failure, output, secret};
use crate::{
    auth::{Credentials, PasswordHash, TokenHash, new_token},
    error::Error,
};

/// Hash a password for the configuration file
///
/// Asks for the password on the terminal, or reads the first line of stdin, and prints its argon2id hash. The hash goes
/// into the file of --config, below [users]: NAME = "HASH".
#[derive(Debug, Args)]
pub struct HashPassword {}

/// Make a static token for a program
///
/// Prints two lines: the token, which is shown this once and goes to the program, and the line with its hash for the
/// file of --config, below [tokens]. Clients send the token as "authorization: Bearer TOKEN"; merganser's own read
/// MERGANSER_TOKEN.
#[derive(Debug, Args)]
pub struct NewToken {
    /// Who acts with the token; the author of what it writes
    name: String,
}

// === impl HashPassword ===

impl HashPassword {
    /// Hashes.
    pub fn run() -> Result<(), Failure> {
        let password = if io::stdin().is_terminal() {
            let password = secret::ask("password: ")?;
            if password.is_empty() {
                return Err(Error::invalid("an empty password lets everybody in").into());
            }
            if secret::ask("once more: ")? != password {
                return Err(Error::invalid("the two passwords differ").into());
            }
            password
        } else {
            secret::from_stdin()?
        };
        output::print(PasswordHash::of(password.as_bytes())?.as_str())?;
        if io::stdout().is_terminal() {
            output::note("put it into the file of --config, below [users]: NAME = \"HASH\"");
        }
        Ok(())
    }
}

// === impl NewToken ===

impl NewToken {
    /// Makes one.
    pub fn run(&self) -> Result<(), Failure> {
        let token = new_token();
        let hash = TokenHash::of(token.as_bytes()).to_string();
        Credentials::default().add_token(&self.name, &hash).map_err(Error::invalid)?;
        let is_watched = io::stdout().is_terminal();
        if is_watched {
            output::note("the token, shown this once:");
        }
        output::print(&token)?;
        if is_watched {
            output::note("the line for the file of --config, below [tokens]:");
        }
        output::print(format_args!("{} = \"{hash}\"", toml_key(&self.name)))?;
        Ok(())
    }
}

/// `name` as a key in TOML: bare where that is allowed, else in quotes.
fn toml_key(name: &str) -> String {
    let is_bare = name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
    if is_bare { name.to_owned() } else { format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")) }
}
