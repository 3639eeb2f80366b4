//! The outcome of a rollback.

use crate::{
    ids::SnapshotId,
    proto::rollback_result::{Kind, table::Change},
};

/// The result of a rollback; of a dry run, what a rollback would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The snapshot of the commit; the newest one if nothing was committed.
    pub snapshot_id: SnapshotId,
    /// The snapshot whose state was restored.
    pub restored_from: SnapshotId,
    /// The changed objects: tables, then views, macros and schemas. A table that was requested by name is always listed.
    pub objects: Vec<Restored>,
}

/// The change of one table, view, macro or schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Its kind.
    pub kind: Kind,
    /// Its name, qualified by the schema if it belongs to one.
    pub name: String,
    /// Its name before the rollback, if it differs.
    pub renamed_from: Option<String>,
    /// The change.
    pub change: Change,
    /// The number of deleted rows, including the old versions of changed rows.
    pub rows_deleted: u64,
    /// The number of inserted rows, including the restored versions of changed rows.
    pub rows_inserted: u64,
}

// === impl Outcome ===

impl Outcome {
    /// Whether anything changes.
    pub fn is_change(&self) -> bool {
        self.objects.iter().any(|object| object.change != Change::Unchanged)
    }
}
