//! What the functions of a statement read elsewhere, and its end, for a function that waits.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use duckdb::ffi;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// What the functions of one task read.
#[derive(Debug, Default)]
pub struct Reads {
    requests: AtomicU64,
    bytes: AtomicU64,
    object_bytes: AtomicU64,
    stopped: CancellationToken,
}

/// The tasks that run on the connections of an instance, by the id of the connection.
#[derive(Debug, Default)]
pub(super) struct RunningReads(Mutex<HashMap<u64, Arc<Reads>>>);

// === impl Reads ===

impl Reads {
    /// Those of a task that ends when `stopped` is cancelled.
    pub fn new(stopped: CancellationToken) -> Self {
        Self { stopped, ..Self::default() }
    }

    /// Counts a request that was answered with `bytes`.
    pub fn add(&self, bytes: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The number of requests.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The number of bytes that were received.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The mean size of the whole objects that were read last, which the next ones probably have; 0 before the first.
    pub fn object_bytes(&self) -> u64 {
        self.object_bytes.load(Ordering::Relaxed)
    }

    /// Remembers the mean size of whole objects.
    pub fn saw_objects_of(&self, bytes: u64) {
        self.object_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Waits for `work` unless the task is stopped first, which drops it.
    ///
    /// # Errors
    /// Errors of `work`; Cancelled.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.stopped.cancelled() => Err(Error::cancelled()),
            outcome = work => outcome,
        }
    }
}

// === impl RunningReads ===

impl RunningReads {
    pub(super) fn begin(&self, connection: u64, reads: Arc<Reads>) {
        self.0.lock().insert(connection, reads);
    }

    pub(super) fn end(&self, connection: u64) {
        self.0.lock().remove(&connection);
    }

    /// Those of the task that runs on a connection; others, if it is none of a worker.
    pub(super) fn of(&self, connection: u64) -> Arc<Reads> {
        self.0.lock().get(&connection).cloned().unwrap_or_default()
    }
}

/// The id of the connection of `context`, which is destroyed.
///
/// # Safety
/// `context` is alive.
pub(super) unsafe fn connection_id(mut context: ffi::duckdb_client_context) -> u64 {
    // SAFETY: by this function's own contract.
    unsafe {
        let id = ffi::duckdb_client_context_get_connection_id(context);
        ffi::duckdb_destroy_client_context(&raw mut context);
        id
    }
}
