//! One of the two sides of a difference: a table as it was at a snapshot.

use crate::{ids::SnapshotId, lake::state::TableState};

/// A table at one of the two snapshots.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) state: TableState,
    pub(super) at: SnapshotId,
}

// === impl Side ===

impl Side {
    /// The past table, in SQL.
    pub(super) fn table(&self) -> String {
        format!("{} AT (VERSION => {})", self.state.relation.path(), self.at)
    }

    /// The row id, for SQL; NULL if a column of the table hides it.
    pub(super) fn row_id(&self) -> &'static str {
        if self.state.hides_row_versions() { "NULL::BIGINT" } else { "rowid" }
    }
}
