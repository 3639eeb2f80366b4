//! The snapshot that a connection sees, and the one that it created.

use serde::Deserialize;

use crate::{
    engine::Connection,
    error::{Error, Result},
    ids::SnapshotId,
};

#[derive(Deserialize)]
struct Row {
    id: Option<SnapshotId>,
}

/// The snapshot that reads on this connection see.
///
/// # Errors
/// Errors of DuckDB.
pub fn current(connection: &Connection) -> Result<SnapshotId> {
    let row: Row = connection.record("SELECT id FROM lake.current_snapshot()", &[])?;
    row.id.ok_or_else(|| Error::internal("the lake has no snapshot"))
}

/// The snapshot that the last commit of this connection created; `None` if there is none.
///
/// # Errors
/// Errors of DuckDB.
pub fn last_committed(connection: &Connection) -> Result<Option<SnapshotId>> {
    let row: Row = connection.record("SELECT id FROM lake.last_committed_snapshot()", &[])?;
    Ok(row.id)
}

/// The newest snapshot, to report a commit that has happened: −1 if it cannot be read.
pub fn newest(connection: &Connection) -> SnapshotId {
    current(connection).unwrap_or(SnapshotId(-1))
}
