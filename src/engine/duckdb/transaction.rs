//! Transactions of a connection.

use super::connection::Connection;
use crate::error::Result;

// === impl Connection ===

impl Connection {
    /// Begins a transaction.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn begin(&self) -> Result<()> {
        self.open.set(true);
        self.execute("BEGIN TRANSACTION", &[]).map(|_| ())
    }

    /// Runs `work` in a transaction: commits if it succeeds, rolls back if it fails.
    ///
    /// # Errors
    /// Errors of `work` and of the commit; the transaction has ended in either case.
    pub fn transaction<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.begin()?;
        let outcome = work(self).and_then(|value| self.commit().map(|()| value));
        if outcome.is_err() {
            self.rollback();
        }
        outcome
    }

    /// Commits the open transaction. A commit that has begun cannot be interrupted: it could fail after it has taken
    /// effect.
    ///
    /// # Errors
    /// Cancelled if the task was interrupted before; Conflict if a concurrent transaction committed first; errors of
    /// DuckDB. Nothing is committed then, unless the connection to an attached database was lost during the commit.
    pub fn commit(&self) -> Result<()> {
        self.check_interrupted()?;
        let committed = self.uninterrupted(|| {
            let statement = self.prepare("COMMIT")?;
            let _shared = self.share_committing();
            statement.execute(&[])?.drain()
        });
        self.open.set(committed.is_err());
        if committed.is_ok() {
            self.release_hold();
        }
        committed.map(|_| ())
    }

    /// Rolls back the open transaction, if there is one. Must be called before a connection with an open transaction is
    /// dropped: otherwise DuckLake aborts the process if its PostgreSQL is unreachable.
    pub fn rollback(&self) {
        if !self.open.get() {
            return;
        }
        let ended = self.uninterrupted(|| self.execute("ROLLBACK", &[]));
        // After a failed commit, DuckDB has already rolled back.
        let over = ended.map_or_else(|err| err.message().contains("no transaction is active"), |_| true);
        self.open.set(!over);
        self.release_hold();
    }

    /// Invalidates the open transaction, which can only be rolled back then.
    pub(super) fn invalidate(&self) {
        // An error during the execution of a statement does that; the error itself is not reported.
        let _ = self.execute("SELECT error('a write did not get all of its rows') FROM system.main.range(1)", &[]);
    }

    /// Whether a transaction may be open.
    pub fn is_open(&self) -> bool {
        self.open.get()
    }
}
