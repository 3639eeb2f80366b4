//! The result of an ingest.

use super::load::TableOutcome;
use crate::ids::SnapshotId;

/// The result of an ingest.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The snapshot that contains the rows.
    pub snapshot_id: SnapshotId,
    /// The URI of the landing.
    pub landing: String,
    /// The number of files of the landing.
    pub files: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// The number of bytes that were downloaded.
    pub downloaded: u64,
    /// The number of assets written.
    pub assets: u64,
    /// The tables; none if somebody has to put files into the landing first.
    pub tables: Vec<TableOutcome>,
    /// Whether the source was ingested before, and nothing was missing.
    pub unchanged: bool,
}
