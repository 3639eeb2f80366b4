//! The format of files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::coco_json;
use crate::{
    error::{Error, Result},
    lake::table::TableRef,
};

/// The format of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Parquet files.
    Parquet,
    /// CSV files, possibly compressed with gzip.
    Csv,
    /// JSON files: an array of objects, or newline-delimited objects.
    Json,
    /// COCO annotations with their images.
    Coco,
    /// Samples in tar files.
    WebDataset,
    /// Video clips: MP4 and QuickTime files.
    Video,
    /// Frame folders with the boxes of tracked objects.
    Frames,
}

// === impl Format ===

impl Format {
    /// Whether all files of a source are read together: what is in one of them refers to others.
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Coco | Self::Frames)
    }

    /// Whether it gives clips.
    pub(super) fn has_clips(self) -> bool {
        matches!(self, Self::Video | Self::Frames)
    }

    /// This format of earlier files, with further `data` of the source `shown`.
    ///
    /// # Errors
    /// `InvalidArgument` if they have another one.
    pub(super) fn with(self, data: &[PathBuf], shown: &str) -> Result<Self> {
        let is_other = |file: &&PathBuf| format_of(file) != Some(self);
        match data.iter().find(is_other) {
            None => Ok(self),
            Some(_) => Err(several(shown)),
        }
    }

    /// The table of a data set, or the prefix of its tables: what was delivered is in `raw`; an index of clips is made here.
    pub(super) fn default_table(self, dataset: &str) -> TableRef {
        let schema = if self.has_clips() { "silver" } else { "raw" };
        TableRef { schema: schema.to_owned(), name: dataset.to_owned() }
    }
}

/// The formats by file name extension.
const ENDINGS: &[(&str, Format)] = &[
    (".parquet", Format::Parquet),
    (".csv", Format::Csv),
    (".csv.gz", Format::Csv),
    (".tsv", Format::Csv),
    (".json", Format::Json),
    (".jsonl", Format::Json),
    (".ndjson", Format::Json),
    (".json.gz", Format::Json),
    (".jsonl.gz", Format::Json),
    (".tar", Format::WebDataset),
    (".mp4", Format::Video),
    (".m4v", Format::Video),
    (".mov", Format::Video),
];

/// The format of a file by its name; `None` for files without data.
pub(super) fn format_of(file: &Path) -> Option<Format> {
    let name = file.file_name()?.to_string_lossy().to_lowercase();
    ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| *format)
}

/// The format of all data files of the source `shown`.
///
/// # Errors
/// `InvalidArgument` if there is none, or several.
pub(super) fn format_of_all(shown: &str, data: &[PathBuf], is_folder: bool) -> Result<Format> {
    let formats: Vec<_> = data.iter().filter_map(|file| format_of(file)).collect();
    let Some(first) = formats.first() else {
        return Err(Error::invalid(format!(
            "read source: \"{shown}\" contains no Parquet, CSV, JSON, tar, MP4 or QuickTime file, and no frame \
             folder of VisDrone or MOTChallenge"
        )));
    };
    if formats.iter().any(|format| format != first) {
        return Err(several(shown));
    }
    if *first == Format::Json && is_coco(data, is_folder)? { Ok(Format::Coco) } else { Ok(*first) }
}

fn several(shown: &str) -> Error {
    Error::invalid(format!("read source: \"{shown}\" contains several formats; ingest each of them separately"))
}

/// A name for the format of a file in a list of files; `None` for files without data, and for archives.
pub(super) fn name_of(file: &Path) -> Option<&'static str> {
    Some(match format_of(file)? {
        Format::Parquet => "parquet",
        Format::Csv => "csv",
        Format::Json | Format::Coco => "json",
        Format::WebDataset => "webdataset",
        Format::Video | Format::Frames => "video",
    })
}

/// A list of captions is COCO only if there are annotations; otherwise it is plain JSON.
fn is_coco(data: &[PathBuf], is_folder: bool) -> Result<bool> {
    use coco_json::CocoKind::{CaptionResults, Captions, Instances};
    let mut kinds = Vec::new();
    for file in data {
        kinds.push(coco_json::detect(file)?);
    }
    let annotations = kinds.iter().any(|kind| matches!(kind, Some(Instances | Captions)));
    let all = kinds.iter().all(|kind| matches!(kind, Some(Instances | Captions | CaptionResults)));
    if annotations && is_folder && !all {
        let odd = data.iter().zip(&kinds).find(|(_, kind)| kind.is_none()).map(|(file, _)| file.display().to_string());
        let odd = odd.unwrap_or_default();
        return Err(Error::invalid(format!(
            "read source: \"{odd}\" is among COCO annotations and does not contain any"
        )));
    }
    Ok(annotations)
}
