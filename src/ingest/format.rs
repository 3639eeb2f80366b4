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
    /// A folder of images, with or without metadata files.
    Images,
    /// A folder of sounds, with or without metadata files.
    Sounds,
}

// === impl Format ===

impl Format {
    /// Whether all files of a source are read together: what is in one of them refers to others.
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Coco | Self::Frames) || self.is_media_folder()
    }

    /// Whether it gives clips.
    pub(super) fn has_clips(self) -> bool {
        matches!(self, Self::Video | Self::Frames)
    }

    /// Whether a landing has all files that are read.
    pub(super) fn is_landed(self) -> bool {
        !matches!(self, Self::Coco | Self::Frames)
    }

    /// Whether the data files are media, and files with metadata about them.
    pub(super) fn is_media_folder(self) -> bool {
        matches!(self, Self::Images | Self::Sounds)
    }

    /// This format of earlier files, with further `data` of the source `shown`.
    ///
    /// # Errors
    /// `InvalidArgument` if they have another one.
    pub(super) fn with(self, data: &[PathBuf], shown: &str) -> Result<Self> {
        let is_beside = |file: &PathBuf| self.is_media_folder() && (media_of(file) == Some(self) || is_metadata(file));
        let is_other = |file: &&PathBuf| format_of(file) != Some(self) && !is_beside(file);
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

/// The formats of folders by the extensions of the media in them.
const MEDIA: &[(&str, Format)] = &[
    (".jpg", Format::Images),
    (".jpeg", Format::Images),
    (".png", Format::Images),
    (".gif", Format::Images),
    (".webp", Format::Images),
    (".bmp", Format::Images),
    (".tif", Format::Images),
    (".tiff", Format::Images),
    (".avif", Format::Images),
    (".wav", Format::Sounds),
    (".flac", Format::Sounds),
    (".mp3", Format::Sounds),
    (".ogg", Format::Sounds),
    (".opus", Format::Sounds),
];

/// The names of metadata files.
const METADATA: [&str; 3] = ["metadata.csv", "metadata.jsonl", "metadata.parquet"];

/// Whether a file has metadata about media, if there are media beside it.
pub(super) fn is_metadata(file: &Path) -> bool {
    METADATA.iter().any(|name| file.file_name().is_some_and(|file| file == *name))
}

/// The format of a folder that has this medium; `None` for other files.
pub(super) fn media_of(file: &Path) -> Option<Format> {
    let name = file.file_name()?.to_string_lossy().to_lowercase();
    MEDIA.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| *format)
}

/// The format of a folder whose only data are media; `None` for others.
///
/// # Errors
/// `InvalidArgument` for a folder with images and sounds.
pub(super) fn media_folder(shown: &str, files: &[PathBuf]) -> Result<Option<Format>> {
    let mut media = files.iter().filter_map(|file| media_of(file));
    let Some(first) = media.next() else { return Ok(None) };
    if files.iter().any(|file| format_of(file).is_some() && !is_metadata(file)) {
        return Ok(None);
    }
    if media.any(|format| format != first) {
        return Err(several(shown));
    }
    Ok(Some(first))
}

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
            "read source: \"{shown}\" contains no Parquet, CSV, JSON, tar, MP4 or QuickTime file, and is no folder of images or \
             sounds, and no frame folder of VisDrone or MOTChallenge"
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

/// A name for the format of a file in a list of files, also of media; `None` for files without data, and for archives.
pub(super) fn name_of(file: &Path) -> Option<&'static str> {
    let format = format_of(file).or_else(|| media_of(file))?;
    Some(match format {
        Format::Parquet => "parquet",
        Format::Csv => "csv",
        Format::Json | Format::Coco => "json",
        Format::WebDataset => "webdataset",
        Format::Video | Format::Frames => "video",
        Format::Images => "images",
        Format::Sounds => "sounds",
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
