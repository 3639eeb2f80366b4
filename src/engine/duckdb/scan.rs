//! Scans: Arrow rows that statements of a connection read.

use std::sync::Arc;

use super::{
    arrow_scan::{FUNCTION, Source},
    connection::Connection,
};
use crate::{
    engine::inflow::Inflow,
    error::{Error, Result},
    quote,
};

/// Rows that statements of this connection can read, once, until this is dropped.
#[derive(Debug)]
pub struct Scan<'c> {
    handle: String,
    source: Arc<Source>,
    connection: &'c Connection,
}

// === impl Connection ===

impl Connection {
    /// Makes `rows` readable by a statement that runs on this connection and on this thread.
    ///
    /// # Errors
    /// Unsupported for columns of types that DuckDB does not support.
    pub fn scan(&self, rows: Inflow) -> Result<Scan<'_>> {
        // SAFETY: the connection is open; the source is removed from the scans, so that no further statement reads it,
        // before the borrow of the connection ends.
        let source = Arc::new(unsafe { Source::new(self.as_ptr(), rows)? });
        let handle = self.scans().add(Arc::clone(&source));
        Ok(Scan { handle, source, connection: self })
    }
}

// === impl Scan ===

impl Scan<'_> {
    /// The SQL for the rows in a FROM clause.
    pub fn sql(&self) -> String {
        format!("{}({})", FUNCTION.to_string_lossy(), quote::literal(&self.handle))
    }

    /// The outcome of the statement that read the rows: `outcome`, unless the rows were incomplete.
    ///
    /// A statement whose rows fail runs to its end, because DuckLake removes only finished files. Its transaction is
    /// invalidated, so that it cannot be committed.
    ///
    /// # Errors
    /// The reason why the rows are incomplete; the error in `outcome`.
    pub fn settle<T>(&self, outcome: Result<T>) -> Result<T> {
        let Some(failure) = self.source.rows.take_failure() else { return outcome.map_err(|err| without_place(&err)) };
        if outcome.is_ok() {
            self.connection.invalidate();
        }
        Err(failure)
    }
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        self.connection.scans().remove(&self.handle);
    }
}

/// The error without the position in the statement's text, which the client has not written.
fn without_place(err: &Error) -> Error {
    let text = err.message();
    Error::new(err.kind(), text.split("\n\nLINE ").next().unwrap_or(text))
}
