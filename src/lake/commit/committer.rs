//! The state that the commits of a lake share.

use std::{path::PathBuf, sync::Arc};

use super::{
    conflict::Conflicts,
    expiry::Expiry,
    fsync::Fsync,
    retry::{Retry, Turn},
    writer_lock::{WriterLock, WriterPermit},
};
use crate::{engine::Connection, error::Result};

/// The state that the commits of a lake share.
#[derive(Debug)]
pub struct Committer {
    /// Syncs data files to disk before a commit; `None` if they are not files of this machine.
    pub(super) fsync: Option<Fsync>,
    /// Present if the catalog takes one writer at a time.
    writer_lock: Option<Arc<WriterLock>>,
    /// Whether other servers commit to the same catalog, and its responses can be lost.
    pub(super) remote: bool,
    pub(super) conflicts: Conflicts,
    pub(super) expiry: Expiry,
    turn: Turn,
}

/// How commits to the lake's catalog work.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The folder of the data files, if they are files of this machine.
    pub data: Option<PathBuf>,
    /// Whether the catalog takes one writer at a time.
    pub one_writer: bool,
    /// Whether the catalog is in another process, which other servers also use.
    pub remote: bool,
}

// === impl Committer ===

impl Committer {
    /// The state before any commit.
    pub fn new(settings: Settings) -> Self {
        Self {
            fsync: settings.data.map(|root| Fsync::new(root, settings.remote)),
            writer_lock: settings.one_writer.then(Arc::default),
            remote: settings.remote,
            conflicts: Conflicts::default(),
            expiry: Expiry::default(),
            turn: Turn::default(),
        }
    }

    /// Keeps others from writing while the permit is held, if the catalog takes one writer at a time; otherwise returns
    /// none.
    ///
    /// # Errors
    /// Cancelled if the task was interrupted; `ResourceExhausted` if others held the lock for half a minute.
    pub fn writer_permit(&self, connection: &Connection) -> Result<Option<WriterPermit>> {
        let lock = self.writer_lock.as_ref();
        lock.map(|lock| lock.acquire(|| connection.check_interrupted())).transpose()
    }

    /// Runs `attempt`, which begins and ends a transaction, and retries it while it fails with a conflict.
    ///
    /// # Errors
    /// Conflict after too many retries; Cancelled; errors of `attempt`.
    pub fn retry<T>(&self, connection: &Connection, retry: Retry, attempt: impl FnMut() -> Result<T>) -> Result<T> {
        self.turn.settle(connection, retry, attempt)
    }
}
