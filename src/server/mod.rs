//! Assembly: from settings to a server that listens, and to its orderly end.
//!
//! ```text
//! Settings ─▶ storage, engine with the lake, models ─▶ sessions, actions ─▶ Flight service on a bound listener
//! client ─▶ incoming (greeting, TLS) ─▶ connection ─▶ measure ─▶ Flight service, gRPC health
//! ```
//!
//! Stopping goes the other way: no new calls, running streams and jobs finish within the grace period, sessions end,
//! the engine closes. An engine that failed for good ends the server too, with an error, so that its supervisor starts
//! a new one.

mod address;
mod connection;
mod gather;
mod health;
mod http;
mod incoming;
mod measure;
mod signals;
mod sql;
mod tls;

use std::{fmt, future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

pub use self::{address::resolve, signals::stop_requested, tls::Tls};
use self::{health::Health, incoming::Incoming, measure::Measured};
use crate::{
    actions::{Actions, Schedule},
    auth::Doorkeeper,
    config::{Catalog, Settings, Storage as StorageSetting},
    engine::{self, Engine},
    error::{Error, Result},
    flight::{self, Service},
    ingest::Ingester,
    lake::{self, pins::Pins, postgres::Postgres},
    medallion,
    session::{self, Sessions},
    storage::{S3, Storage},
};

/// The largest message that a client may send: ADBC does not split the batches it ingests.
const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// JDBC sends unknown properties as headers; the default of 16 KiB is too small for some tools.
const MAX_HEADER_BYTES: u32 = 64 << 10;
/// How much of a bulk ingest may be on its way: HTTP/2's default of 64 KiB waits for an answer after every few frames.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// How often a client is asked whether it is still there; one whose machine is gone would keep its transaction open.
const KEEPALIVE: Duration = Duration::from_mins(2);
/// How long the engine may take to close once nothing runs any more.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// What replaces both times when the engine has failed: nothing succeeds any more, errors are on their way.
const FAILED_GRACE: Duration = Duration::from_millis(500);

/// A server that has everything it needs and listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    http: Option<(TcpListener, SocketAddr)>,
    door: Arc<Doorkeeper>,
    engine: Engine,
    sessions: Arc<Sessions>,
    actions: Arc<Actions>,
    health: Health,
    schedule: Option<Schedule>,
    grace: Duration,
}

/// Where clients find a server: `grpc://HOST:PORT`, or `grpc+tls://HOST:PORT`.
#[derive(Clone, Copy, Debug)]
pub struct Location {
    address: SocketAddr,
    tls: bool,
}

/// What the server works on, opened.
#[derive(Debug)]
pub struct Opened {
    /// DuckDB with the lake attached.
    pub engine: Engine,
    /// The lake as it was.
    pub pins: Arc<Pins>,
    /// Landings and assets.
    pub storage: Storage,
    /// The medallion's models.
    pub models: Vec<medallion::Model>,
}

/// Opens storage, catalog and models; what `merganser check` does and `merganser serve` begins with.
///
/// # Errors
/// `FailedPrecondition` with the remedy for whatever is not as it must be; Unavailable when the object store does not
/// answer.
pub async fn open(settings: &Settings) -> Result<Opened> {
    let storage = open_storage(settings).await?;
    let settings = settings.clone();
    let opened = tokio::task::spawn_blocking(move || open_on(&settings, storage)).await;
    opened.map_err(|err| Error::internal("open the lake").with_source(err))?
}

async fn open_storage(settings: &Settings) -> Result<Storage> {
    match &settings.storage {
        StorageSetting::Local(root) => {
            lake::attach::make_writable(root)?;
            Storage::local(root)
        }
        StorageSetting::S3 { bucket, prefix } => {
            let storage = Storage::s3(S3 {
                bucket: bucket.clone(),
                prefix: prefix.clone(),
                access: settings.s3_access.clone(),
                timeout: settings.storage_timeout,
            })?;
            storage.probe().await?;
            Ok(storage)
        }
    }
}

/// Opens what lies on `storage`, which takes DuckDB a while.
fn open_on(settings: &Settings, storage: Storage) -> Result<Opened> {
    let home = &settings.home;
    lake::attach::make_writable(home)?;
    let home = home.canonicalize()?;
    let staging = home.join("staging");
    lake::attach::make_writable(&staging)?;
    let engine_settings = engine::Settings {
        extensions: settings.extensions.clone(),
        extensions_fallback: home.join("extensions"),
        staging: staging.clone(),
        durable: storage.lake_folder(),
        memory_limit_bytes: settings.memory_limit_bytes,
        threads: settings.threads.map(usize::from),
        max_connections: settings.max_connections,
    };
    let lake_settings = lake::attach::Settings { catalog: catalog(settings, &home)?, storage: storage.clone() };
    let models = match &settings.models {
        Some(folder) => medallion::load(folder)?,
        None => medallion::built_in()?,
    };
    let engine = lake::attach::open(&engine_settings, &lake_settings)?;
    let pins = Arc::new(Pins::new(engine.clone(), engine_settings, lake_settings));
    Ok(Opened { engine, pins, storage, models })
}

fn catalog(settings: &Settings, home: &Path) -> Result<lake::catalog::Catalog> {
    use lake::catalog::Catalog as Attached;
    Ok(match &settings.catalog {
        Catalog::Embedded => Attached::DuckdbFile(home.join("catalog.ducklake")),
        Catalog::DuckdbFile(file) => Attached::DuckdbFile(file.clone()),
        Catalog::Sqlite(file) => Attached::Sqlite(file.clone()),
        Catalog::Postgres(uri) => Attached::Postgres(Postgres::parse(uri)?),
    })
}

