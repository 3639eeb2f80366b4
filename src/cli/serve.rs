//! `merganser serve`.

use clap::Args;

use super::{Failure, output};
use crate::{
    config::{self, env::ProcessEnvironment},
    engine::DUCKDB_VERSION,
    server::{serve, stop_requested},
    telemetry,
};

/// Start the server
///
/// Prints `listening on grpc://HOST:PORT` (`grpc+tls://` with TLS) when ready; logs go to stderr. SIGTERM or ctrl-c
/// stops it: no new calls are taken, running streams and jobs finish within the grace period, a second signal ends it
/// at once.
#[derive(Debug, Args)]
pub struct Serve {
    #[command(flatten)]
    flags: config::Flags,
}

// === impl Serve ===

impl Serve {
    /// Serves until a signal comes.
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
