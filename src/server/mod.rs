//! Assembly: from settings to a server that listens, and to its orderly end.
//!
//! ```text
//! Settings ─▶ storage, engine with the lake, models ─▶ sessions, actions ─▶ Flight service on a bound listener
//! ```
//!
//! Stopping goes the other way: no new calls, running streams and jobs finish within the grace period, sessions end,
//! the engine closes.

mod connection;
mod signals;

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use arrow_flight::flight_service_server::FlightServiceServer;
use futures::StreamExt;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

use self::connection::Connection;
pub use self::signals::stop_requested;
use crate::{
    actions::Actions,
    config::{Catalog, HostPort, Settings, Storage as StorageSetting},
    engine::{self, Engine},
    error::{Context, Error, Result},
    flight::Service,
    ingest::Ingester,
    lake, medallion,
    session::Sessions,
    storage::Storage,
};

/// The largest message that a client may send: ADBC does not split the batches it ingests.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// JDBC sends unknown properties as headers; the default of 16 KiB is too small for some tools.
const MAX_HEADER_BYTES: u32 = 64 << 10;
/// How long the engine may take to close once nothing runs any more.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that has everything it needs and listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    engine: Engine,
    sessions: Arc<Sessions>,
    actions: Arc<Actions>,
    grace: Duration,
}

/// What the server works on, opened.
#[derive(Debug)]
pub struct Opened {
    /// DuckDB with the lake attached.
    pub engine: Engine,
    /// Landings and assets.
    pub storage: Storage,
    /// The medallion's models.
    pub models: Vec<medallion::Model>,
}

/// Opens storage, catalog and models; what `merganser check` does and `merganser serve` begins with.
///
/// # Errors
/// `FailedPrecondition` with the remedy for whatever is not as it must be; Unsupported for settings that are not
/// offered.
pub fn open(settings: &Settings) -> Result<Opened> {
    let home = &settings.home;
    lake::attach::make_writable(home)?;
    let home = home.canonicalize()?;
    let staging = home.join("staging");
    lake::attach::make_writable(&staging)?;
    let StorageSetting::Local(root) = &settings.storage else {
        return Err(Error::unsupported("storage on S3 is not offered; give --storage a folder"));
    };
    lake::attach::make_writable(root)?;
    let root = root.canonicalize()?;
    let engine_settings = engine::Settings {
        extensions: settings.extensions.clone(),
        extensions_fallback: home.join("extensions"),
        staging: staging.clone(),
        memory_limit_bytes: settings.memory_limit_bytes,
        threads: settings.threads.map(usize::from),
        max_connections: settings.max_connections,
    };
    let lake_settings = lake::attach::Settings { catalog: catalog(settings, &home)?, data_path: root.join("lake") };
    let models = match &settings.models {
        Some(folder) => medallion::load(folder)?,
        None => medallion::built_in()?,
    };
    let engine = lake::attach::open(&engine_settings, &lake_settings)?;
    Ok(Opened { engine, storage: Storage::local(&root)?, models })
}

fn catalog(settings: &Settings, home: &Path) -> Result<std::path::PathBuf> {
    match &settings.catalog {
        Catalog::Embedded => Ok(home.join("catalog.ducklake")),
        Catalog::DuckdbFile(file) => Ok(file.clone()),
        Catalog::Sqlite(_) | Catalog::Postgres(_) => {
            Err(Error::unsupported("catalogs in SQLite and PostgreSQL are not offered; give --catalog a DuckDB file"))
        }
    }
}

// === impl Server ===

impl Server {
    /// Opens the lake and binds the listener.
    ///
    /// # Errors
    /// As [`open`]; `FailedPrecondition` for an address that is not loopback or in use.
    pub async fn build(settings: &Settings) -> Result<Self> {
        let addresses = loopback(&settings.listen).await?;
        let listener = TcpListener::bind(addresses.as_slice()).await;
        let listener = listener
            .map_err(|err| Error::precondition(err.to_string()))
            .context(|| format!("listen on {}", settings.listen))?;
        let address = listener.local_addr()?;
        let opening = settings.clone();
        let opened = tokio::task::spawn_blocking(move || open(&opening)).await;
        let Opened { engine, storage, models } =
            opened.map_err(|err| Error::internal("open the lake").with_source(err))??;
        let staging = engine.staging().to_path_buf();
        let ingester = Ingester::new(engine.clone(), storage, staging);
        Ok(Self {
            listener,
            address,
            sessions: Sessions::new(engine.clone(), settings.result_ttl),
            actions: Arc::new(Actions::new(engine.clone(), ingester, models)),
            engine,
            grace: settings.grace,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` resolves, then ends in order.
    ///
    /// # Errors
    /// Internal when the listener fails.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let service = FlightServiceServer::new(Service::new(Arc::clone(&self.sessions), Arc::clone(&self.actions)))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(usize::MAX);
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let stop = async move {
            stop.await;
            let _ = stopping.send(());
        };
        let sessions = Arc::clone(&self.sessions);
        let connections = TcpIncoming::from(self.listener)
            .with_nodelay(Some(true))
            .map(move |stream| Ok::<_, std::io::Error>(Connection::new(stream?, Arc::clone(&sessions))));
        let serving = tonic::transport::Server::builder()
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .add_service(service)
            .serve_with_incoming_shutdown(connections, stop);
        let reaping = tokio::spawn(Arc::clone(&self.sessions).reap());
        let serving = tokio::spawn(serving);
        let _ = stopped.await;
        tracing::info!(grace_seconds = self.grace.as_secs(), "stopping");
        self.sessions.close();
        let serving = tokio::time::timeout(self.grace, serving);
        let (outcome, ()) = tokio::join!(serving, self.actions.jobs().close(self.grace, CLOSE_TIMEOUT));
        reaping.abort();
        self.engine.close(CLOSE_TIMEOUT).await;
        match outcome {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(err))) => return Err(Error::internal("serve").with_source(err)),
            Ok(Err(err)) => return Err(Error::internal("serve").with_source(err)),
            Err(_) => tracing::warn!("some streams did not finish in time"),
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// The addresses of `listen`, all of which must be loopback: nobody has to show credentials.
async fn loopback(listen: &HostPort) -> Result<Vec<SocketAddr>> {
    let resolved = tokio::net::lookup_host((listen.host.as_str(), listen.port)).await;
    let addresses: Vec<_> =
        resolved.map_err(|err| Error::invalid(err.to_string())).context(|| format!("listen on {listen}"))?.collect();
    match addresses.iter().map(SocketAddr::ip).find(|ip: &IpAddr| !ip.is_loopback()) {
        None => Ok(addresses),
        Some(ip) => Err(Error::precondition(format!(
            "listen on {listen}: {ip} is reachable from other machines and no credentials are configured; \
             use 127.0.0.1 or [::1], and a tunnel or proxy that authenticates for others"
        ))),
    }
}
