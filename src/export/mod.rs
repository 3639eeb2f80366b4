//! Exports: the rows of a table or query at one snapshot, as files in a dated folder of the store.
//!
//! ```text
//! rows (one transaction) ─▶ group ─▶ shards (parquet | arrow | webdataset) ─▶ folder: record, manifest
//!                       │  └▶ lance (rows, or frames of their videos) ──────┤
//!                       └▶ DuckDB's COPY (csv, json) ───────────────────────┘
//! ```

mod arrow;
mod compare;
mod decode;
mod digest;
mod distinct;
mod exports;
mod folder;
mod frames;
mod group;
mod json;
mod lance;
mod parquet;
mod reading;
mod record;
mod request;
mod rows;
mod samples;
mod shards;
mod source;
mod webdataset;

use std::{path::PathBuf, sync::Arc, time::Duration};

use ::arrow::datatypes::Schema;
use ::parquet::arrow::encode_arrow_schema;
use parking_lot::Mutex;

use self::{
    compare::Depth,
    folder::Folder,
    frames::FrameRows,
    lance::Lance,
    reading::Reading,
    record::{Located, Record},
    rows::Opened,
    source::{Files, Source},
};
pub use self::{
    compare::{Comparison, Difference},
    exports::{Found, list, remove, superseded},
    record::{Column, ExportedFile, Lineage},
    request::{
        Compression, DEFAULT_SHARD_BYTES, Format, FrameSettings, Materialize, Request, Rows, ShardSettings, Side,
        Verification, check_shard_bytes,
    },
    rows::{About, Selection, begin, is_table, open, time_of},
    shards::write,
};
use crate::{
    context::Principal,
    engine::Engine,
    error::{Error, ErrorKind, Result},
    ids::SnapshotId,
    jobs::Progress,
    lake::{Lake, pins::Pins, snapshots::SnapshotRef},
    storage::{Storage, dated},
};

/// The file of an export that describes the others to readers of its layout.
const METADATA: &str = "_metadata.json";
/// The first part of the names of files.
const SHARD: &str = "shard";
/// The version of the record's form.
const FORMAT_VERSION: u32 = 1;

/// Exports from one lake.
#[derive(Debug)]
pub struct Exporter {
    lake: Lake,
    pins: Arc<Pins>,
    storage: Storage,
    staging: PathBuf,
    lance: Lance,
    /// The time of the export that was begun last: no two have one folder.
    last: Mutex<String>,
}

/// A finished export.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Its URI.
    pub uri: String,
    /// The URI of the manifest that names it.
    pub manifest: String,
    /// The snapshot that was read.
    pub snapshot_id: SnapshotId,
    /// The data files.
    pub files: Vec<ExportedFile>,
    /// The number of rows.
    pub rows: u64,
    /// The size of the data files.
    pub bytes: u64,
    /// The SHA-256 of the record, which has those of the files.
    pub sha256: String,
    /// The number of videos that were left out.
    pub skipped: u64,
}

// === impl Exporter ===

impl Exporter {
    /// Exports from `lake` to `storage`, with temporary files in the folder `staging`.
    pub fn new(lake: Lake, pins: Arc<Pins>, storage: Storage, staging: PathBuf) -> Self {
        let lance = Lance::new(pins.origin().0);
        Self { lake, pins, storage, staging, lance, last: Mutex::default() }
    }

    /// The store.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Writes an export and makes it the latest.
    ///
    /// # Errors
    /// `NotFound` for an unknown table or snapshot; `InvalidArgument` for a query that fails, and for columns that cannot
    /// be kept; `ResourceExhausted` for a full disk; errors of the store; Cancelled. Nothing of it is left then.
    pub async fn run(&self, request: &Request, author: &Principal, progress: &Progress) -> Result<Exported> {
        let temporary = tempfile::tempdir_in(&self.staging)?;
        // The temporary folder itself is for the server alone.
        let spool = temporary.path().join("export");
        tokio::fs::create_dir(&spool).await?;
        let mut folder = Folder::new(self.storage.clone(), &request.name, self.time().await, &spool);
        let outcome = self.write(request, author, &mut folder, progress).await;
        // What exists already is another export.
        if outcome.as_ref().is_err_and(|err| err.kind() != ErrorKind::AlreadyExists)
            && let Err(err) = folder.remove().await
        {
            tracing::warn!(cause = %err, "cannot remove what a failed export has written");
        }
        outcome
    }

