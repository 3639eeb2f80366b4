//! Work that is written in one transaction.

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

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<T> {
    /// What the work gave.
    pub value: T,
    /// The snapshot that the commit made; `None` when nothing in the lake changed.
    pub snapshot_id: Option<SnapshotId>,
}

// === impl Writer ===

impl<'c> Writer<'c> {
    /// The right to write on `connection`.
    pub fn new(committer: &'c Committer, connection: &'c Connection) -> Self {
        Self { connection, committer }
    }

    /// The connection, to read on outside of a transaction.
    pub fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Does `work` in a transaction and commits it in the name of `author`; one that loses against another is rolled back
    /// and done again, as `retry` allows.
    ///
    /// # Errors
    /// Conflict when it lost too often; what `work` and the commit say. Nothing is committed then, but where the text says
    /// that this is not known.
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

    /// Says that the work reads and writes rows of the table `name`, as SQL writes it: a transaction that does so loses
    /// against others that did since it began.
    ///
    /// # Errors
    /// What DuckDB says.
    pub fn reads_and_writes(&mut self, name: &str) -> Result<()> {
        self.open.reads_and_writes(self.writer.committer, self.writer.connection, name)
    }

    /// Says that the work will change the catalog.
    ///
    /// # Errors
    /// Cancelled; what DuckDB says.
    pub fn will_define(&mut self) -> Result<()> {
        self.open.will_define(self.writer.connection)
    }

    /// What the commit says was done, and `details` for programs, a JSON object.
    pub fn sign(&mut self, message: String, details: Option<serde_json::Value>) {
        self.open.sign(message, details);
    }

    /// Lets the transaction be rolled back at its end, as if nothing had been done.
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
