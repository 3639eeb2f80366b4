//! The request of an ingest.

use super::{format::Format, load::Mode, source::Source, text::Options};
use crate::{
    error::{Error, Result},
    lake::table::TableRef,
};

/// A request to ingest a source.
#[derive(Clone, Debug)]
pub struct Request {
    /// The source of the data.
    pub source: Source,
    /// The name of the data set.
    pub dataset: String,
    /// The table, or the prefix of the tables of a COCO folder and of clips; `None` for one named after the data set.
    pub table: Option<TableRef>,
    /// The configuration of a data set on a hub.
    pub config: Option<String>,
    /// The split of a data set on a hub; for a COCO folder, that of rows that specify none.
    pub split: Option<String>,
    /// How existing rows are treated.
    pub mode: Mode,
    /// The maximum number of rows to read.
    pub max_rows: Option<u64>,
    /// How CSV and JSON files are read.
    pub reader: Options,
    /// Whether media are stored as assets.
    pub extract_media: bool,
    /// Whether media whose path is a URL are left there.
    pub keep_urls: bool,
    /// The columns of BLOBs that contain media.
    pub media_columns: Vec<String>,
}

// === impl Request ===

impl Request {
    /// Checks that files of a format can be read like this.
    ///
    /// # Errors
    /// `InvalidArgument` for options of other formats.
    pub(super) fn check(&self, format: Format) -> Result<()> {
        if !matches!(format, Format::Csv | Format::Json) {
            self.reader.check_none()?;
        }
        if !self.media_columns.is_empty() && !matches!(format, Format::Parquet | Format::WebDataset) {
            return Err(Error::invalid(
                "\"media_columns\" applies to Parquet files and samples in tar files: leave it out",
            ));
        }
        if format == Format::Video && !self.extract_media {
            return Err(Error::invalid("clips are always stored as assets: leave out \"media\": \"keep\""));
        }
        if format == Format::Video && self.max_rows.is_some() {
            return Err(Error::invalid("\"max_rows\" does not apply to clips, which have rows for their fragments"));
        }
        Ok(())
    }
}