    /// The name of the folder of a new export.
    async fn time(&self) -> String {
        loop {
            let now = dated::now();
            {
                let mut last = self.last.lock();
                if now > *last {
                    last.clone_from(&now);
                    return now;
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn write(
        &self,
        request: &Request,
        author: &Principal,
        folder: &mut Folder,
        progress: &Progress,
    ) -> Result<Exported> {
        progress.phase("read snapshot", "rows", None);
        let (about, schema, files, skipped) = if request.format.is_text() {
            let engine = self.engine(request.at.as_ref()).await?;
            let (about, files) = write_text(&engine, request, author, folder, progress).await?;
            (about, None, files, 0)
        } else {
            let mut opened = self.open(&Reading::from(request), author, progress).await?;
            progress.phase("write rows", "rows", None);
            let files = self.write_files(&mut opened, request, folder, progress).await?;
            let skipped = write_records(&mut opened, folder).await?;
            (opened.about, Some(opened.schema), files, skipped)
        };
        let record = record(request, about, schema.as_deref(), files)?;
        if request.format == Format::Arrow {
            let metadata =
                arrow::metadata(&record.schema_fingerprint, &record.files, request.shard_bytes, request.compression);
            let text = serde_json::to_vec_pretty(&metadata);
            let text = text.map_err(|err| Error::internal("write JSON").with_source(err))?;
            folder.write(METADATA, &text).await?;
            folder.add(METADATA).await?;
        }
        progress.phase("store files", "files", None);
        let sha256 = folder.store(&record, progress).await?;
        if request.verify {
            self.check(folder.located(&record), author, progress).await?;
        }
        folder.make_latest().await?;
        let Record { snapshot_id, files, rows, bytes, .. } = record;
        let (uri, manifest) = (folder.uri(), folder.manifest_uri());
        Ok(Exported { uri, manifest, snapshot_id, files, rows, bytes, sha256, skipped })
    }

    async fn write_files(
        &self,
        opened: &mut Opened,
        request: &Request,
        folder: &mut Folder,
        progress: &Progress,
    ) -> Result<Vec<ExportedFile>> {
        let spool = folder.spool().to_path_buf();
        if request.format.is_lance() {
            let files = self.lance.write(opened, &spool, progress).await?;
            for file in &files {
                folder.add(&file.path).await?;
            }
            return Ok(files);
        }
        let settings = ShardSettings {
            format: request.format,
            compression: request.compression,
            shard_bytes: request.shard_bytes(),
            threads: self.lake.engine().threads(),
            prefix: SHARD.to_owned(),
            key_values: Vec::new(),
        };
        shards::write(opened, &settings, &spool, Some(folder), progress).await
    }

    /// Compares the rows of two sides, in their order.
    ///
    /// # Errors
    /// `NotFound` for an unknown table, snapshot or export; `DataLoss` for files that are not what was written; Cancelled.
    pub async fn verify(&self, request: &Verification, author: &Principal, progress: &Progress) -> Result<Comparison> {
        progress.phase("open", "rows", None);
        let left = self.located(&request.left).await?;
        let right = match (&request.right, &left) {
            (Some(right), _) => right.clone(),
            (None, Some(Located { record, .. })) => {
                Side::Rows { rows: record.rows()?, at: Some(SnapshotRef::Version(record.snapshot_id)) }
            }
            (None, None) => return Err(Error::invalid("there is nothing to compare with: set \"right\"")),
        };
        let located = self.located(&right).await?;
        // Rows are compared as the export has them.
        let record = left.as_ref().or(located.as_ref()).map(|located| located.record.clone());
        let like = record.as_ref();
        let mut left = self.source(&request.left, left, like, author, progress).await?;
        let mut right = self.source(&right, located, like, author, progress).await?;
        progress.phase("compare", "rows", None);
        let decode = request.decode.then(|| self.lake.engine().threads());
        compare::compare(&mut left, &mut right, Depth { most: request.most, decode }, progress).await
    }

    /// Compares the files of an export with what it was made from.
    async fn check(&self, located: Located, author: &Principal, progress: &Progress) -> Result<()> {
        progress.phase("verify", "rows", Some(located.record.rows));
        let reading = Reading::of(&located.record)?;
        let mut files = Source::Files(progress.unless_cancelled(self.files(located)).await?);
        let opened = self.open(&reading, author, progress).await?;
        let mut rows = Source::Rows(Box::new(opened));
        let found = compare::compare(&mut files, &mut rows, Depth { most: 1, decode: None }, progress).await?;
        match found.differences.first() {
            None => Ok(()),
            Some(first) => Err(Error::new(
                ErrorKind::DataLoss,
                format!(
                    "the files differ from the rows ({first}); a query must give the same rows in the same order each time"
                ),
            )),
        }
    }

    async fn located(&self, side: &Side) -> Result<Option<Located>> {
        match side {
            Side::Rows { .. } => Ok(None),
            Side::Export(name) => exports::locate(&self.storage, name).await.map(Some),
        }
    }

    async fn source(
        &self,
        side: &Side,
        located: Option<Located>,
        like: Option<&Record>,
        author: &Principal,
        progress: &Progress,
    ) -> Result<Source> {
        match (side, located) {
            (Side::Rows { rows, at }, _) => {
                let (rows, at) = (rows.clone(), at.clone());
                let format = like.map_or(Ok(Format::Arrow), Record::format)?;
                let (materialize, frames) =
                    like.map_or((None, None), |record| (record.materialize, record.frames.clone()));
                let reading = Reading { rows, at, format, materialize, frames };
                Ok(Source::Rows(Box::new(self.open(&reading, author, progress).await?)))
            }
            (Side::Export(_), Some(located)) => progress.unless_cancelled(self.files(located)).await.map(Source::Files),
            (Side::Export(_), None) => Err(Error::internal("an export was not looked up")),
        }
    }

    /// Reads the files of an export.
    async fn files(&self, located: Located) -> Result<Files> {
        Files::open(&self.storage, located, &self.staging, &self.lance).await
    }

    /// Reads rows of the lake.
    async fn open(&self, reading: &Reading, author: &Principal, progress: &Progress) -> Result<Opened> {
        let engine = self.engine(reading.at.as_ref()).await?;
        let mut opened = rows::open(&engine, &reading.selection(), author, progress).await?;
        if let Some(policy) = reading.materialize {
            opened.materialize(&self.storage, self.staging.clone(), policy)?;
        }
        if let Some(settings) = &reading.frames {
            let threads = self.lake.engine().threads();
            let staging = self.staging.clone();
            let frames = FrameRows::new(&opened.schema, settings, &self.storage, staging, threads)?;
            opened.decode(frames);
        }
        Ok(opened)
    }

    /// The engine in which the snapshot is the newest.
    async fn engine(&self, at: Option<&SnapshotRef>) -> Result<Engine> {
        match at {
            None => Ok(self.lake.engine().clone()),
            Some(name) => {
                let id = self.pins.resolve(name.clone()).await?;
                self.pins.get(id).await
            }
        }
    }
}

/// Writes what the videos are whose frames were written. Returns how many were left out.
async fn write_records(opened: &mut Opened, folder: &mut Folder) -> Result<u64> {
    let Some(mut records) = opened.take_records() else { return Ok(0) };
    let (fingerprint, target) = (rows::fingerprint(&opened.about.columns)?, folder.spooled(METADATA));
    let written = tokio::task::spawn_blocking(move || records.write(&fingerprint, &target).map(|()| records.skipped()));
    let skipped = written.await.map_err(|err| Error::internal("write the records of videos").with_source(err))??;
    folder.add(METADATA).await?;
    Ok(skipped)
}

async fn write_text(
    engine: &Engine,
    request: &Request,
    author: &Principal,
    folder: &mut Folder,
    progress: &Progress,
) -> Result<(About, Vec<ExportedFile>)> {
    progress.phase("write rows", "rows", None);
    let path = text_file(request);
    let file = folder.spooled(&path);
    let (about, rows) = rows::copy(engine, request, &file, author, progress).await?;
    progress.advance(rows);
    let written = Storage::checksum(&file).await?;
    tokio::fs::File::open(&file).await?.sync_all().await?;
    folder.add(&path).await?;
    Ok((about, vec![ExportedFile { path, rows, bytes: written.bytes, sha256: written.sha256 }]))
}

fn text_file(request: &Request) -> String {
    let ending = request.format.ending();
    match request.compression {
        Compression::Gzip => format!("data.{ending}.gz"),
        Compression::Zstd => format!("data.{ending}.zst"),
        _ => format!("data.{ending}"),
    }
}

fn record(request: &Request, about: About, schema: Option<&Schema>, files: Vec<ExportedFile>) -> Result<Record> {
    let schema = schema.filter(|_| request.format == Format::Webdataset);
    let (table, query) = request.rows.described();
    Ok(Record {
        format_version: FORMAT_VERSION,
        table,
        query,
        format: request.format.name().to_owned(),
        snapshot_id: about.snapshot_id,
        snapshot_time: about.snapshot_time,
        lineage: about.lineage,
        schema_fingerprint: rows::fingerprint(&about.columns)?,
        columns: about.columns,
        materialize: request.materialize,
        frames: request.frames.clone(),
        arrow_schema: schema.map(encode_arrow_schema),
        rows: files.iter().map(|file| file.rows).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        written_by: concat!("merganser ", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}
