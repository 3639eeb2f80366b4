//! Statements that are prepared and never executed, for what extensions keep in memory on their behalf.

use super::connection::Connection;
use crate::error::Result;

/// Holds what extensions keep in memory for statements: they keep it until the connection of a statement ends its next
/// execution, and this has a connection of its own, which executes nothing.
#[derive(Debug)]
pub struct Hold(Connection);

// === impl Hold ===

impl Hold {
    /// Holds nothing yet, in the instance of `connection`.
    ///
    /// # Errors
    /// Internal if DuckDB rejects another connection.
    pub fn new(connection: &Connection) -> Result<Self> {
        connection.sibling().map(Self)
    }

    /// Prepares `sql`, in place of `connection`, which may run [`exclusively`](Connection::exclusively).
    ///
    /// # Errors
    /// Errors of DuckDB's parser and binder. What was read until then is held in any case.
    pub fn prepare(&self, connection: &Connection, sql: &str) -> Result<()> {
        self.0.in_place_of(connection, || self.0.prepare(sql).map(drop))
    }
}
