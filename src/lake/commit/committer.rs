//! What the commits of one lake share.

use std::{path::PathBuf, sync::Arc};

use super::{
    conflict::Conflicts,
    fsync::Fsync,
    retry::{Retry, Turn},
    writer_lock::{WriterLock, WriterPermit},
};
use crate::{engine::Connection, error::Result};

/// What the commits of one lake share.
#[derive(Debug)]
pub struct Committer {
    /// The data files that must be on disk before a commit; none where they are not files of this machine.
    pub(super) fsync: Option<Fsync>,
    /// Present where the catalog takes one writer at a time.
    writer_lock: Option<Arc<WriterLock>>,
    /// Whether other servers commit to the same catalog, and its answers can be lost.
    pub(super) remote: bool,
    pub(super) conflicts: Conflicts,
    turn: Turn,
}

/// How the lake's catalog takes commits.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The folder of the data files, if they are files of this machine.
    pub data: Option<PathBuf>,
    /// Whether the catalog takes one writer at a time.
    pub one_writer: bool,
    /// Whether the catalog is in another process, which other servers use as well.
    pub remote: bool,
}

// === impl Committer ===

impl Committer {
    /// Nothing is committed yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            fsync: settings.data.map(|root| Fsync::new(root, settings.remote)),
            writer_lock: settings.one_writer.then(Arc::default),
            remote: settings.remote,
            conflicts: Conflicts::default(),
            turn: Turn::default(),
        }
    }

    /// Keeps others from writing as long as the permit lives, where the catalog takes one writer at a time; elsewhere
    /// there is none.
    ///
    /// # Errors
    /// Cancelled when the task was interrupted; `ResourceExhausted` when others kept the lock for half a minute.
    pub fn writer_permit(&self, connection: &Connection) -> Result<Option<WriterPermit>> {
        let lock = self.writer_lock.as_ref();
        lock.map(|lock| lock.acquire(|| connection.check_interrupted())).transpose()
    }

    /// Runs `attempt`, which begins and ends a transaction, and retries it as long as it loses against others.
    ///
    /// # Errors
    /// Conflict when it lost too often; Cancelled; what `attempt` says.
    pub fn retry<T>(&self, connection: &Connection, retry: Retry, attempt: impl FnMut() -> Result<T>) -> Result<T> {
        self.turn.settle(connection, retry, attempt)
    }
}
