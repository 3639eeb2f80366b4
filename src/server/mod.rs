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
mod blobs;
mod coalesce;
mod connection;
mod health;
mod http;
mod incoming;
mod lifecycle;
mod measure;
mod signals;
mod sql;
mod tls;

use std::{fmt, future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

pub use self::{address::resolve, lifecycle::serve, signals::stop_requested, tls::Tls};
use self::{health::Health, incoming::Incoming, measure::Measured};
use crate::{
    actions::{Actions, Schedule, Services},
    auth::Authenticator,
    backup::{Backups, Candidate, Retention},
    config::{Settings, Storage as StorageSetting},
    engine::{self, Engine},
    error::{Error, Result},
    export::Exporter,
    flight::{self, Service},
    hub::{Http, HuggingFace, Kaggle, Reach},
    ingest::{Ingester, Outside},
    lake::{
        self, Lake,
        catalog::Catalog,
        lock::{self, Lock},
        pins::Pins,
    },
    medallion,
    publish::Publisher,
    query::{self, Guard, Queries},
    session::{Limits, Sessions},
    storage::{S3, Storage},
};

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
    door: Arc<Authenticator>,
    engine: Engine,
    queries: Arc<Queries>,
    actions: Arc<Actions>,
    health: Health,
    schedule: Option<Schedule>,
    grace: Duration,
    /// Goes last: while it is held nobody may move the catalog.
    _lock: Lock,
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
    pub lake: Lake,
    /// The lake as it was.
    pub pins: Arc<Pins>,
    /// Landings and assets.
    pub storage: Storage,
    /// The medallion's models.
    pub models: Vec<medallion::Model>,
    /// Keeps others from moving the catalog; to be dropped after the engine has closed.
    pub lock: Lock,
}

/// Where everything lies that the server works on.
#[derive(Debug)]
pub struct Place {
    /// How DuckDB is opened.
    pub engine: engine::Settings,
    /// Where catalog and data of the lake are.
    pub lake: lake::attach::Settings,
}

/// Opens storage, catalog and models; what `merganser check` does and `merganser serve` begins with.
///
/// # Errors
/// `FailedPrecondition` with the remedy for whatever is not as it must be; Unavailable when the object store does not
/// answer.
pub async fn open(settings: &Settings) -> Result<Opened> {
    let (place, models) = (place(settings).await?, settings.models.clone());
    let opened = tokio::task::spawn_blocking(move || open_at(place, models.as_deref())).await;
    opened.map_err(|err| Error::internal("open the lake").with_source(err))?
}

