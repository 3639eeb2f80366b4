//! DuckDB, and everything specific to it.
//!
//! The only module that uses DuckDB's library. It opens the instance, keeps a pool of worker threads with a connection
//! each, binds Arrow values, and streams results with bounded memory. It treats SQL as opaque, and does not depend on
//! the lake.
//!
//! ```text
//! Engine ─ lease ─▶ Lease ─ worker ─▶ Worker (thread) ─▶ Connection ─▶ Statement ─▶ ResultStream ─▶ BatchStream
//! ```

mod accept;
mod bind;
mod duckdb;
mod executions;
mod extensions;
mod fair_queue;
mod inflow;
mod pool;
mod ranges;
mod stream;
mod unpacked;
mod worker;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

pub use self::{
    bind::Parameters,
    duckdb::{
        BatchLimits, BlobCall, BlobFunction, Cell, CellKind, Connection, LiveTable, Reads, ResultStream, Scan,
        Statement, StatementKind, Steps, Value, count_of, end_process, exit_on_exceptions, fatal_error,
        read_errors_with,
    },
    executions::Executions,
    extensions::DUCKDB_VERSION,
    inflow::{Inflow, InflowSender, bytes_of, inflow},
    pool::Lease,
    stream::{BatchSender, BatchStream, Batches, channel},
    worker::{TaskGuard, TaskHandle, Worker},
};
use crate::{context::Principal, error::Result};

/// The settings for opening the engine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder with DuckDB's extensions; `None` for one beside the executable.
    pub extensions: Option<PathBuf>,
    /// Where extensions may be installed if no folder contains them.
    pub extensions_fallback: PathBuf,
    /// An existing folder for data that does not fit into memory and for results that wait for their reader.
    pub staging: PathBuf,
    /// The memory limit of DuckDB's buffers in bytes; `None` for 60 % of the machine's memory.
    pub memory_limit_bytes: Option<u64>,
    /// The number of DuckDB's threads; `None` for one per core.
    pub threads: Option<usize>,
    /// Whether the threads that compute a result also convert it. Otherwise, one thread reads DuckDB's streaming result.
    pub collect_results: bool,
    /// The maximum number of statements that run or wait to be fetched at the same time.
    pub max_connections: usize,
}

/// The setup of an instance before it is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setup<'a> {
    /// The extensions to load.
    pub extensions: &'a [&'a str],
    /// SQL that runs once.
    pub script: &'a str,
    /// SQL that every connection runs first.
    pub on_connect: &'a str,
}

/// An opened instance with its pool of connections.
#[derive(Clone, Debug)]
pub struct Engine {
    pool: Arc<pool::Pool>,
    staging: Arc<Path>,
    max_connections: usize,
    threads: usize,
    memory_limit_bytes: u64,
    waiting: Arc<AtomicUsize>,
}

/// The utilisation of the pool of connections.
#[derive(Clone, Copy, Debug)]
pub struct PoolUse {
    /// The maximum number of connections.
    pub limit: usize,
    /// The number of leased connections.
    pub in_use: usize,
    /// The number of requests that wait for a connection.
    pub waiting: usize,
}

/// Counts a waiting request while it exists.
struct Waiting<'a>(&'a AtomicUsize);

// === impl Engine ===

impl Engine {
    /// Opens DuckDB in memory and sets it up.
    ///
    /// # Errors
    /// `FailedPrecondition` if the library or an extension is missing or has another version; errors of the script.
    pub fn open(settings: &Settings, setup: &Setup<'_>) -> Result<Self> {
        extensions::check_library()?;
        let folder = extensions::find_folder(settings.extensions.as_deref());
        let folder = folder.unwrap_or_else(|| settings.extensions_fallback.clone());
        let mut options = options(settings, &folder);
        if extensions::are_those_of_the_build(&folder, setup.extensions) {
            options.push(("allow_unsigned_extensions", "true".into()));
        }
        let database = duckdb::Database::open_in_memory(&options, settings.collect_results)?;
        let connection = database.connect()?;
        extensions::complete(&connection, &folder)?;
        let memory_limit_bytes = set_limits(&connection, settings)?;
        for extension in setup.extensions {
            extensions::load(&connection, &folder, extension)?;
        }
        connection.run_script(setup.script)?;
        let pool = pool::Pool::new(database, setup.on_connect.to_owned(), settings.max_connections);
        let (staging, max_connections) = (settings.staging.as_path().into(), settings.max_connections);
        let threads =
            settings.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
        Ok(Self { pool, staging, max_connections, threads, memory_limit_bytes, waiting: Arc::default() })
    }

