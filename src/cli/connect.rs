//! Which server the client commands talk to.

use clap::Args;

use crate::{
    client::Client,
    config::env::{ProcessEnvironment, client_url, user_name},
    error::Result,
};

const DEFAULT_URL: &str = "grpc://127.0.0.1:31337";

/// The server to talk to.
#[derive(Debug, Args)]
pub struct Connect {
    /// The server [default: grpc://127.0.0.1:31337] [env: MERGANSER_URL]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

// === impl Connect ===

impl Connect {
    /// Connects.
    ///
    /// # Errors
    /// Unavailable when nobody answers.
    pub async fn client(&self) -> Result<Client> {
        let url = self.url.clone().or_else(|| client_url(&ProcessEnvironment));
        let user = user_name(&ProcessEnvironment);
        Client::connect(url.as_deref().unwrap_or(DEFAULT_URL), user.as_deref().unwrap_or_default()).await
    }
}
