//! Exports: the rows of a table or query at one snapshot, as files in a dated folder of the store.
//!
//! ```text
//! rows (one transaction) ─▶ group ─▶ shards (parquet | arrow) ─▶ folder: record, manifest
//!                       └▶ DuckDB's COPY (csv, json) ───────────┘
//! ```

mod arrow;
mod digest;
mod exports;
mod folder;
mod group;
mod parquet;
mod request;
mod rows;
mod shards;

use std::{path::PathBuf, sync::Arc};

use self::{
    folder::{Folder, Record},
    rows::About,
};
pub use self::{
    exports::{Found, list, remove, superseded},
    folder::ExportedFile,
    request::{Compression, Format, Request, Rows},
};
use crate::{
    context::Principal,
    engine::Engine,
    error::{Error, Result},
    ids::SnapshotId,
    jobs::Progress,
    lake::{Lake, pins::Pins},
    storage::Storage,
};

/// The version of the record's form.
const FORMAT_VERSION: u32 = 1;

/// Exports from one lake.
#[derive(Debug)]
pub struct Exporter {
    lake: Lake,
    pins: Arc<Pins>,
    storage: Storage,
    staging: PathBuf,
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
}

// === impl Exporter ===

impl Exporter {
    /// Exports from `lake` to `storage`, with temporary files in the folder `staging`.
    pub fn new(lake: Lake, pins: Arc<Pins>, storage: Storage, staging: PathBuf) -> Self {
        Self { lake, pins, storage, staging }
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
        let mut folder = Folder::new(self.storage.clone(), &request.name, &spool);
        let outcome = self.write(request, author, &mut folder, progress).await;
        if outcome.is_err()
            && let Err(err) = folder.remove().await
        {
            tracing::warn!(cause = %err, "cannot remove what a failed export has written");
        }
        outcome
    }

    async fn write(
        &self,
        request: &Request,
        author: &Principal,
        folder: &mut Folder,
        progress: &Progress,
    ) -> Result<Exported> {
        progress.phase("read snapshot", "rows", None);
        let engine = self.engine(request).await?;
        let (about, files) = if request.format.is_text() {
            write_text(&engine, request, author, folder, progress).await?
        } else {
            let mut opened = rows::open(&engine, request, author, progress).await?;
            progress.phase("write rows", "rows", None);
            let files = shards::write(&mut opened, request, folder, engine.threads(), progress).await?;
            (opened.about, files)
        };
        let record = record(request, about, files)?;
        if request.format == Format::Arrow {
            let metadata = arrow::metadata(
                &record.schema_fingerprint,
                &record.files,
                request.shard_bytes,
                request.compression,
            );
            let text = serde_json::to_vec_pretty(&metadata);
            let text = text.map_err(|err| Error::internal("write JSON").with_source(err))?;
            tokio::fs::write(folder.spooled(arrow::METADATA), text).await?;
            folder.add(arrow::METADATA).await?;
        }
        progress.phase("store files", "files", None);
        let sha256 = folder.complete(&record, progress).await?;
        let Record { snapshot_id, files, rows, bytes, .. } = record;
        Ok(Exported { uri: folder.uri(), manifest: folder.manifest_uri(), snapshot_id, files, rows, bytes, sha256 })
    }

    /// The engine in which the snapshot is the newest.
    async fn engine(&self, request: &Request) -> Result<Engine> {
        match &request.at {
            None => Ok(self.lake.engine().clone()),
            Some(name) => {
                let id = self.pins.resolve(name.clone()).await?;
                self.pins.get(id).await
            }
        }
    }
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
    let ending = if request.format == Format::Json { "jsonl" } else { "csv" };
    match request.compression {
        Compression::Gzip => format!("data.{ending}.gz"),
        Compression::Zstd => format!("data.{ending}.zst"),
        _ => format!("data.{ending}"),
    }
}

fn record(request: &Request, about: About, files: Vec<ExportedFile>) -> Result<Record> {
    let (table, query) = match &request.rows {
        Rows::Table(table) => (Some(table.to_string()), None),
        Rows::Query(query) => (None, Some(query.clone())),
    };
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
        rows: files.iter().map(|file| file.rows).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        written_by: concat!("merganser ", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}
