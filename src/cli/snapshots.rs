//! `merganser snapshots`.

use clap::Args;

use super::{
    call::Call,
    failure::Failure,
    snapshot::named,
    table::{cell, print_table},
};
use crate::{
    actions,
    proto::{
        SnapshotsRequest,
        snapshots_result::{Change, Snapshot},
    },
};

/// List snapshots and their changes, newest first
#[derive(Debug, Args)]
pub struct Snapshots {
    /// Only snapshots that changed this table, as schema.name, also under earlier names
    #[arg(long)]
    table: Option<String>,
    /// Maximum number of snapshots [default: 50]
    #[arg(long)]
    limit: Option<u64>,
    /// Only snapshots before this one: a version, a tag or a timestamp
    #[arg(long, value_name = "SNAPSHOT")]
    before: Option<String>,
    /// Only snapshots after this one: a version, a tag or a timestamp
    #[arg(long, value_name = "SNAPSHOT")]
    after: Option<String>,
    #[command(flatten)]
    call: Call,
}

// === impl Snapshots ===

impl Snapshots {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = SnapshotsRequest {
            table: self.table,
            limit: self.limit,
            before: named(self.before),
            after: named(self.after),
        };
        let Some(result) = self.call.run::<actions::Snapshots>(request).await? else { return Ok(()) };
        let rows = result.snapshots.into_iter().map(row);
        print_table(["snapshot", "time", "author", "tags", "message", "changes"], rows)?;
        Ok(())
    }
}

fn row(snapshot: Snapshot) -> [String; 6] {
    let changes: Vec<_> = snapshot.changes.iter().map(change).collect();
    [
        snapshot.snapshot_id.to_string(),
        snapshot.time,
        cell(snapshot.author),
        snapshot.tags.join(" "),
        cell(snapshot.message),
        changes.join(", "),
    ]
}

fn change(change: &Change) -> String {
    let before = change.renamed_from.as_ref().map(|before| format!(" (was {before})")).unwrap_or_default();
    format!("{} {}{before}", change.change, change.name)
}
