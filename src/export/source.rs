//! One side of a comparison: the rows of a table, of a query, or of the files of an export.

use std::{
    fs::File,
    path::{Component, Path, PathBuf},
};

use arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    error::ArrowError,
    ipc::{convert::try_schema_from_ipc_buffer, reader::FileReader},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{
    lance::{self, Lance},
    record::{ExportedFile, Located, Record},
    request::Format,
    rows::Opened,
    webdataset,
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
    batches: mpsc::Receiver<RecordBatch>,
    /// What sends them; `None` once its outcome is known.
    reading: Option<AbortOnDropHandle<Result<()>>>,
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
            Self::Rows(opened) => opened.next().await,
            Self::Files(files) => files.next().await,
        }
    }

    /// Ends reading.
    ///
    /// # Errors
    /// `DataLoss` if what was read of files is not what was written.
    pub async fn settle(&mut self) -> Result<()> {
        match self {
            Self::Rows(_) => Ok(()),
            Self::Files(files) => files.settle().await,
        }
    }
}

// === impl Files ===

impl Files {
    /// Opens the files of an export; those of a bucket are downloaded to a folder in `staging`, one at a time.
    ///
    /// # Errors
    /// `Unsupported` for text files, whose values have no types; `DataLoss` for a file that cannot be read; errors of the
    /// store. That a file is not what was written is told after its last rows, or by [`Source::settle`].
    pub async fn open(storage: &Storage, located: Located, staging: &Path, lance: &Lance) -> Result<Self> {
        let format = located.record.format()?;
        format.check_typed()?;
        let fetcher = Fetcher { storage: storage.clone(), located, format, folder: tempfile::tempdir_in(staging)? };
        if format.is_lance() {
            return fetcher.open_lance(lance).await;
        }
        let Some(first) = fetcher.located.record.files.first() else {
            return Err(Error::new(ErrorKind::DataLoss, "the export has no files"));
        };
        let here = fetcher.fetch(first).await?;
        let schema = match schema_of(&here, &fetcher.located.record, format) {
            Ok(schema) => schema,
            Err(err) => return Err(fetcher.check(first, &here).await.err().unwrap_or(err)),
        };
        let columns = SchemaRef::clone(&schema);
        Ok(Self::start(schema, async move |sender| fetcher.send_all(here, &columns, &sender).await))
    }

    fn start<F>(schema: SchemaRef, send: impl FnOnce(mpsc::Sender<RecordBatch>) -> F) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (sender, batches) = mpsc::channel(2);
        let reading = AbortOnDropHandle::new(tokio::spawn(send(sender)));
        Self { schema, batches, reading: Some(reading) }
    }

    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        match self.batches.recv().await {
            Some(batch) => Some(Ok(batch)),
            None => self.outcome().await.err().map(Err),
        }
    }

    async fn settle(&mut self) -> Result<()> {
        self.batches.close();
        while self.batches.recv().await.is_some() {}
        self.outcome().await
    }

    async fn outcome(&mut self) -> Result<()> {
        match self.reading.take() {
            None => Ok(()),
            Some(reading) => reading.await.unwrap_or_else(|_| Err(gave_up())),
        }
    }
}

// === impl Fetcher ===

impl Fetcher {
    /// Opens a dataset, for which all of its files are needed.
    async fn open_lance(self, lance: &Lance) -> Result<Files> {
        for file in &self.located.record.files {
            let here = self.fetch(file).await?;
            self.check(file, &here).await?;
        }
        let path = self.located.series.path(&self.located.time, lance::FOLDER);
        let here = self.storage.local_path(&path).unwrap_or_else(|| self.folder.path().join(lance::FOLDER));
        let mut rows = lance.read(here).await?;
        Ok(Files::start(rows.schema(), async move |sender| {
            // The files are needed until then.
            let _fetched = self.folder;
            while let Some(batch) = rows.next().await {
                if sender.send(batch?).await.is_err() {
                    break;
                }
            }
            Ok(())
        }))
    }

