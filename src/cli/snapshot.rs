//! Arguments that select a snapshot.

use clap::Args;

use crate::proto::{SnapshotSelector, snapshot_selector::Snapshot};

/// A snapshot by one of its properties.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct SnapshotArgs {
    /// The snapshot with this version, as listed by merganser snapshots
    #[arg(long)]
    version: Option<i64>,
    /// The newest snapshot at or before this time, such as "2026-01-31 12:00:00", in UTC unless it has an offset
    #[arg(long)]
    timestamp: Option<String>,
    /// The snapshot with this tag
    #[arg(long)]
    tag: Option<String>,
}

// === impl SnapshotArgs ===

impl SnapshotArgs {
    /// The field of a request.
    pub(super) fn selector(self) -> SnapshotSelector {
        let version = self.version.map(Snapshot::Version);
        let timestamp = self.timestamp.map(Snapshot::Timestamp);
        SnapshotSelector { snapshot: version.or(timestamp).or(self.tag.map(Snapshot::Tag)) }
    }
}

/// The field of a request for a version, a tag or a timestamp.
pub(super) fn named(name: Option<String>) -> Option<SnapshotSelector> {
    name.map(|name| SnapshotSelector { snapshot: Some(Snapshot::Name(name)) })
}
