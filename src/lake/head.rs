//! The snapshot that a connection sees, and the one that it made.

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

/// The snapshot that reads on this connection see now.
///
/// # Errors
/// What DuckDB says.
pub fn current(connection: &Connection) -> Result<SnapshotId> {
    let row: Row = connection.record("SELECT id FROM lake.current_snapshot()", &[])?;
    row.id.ok_or_else(|| Error::internal("the lake has no snapshot"))
}

/// The snapshot that the last commit of this connection made; `None` when it has made none.
///
/// # Errors
/// What DuckDB says.
pub fn last_committed(connection: &Connection) -> Result<Option<SnapshotId>> {
    let row: Row = connection.record("SELECT id FROM lake.last_committed_snapshot()", &[])?;
    Ok(row.id)
}

/// The newest snapshot, for telling of a commit that has happened: −1 where it cannot be read.
pub fn newest(connection: &Connection) -> SnapshotId {
    current(connection).unwrap_or(SnapshotId(-1))
}