/// Opens what lies at `place`, which takes DuckDB a while.
fn open_at(place: Place, models: Option<&Path>) -> Result<Opened> {
    let models = match models {
        Some(folder) => medallion::load(folder)?,
        None => medallion::built_in()?,
    };
    let lock = lock::share(&place.lake.catalog)?;
    let lake = lake::attach::open(&place.engine, &place.lake)?;
    let storage = place.lake.storage.clone();
    let pins = Arc::new(Pins::new(lake.engine().clone(), place.engine, place.lake));
    Ok(Opened { lake, pins, storage, models, lock })
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

/// Finds storage and catalog, and makes the folders that they need; opens neither.
///
/// # Errors
/// As [`open`].
pub async fn place(settings: &Settings) -> Result<Place> {
    let storage = open_storage(settings).await?;
    let home = &settings.home;
    lake::attach::make_writable(home)?;
    let home = home.canonicalize()?;
    let staging = home.join("staging");
    lake::attach::make_writable(&staging)?;
    let engine_settings = engine::Settings {
        extensions: settings.extensions.clone(),
        extensions_fallback: home.join("extensions"),
        staging: staging.clone(),
        memory_limit_bytes: settings.memory_limit_bytes,
        threads: settings.threads.map(usize::from),
        collect_results: settings.collect_results,
        max_connections: settings.max_connections,
    };
    let catalog = settings.catalog.clone().unwrap_or_else(|| Catalog::DuckdbFile(home.join("catalog.ducklake")));
    let lake = lake::attach::Settings { catalog, storage };
    Ok(Place { engine: engine_settings, lake })
}

/// How the sources of ingests are reached.
fn outside(settings: &Settings) -> Result<Outside> {
    let reach = if settings.allow_private_sources { Reach::Everywhere } else { Reach::Public };
    let (s3, timeout) = (settings.s3_access.clone(), settings.storage_timeout);
    Ok(Outside {
        http: Http::new(reach)?,
        s3,
        timeout,
        hugging_face: Arc::new(HuggingFace::new(settings.hugging_face.clone())?),
        kaggle: Arc::new(Kaggle::new(settings.kaggle.clone())?),
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
        let Opened { lake, pins, storage, models, lock } = open(settings).await?;
        let engine = lake.engine().clone();
        let staging = engine.staging().to_path_buf();
        let retention =
            Retention { keep: (settings.backup_keep > 0).then_some(settings.backup_keep), older_than: None };
        let backups = Backups::new(lake.clone(), &storage, &pins.origin().1.catalog, retention);
        let outside = outside(settings)?;
        let hub = Arc::clone(&outside.hugging_face);
        let ingester =
            Ingester::new(lake.clone(), storage.clone(), staging.clone(), outside, pins.origin().1.catalog.is_remote());
        let exporter = Exporter::new(lake.clone(), Arc::clone(&pins), storage.clone(), staging.clone());
        let publisher = Publisher::new(lake.clone(), Arc::clone(&pins), storage.clone(), hub, staging);
        let functions = blobs::registrar(&storage);
        engine.run(functions.clone()).await?;
        // Knows the functions of this server, too.
        let guard = Arc::new(engine.run(Guard::load).await?);
        let services = Services {
            lake: lake.clone(),
            pins: Arc::clone(&pins),
            guard: Arc::clone(&guard),
            ingester,
            exporter,
            publisher,
            models,
            backups,
        };
        let actions = Arc::new(Actions::new(services));
        let sessions = Sessions::new(session_limits(settings));
        let procedures = sql::procedures(&actions);
        let queries = Queries::new(lake, Arc::clone(&pins), sessions, query_settings(settings), procedures, guard);
        let tables = sql::registrar(&queries, &actions);
        engine.run(tables.clone()).await?;
        pins.prepare_with(move |connection| tables(connection).and_then(|()| functions(connection)));
        // Before the server is said to listen: who waits for that may look for this address in the log.
        if let Some((_, address)) = &http {
            tracing::info!(at = %format_args!("http://{address}"), "health and metrics");
        }
        Ok(Self {
            listener,
            address,
            tls,
            http,
            door: Authenticator::new(settings.credentials.clone())?,
            queries,
            actions,
            engine,
            health: Health::new(),
            schedule: schedule(settings),
            grace: settings.grace,
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn location(&self) -> Location {
        Location { address: self.address, tls: self.tls.is_some() }
    }

    /// Serves until `stop` resolves, or a backup shall take the place of the lake; then ends in order, and gives that, or
    /// why the lake must stay.
    ///
    /// # Errors
    /// Internal when the listener fails, and when the engine failed for good.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Result<Option<Result<Candidate>>> {
        // What goes on beside the calls; it ends with the set.
        let mut beside = JoinSet::new();
        self.accompany(&mut beside);
        let watching = beside.spawn(health::watch_engine(self.engine.clone(), self.health.clone()));
        let (incoming, connections) = Incoming::new(self.listener, self.tls, Arc::clone(self.queries.sessions()));
        let accepting = beside.spawn(incoming.accept());
        let (reporter, health_service) = tonic_health::server::health_reporter();
        let service = Service::new(self.door, Arc::clone(&self.queries), Arc::clone(&self.actions));
        let service = flight::Endpoint::new(service, flight::MAX_MESSAGE_BYTES);
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
            () = self.actions.backups().swap_requested() => None,
            reason = self.health.failed() => Some(reason),
        };
        let (grace, close) = if failure.is_some() { (FAILED_GRACE, FAILED_GRACE) } else { (self.grace, CLOSE_TIMEOUT) };
        tracing::info!(grace_seconds = grace.as_secs(), "stopping");
        self.health.stop();
        let _ = stopping.send(());
        accepting.abort();
        let closed = self.queries.engines_closed();
        self.queries.close();
        let serving = tokio::time::timeout(grace, serving);
        let (outcome, ()) = tokio::join!(serving, self.actions.jobs().close(grace, close));
        watching.abort();
        // Nobody uses the lake now.
        let received = if failure.is_some() { None } else { self.actions.backups().begin_swap().await.transpose() };
        self.engine.close(close).await;
        beside.shutdown().await;
        drop((self.queries, self.actions, self.engine));
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
        Ok(received)
    }

    /// Starts what serves no calls: clean-up, new certificates, health and metrics over HTTP.
    fn accompany(&mut self, beside: &mut JoinSet<()>) {
        beside.spawn(Arc::clone(&self.queries).reap());
        if let Some(schedule) = self.schedule {
            beside.spawn(schedule.follow(Arc::clone(&self.actions)));
        }
        if let Some(tls) = &self.tls {
            beside.spawn(Arc::clone(tls).follow_files());
        }
        if let Some((listener, _)) = self.http.take() {
            let sources = http::Sources {
                health: self.health.clone(),
                engine: self.engine.clone(),
                queries: Arc::clone(&self.queries),
                actions: Arc::clone(&self.actions),
            };
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

fn session_limits(settings: &Settings) -> Limits {
    Limits {
        idle_timeout: settings.session_idle,
        max_age: settings.session_max_age,
        max_sessions: settings.max_sessions,
        max_sessions_per_user: settings.max_sessions_per_user,
    }
}

fn query_settings(settings: &Settings) -> query::Settings {
    query::Settings {
        result_ttl: settings.result_ttl,
        query_timeout: (!settings.query_timeout.is_zero()).then_some(settings.query_timeout),
    }
}
