//! Runs work in one write transaction.

use super::{committer::Committer, retry::Retry, transaction::OpenTransaction};
use crate::{engine::Connection, error::Result, ids::SnapshotId};

/// A connection on which the lake can be written.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'c> {
    connection: &'c Connection,
    committer: &'c Committer,
}

/// A transaction in which work is done.
#[derive(Debug)]
pub struct Transaction<'c> {
    writer: Writer<'c>,
    open: OpenTransaction,
    discarded: bool,
}

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<T> {
    /// The value that the work returned.
    pub value: T,
    /// The snapshot that the commit created; `None` if nothing in the lake changed.
    pub snapshot_id: Option<SnapshotId>,
}

// === impl Writer ===

impl<'c> Writer<'c> {
    /// A writer on `connection`.
    pub fn new(committer: &'c Committer, connection: &'c Connection) -> Self {
        Self { connection, committer }
    }

    /// The connection, for reads outside of a transaction.
    pub fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Runs `work` in a transaction and commits it in the name of `author`. A transaction that fails with a conflict is
    /// rolled back and retried, as `retry` allows.
    ///
    /// # Errors
    /// Conflict after too many retries; errors of `work` and of the commit. Nothing is committed then, unless the
    /// message reports that this is unknown.
    pub fn write<T>(
        &self,
        author: &str,
        retry: Retry,
        mut work: impl FnMut(&mut Transaction<'c>) -> Result<T>,
    ) -> Result<Written<T>> {
        self.committer.retry(self.connection, retry, || {
            let open = OpenTransaction::begin(self.committer, self.connection)?;
            let mut transaction = Transaction { writer: *self, open, discarded: false };
            let outcome = transaction.will_write().and_then(|()| work(&mut transaction));
            let outcome = outcome.and_then(|value| Ok(Written { value, snapshot_id: transaction.end(author)? }));
            if outcome.is_err() {
                self.connection.rollback();
            }
            outcome
        })
    }
}

// === impl Transaction ===

impl<'c> Transaction<'c> {
    /// The connection that it is open on.
    pub fn connection(&self) -> &'c Connection {
        self.writer.connection
    }

    /// Declares that the work reads and writes rows of the table `name`, as written in SQL: such a transaction
    /// conflicts with others that did the same since it began.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn reads_and_writes(&mut self, name: &str) -> Result<()> {
        self.open.reads_and_writes(self.writer.committer, self.writer.connection, name)
    }

    /// Declares that the work will change the catalog.
    ///
    /// # Errors
    /// Cancelled; errors of DuckDB.
    pub fn will_define(&mut self) -> Result<()> {
        self.open.will_define(self.writer.connection)
    }

    /// Declares that the work expires snapshots: other transactions that are open then cannot commit what they wrote.
    pub fn expires(&mut self) {
        self.open.expires();
    }

    /// Sets the commit message, and `details` for programs, a JSON object.
    pub fn sign(&mut self, message: String, details: Option<serde_json::Value>) {
        self.open.sign(message, details);
    }

    /// Marks the transaction to be rolled back at its end.
    pub fn discard(&mut self) {
        self.discarded = true;
    }

    fn will_write(&mut self) -> Result<()> {
        self.open.will_write(self.writer.committer, self.writer.connection)
    }

    fn end(self, author: &str) -> Result<Option<SnapshotId>> {
        let Writer { committer, connection } = self.writer;
        if self.discarded {
            connection.rollback();
            return Ok(None);
        }
        self.open.commit(committer, connection, author)
    }
}
