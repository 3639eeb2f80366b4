//! Metrics: what they are called, and the registry that writes them down for Prometheus.
//!
//! Until [`Registry::start`] nobody keeps them, and counting costs next to nothing.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;

use crate::error::{Error, Result};

const REQUESTS: &str = "merganser_requests_total";
const REQUEST_DURATION: &str = "merganser_request_duration_seconds";
const BYTES_SENT: &str = "merganser_bytes_sent_total";
const OPEN_CONNECTIONS: &str = "merganser_open_connections";
const OPEN_SESSIONS: &str = "merganser_open_sessions";
const OPEN_TRANSACTIONS: &str = "merganser_open_transactions";
const WAITING_RESULTS: &str = "merganser_waiting_results";
const POOL_LIMIT: &str = "merganser_pool_connections_limit";
const POOL_IN_USE: &str = "merganser_pool_connections_in_use";
const POOL_WAITING: &str = "merganser_pool_statements_waiting";
const JOBS: &str = "merganser_jobs";
const DUCKDB_MEMORY: &str = "merganser_duckdb_memory_bytes";
const DUCKDB_TEMPORARY: &str = "merganser_duckdb_temporary_bytes";
const LAKE_SNAPSHOTS: &str = "merganser_lake_snapshots";
const LAKE_FILES: &str = "merganser_lake_data_files";
const LAKE_SMALL_FILES: &str = "merganser_lake_small_data_files";
const LAKE_DELETE_FILES: &str = "merganser_lake_delete_files";
const READY: &str = "merganser_ready";
const BUILD: &str = "merganser_build_info";

/// The bounds of the histogram, in seconds: from a point query to a result that is read for minutes.
const DURATION_BOUNDS: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 300.0, 1800.0];
/// How often what was observed moves into the histogram, when nobody asks for it.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// There is one registry in a process, whatever comes and goes in it.
static STARTED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// The process's metrics.
#[derive(Clone, Debug)]
pub struct Registry(PrometheusHandle);

/// What is counted only when somebody asks.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Whether the server is ready.
    pub ready: bool,
    /// Sessions of those who logged in.
    pub sessions: usize,
    /// Open transactions.
    pub transactions: usize,
    /// Results that wait to be fetched.
    pub waiting_results: usize,
    /// The most connections to DuckDB.
    pub pool_limit: usize,
    /// Those that are borrowed.
    pub pool_in_use: usize,
    /// How many statements wait for one.
    pub pool_waiting: usize,
    /// How many jobs are remembered in each state.
    pub jobs: Vec<(&'static str, usize)>,
}

/// A call has ended: how, after how long, and with how many bytes of answer.
pub fn request_ended(method: &'static str, code: &'static str, duration: Duration, bytes: u64) {
    counter!(REQUESTS, "method" => method, "code" => code).increment(1);
    histogram!(REQUEST_DURATION, "method" => method).record(duration.as_secs_f64());
    counter!(BYTES_SENT, "method" => method).increment(bytes);
}

/// A client has connected.
pub fn connection_opened() {
    gauge!(OPEN_CONNECTIONS).increment(1);
}

/// A client's connection has ended.
pub fn connection_closed() {
    gauge!(OPEN_CONNECTIONS).decrement(1);
}

/// What DuckDB says that it uses, in bytes: memory, and files for what does not fit into it.
pub fn duckdb_uses(memory: u64, temporary: u64) {
    gauge!(DUCKDB_MEMORY).set(float(memory));
    gauge!(DUCKDB_TEMPORARY).set(float(temporary));
}

/// What the lake holds: snapshots, live data files, those of them that are small, and live delete files.
pub fn lake_holds(snapshots: u64, files: u64, small_files: u64, delete_files: u64) {
    gauge!(LAKE_SNAPSHOTS).set(float(snapshots));
    gauge!(LAKE_FILES).set(float(files));
    gauge!(LAKE_SMALL_FILES).set(float(small_files));
    gauge!(LAKE_DELETE_FILES).set(float(delete_files));
}

