//! The life of the process: one server, or several one after the other when a backup takes the place of the lake.

use futures::FutureExt;

use super::{Location, Place, Server, place};
use crate::{
    backup::Candidate,
    config::{HostPort, Settings},
    error::{Context, Result},
    lake::destination::{self, Destination},
};

/// Serves until `stop` resolves; `ready` is told where, once. When a backup takes the place of the lake, the lake is opened
/// anew and served at the same addresses.
///
/// # Errors
/// As [`Server::build`] and [`Server::run`]; what `ready` says.
pub async fn serve(
    settings: &Settings,
    stop: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce(Location) -> Result<()>,
) -> Result<()> {
    let stop = stop.boxed().shared();
    let mut settings = settings.clone();
    let mut server = Server::build(&settings).await?;
    ready(server.location())?;
    // Where ports were picked, clients know those.
    let at = |address: std::net::SocketAddr| HostPort { host: address.ip().to_string(), port: address.port() };
    settings.listen = at(server.address);
    settings.http = server.http.as_ref().map(|(_, address)| at(*address));
    while let Some(received) = server.run(stop.clone()).await? {
        let replaced = match received {
            Ok(candidate) => replace(&settings, &candidate).await,
            Err(err) => Err(err).context(|| "keep what is there"),
        };
        match replaced {
            Ok(()) => tracing::info!("the backup is in the place of the lake"),
            Err(err) => tracing::error!(cause = %err, "the lake stays as it was"),
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
        tracing::info!(file = %before.display(), "the catalog that was there is kept");
    }
    Ok(())
}
