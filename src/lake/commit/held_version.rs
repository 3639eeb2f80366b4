//! Keeps the catalog version of a transaction that defines objects in memory.
//!
//! DuckLake caches each version of the catalog that it reads, and the objects that a transaction defines point into the
//! cached copy. DuckLake (d8a1881e) keeps the copy alive only until the end of each statement; after that, it is freed
//!
//! * when another connection that reads the same version at the same time adds a copy of its own,
//! * when the version is expired (`ducklake_expire_snapshots`),
//! * when DuckDB evicts it because a query needs the memory.
//!
//! The COMMIT then reads freed memory: the server crashes, or the catalog names a schema that does not exist and cannot
//! be loaded any more. So the version is read while no other connection reads one, and a statement that is prepared on
//! another connection holds the copy until the transaction ends.

use crate::{
    engine::{Connection, Hold},
    error::{ErrorKind, Result},
    ids::SnapshotId,
    lake::head,
};

/// A catalog version in memory.
#[derive(Debug)]
pub(super) struct HeldVersion {
    hold: Hold,
    snapshot: SnapshotId,
}

// === impl HeldVersion ===

impl HeldVersion {
    /// Reads the version that the open transaction of `connection` sees, and holds it.
    ///
    /// # Errors
    /// Cancelled if the task was interrupted; errors of DuckDB.
    pub(super) fn new(connection: &Connection) -> Result<Self> {
        let hold = Hold::new(connection)?;
        connection.exclusively(|connection| {
            let version = Self { hold, snapshot: head::current(connection)? };
            version.renew(connection)?;
            Ok(version)
        })
    }

    /// Holds the copy that is in the cache now, as well: binds the name of a table that does not exist, for which DuckLake
    /// reads the version.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub(super) fn renew(&self, connection: &Connection) -> Result<()> {
        let sql = format!("FROM lake.main.\"no such table\" AT (VERSION => {})", self.snapshot);
        match self.hold.prepare(connection, &sql) {
            Err(err) if err.kind() != ErrorKind::NotFound => Err(err),
            _ => Ok(()),
        }
    }
}
