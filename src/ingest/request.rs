//! The request of an ingest.

use std::num::NonZeroU32;

use super::{coco_rows::Boxes, format::Format, load::Mode, source::Source, text::Options};
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
    /// The table, or the prefix of the tables of a COCO folder, of clips and of frame folders; `None` for one named after the data set.
    pub table: Option<TableRef>,
    /// The configuration of a data set on a hub.
    pub config: Option<String>,
    /// The split of a data set on a hub; for a COCO folder, that of rows that specify none; that of clips.
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
    /// How frames become clips.
    pub clips: ClipOptions,
    /// Whether rows with the columns of COCO become one table as they are.
    pub as_delivered: bool,
    /// The form of boxes in such rows.
    pub boxes: Boxes,
}

/// How frames become clips.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClipOptions {
    /// Frames a second, if not as the sequence states.
    pub frame_rate: Option<f64>,
    /// The number of frames of each fragment but the last.
    pub frames_per_fragment: Option<NonZeroU32>,
    /// What the fragments hold.
    pub encoding: Encoding,
}

/// What the fragments of frames hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// The JPEG files as they are.
    #[default]
    Copy,
    /// H.264, encoded by ffmpeg.
    H264,
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
        if self.clips != ClipOptions::default() && format != Format::Frames {
            return Err(Error::invalid(
                "\"frame_rate\", \"frames_per_fragment\" and \"encode\" apply to frame folders: leave them out",
            ));
        }
        if (format.has_clips() || format.is_media_folder()) && !self.extract_media {
            return Err(Error::invalid(
                "clips, images and sounds in files are always stored as assets: leave out \"media\": \"keep\"",
            ));
        }
        if format.has_clips() && self.max_rows.is_some() {
            return Err(Error::invalid("\"max_rows\" does not apply to clips, which have rows for their fragments"));
        }
        Ok(())
    }
}
