//! The files of an export, one after the other: while one group of rows is encoded, the next is computed.

use std::{mem, path::Path};

use arrow::datatypes::SchemaRef;
use tokio::task::JoinHandle;

use super::{
    arrow::ArrowFile,
    digest::Written,
    folder::Folder,
    group::{Group, GroupLimits, Groups},
    parquet::ParquetFile,
    record::ExportedFile,
    request::{Format, ShardSettings},
    rows::Opened,
    samples,
    webdataset::{self, TarFile},
};
use crate::{
    error::{Error, Result},
    jobs::Progress,
};

/// A row group of Parquet is read whole by the viewer of the Hub, unless it has a page index.
const ROW_GROUP: GroupLimits = GroupLimits { bytes: 64 << 20, rows: 1 << 17 };
/// A batch of Arrow.
const BATCH: GroupLimits = GroupLimits { bytes: 8 << 20, rows: 1 << 16 };

/// A file that is being written.
#[derive(Debug)]
enum Shard {
    Parquet(Box<ParquetFile>),
    Arrow(Box<ArrowFile>),
    Tar(Box<TarFile>),
}

/// The files.
#[derive(Debug)]
struct Shards<'a> {
    settings: &'a ShardSettings,
    spool: &'a Path,
    /// Where complete files go at once, if anywhere.
    folder: Option<&'a mut Folder>,
    schema: SchemaRef,
    /// Those that are complete.
    complete: Vec<ExportedFile>,
    /// The one that is not, which a group is added to.
    open: Option<JoinHandle<Result<Shard>>>,
}

/// Writes all rows to files in `spool`. Returns the files.
///
/// # Errors
/// Cancelled; errors of the query, the disk and the store.
pub async fn write(
    opened: &mut Opened,
    settings: &ShardSettings,
    spool: &Path,
    folder: Option<&mut Folder>,
    progress: &Progress,
) -> Result<Vec<ExportedFile>> {
    let limits = if settings.format == Format::Parquet { ROW_GROUP } else { BATCH };
    // A file ends with a group.
    let limits = GroupLimits { bytes: limits.bytes.min(settings.shard_bytes), ..limits };
    let schema = SchemaRef::clone(&opened.schema);
    let together = if settings.format == Format::Webdataset { webdataset::together(&schema)? } else { None };
    let mut groups = Groups::new(limits, together);
    let mut shards = Shards { settings, spool, folder, schema, complete: Vec::new(), open: None };
    while let Some(batch) = progress.unless_cancelled(async { Ok(opened.next().await) }).await? {
        let batch = batch?;
        let rows = batch.num_rows() as u64;
        let complete = groups.push(batch);
        if together.is_some() {
            samples::check_size(&groups)?;
        }
        for group in complete {
            shards.write(group).await?;
        }
        progress.advance(rows);
    }
    if let Some(rest) = groups.finish() {
        shards.write(rest).await?;
    }
    shards.finish().await
}

// === impl Shards ===

impl Shards<'_> {
    async fn write(&mut self, group: Group) -> Result<()> {
        let mut shard = match self.wait().await? {
            Some(shard) if shard.bytes() >= self.settings.shard_bytes => {
                self.close(shard).await?;
                self.create(Some(&group))?
            }
            Some(shard) => shard,
            None => self.create(Some(&group))?,
        };
        self.open = Some(tokio::task::spawn_blocking(move || {
            shard.write(&group)?;
            Ok(shard)
        }));
        Ok(())
    }

    /// The open file, when its last group was added.
    async fn wait(&mut self) -> Result<Option<Shard>> {
        let Some(writing) = mem::take(&mut self.open) else { return Ok(None) };
        writing.await.map_err(|err| Error::internal("write a file of an export").with_source(err))?.map(Some)
    }

    /// A new file, which begins with a group.
    fn create(&self, first: Option<&Group>) -> Result<Shard> {
        let (path, schema) = (self.spool.join(self.name()), &self.schema);
        Ok(match self.settings.format {
            Format::Arrow => Shard::Arrow(Box::new(ArrowFile::create(&path, schema, self.settings.compression)?)),
            Format::Webdataset => {
                let before = self.complete.iter().map(|file| file.rows).sum();
                Shard::Tar(Box::new(TarFile::create(&path, schema, before)?))
            }
            _ => Shard::Parquet(Box::new(ParquetFile::create(&path, schema, first, self.settings)?)),
        })
    }

    async fn close(&mut self, shard: Shard) -> Result<()> {
        let written = tokio::task::spawn_blocking(move || shard.finish()).await;
        let Written { rows, bytes, sha256 } =
            written.map_err(|err| Error::internal("write a file of an export").with_source(err))??;
        let path = self.name();
        if let Some(folder) = &mut self.folder {
            folder.add(&path).await?;
        }
        self.complete.push(ExportedFile { path, rows, bytes, sha256 });
        Ok(())
    }

    /// Of no rows there is an empty file, which has the columns.
    async fn finish(mut self) -> Result<Vec<ExportedFile>> {
        match self.wait().await? {
            Some(shard) => self.close(shard).await?,
            None => self.close(self.create(None)?).await?,
        }
        Ok(self.complete)
    }

    /// The name of the next file.
    fn name(&self) -> String {
        format!("{}-{:05}.{}", self.settings.prefix, self.complete.len(), self.settings.format.ending())
    }
}

// === impl Shard ===

impl Shard {
    fn write(&mut self, group: &Group) -> Result<()> {
        match self {
            Self::Parquet(file) => file.write(group),
            Self::Arrow(file) => file.write(group),
            Self::Tar(file) => file.write(group),
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Parquet(file) => file.bytes(),
            Self::Arrow(file) => file.bytes(),
            Self::Tar(file) => file.bytes(),
        }
    }

    fn finish(self) -> Result<Written> {
        match self {
            Self::Parquet(file) => file.finish(),
            Self::Arrow(file) => file.finish(),
            Self::Tar(file) => file.finish(),
        }
    }
}
