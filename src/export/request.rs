//! The request of an export.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    lake::{snapshots::SnapshotRef, table::TableRef},
};

/// A request to export rows.
#[derive(Clone, Debug)]
pub struct Request {
    /// The rows.
    pub rows: Rows,
    /// The snapshot at which they are read; `None` for the newest.
    pub at: Option<SnapshotRef>,
    /// The format of the files.
    pub format: Format,
    /// Their compression.
    pub compression: Compression,
    /// The size at which another file is begun; `None` for the default of the format.
    pub shard_bytes: Option<u64>,
    /// The folder of the export.
    pub name: TableRef,
    /// What happens to rows of samples that only refer to their bytes; `None` if they stay as they are.
    pub materialize: Option<Materialize>,
    /// How videos become rows of frames, for that format.
    pub frames: Option<FrameSettings>,
    /// Whether the files are read back and compared.
    pub verify: bool,
}

/// The bytes that rows of samples refer to are fetched; what happens to rows whose bytes are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Materialize {
    /// The export fails.
    Error,
    /// They stay without bytes, with the reason in `materialize_error`.
    Warn,
    /// They are left out.
    DropRow,
    /// Their samples are left out.
    DropSample,
}

/// How videos become rows of frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameSettings {
    /// The column with the videos; `None` for the one called `video`, `video_uri` or `clip_uri`.
    pub video_column: Option<String>,
    /// The quality of WebP, from 0 to 100.
    pub quality: u8,
    /// The length in pixels to which the longer side is reduced; `None` if it stays as it is.
    pub resize: Option<u32>,
    /// Whether videos that cannot be decoded are left out.
    pub skip_corrupt: bool,
}

/// What is exported.
#[derive(Clone, Debug)]
pub enum Rows {
    /// The rows of a table or view.
    Table(TableRef),
    /// Those of a query, which was checked.
    Query(String),
}

/// The format of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// CSV, with the names of the columns in the first line.
    Csv,
    /// A JSON object in each line.
    Json,
    /// Arrow IPC files.
    Arrow,
    /// Tar files with samples.
    Webdataset,
    /// A Lance dataset.
    Lance,
    /// A Lance dataset with the frames of videos.
    LanceFrames,
}

/// The compression of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Snappy for Parquet, none for the other formats.
    FormatDefault,
    /// None.
    None,
    /// Of the pages of Parquet.
    Snappy,
    /// Of the pages of Parquet, or of text files.
    Gzip,
    /// Of the pages of Parquet, of the buffers of Arrow, or of text files.
    Zstd,
    /// Of the pages of Parquet, or of the buffers of Arrow.
    Lz4,
}

/// A request to compare the rows of two sides.
#[derive(Clone, Debug)]
pub struct Verification {
    /// One side.
    pub left: Side,
    /// The other side; `None` for the rows that the export on the left was made from.
    pub right: Option<Side>,
    /// The maximum number of differences that are reported.
    pub most: usize,
    /// Whether images are decoded.
    pub decode: bool,
}

/// What is compared.
#[derive(Clone, Debug)]
pub enum Side {
    /// Rows of the lake.
    Rows {
        /// A table or query.
        rows: Rows,
        /// The snapshot; `None` for the newest.
        at: Option<SnapshotRef>,
    },
    /// The files of an export: the latest of a name, or the one at a URI.
    Export(String),
}

/// How files are written.
#[derive(Clone, Debug)]
pub struct ShardSettings {
    /// Their format: Parquet, Arrow or WebDataset.
    pub format: Format,
    /// Their compression.
    pub compression: Compression,
    /// The size at which another file is begun.
    pub shard_bytes: u64,
    /// How many threads encode columns.
    pub threads: usize,
    /// The first part of their names.
    pub prefix: String,
    /// Keys and values in the metadata of Parquet files.
    pub key_values: Vec<(String, String)>,
}

