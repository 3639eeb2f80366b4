//! The files of an export, one after the other: while one group of rows is encoded, the next is computed.

use std::mem;

use arrow::datatypes::SchemaRef;
use tokio::task::JoinHandle;

use super::{
    arrow::ArrowFile,
    digest::Written,
    folder::Folder,
    group::{Group, GroupLimits, Groups},
    parquet::ParquetFile,
    record::ExportedFile,
    request::{Format, Request},
    rows::Opened,
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
}

/// The files.
#[derive(Debug)]
struct Shards<'a> {
    folder: &'a mut Folder,
    request: &'a Request,
    schema: SchemaRef,
    threads: usize,
    /// Those that are complete.
    complete: Vec<ExportedFile>,
    /// The one that is not, which a group is added to.
    open: Option<JoinHandle<Result<Shard>>>,
}

/// Writes all rows. Returns the files.
///
/// # Errors
/// Cancelled; errors of the query, the disk and the store.
pub async fn write(
    opened: &mut Opened,
    request: &Request,
    folder: &mut Folder,
    threads: usize,
    progress: &Progress,
) -> Result<Vec<ExportedFile>> {
    let limits = if request.format == Format::Parquet { ROW_GROUP } else { BATCH };
    // A file ends with a group.
    let limits = GroupLimits { bytes: limits.bytes.min(request.shard_bytes()), ..limits };
    let schema = SchemaRef::clone(&opened.schema);
    let mut shards = Shards { folder, request, schema, threads, complete: Vec::new(), open: None };
    let mut groups = Groups::new(limits);
    while let Some(batch) = progress.unless_cancelled(async { Ok(opened.stream.next().await) }).await? {
        let batch = batch?;
        let rows = batch.num_rows() as u64;
        for group in groups.push(batch) {
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
            Some(shard) if shard.bytes() >= self.request.shard_bytes() => {
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
        let path = self.folder.spooled(&self.name());
        let (schema, compression) = (&self.schema, self.request.compression);
        Ok(match self.request.format {
            Format::Arrow => Shard::Arrow(Box::new(ArrowFile::create(&path, schema, compression)?)),
            _ => Shard::Parquet(Box::new(ParquetFile::create(&path, schema, first, compression, self.threads)?)),
        })
    }

    async fn close(&mut self, shard: Shard) -> Result<()> {
        let written = tokio::task::spawn_blocking(move || shard.finish()).await;
        let Written { rows, bytes, sha256 } =
            written.map_err(|err| Error::internal("write a file of an export").with_source(err))??;
        let path = self.name();
        self.folder.add(&path).await?;
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
        format!("shard-{:05}.{}", self.complete.len(), self.request.format.name())
    }
}

// === impl Shard ===

impl Shard {
    fn write(&mut self, group: &Group) -> Result<()> {
        match self {
            Self::Parquet(file) => file.write(group),
            Self::Arrow(file) => file.write(group),
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Parquet(file) => file.bytes(),
            Self::Arrow(file) => file.bytes(),
        }
    }

    fn finish(self) -> Result<Written> {
        match self {
            Self::Parquet(file) => file.finish(),
            Self::Arrow(file) => file.finish(),
        }
    }
}
