//! Metrics: their names, and the registry that renders them for Prometheus.
//!
//! Before [`Registry::start`] no recorder is installed, and recording costs next to nothing.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;

use crate::error::{Error, Result};

const REQUESTS: &str = "merganser_requests_total";
const REQUEST_DURATION: &str = "merganser_request_duration_seconds";
const BYTES_SENT: &str = "merganser_bytes_sent_total";
const OBJECT_REQUESTS: &str = "merganser_object_read_requests_total";
const OBJECT_BYTES: &str = "merganser_object_read_bytes_total";
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

/// The bucket bounds of the histogram, in seconds: from point queries to results that are read for minutes.
const DURATION_BOUNDS: [f64; 10] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 300.0, 1800.0];
/// The interval at which observations are aggregated if no scrape does it.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The registry, of which a process can install only one.
static STARTED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// The process's metrics.
#[derive(Clone, Debug)]
pub struct Registry(PrometheusHandle);

/// Values that are read when metrics are rendered.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Whether the server is ready.
    pub ready: bool,
    /// Sessions of clients that logged in.
    pub sessions: usize,
    /// Open transactions.
    pub transactions: usize,
    /// Results that wait to be fetched.
    pub waiting_results: usize,
    /// The maximum number of connections to DuckDB.
    pub pool_limit: usize,
    /// Connections to DuckDB in use.
    pub pool_in_use: usize,
    /// Statements that wait for a connection.
    pub pool_waiting: usize,
    /// Retained jobs, by state.
    pub jobs: Vec<(&'static str, usize)>,
}

/// Records the end of a call, with its status code, duration and bytes of response.
pub fn request_ended(method: &'static str, code: &'static str, duration: Duration, bytes: u64) {
    counter!(REQUESTS, "method" => method, "code" => code).increment(1);
    histogram!(REQUEST_DURATION, "method" => method).record(duration.as_secs_f64());
    counter!(BYTES_SENT, "method" => method).increment(bytes);
}

/// Records a request to the store for a statement that reads objects, and the bytes that were received.
pub fn object_read(bytes: u64) {
    counter!(OBJECT_REQUESTS).increment(1);
    counter!(OBJECT_BYTES).increment(bytes);
}

/// Records a new connection of a client.
pub fn connection_opened() {
    gauge!(OPEN_CONNECTIONS).increment(1);
}

/// Records the end of a client's connection.
pub fn connection_closed() {
    gauge!(OPEN_CONNECTIONS).decrement(1);
}

/// Records the memory and the temporary files that DuckDB uses, in bytes.
pub fn duckdb_usage(memory: u64, temporary: u64) {
    gauge!(DUCKDB_MEMORY).set(float(memory));
    gauge!(DUCKDB_TEMPORARY).set(float(temporary));
}

/// Records the numbers of snapshots, live data files, small ones among them, and live delete files.
pub fn lake_statistics(snapshots: u64, files: u64, small_files: u64, delete_files: u64) {
    gauge!(LAKE_SNAPSHOTS).set(float(snapshots));
    gauge!(LAKE_FILES).set(float(files));
    gauge!(LAKE_SMALL_FILES).set(float(small_files));
    gauge!(LAKE_DELETE_FILES).set(float(delete_files));
}

// === impl Registry ===

impl Registry {
    /// Installs the metrics recorder of the process; returns the installed one if called again.
    ///
    /// # Errors
    /// Internal if another recorder is installed.
    pub fn start(duckdb_version: &'static str) -> Result<Self> {
        let mut started = STARTED.lock();
        if let Some(handle) = started.clone() {
            return Ok(Self(handle));
        }
        let failed = |err: &dyn std::fmt::Display| Error::internal(format!("install the metrics recorder: {err}"));
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

    /// All metrics in the Prometheus text format.
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

    /// Aggregates observations periodically, until the future is dropped.
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
    describe_histogram!(REQUEST_DURATION, Unit::Seconds, "Duration of gRPC calls, up to the end of the response");
    describe_counter!(BYTES_SENT, Unit::Bytes, "Bytes of gRPC messages sent, as encoded");
    describe_counter!(OBJECT_REQUESTS, "Requests to the store by read_object(), read_range() and fragment_bytes()");
    describe_counter!(OBJECT_BYTES, Unit::Bytes, "Bytes that these functions received from the store");
    describe_gauge!(OPEN_CONNECTIONS, "Network connections of gRPC clients");
    describe_gauge!(OPEN_SESSIONS, "Sessions of clients that logged in");
    describe_gauge!(OPEN_TRANSACTIONS, "Open transactions");
    describe_gauge!(WAITING_RESULTS, "Results waiting to be fetched");
    describe_gauge!(POOL_LIMIT, "Maximum number of connections to DuckDB (max_connections)");
    describe_gauge!(POOL_IN_USE, "Connections to DuckDB in use");
    describe_gauge!(POOL_WAITING, "Statements waiting for a connection to DuckDB");
    describe_gauge!(JOBS, "Retained jobs, by state");
    describe_gauge!(DUCKDB_MEMORY, Unit::Bytes, "Memory used by DuckDB, sampled every few seconds");
    describe_gauge!(DUCKDB_TEMPORARY, Unit::Bytes, "Temporary files used by DuckDB, sampled every few seconds");
    describe_gauge!(LAKE_SNAPSHOTS, "Snapshots of the lake; expired by maintain");
    describe_gauge!(LAKE_FILES, "Data files of the newest snapshot");
    describe_gauge!(LAKE_SMALL_FILES, "Data files of the newest snapshot below 16 MiB; merged by maintain");
    describe_gauge!(
        LAKE_DELETE_FILES,
        "Delete files of the newest snapshot; removed when maintain rewrites data files"
    );
    describe_gauge!(READY, "1 if the server is ready, 0 if not; /readyz returns the reason");
    describe_gauge!(BUILD, "Always 1; labels contain the versions");
}

fn count(number: usize) -> f64 {
    float(u64::try_from(number).unwrap_or(u64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts and bytes are exact up to 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}
