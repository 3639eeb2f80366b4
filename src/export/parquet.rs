//! Parquet files: a row group at a time, its columns in parallel.
//!
//! The row groups have a page index and a size that the viewer of the Hugging Face Hub reads, and all columns are
//! nullable, as `datasets` expects them.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::{
    array::{ArrayRef, RecordBatch},
    compute::concat,
    datatypes::SchemaRef,
};
use parking_lot::Mutex;
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves},
    },
    basic::{self, ZstdLevel},
    errors::Result as ParquetResult,
    file::{metadata::KeyValue, properties::WriterProperties, writer::SerializedFileWriter},
};

use super::{
    digest::{DigestFile, Written, failed},
    distinct,
    group::Group,
    request::{Compression, ShardSettings},
};
use crate::error::{Error, ErrorKind, Result};

/// A file that is being written.
pub struct ParquetFile {
    schema: SchemaRef,
    writer: SerializedFileWriter<DigestFile>,
    factory: ArrowRowGroupWriterFactory,
    /// The number of leaves of each column.
    leaves: Vec<usize>,
    threads: usize,
    row_groups: usize,
    rows: u64,
}

/// A column of a row group, and the writers of its leaves.
struct Task {
    values: Vec<ArrayRef>,
    writers: Vec<ArrowColumnWriter>,
}

type Encoded = ParquetResult<Vec<ArrowColumnChunk>>;

// === impl ParquetFile ===

impl ParquetFile {
    /// A new file at `path`, which begins with the group `first`.
    ///
    /// # Errors
    /// `InvalidArgument` for columns that Parquet does not have; errors of the disk.
    pub fn create(path: &Path, schema: &SchemaRef, first: Option<&Group>, settings: &ShardSettings) -> Result<Self> {
        let key_values = settings.key_values.iter();
        let key_values = key_values.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let mut properties = WriterProperties::builder()
            .set_compression(codec(settings.compression))
            .set_key_value_metadata(Some(key_values.collect()))
            .set_created_by(concat!("merganser version ", env!("CARGO_PKG_VERSION")).to_owned());
        let sample = first.map(|first| first.head(distinct::SAMPLE)).transpose()?.flatten();
        for (field, column) in schema.fields().iter().zip(sample.iter().flat_map(RecordBatch::columns)) {
            if distinct::is_mostly(column) {
                properties = properties.set_column_dictionary_enabled(field.name().as_str().into(), false);
            }
        }
        let properties = properties.build();
        let writer = ArrowWriter::try_new(DigestFile::create(path)?, Arc::clone(schema), Some(properties));
        let writer = writer.map_err(|err| match failed(&err) {
            err if err.kind() == ErrorKind::Internal => {
                Error::invalid(format!("Parquet cannot hold the columns: {}", err.original()))
            }
            err => err,
        })?;
        let (writer, factory) = writer.into_serialized_writer().map_err(|err| failed(&err))?;
        let mut leaves = vec![0; schema.fields().len()];
        for leaf in 0..writer.schema_descr().num_columns() {
            leaves[writer.schema_descr().get_column_root_idx(leaf)] += 1;
        }
        Ok(Self {
            schema: Arc::clone(schema),
            writer,
            factory,
            leaves,
            threads: settings.threads,
            row_groups: 0,
            rows: 0,
        })
    }

    /// Adds rows as a row group.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn write(&mut self, group: &Group) -> Result<()> {
        self.try_write(group).map_err(|err| failed(&err))?;
        self.row_groups += 1;
        self.rows += group.rows as u64;
        Ok(())
    }

    fn try_write(&mut self, group: &Group) -> ParquetResult<()> {
        let mut writers = self.factory.create_column_writers(self.row_groups)?.into_iter();
        let columns = self.leaves.iter().enumerate().map(|(at, leaves)| {
            let values = group.batches.iter().map(|batch| Arc::clone(batch.column(at))).collect();
            Task { values, writers: writers.by_ref().take(*leaves).collect() }
        });
        let tasks: Vec<_> = columns.map(|task| Mutex::new(Some(task))).collect();
        let encoded: Vec<Mutex<Option<Encoded>>> = tasks.iter().map(|_| Mutex::default()).collect();
        let next = AtomicUsize::new(0);
        let encode = || {
            while let at = next.fetch_add(1, Ordering::Relaxed)
                && let Some(task) = tasks.get(at).and_then(|task| task.lock().take())
            {
                *encoded[at].lock() = Some(task.encode(&self.schema, at));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads.min(tasks.len()) {
                scope.spawn(encode);
            }
            encode();
        });
        let mut row_group = self.writer.next_row_group()?;
        for column in encoded {
            for chunk in column.into_inner().transpose()?.unwrap_or_default() {
                chunk.append_to_row_group(&mut row_group)?;
            }
        }
        row_group.close().map(|_| ())
    }

    /// The number of bytes so far.
    pub fn bytes(&self) -> u64 {
        self.writer.bytes_written() as u64
    }

    /// Writes the end, and syncs the file.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn finish(self) -> Result<Written> {
        let file = self.writer.into_inner().map_err(|err| failed(&err))?;
        file.finish(self.rows)
    }
}

// === impl Task ===

impl Task {
    /// As one array, so that pages do not depend on the batches.
    fn encode(mut self, schema: &SchemaRef, at: usize) -> Encoded {
        let values: Vec<_> = self.values.iter().map(AsRef::as_ref).collect();
        let column = concat(&values)?;
        drop(self.values);
        for (leaf, writer) in compute_leaves(schema.field(at), &column)?.iter().zip(&mut self.writers) {
            writer.write(leaf)?;
        }
        self.writers.into_iter().map(ArrowColumnWriter::close).collect()
    }
}

fn codec(compression: Compression) -> basic::Compression {
    match compression {
        Compression::None => basic::Compression::UNCOMPRESSED,
        Compression::FormatDefault | Compression::Snappy => basic::Compression::SNAPPY,
        Compression::Gzip => basic::Compression::GZIP(basic::GzipLevel::default()),
        Compression::Lz4 => basic::Compression::LZ4_RAW,
        Compression::Zstd => basic::Compression::ZSTD(ZstdLevel::default()),
    }
}

impl fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetFile").field("rows", &self.rows).finish_non_exhaustive()
    }
}
