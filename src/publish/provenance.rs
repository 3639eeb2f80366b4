//! Where the rows of a data set come from: `lakehouse.json`.

use serde::{Deserialize, Serialize};

use crate::{
    export::{Column, ExportedFile, Lineage},
    ids::SnapshotId,
};

/// Its path in the data set.
pub const FILE: &str = "lakehouse.json";

/// Where the rows of a data set come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The version of this form.
    pub format_version: u32,
    /// What was published.
    #[serde(flatten)]
    pub source: Published,
    /// The snapshot that was read.
    pub snapshot_id: SnapshotId,
    /// When that snapshot was made.
    pub snapshot_time: String,
    /// What wrote the tables last that were read.
    pub lineage: Vec<Lineage>,
    /// The columns in the lake.
    pub columns: Vec<Column>,
    /// The splits.
    pub splits: Vec<Split>,
    /// The data files.
    pub files: Vec<ExportedFile>,
    /// The files with media, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<PublishedMedia>,
    /// The program that wrote it.
    pub written_by: String,
}

/// What was published, and how. With the same lineage it gives the same files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The table, if it is one.
    pub table: Option<String>,
    /// The query, if it is one.
    pub query: Option<String>,
    /// The other fields of the request that make a difference.
    pub options: String,
}

/// A split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Its name.
    pub name: String,
    /// The number of its rows.
    pub rows: u64,
    /// The number of its files.
    pub files: usize,
    /// The size of its files.
    pub bytes: u64,
}

/// The files with media of a data set, of which there are too many for a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedMedia {
    /// Their number.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// The SHA-256 of their list, in the order of the paths: a line has the SHA-256, a space and the path of a file.
    pub sha256: String,
}

/// The version of the form.
pub const FORMAT_VERSION: u32 = 1;
