//! The request of an ingest.

use super::{load::Mode, source::Source, text::Options};
use crate::lake::table::TableRef;

/// A request to ingest a source.
#[derive(Clone, Debug)]
pub struct Request {
    /// The source of the data.
    pub source: Source,
    /// The name of the data set.
    pub dataset: String,
    /// The table; for a COCO folder, the prefix of its tables.
    pub table: TableRef,
    /// The split of rows that specify none.
    pub split: Option<String>,
    /// How existing rows are treated.
    pub mode: Mode,
    /// The maximum number of rows to read.
    pub max_rows: Option<u64>,
    /// How CSV and JSON files are read.
    pub reader: Options,
    /// Whether media are stored as assets.
    pub extract_media: bool,
}
