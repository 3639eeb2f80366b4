//! The connection of client commands to a server.

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

/// The server, and the credentials.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connect {
    /// URL of the server; grpc+tls://HOST:PORT with TLS [default: grpc://127.0.0.1:31337] [env: MERGANSER_URL]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// User name; the password is read from MERGANSER_PASSWORD or prompted for. MERGANSER_TOKEN specifies a token instead
    /// [default: the name of the system user] [env: MERGANSER_USER]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Read the password from the first line of stdin
    #[arg(long)]
    password_stdin: bool,
    /// CA certificates to trust, in PEM format [default: those of the system]
    /// [env: MERGANSER_CA_CERT]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Client certificate, in PEM format [env: MERGANSER_CLIENT_CERT]
    #[arg(long, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// Private key of the client certificate, in PEM format [env: MERGANSER_CLIENT_KEY]
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
}

// === impl Connect ===

impl Connect {
    /// Connects.
    ///
    /// # Errors
    /// Unavailable if the server does not respond; Unauthenticated if it rejects the credentials.
    pub async fn client(&self) -> Result<Client> {
        let address = self.address()?;
        let given = self.user.clone().or_else(|| variable(env::USER));
        let user = given.clone().or_else(|| user_name(&ProcessEnvironment)).unwrap_or_default();
        let password = if self.password_stdin { Some(secret::from_stdin()?) } else { variable(env::PASSWORD) };
        if let Some(password) = password {
            return Client::connect(&address, &Login::Password(user, password)).await;
        }
        // A user on the command line takes precedence over a token in the environment.
        if let Some(token) = variable(env::TOKEN).filter(|_| self.user.is_none()) {
            return Client::connect(&address, &Login::Token(token)).await;
        }
        match Client::connect(&address, &Login::Password(user.clone(), String::new())).await {
            Err(err) if err.kind() == ErrorKind::Unauthenticated => {
                if !io::stdin().is_terminal() {
                    let how = "use --user with MERGANSER_PASSWORD or --password-stdin, or MERGANSER_TOKEN";
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
            _ => return Err(Error::invalid("--client-cert and --client-key require each other")),
        };
        let tls = Tls { ca: file(&self.ca, env::CA), identity };
        Ok(Address { url: url.unwrap_or_else(|| DEFAULT_URL.to_owned()), tls })
    }
}

fn variable(name: &str) -> Option<String> {
    client_variable(&ProcessEnvironment, name)
}