// === impl Registry ===

impl Registry {
    /// Starts to keep metrics, for the whole process; from then on gives those that are kept.
    ///
    /// # Errors
    /// Internal when something else keeps metrics in this process.
    pub fn start(duckdb_version: &'static str) -> Result<Self> {
        let mut started = STARTED.lock();
        if let Some(handle) = started.clone() {
            return Ok(Self(handle));
        }
        let failed = |err: &dyn std::fmt::Display| Error::internal(format!("keep metrics: {err}"));
        let duration = Matcher::Full(REQUEST_DURATION.to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(duration, &DURATION_BOUNDS);
        let recorder = builder.map_err(|err| failed(&err))?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|err| failed(&err))?;
        describe();
        gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION"), "duckdb" => duckdb_version).set(1);
        gauge!(OPEN_CONNECTIONS).set(0);
        *started = Some(handle.clone());
        Ok(Self(handle))
    }

    /// All metrics in Prometheus' text form.
    pub fn render(&self, gauges: &Gauges) -> String {
        gauge!(READY).set(float(u64::from(gauges.ready)));
        gauge!(OPEN_SESSIONS).set(count(gauges.sessions));
        gauge!(OPEN_TRANSACTIONS).set(count(gauges.transactions));
        gauge!(WAITING_RESULTS).set(count(gauges.waiting_results));
        gauge!(POOL_LIMIT).set(count(gauges.pool_limit));
        gauge!(POOL_IN_USE).set(count(gauges.pool_in_use));
        gauge!(POOL_WAITING).set(count(gauges.pool_waiting));
        for (state, jobs) in &gauges.jobs {
            gauge!(JOBS, "state" => *state).set(count(*jobs));
        }
        self.0.render()
    }

    /// Keeps what was observed from piling up, for ever; runs until it is dropped.
    pub async fn keep_up(self) {
        let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            interval.tick().await;
            self.0.run_upkeep();
        }
    }
}

fn describe() {
    describe_counter!(REQUESTS, "gRPC calls that have ended, by method and status code");
    describe_histogram!(REQUEST_DURATION, Unit::Seconds, "From a gRPC call to the end of its answer");
    describe_counter!(BYTES_SENT, Unit::Bytes, "Bytes of gRPC messages sent, as encoded");
    describe_gauge!(OPEN_CONNECTIONS, "Network connections of gRPC clients");
    describe_gauge!(OPEN_SESSIONS, "Sessions of clients that logged in");
    describe_gauge!(OPEN_TRANSACTIONS, "Open transactions");
    describe_gauge!(WAITING_RESULTS, "Results that wait to be fetched");
    describe_gauge!(POOL_LIMIT, "The most connections to DuckDB (max_connections)");
    describe_gauge!(POOL_IN_USE, "Connections to DuckDB that are borrowed");
    describe_gauge!(POOL_WAITING, "Statements that wait for a connection to DuckDB");
    describe_gauge!(JOBS, "Jobs that are remembered, by state");
    describe_gauge!(DUCKDB_MEMORY, Unit::Bytes, "Memory that DuckDB uses, a few seconds ago at most");
    describe_gauge!(DUCKDB_TEMPORARY, Unit::Bytes, "Temporary files that DuckDB uses, a few seconds ago at most");
    describe_gauge!(LAKE_SNAPSHOTS, "Snapshots of the lake; maintain expires old ones");
    describe_gauge!(LAKE_FILES, "Data files of the newest snapshot");
    describe_gauge!(LAKE_SMALL_FILES, "Those below 16 MiB; maintain merges them");
    describe_gauge!(
        LAKE_DELETE_FILES,
        "Files that list deleted rows of the newest snapshot; maintain rewrites the data files"
    );
    describe_gauge!(READY, "1 when the server is ready, 0 when /readyz says why it is not");
    describe_gauge!(BUILD, "Always 1; the labels name the versions");
}

fn count(number: usize) -> f64 {
    float(u64::try_from(number).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts and bytes are exact up to 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}