/// The least size of a file that may be asked for.
const MIN_SHARD_BYTES: u64 = 1 << 20;
/// As the `datasets` library writes them.
pub const DEFAULT_SHARD_BYTES: u64 = 500_000_000;

/// Checks the size at which another file is begun.
///
/// # Errors
/// `InvalidArgument` for one that would make too many files.
pub fn check_shard_bytes(bytes: u64) -> Result<()> {
    if bytes < MIN_SHARD_BYTES {
        return Err(Error::invalid(format!("\"shard_bytes\" is at least {MIN_SHARD_BYTES}")));
    }
    Ok(())
}

// === impl Request ===

impl Request {
    /// Checks what the fields say together.
    ///
    /// # Errors
    /// `InvalidArgument`, with what to change.
    pub fn check(&self) -> Result<()> {
        use Compression::{FormatDefault, Gzip, Lz4, None as Plain, Snappy, Zstd};
        let (known, names): (&[Compression], _) = match self.format {
            Format::Parquet => (&[FormatDefault, Plain, Snappy, Gzip, Zstd, Lz4], "none, snappy, gzip, zstd, lz4"),
            Format::Arrow => (&[FormatDefault, Plain, Zstd, Lz4], "none, zstd, lz4"),
            Format::Csv | Format::Json => (&[FormatDefault, Plain, Gzip, Zstd], "none, gzip, zstd"),
            Format::Webdataset | Format::Lance | Format::LanceFrames => (&[FormatDefault, Plain], "none"),
        };
        if !known.contains(&self.compression) {
            let format = self.format.name();
            return Err(Error::invalid(format!("\"compression\": the format {format} has one of {names}")));
        }
        check_shard_bytes(self.shard_bytes())?;
        if self.shard_bytes.is_some() && (self.format.is_text() || self.format.is_lance()) {
            let format = self.format.name();
            return Err(Error::invalid(format!("\"shard_bytes\": the size of files of {format} cannot be chosen")));
        }
        if self.materialize.is_some() && self.format.is_text() {
            return Err(Error::invalid("\"materialize\": csv and json do not hold bytes; choose another format"));
        }
        if self.materialize.is_some() && self.format == Format::LanceFrames {
            return Err(Error::invalid("\"materialize\" is for samples, which lance_frames does not read"));
        }
        if self.verify { self.format.check_typed() } else { Ok(()) }
    }

    /// The size at which another file is begun.
    pub fn shard_bytes(&self) -> u64 {
        self.shard_bytes.unwrap_or(DEFAULT_SHARD_BYTES)
    }
}

// === impl Rows ===

impl Rows {
    /// The name of the table, and the query: one of them is there.
    pub fn described(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::Table(table) => (Some(table.to_string()), None),
            Self::Query(query) => (None, Some(query.clone())),
        }
    }
}

// === impl Format ===

impl Format {
    /// All of them.
    const ALL: [Self; 7] =
        [Self::Parquet, Self::Csv, Self::Json, Self::Arrow, Self::Webdataset, Self::Lance, Self::LanceFrames];

    /// The format with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Its name in requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Arrow => "arrow",
            Self::Webdataset => "webdataset",
            Self::Lance => "lance",
            Self::LanceFrames => "lance_frames",
        }
    }

    /// The ending of its files.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Json => "jsonl",
            Self::Webdataset => "tar",
            _ => self.name(),
        }
    }

    /// Fails for text files, whose rows cannot be compared.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn check_typed(self) -> Result<()> {
        if !self.is_text() {
            return Ok(());
        }
        Err(Error::unsupported(format!(
            "rows of {} exports are not compared, because text has no types: export as parquet, arrow, webdataset or lance",
            self.name()
        )))
    }

    /// Whether it is a Lance dataset.
    pub fn is_lance(self) -> bool {
        matches!(self, Self::Lance | Self::LanceFrames)
    }

    /// Whether DuckDB writes it, as one file.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Json)
    }
}
