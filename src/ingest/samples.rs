//! WebDataset shards: their samples become rows of temporary Parquet files, which are loaded like all others.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use arrow::{array::RecordBatch, compute::concat_batches, datatypes::SchemaRef};

use super::{
    assets::Assets,
    load::Loaded,
    media_columns::{self, Table, Tables},
    source::{Content, DataFile, Files},
    webdataset::Shards,
    work::Work,
};
use crate::{
    engine::{Connection, Inflow},
    error::{Error, Result},
    jobs::Progress,
    quote::literal,
};

/// The size of a temporary file, before it is encoded: it is in memory until then.
const FILE_BYTES: usize = 64 << 20;

/// Loads the samples as one table.
///
/// # Errors
/// `InvalidArgument` for shards that are damaged or contain no samples, and for what [`media_columns`] refuses.
pub async fn load(work: &Work<'_>, files: &Files, assets: &Assets) -> Result<Loaded> {
    work.progress.phase("read samples", "bytes", None);
    let place = |file: &DataFile| Ok::<_, Error>((file.path()?.to_owned(), file.name.clone()));
    let mut shards = BTreeMap::<_, Vec<_>>::new();
    for file in &files.data {
        shards.entry(file.split.clone()).or_default().push(place(file)?);
    }
    let (folder, progress) = (work.spool.join("samples"), work.progress.clone());
    std::fs::create_dir_all(&folder)?;
    let writing = move |connection: &Connection| {
        let mut tables = Tables::new();
        for (split, shards) in shards {
            let shards = Shards::inspect(shards, &mut |_| progress.check())?;
            let first = tables.values().map(Vec::len).sum();
            let mut writer = Writer::new(connection, shards.schema(), folder.clone(), first, &progress);
            shards.read(&mut |batch| writer.push(batch))?;
            tables.insert(split, writer.finish()?);
        }
        Ok(tables)
    };
    let tables = work.lake.engine().lease().await?.worker().run_until(work.progress.cancelled(), writing).await?;
    media_columns::load(work, tables, assets).await
}

/// Writes batches to files of a limited size.
struct Writer<'c> {
    connection: &'c Connection,
    schema: SchemaRef,
    folder: PathBuf,
    /// The number of files of other writers.
    first: usize,
    progress: &'c Progress,
    batches: Vec<RecordBatch>,
    bytes: usize,
    tables: Vec<Table>,
}

// === impl Writer ===

impl<'c> Writer<'c> {
    fn new(
        connection: &'c Connection,
        schema: SchemaRef,
        folder: PathBuf,
        first: usize,
        progress: &'c Progress,
    ) -> Self {
        Self { connection, schema, folder, first, progress, batches: Vec::new(), bytes: 0, tables: Vec::new() }
    }

    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        self.progress.check()?;
        let bytes = batch.get_array_memory_size();
        self.progress.advance(bytes as u64);
        self.bytes += bytes;
        self.batches.push(batch);
        if self.bytes >= FILE_BYTES { self.write() } else { Ok(()) }
    }

    fn finish(mut self) -> Result<Vec<Table>> {
        self.write()?;
        Ok(self.tables)
    }

    fn write(&mut self) -> Result<()> {
        if self.batches.is_empty() {
            return Ok(());
        }
        let rows = concat_batches(&Arc::clone(&self.schema), &self.batches);
        let rows = rows.map_err(|err| Error::internal("join batches of samples").with_source(err))?;
        self.batches.clear();
        self.bytes = 0;
        let path = self.folder.join(format!("{:06}.parquet", self.first + self.tables.len()));
        let name = path.display().to_string();
        let scan = self.connection.scan(Inflow::complete(rows)?)?;
        let copy = format!("COPY (FROM {}) TO {} (FORMAT parquet)", scan.sql(), literal(&name));
        let written = self.connection.execute(&copy, &[]);
        scan.settle(written)?;
        self.tables.push(Table { pattern: name.clone(), name, content: Content::Here(path) });
        Ok(())
    }
}
