//! The outcome of a model.

use crate::{ids::SnapshotId, proto::transform_result::model::Change};

/// The outcome of a model or of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelOutcome {
    /// `layer.table`.
    pub model: String,
    /// The change of its table.
    pub change: Change,
    /// The number of rows of the table.
    pub rows: u64,
    /// The number of inserted rows.
    pub rows_inserted: u64,
    /// The number of deleted rows.
    pub rows_deleted: u64,
    /// The snapshot of the commit; `None` for an unchanged table, for a source, and in a dry run.
    pub snapshot_id: Option<SnapshotId>,
    /// The number of checks that passed.
    pub checks_passed: u32,
    /// The number of checks that failed; above 0 only in [`Step::Failed`](super::Step::Failed).
    pub checks_failed: u32,
}

// === impl ModelOutcome ===

impl ModelOutcome {
    /// Whether the table has changed.
    pub fn is_changed(&self) -> bool {
        matches!(self.change, Change::Created | Change::Updated | Change::Replaced)
    }
}
