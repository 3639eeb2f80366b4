//! `merganser hash-password` and `merganser new-token`: entries for the tables of the configuration file.

use std::io::{self, IsTerminal};

use clap::Args;

use super::{failure::Failure, output, secret};
use crate::{
    auth::{Credentials, PasswordHash, TokenHash, new_token},
    error::Error,
};

/// Hash a password for the configuration file
///
/// Prompts for the password, or reads the first line of stdin, and prints its argon2id hash. Add the hash to the
/// configuration file, under [users]: NAME = "HASH".
#[derive(Debug, Args)]
pub struct HashPassword {}

/// Create a static token for a program
///
/// Prints two lines: the token, which is not stored, and the line with its hash for the configuration file, under [tokens].
/// Clients send the token as "authorization: Bearer TOKEN"; merganser's own commands read MERGANSER_TOKEN.
#[derive(Debug, Args)]
pub struct NewToken {
    /// Name of the principal of the token, and author of its commits
    name: String,
}

// === impl HashPassword ===

impl HashPassword {
    /// Runs the command.
    pub fn run() -> Result<(), Failure> {
        let password = if io::stdin().is_terminal() {
            let password = secret::ask("password: ")?;
            if password.is_empty() {
                return Err(Error::invalid("the password must not be empty").into());
            }
            if secret::ask("repeat the password: ")? != password {
                return Err(Error::invalid("the passwords do not match").into());
            }
            password
        } else {
            secret::from_stdin()?
        };
        output::print(PasswordHash::of(password.as_bytes())?.as_str())?;
        if io::stdout().is_terminal() {
            output::note("add it to the configuration file, under [users]: NAME = \"HASH\"");
        }
        Ok(())
    }
}

// === impl NewToken ===

impl NewToken {
    /// Runs the command.
    pub fn run(&self) -> Result<(), Failure> {
        let token = new_token();
        let hash = TokenHash::of(token.as_bytes()).to_string();
        Credentials::default().add_token(&self.name, &hash).map_err(Error::invalid)?;
        let is_terminal = io::stdout().is_terminal();
        if is_terminal {
            output::note("the token, which is not shown again:");
        }
        output::print(&token)?;
        if is_terminal {
            output::note("the line for the configuration file, under [tokens]:");
        }
        output::print(format_args!("{} = \"{hash}\"", toml_key(&self.name)))?;
        Ok(())
    }
}

/// `name` as a TOML key, quoted if necessary.
fn toml_key(name: &str) -> String {
    let is_bare = name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
    if is_bare { name.to_owned() } else { format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")) }
}