// === impl Server ===

impl Server {
    /// Opens the lake and binds the listeners.
    ///
    /// # Errors
    /// As [`open`]; `FailedPrecondition` for an address that is in use or not loopback where it must be, and for files
    /// of TLS that do not hold what they must.
    pub async fn build(settings: &Settings) -> Result<Self> {
        let addresses = address::resolve(settings).await?;
        let tls = Tls::load(settings)?;
        let (listener, address) = address::bind(&settings.listen, &addresses).await?;
        let http = match &settings.http {
            Some(name) => Some(address::bind(name, &address::look_up(name).await?).await?),
            None => None,
        };
        let Opened { engine, pins, storage, models } = open(settings).await?;
        let staging = engine.staging().to_path_buf();
        let ingester = Ingester::new(engine.clone(), storage, staging);
        let actions = Arc::new(Actions::new(engine.clone(), Arc::clone(&pins), ingester, models));
        let sessions =
            Sessions::new(engine.clone(), Arc::clone(&pins), session_settings(settings), sql::procedures(&actions));
        let register = sql::registrar(&sessions, &actions);
        pins.prepare_with(register.clone());
        engine.run(register).await?;
        Ok(Self {
            listener,
            address,
            tls,
            http,
            door: Doorkeeper::new(settings.credentials.clone())?,
            sessions,
            actions,
            engine,
            health: Health::new(),
            schedule: schedule(settings),
            grace: settings.grace,
        })
    }

    /// Where it listens.
    pub fn location(&self) -> Location {
        Location { address: self.address, tls: self.tls.is_some() }
    }

    /// Serves until `stop` resolves, then ends in order.
    ///
    /// # Errors
    /// Internal when the listener fails, and when the engine failed for good.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        // What goes on beside the calls; it ends with the set.
        let mut beside = JoinSet::new();
        self.accompany(&mut beside);
        let watching = beside.spawn(health::watch_engine(self.engine.clone(), self.health.clone()));
        let (incoming, connections) = Incoming::new(self.listener, self.tls, Arc::clone(&self.sessions));
        let accepting = beside.spawn(incoming.accept());
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let service = Service::new(self.door, Arc::clone(&self.sessions), Arc::clone(&self.actions));
        let service = flight::Endpoint::new(service, MAX_MESSAGE_BYTES);
        let (stopping, stopped) = oneshot::channel::<()>();
        let serving = tonic::transport::Server::builder()
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .add_service(Measured(service))
            .add_service(Measured(health_service))
            .serve_with_incoming_shutdown(connections, async { _ = stopped.await });
        beside.spawn(health::report(self.health.clone(), reporter));
        self.health.serve();
        let serving = tokio::spawn(serving);

        let failure = tokio::select! {
            () = stop => None,
            reason = self.health.failed() => Some(reason),
        };
        let (grace, close) = if failure.is_some() { (FAILED_GRACE, FAILED_GRACE) } else { (self.grace, CLOSE_TIMEOUT) };
        tracing::info!(grace_seconds = grace.as_secs(), "stopping");
        self.health.stop();
        let _ = stopping.send(());
        accepting.abort();
        let closed = self.sessions.engines_closed();
        self.sessions.close();
        let serving = tokio::time::timeout(grace, serving);
        let (outcome, ()) = tokio::join!(serving, self.actions.jobs().close(grace, close));
        watching.abort();
        self.engine.close(close).await;
        beside.shutdown().await;
        drop((self.sessions, self.actions, self.engine));
        if tokio::time::timeout(close, closed).await.is_err() {
            tracing::warn!("the engine did not close in time");
        }
        if let Some(reason) = failure {
            return Err(Error::internal(reason));
        }
        match outcome {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(err))) => return Err(Error::internal("serve").with_source(err)),
            Ok(Err(err)) => return Err(Error::internal("serve").with_source(err)),
            Err(_) => tracing::warn!("some streams did not finish in time"),
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// Starts what serves no calls: clean-up, new certificates, health and metrics over HTTP.
    fn accompany(&mut self, beside: &mut JoinSet<()>) {
        beside.spawn(Arc::clone(&self.sessions).reap());
        if let Some(schedule) = self.schedule {
            beside.spawn(schedule.follow(Arc::clone(&self.actions)));
        }
        if let Some(tls) = &self.tls {
            beside.spawn(Arc::clone(tls).follow_files());
        }
        if let Some((listener, address)) = self.http.take() {
            let sources = http::Sources {
                health: self.health.clone(),
                engine: self.engine.clone(),
                sessions: Arc::clone(&self.sessions),
                actions: Arc::clone(&self.actions),
            };
            tracing::info!(at = %format_args!("http://{address}"), "health and metrics");
            beside.spawn(async move {
                if let Err(err) = http::serve(listener, sources).await {
                    tracing::error!(cause = %err, "health and metrics are not served");
                }
            });
        }
    }
}

// === impl Location ===

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "grpc+tls" } else { "grpc" };
        write!(f, "{scheme}://{}", self.address)
    }
}

fn schedule(settings: &Settings) -> Option<Schedule> {
    let expire_days = settings.maintain_expire_days.map(f64::from);
    (!settings.maintain_every.is_zero()).then_some(Schedule { every: settings.maintain_every, expire_days })
}

fn session_settings(settings: &Settings) -> session::Settings {
    session::Settings {
        result_ttl: settings.result_ttl,
        query_timeout: (!settings.query_timeout.is_zero()).then_some(settings.query_timeout),
        idle_timeout: settings.session_idle,
        max_age: settings.session_max_age,
        max_sessions: settings.max_sessions,
        max_sessions_per_user: settings.max_sessions_per_user,
    }
}
