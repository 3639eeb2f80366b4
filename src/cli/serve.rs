//! `merganser serve`.

use clap::Args;

use super::{failure::Failure, output};
use crate::{
    config::{self, env::ProcessEnvironment},
    engine::DUCKDB_VERSION,
    server::{serve, stop_requested},
    telemetry,
};

/// Start the server
///
/// Prints `listening on grpc://HOST:PORT` (`grpc+tls://` with TLS) when it is ready; logs are written to stderr. SIGTERM or
/// SIGINT stops the server: it accepts no new calls, and running streams and jobs may finish within the grace period. A
/// second signal terminates it immediately.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    flags: config::Flags,
}

// === impl Serve ===

impl Serve {
    /// Runs the command.
    pub async fn run(self) -> Result<(), Failure> {
        let settings = config::load(&self.flags, &ProcessEnvironment)?;
        telemetry::start(&settings.log)?;
        let stop = stop_requested()?;
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(version, duckdb = DUCKDB_VERSION, home = %settings.home.display(), "starting");
        let ready = |location| output::print(format_args!("listening on {location}"));
        Ok(serve(&settings, stop, ready).await?)
    }
}