    async fn send_all(&self, first: PathBuf, schema: &SchemaRef, sender: &mpsc::Sender<RecordBatch>) -> Result<()> {
        let mut fetched = Some(first);
        for file in &self.located.record.files {
            if sender.is_closed() {
                return Ok(());
            }
            let path = match fetched.take() {
                Some(first) => first,
                None => self.fetch(file).await?,
            };
            let (sender, format, of, schema) = (sender.clone(), self.format, path.clone(), SchemaRef::clone(schema));
            let reading = tokio::task::spawn_blocking(move || {
                read_file(&of, format, &schema, &mut |batch| sender.blocking_send(batch).is_ok())
            });
            // At the same time. What a damaged file seems to hold is not told.
            let (read, checked) = tokio::join!(reading, self.check(file, &path));
            checked?;
            read.unwrap_or_else(|_| Err(gave_up()))?;
            if path.starts_with(self.folder.path()) {
                tokio::fs::remove_file(&path).await?;
            }
        }
        Ok(())
    }

    /// The path of a file on this machine, not checked.
    async fn fetch(&self, file: &ExportedFile) -> Result<PathBuf> {
        if !Path::new(&file.path).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::new(ErrorKind::DataLoss, format!("\"{}\" is no file of an export", file.path)));
        }
        let path = self.located.series.path(&self.located.time, &file.path);
        if let Some(here) = self.storage.local_path(&path) {
            return Ok(here);
        }
        let target = self.folder.path().join(&file.path);
        tokio::fs::create_dir_all(target.parent().unwrap_or_else(|| self.folder.path())).await?;
        self.storage.download(&path, &target).await.map_err(missing)?;
        Ok(target)
    }

    /// Compares the checksum of a file.
    async fn check(&self, file: &ExportedFile, here: &Path) -> Result<()> {
        let Copied { bytes, sha256 } = Storage::checksum(here).await.map_err(missing)?;
        if (bytes, &sha256) == (file.bytes, &file.sha256) {
            return Ok(());
        }
        let uri = self.storage.uri(&self.located.series.path(&self.located.time, &file.path));
        let expected = &file.sha256;
        Err(Error::new(
            ErrorKind::DataLoss,
            format!("\"{uri}\" is not what was exported: its SHA-256 is {sha256}, and was {expected}"),
        ))
    }
}

fn gave_up() -> Error {
    Error::new(ErrorKind::DataLoss, "a reader gave up")
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

/// The columns of a file.
fn schema_of(path: &Path, record: &Record, format: Format) -> Result<SchemaRef> {
    let file = File::open(path)?;
    match format {
        Format::Webdataset => {
            let unreadable = || Error::new(ErrorKind::DataLoss, "the export does not say which columns it has");
            record.arrow_schema.as_deref().and_then(decode_schema).ok_or_else(unreadable)
        }
        Format::Arrow => {
            let reader = FileReader::try_new_buffered(file, None).map_err(|err| unreadable(path, &err))?;
            Ok(reader.schema())
        }
        _ => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|err| unreadable(path, &err))?;
            Ok(SchemaRef::clone(builder.schema()))
        }
    }
}

/// A schema as Parquet files have it: a message of Arrow behind its length.
fn decode_schema(text: &str) -> Option<SchemaRef> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    try_schema_from_ipc_buffer(&bytes).ok().map(SchemaRef::new)
}

/// Passes the rows of a file to `each`, until that returns false.
fn read_file(path: &Path, format: Format, schema: &SchemaRef, each: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
    if format == Format::Webdataset {
        return webdataset::read(path, schema, each);
    }
    let file = File::open(path)?;
    if format == Format::Arrow {
        let batches = FileReader::try_new_buffered(file, None).map_err(|err| unreadable(path, &err))?;
        return pass_on(path, batches, each).map(|_| ());
    }
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|err| unreadable(path, &err))?;
    // A batch of several row groups could be larger than any of them.
    for group in 0..metadata.metadata().num_row_groups() {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.try_clone()?, metadata.clone());
        let builder = builder.with_row_groups(vec![group]).with_batch_size(PARQUET_ROWS);
        if !pass_on(path, builder.build().map_err(|err| unreadable(path, &err))?, each)? {
            break;
        }
    }
    Ok(())
}

/// Passes rows to `each`; whether it wants more.
fn pass_on(
    path: &Path,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    each: &mut dyn FnMut(RecordBatch) -> bool,
) -> Result<bool> {
    for batch in batches {
        if !each(batch.map_err(|err| unreadable(path, &err))?) {
            return Ok(false);
        }
    }
    Ok(true)
}
