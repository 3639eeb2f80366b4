//! Which server the client commands talk to, and as whom.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use clap::Args;

use super::secret;
use crate::{
    client::{Address, Client, Login, Tls},
    config::env::{self, ProcessEnvironment, client_variable, user_name},
    error::{Error, ErrorKind, Result},
};

const DEFAULT_URL: &str = "grpc://127.0.0.1:31337";

/// The server to talk to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connect {
    /// The server; grpc+tls://HOST:PORT for one with TLS [default: grpc://127.0.0.1:31337] [env: MERGANSER_URL]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Who to log in as; the password is in MERGANSER_PASSWORD, or is asked for. MERGANSER_TOKEN holds a token instead of
    /// both [default: your name here] [env: MERGANSER_USER]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
    /// Trust servers whose certificate this one has signed, PEM [default: those that this machine trusts]
    /// [env: MERGANSER_CA_CERT]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Show this certificate to the server, PEM [env: MERGANSER_CLIENT_CERT]
    #[arg(long, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// The key of that certificate, PEM [env: MERGANSER_CLIENT_KEY]
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
}

// === impl Connect ===

impl Connect {
    /// Connects.
    ///
    /// # Errors
    /// Unavailable when nobody answers; Unauthenticated when the server does not let this user in.
    pub async fn client(&self) -> Result<Client> {
        let address = self.address()?;
        let given = self.user.clone().or_else(|| variable(env::USER));
        let user = given.clone().or_else(|| user_name(&ProcessEnvironment)).unwrap_or_default();
        let password = if self.password_stdin { Some(secret::from_stdin()?) } else { variable(env::PASSWORD) };
        if let Some(password) = password {
            return Client::connect(&address, &Login::Password(user, password)).await;
        }
        // Who is named on the command line means to log in, even where the environment has a token.
        if let Some(token) = variable(env::TOKEN).filter(|_| self.user.is_none()) {
            return Client::connect(&address, &Login::Token(token)).await;
        }
        match Client::connect(&address, &Login::Password(user.clone(), String::new())).await {
            Err(err) if err.kind() == ErrorKind::Unauthenticated => {
                if !io::stdin().is_terminal() {
                    let how = "give --user with MERGANSER_PASSWORD or --password-stdin, or a MERGANSER_TOKEN";
                    let text = format!("log in as \"{user}\": {}; {how}", err.message());
                    return Err(Error::new(ErrorKind::Unauthenticated, text));
                }
                let password = secret::ask(&format!("password of {user}: "))?;
                Client::connect(&address, &Login::Password(user, password)).await
            }
            outcome => outcome,
        }
    }

    fn address(&self) -> Result<Address> {
        let url = self.url.clone().or_else(|| variable(env::URL));
        let file = |flag: &Option<PathBuf>, name| flag.clone().or_else(|| variable(name).map(PathBuf::from));
        let identity = match (file(&self.client_cert, env::CLIENT_CERT), file(&self.client_key, env::CLIENT_KEY)) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return Err(Error::invalid("--client-cert and --client-key belong together: give both")),
        };
        let tls = Tls { ca: file(&self.ca, env::CA), identity };
        Ok(Address { url: url.unwrap_or_else(|| DEFAULT_URL.to_owned()), tls })
    }
}

fn variable(name: &str) -> Option<String> {
    client_variable(&ProcessEnvironment, name)
}
