//! Holds what extensions keep in memory for statements, beyond the statements of a transaction.
//!
//! An extension may keep what it read for a statement until the statement's connection ends an execution. So a statement
//! is prepared on a second connection, which never executes anything: what was read for it stays until that connection
//! is closed.

use super::connection::Connection;
use crate::error::{ErrorKind, Result};

// === impl Connection ===

impl Connection {
    /// Holds what extensions read to prepare `sql` until the open transaction ends. `sql` is prepared again before each
    /// execution of a statement that defines objects, in case that the extension has dropped what it had read.
    ///
    /// An object in `sql` need not exist: what was read to find that out is held.
    ///
    /// # Errors
    /// Errors of DuckDB's parser and binder.
    pub fn hold(&self, sql: String) -> Result<()> {
        self.held.replace(Some((Box::new(self.sibling()?), sql)));
        self.renew_hold()
    }

    /// Prepares the statement of [`hold`](Self::hold) again, if there is one.
    ///
    /// # Errors
    /// As [`hold`](Self::hold).
    pub(super) fn renew_hold(&self) -> Result<()> {
        let held = self.held.borrow();
        let Some((sibling, sql)) = held.as_ref() else { return Ok(()) };
        let prepared = sibling.in_place_of(self, || sibling.prepare(sql).map(drop));
        prepared.or_else(|err| if err.kind() == ErrorKind::NotFound { Ok(()) } else { Err(err) })
    }

    /// Gives up what is held.
    pub(super) fn release_hold(&self) {
        self.held.take();
    }
}
