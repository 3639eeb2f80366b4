//! One side of a comparison: the rows of a table, of a query, or of the files of an export.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef, error::ArrowError, ipc::reader::FileReader};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{
    record::{ExportedFile, Located},
    request::Format,
    rows::Opened,
};
use crate::{
    error::{Error, ErrorKind, Result},
    storage::{Copied, Storage},
};

/// The number of rows that are read at a time from Parquet.
const PARQUET_ROWS: usize = 8192;

/// Rows in their order.
#[derive(Debug)]
pub enum Source {
    /// That DuckDB reads.
    Rows(Box<Opened>),
    /// That are read from files.
    Files(Files),
}

/// The rows of the files of an export.
#[derive(Debug)]
pub struct Files {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch>>,
}

/// Gets the files of an export to this machine one after the other, and compares their checksums.
#[derive(Debug)]
struct Fetcher {
    storage: Storage,
    located: Located,
    format: Format,
    folder: TempDir,
}

// === impl Source ===

impl Source {
    /// The columns.
    pub fn schema(&self) -> &SchemaRef {
        match self {
            Self::Rows(opened) => &opened.schema,
            Self::Files(files) => &files.schema,
        }
    }

    /// The next rows.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        match self {
            Self::Rows(opened) => opened.stream.next().await,
            Self::Files(files) => files.batches.recv().await,
        }
    }
}

// === impl Files ===

impl Files {
    /// Opens the files of an export; those of a bucket are downloaded to a folder in `staging`, one at a time.
    ///
    /// # Errors
    /// `Unsupported` for text files, whose values have no types; `DataLoss` for a file that is not what was written; errors
    /// of the store.
    pub async fn open(storage: &Storage, located: Located, staging: &Path) -> Result<Self> {
        let format = located.record.format()?;
        format.check_typed()?;
        let fetcher = Fetcher { storage: storage.clone(), located, format, folder: tempfile::tempdir_in(staging)? };
        let Some(first) = fetcher.located.record.files.first() else {
            return Err(Error::new(ErrorKind::DataLoss, "the export has no files"));
        };
        let first = fetcher.fetch(first).await?;
        let (schema, _) = open_file(&first, format)?;
        let (sender, batches) = mpsc::channel(2);
        tokio::spawn(async move {
            // Without a receiver nobody wants to know.
            if let Err(err) = fetcher.send_all(first, &sender).await {
                let _ = sender.send(Err(err)).await;
            }
        });
        Ok(Self { schema, batches })
    }
}

// === impl Fetcher ===

impl Fetcher {
    async fn send_all(&self, first: PathBuf, sender: &mpsc::Sender<Result<RecordBatch>>) -> Result<()> {
        let mut fetched = Some(first);
        for file in &self.located.record.files {
            let path = match fetched.take() {
                Some(first) => first,
                None => self.fetch(file).await?,
            };
            let (sender, format, of) = (sender.clone(), self.format, path.clone());
            let sent = tokio::task::spawn_blocking(move || {
                let (_, batches) = open_file(&of, format)?;
                for batch in batches {
                    if sender.blocking_send(Ok(batch.map_err(|err| unreadable(&of, &err))?)).is_err() {
                        break;
                    }
                }
                Ok(())
            });
            sent.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::DataLoss, "a reader gave up")))?;
            if path.starts_with(self.folder.path()) {
                tokio::fs::remove_file(&path).await?;
            }
        }
        Ok(())
    }

    /// The path of a file on this machine.
    async fn fetch(&self, file: &ExportedFile) -> Result<PathBuf> {
        let path = self.located.series.path(&self.located.time, &file.path);
        let here = if let Some(path) = self.storage.local_path(&path) {
            path
        } else {
            let target = self.folder.path().join(&file.path);
            self.storage.download(&path, &target).await.map_err(missing)?;
            target
        };
        let Copied { bytes, sha256 } = Storage::checksum(&here).await.map_err(missing)?;
        if (bytes, &sha256) == (file.bytes, &file.sha256) {
            return Ok(here);
        }
        let (uri, expected) = (self.storage.uri(&path), &file.sha256);
        Err(Error::new(
            ErrorKind::DataLoss,
            format!("\"{uri}\" is not what was exported: its SHA-256 is {sha256}, and was {expected}"),
        ))
    }
}

/// A file of the record that is gone.
fn missing(err: Error) -> Error {
    if err.kind() != ErrorKind::NotFound {
        return err;
    }
    Error::new(ErrorKind::DataLoss, err.message())
}

fn unreadable(path: &Path, err: &dyn std::error::Error) -> Error {
    let name = path.file_name().unwrap_or_default().display();
    Error::new(ErrorKind::DataLoss, format!("read \"{name}\": it cannot be read")).with_source(err.to_string())
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

fn open_file(path: &Path, format: Format) -> Result<(SchemaRef, Batches)> {
    let file = File::open(path)?;
    if format == Format::Arrow {
        let reader = FileReader::try_new_buffered(file, None).map_err(|err| unreadable(path, &err))?;
        return Ok((reader.schema(), Box::new(reader)));
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|err| unreadable(path, &err))?;
    let schema = SchemaRef::clone(builder.schema());
    let reader = builder.with_batch_size(PARQUET_ROWS).build().map_err(|err| unreadable(path, &err))?;
    Ok((schema, Box::new(reader)))
}
