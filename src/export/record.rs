//! What an export is, as it is stored beside its files.

use serde::{Deserialize, Serialize};

use super::request::{Format, FrameSettings, Materialize, Rows};
use crate::{
    error::{Error, ErrorKind, Result},
    ids::SnapshotId,
    lake::table::TableRef,
    storage::dated::Dated,
};

/// The folder of all exports.
pub(super) const ROOT: &str = "exports";
/// The file of an export that describes the others.
pub(super) const RECORD: &str = ".export.json";
/// A file of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedFile {
    /// The path relative to the export.
    pub path: String,
    /// The number of its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// What an export is: `.export.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this form.
    pub format_version: u32,
    /// The table, if it is one.
    pub table: Option<String>,
    /// The query, if it is one.
    pub query: Option<String>,
    /// The format of the files.
    pub format: String,
    /// The snapshot that was read.
    pub snapshot_id: SnapshotId,
    /// When that snapshot was made.
    pub snapshot_time: String,
    /// What wrote the tables last that were read, as `schema.table`: the snapshot, and the message of its commit.
    pub lineage: Vec<Lineage>,
    /// The first 16 digits of the SHA-256 of the columns.
    pub schema_fingerprint: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// What happened to rows of samples without bytes, if they were fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub materialize: Option<Materialize>,
    /// How videos became rows of frames, if they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<FrameSettings>,
    /// The columns as an Arrow schema in Base64, like in Parquet files, for formats that do not hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrow_schema: Option<String>,
    /// The number of rows.
    pub rows: u64,
    /// The size of the files.
    pub bytes: u64,
    /// The data files.
    pub files: Vec<ExportedFile>,
    /// The program that wrote it.
    pub written_by: String,
}

/// A table that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lineage {
    /// `schema.table`.
    pub table: String,
    /// The snapshot that changed it last, if that has not expired.
    pub snapshot_id: Option<SnapshotId>,
    /// The message of that commit.
    pub message: Option<String>,
}

/// A column that was exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as DuckDB writes it.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// A complete export.
#[derive(Clone, Debug)]
pub struct Located {
    /// The exports of its name.
    pub series: Dated,
    /// Its time.
    pub time: String,
    /// What it is.
    pub record: Record,
}

// === impl Record ===

impl Record {
    /// The format of the files.
    ///
    /// # Errors
    /// `Unsupported` for one that this program does not know.
    pub fn format(&self) -> Result<Format> {
        let unknown = || Error::unsupported(format!("the format \"{}\" of the export is not known", self.format));
        Format::named(&self.format).ok_or_else(unknown)
    }

    /// What was exported.
    ///
    /// # Errors
    /// `DataLoss` for a record that does not say so.
    pub fn rows(&self) -> Result<Rows> {
        match (&self.table, &self.query) {
            (Some(table), _) => TableRef::parse(table).map(Rows::Table),
            (None, Some(query)) => Ok(Rows::Query(query.clone())),
            (None, None) => Err(Error::new(ErrorKind::DataLoss, "the export does not say what was exported")),
        }
    }
}