    /// Leases a connection for the server's own work; waits in the queue while all are in use.
    ///
    /// # Errors
    /// `ResourceExhausted` if none became free in time.
    pub async fn lease(&self) -> Result<Lease> {
        self.lease_for(&Principal::server()).await
    }

    /// Leases a connection for `user`. While all are in use, permits are given to the users in rotation.
    ///
    /// # Errors
    /// As [`lease`](Self::lease).
    pub async fn lease_for(&self, user: &Principal) -> Result<Lease> {
        let _waiting = Waiting::new(&self.waiting);
        self.pool.lease(user).await
    }

    /// A worker outside of the pool, which works when all connections are in use; it must be dropped before the engine
    /// closes.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub async fn spare_worker(&self) -> Result<Worker> {
        self.pool.connect().await
    }

    /// The utilisation of the pool.
    pub fn pool_use(&self) -> PoolUse {
        let waiting = self.waiting.load(Ordering::Relaxed);
        PoolUse { limit: self.max_connections, in_use: self.pool.in_use(), waiting }
    }

    /// Runs `work` on a leased connection. Dropping the future interrupts it.
    ///
    /// # Errors
    /// Errors of `work`.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.lease().await?.worker().run(work).await
    }

    /// The maximum number of connections.
    pub fn max_connections(&self) -> usize {
        self.pool.max_connections()
    }

    /// The number of DuckDB's threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The memory limit of DuckDB's buffers in bytes.
    pub fn memory_limit_bytes(&self) -> u64 {
        self.memory_limit_bytes
    }

    /// The folder for results that wait for their reader.
    pub fn staging(&self) -> &Path {
        &self.staging
    }

    /// Lets running statements finish within `grace` and closes the idle connections.
    pub async fn close(&self, grace: Duration) {
        self.pool.close(grace).await;
    }

    /// Resolves when the instance has closed: after [`close`](Self::close), when the last clone of this is dropped. A
    /// process that exits earlier unloads the libraries of a catalog's database while they are in use.
    pub fn closed(&self) -> impl Future<Output = ()> + use<> {
        self.pool.closed()
    }
}

// === impl Waiting ===

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn options(settings: &Settings, extensions: &Path) -> Vec<(&'static str, String)> {
    let mut options = vec![
        ("extension_directory", extensions.display().to_string()),
        ("temp_directory", settings.staging.display().to_string()),
        ("autoinstall_known_extensions", "false".into()),
        ("autoload_known_extensions", "false".into()),
        ("allow_community_extensions", "false".into()),
        ("allow_persistent_secrets", "false".into()),
    ];
    options.extend(settings.threads.map(|threads| ("threads", threads.to_string())));
    options
}

/// The time zone of sessions that set none.
pub const TIME_ZONE: &str = "UTC";

/// DuckDB's own default for `memory_limit`, as a share of the memory of the machine or its control group.
const DUCKDB_SHARE_PERCENT: u64 = 80;
/// The server's default: the rest is for results in transit, Arrow buffers, and memory that DuckDB does not track.
const SERVER_SHARE_PERCENT: u64 = 60;

/// Applies the settings that need a running instance; returns the memory limit in bytes.
fn set_limits(connection: &Connection, settings: &Settings) -> Result<u64> {
    let bytes = match settings.memory_limit_bytes {
        Some(bytes) => bytes,
        None => default_memory_limit(connection)? / DUCKDB_SHARE_PERCENT * SERVER_SHARE_PERCENT,
    };
    connection.run_script(&format!("SET GLOBAL memory_limit = '{bytes}B'; SET GLOBAL TimeZone = '{TIME_ZONE}'"))?;
    Ok(bytes)
}

fn default_memory_limit(connection: &Connection) -> Result<u64> {
    let sql = "SELECT system.main.parse_formatted_bytes(system.main.current_setting('memory_limit')) AS bytes";
    connection.record::<MemoryLimit>(sql, &[]).map(|limit| limit.bytes)
}

#[derive(serde::Deserialize)]
struct MemoryLimit {
    bytes: u64,
}
