//! The lifecycle of the process: it runs one server, or several in sequence when a restore replaces the catalog.

use futures::FutureExt;

use super::{Location, Place, Server, place};
use crate::{
    backup::Candidate,
    config::{HostPort, Settings},
    error::{Context, Result},
    lake::destination::{self, Destination},
};

/// Serves until `stop` resolves; calls `ready` once with the location. When a restore replaces the catalog, the lake is
/// opened again and served at the same addresses.
///
/// # Errors
/// As [`Server::build`] and [`Server::run`]; errors of `ready`.
pub async fn serve(
    settings: &Settings,
    stop: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce(Location) -> Result<()>,
) -> Result<()> {
    let stop = stop.boxed().shared();
    let mut settings = settings.clone();
    let mut server = Server::build(&settings).await?;
    ready(server.location())?;
    // Keep ports that were assigned by the operating system: clients know them.
    let at = |address: std::net::SocketAddr| HostPort { host: address.ip().to_string(), port: address.port() };
    settings.listen = at(server.address);
    settings.http = server.http.as_ref().map(|(_, address)| at(*address));
    while let Some(requested) = server.run(stop.clone()).await? {
        let replaced = match requested {
            Ok(candidate) => replace(&settings, &candidate).await,
            Err(err) => Err(err).context(|| "back up the current catalog"),
        };
        match replaced {
            Ok(()) => tracing::info!("the catalog was replaced by the backup"),
            Err(err) => tracing::error!(cause = %err, "restore failed; the catalog is unchanged"),
        }
        server = Server::build(&settings).await?;
    }
    Ok(())
}

async fn replace(settings: &Settings, candidate: &Candidate) -> Result<()> {
    let Place { engine, lake } = place(settings).await?;
    let destination = Destination { catalog: lake.catalog, data_path: lake.storage.lake_path() };
    let before = destination::replace(&engine, &destination, &candidate.file()).await?;
    if let Some(before) = before {
        tracing::info!(file = %before.display(), "the previous catalog was kept");
    }
    Ok(())
}
