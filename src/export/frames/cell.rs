//! The video of a row: a URI, bytes, or a struct of both.

use std::path::{Path, PathBuf};

use arrow::{
    array::{Array, ArrayRef, AsArray, LargeBinaryArray, RecordBatch},
    buffer::Buffer,
    compute::cast,
    datatypes::{DataType, Schema},
};

use super::{
    super::{request::FrameSettings, samples::texts},
    clip::Clip,
    ffmpeg,
};
use crate::{
    error::{Context, Error, ErrorKind, Result},
    quote::identifier,
    storage::Storage,
};

/// The names of columns with videos.
const NAMES: [&str; 3] = ["video", "video_uri", "clip_uri"];

/// The column with the videos.
#[derive(Clone, Copy, Debug)]
pub struct CellColumn {
    at: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Path,
    Bytes,
    /// STRUCT(bytes BLOB, path VARCHAR).
    Both,
}

/// The video of a row.
#[derive(Debug)]
pub struct Cell {
    path: Option<String>,
    bytes: Option<Buffer>,
}

// === impl CellColumn ===

impl CellColumn {
    /// The column with this name, or with one that columns of videos have.
    ///
    /// # Errors
    /// `InvalidArgument` if there is none, and for one of another type.
    pub fn of(schema: &Schema, name: Option<&str>) -> Result<Self> {
        let is_wanted = |found: &str| name.map_or_else(|| NAMES.contains(&found), |name| name == found);
        let mut found = schema.fields().iter().enumerate().filter(|(_, field)| is_wanted(field.name()));
        let (Some((at, field)), None) = (found.next(), found.next()) else {
            return Err(Error::invalid(match name {
                Some(name) => format!("\"video_column\": there is no column {}", identifier(name)),
                None => {
                    "lance_frames needs one column with videos, called video, video_uri or clip_uri: set \"video_column\"".into()
                }
            }));
        };
        let kind = Kind::of(field.data_type()).ok_or_else(|| {
            Error::invalid(format!(
                "column {} has no videos: it must have URIs (VARCHAR), bytes (BLOB) or STRUCT(bytes BLOB, path VARCHAR)",
                identifier(field.name())
            ))
        })?;
        Ok(Self { at, kind })
    }

    /// Its place.
    pub fn at(self) -> usize {
        self.at
    }

    /// The videos of a batch.
    ///
    /// # Errors
    /// Internal for other columns.
    pub fn cells(self, batch: &RecordBatch) -> Result<Vec<Cell>> {
        let column = batch.column(self.at);
        let (paths, bytes) = match self.kind {
            Kind::Path => (Some(texts(column)?), None),
            Kind::Bytes => (None, Some(binary(column)?)),
            Kind::Both => {
                let fields = column.as_struct();
                let field = |name| fields.column_by_name(name).ok_or_else(|| Error::internal("a field is missing"));
                (Some(texts(field("path")?)?), Some(binary(field("bytes")?)?))
            }
        };
        let is_there = |row: usize| column.is_valid(row);
        let cell = |row: usize| Cell {
            path: paths
                .as_ref()
                .filter(|paths| is_there(row) && paths.is_valid(row))
                .map(|paths| paths.value(row).into()),
            bytes: bytes.as_ref().filter(|bytes| is_there(row) && bytes.is_valid(row)).map(|bytes| buffer(bytes, row)),
        };
        Ok((0..batch.num_rows()).map(cell).collect())
    }
}

impl Kind {
    fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 => Some(Self::Path),
            DataType::Binary | DataType::LargeBinary => Some(Self::Bytes),
            DataType::Struct(fields) => {
                let kind = |name: &str| fields.find(name).and_then(|(_, field)| Self::of(field.data_type()));
                matches!((kind("bytes"), kind("path")), (Some(Self::Bytes), Some(Self::Path))).then_some(Self::Both)
            }
            _ => None,
        }
    }
}

// === impl Cell ===

impl Cell {
    /// The URI or name of the video, if the row has one.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Decodes the video. Returns its frames, or why there are none.
    ///
    /// # Errors
    /// `FailedPrecondition` if there is no ffmpeg; errors of the store and the disk.
    pub async fn decode(
        &self,
        storage: &Storage,
        staging: &Path,
        settings: &FrameSettings,
    ) -> Result<Result<Clip, String>> {
        let spool = tempfile::tempdir_in(staging)?;
        let file = match self.file(storage, spool.path()).await? {
            Ok(file) => file,
            Err(reason) => return Ok(Err(reason)),
        };
        let checksum = Storage::checksum(&file).await?;
        let frames = ffmpeg::decode(&file, settings, spool.path()).await?;
        Ok(frames.map(|frames| Clip::new(frames, checksum.sha256)))
    }

    /// The video as a file of this machine, or why there is none.
    async fn file(&self, storage: &Storage, spool: &Path) -> Result<Result<PathBuf, String>> {
        let target = spool.join("video");
        if let Some(bytes) = &self.bytes {
            tokio::fs::write(&target, bytes.as_slice()).await.context(|| "write a video to the staging folder")?;
            return Ok(Ok(target));
        }
        let Some(uri) = &self.path else { return Ok(Err("there is no video".to_owned())) };
        let path = match storage.readable_path(uri) {
            Ok(path) => path,
            Err(err) => return Ok(Err(err.message().to_owned())),
        };
        if let Some(file) = storage.local_path(&path) {
            let is_there = tokio::fs::metadata(&file).await.is_ok_and(|found| found.is_file());
            return Ok(if is_there { Ok(file) } else { Err("it does not exist".to_owned()) });
        }
        match storage.download(&path, &target).await {
            Ok(_) => Ok(Ok(target)),
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(Err("it does not exist".to_owned())),
            Err(err) => Err(err),
        }
    }
}

/// A value, without copying it.
fn buffer(values: &LargeBinaryArray, row: usize) -> Buffer {
    let start = usize::try_from(values.value_offsets()[row]).unwrap_or_default();
    values.values().slice_with_length(start, values.value(row).len())
}

fn binary(column: &ArrayRef) -> Result<LargeBinaryArray> {
    let bytes = cast(column, &DataType::LargeBinary);
    let bytes = bytes.map_err(|err| Error::internal("convert a column of videos").with_source(err))?;
    Ok(bytes.as_binary().clone())
}
