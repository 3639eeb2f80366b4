//! Arrow IPC files: shards that can be mapped into memory, and `_metadata.json` beside them.

use std::{fmt, path::Path, sync::Arc};

use arrow::{
    compute::concat_batches,
    datatypes::SchemaRef,
    error::ArrowError,
    ipc::{
        CompressionType,
        writer::{FileWriter, IpcWriteOptions},
    },
};
use serde_json::{Value, json};

use super::{
    digest::{DigestFile, Written, failed},
    group::Group,
    record::ExportedFile,
    request::Compression,
};
use crate::error::Result;

/// A shard that is being written.
pub struct ArrowFile {
    schema: SchemaRef,
    writer: FileWriter<DigestFile>,
    rows: u64,
    /// The size of the values.
    bytes: u64,
}

// === impl ArrowFile ===

impl ArrowFile {
    /// A new shard at `path`.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn create(path: &Path, schema: &SchemaRef, compression: Compression) -> Result<Self> {
        let options = IpcWriteOptions::default().try_with_compression(codec(compression));
        let file = DigestFile::create(path)?;
        let writer = options.and_then(|options| FileWriter::try_new_with_options(file, schema, options));
        Ok(Self { schema: Arc::clone(schema), writer: writer.map_err(|err| failed(&err))?, rows: 0, bytes: 0 })
    }

    /// Adds rows as a batch.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn write(&mut self, group: &Group) -> Result<()> {
        let batch = concat_batches(&self.schema, &group.batches);
        batch.and_then(|batch| self.writer.write(&batch)).map_err(|err| failed(&err))?;
        self.rows += group.rows as u64;
        self.bytes += group.bytes;
        Ok(())
    }

    /// The size of the values so far, before compression.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the end, and syncs the file.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn finish(self) -> Result<Written> {
        let file: Result<_, ArrowError> = self.writer.into_inner();
        file.map_err(|err| failed(&err))?.finish(self.rows)
    }
}

/// What readers of the shards must know.
pub fn metadata(
    fingerprint: &str,
    shards: &[ExportedFile],
    shard_bytes: Option<u64>,
    compression: Compression,
) -> Value {
    let counts: Vec<_> = shards.iter().map(|shard| shard.rows).collect();
    let names: Vec<_> = shards.iter().map(|shard| &shard.path).collect();
    let mut metadata = json!({
        "cache_format_version": 1,
        "format": "arrow",
        "layout": "arrow-shards",
        "schema_fingerprint": fingerprint,
        "num_rows": counts.iter().sum::<u64>(),
        "num_shards": shards.len(),
        "shard_row_counts": counts,
        "shard_filenames": names,
        "shard_size_target_bytes": shard_bytes,
    });
    if let Some(name) = compression_name(compression) {
        metadata["compression"] = name.into();
    }
    metadata
}

impl fmt::Debug for ArrowFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrowFile").field("rows", &self.rows).finish_non_exhaustive()
    }
}

fn compression_name(compression: Compression) -> Option<&'static str> {
    match codec(compression)? {
        CompressionType::LZ4_FRAME => Some("lz4"),
        CompressionType::ZSTD => Some("zstd"),
        _ => None,
    }
}

fn codec(compression: Compression) -> Option<CompressionType> {
    match compression {
        Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
        Compression::Zstd => Some(CompressionType::ZSTD),
        Compression::FormatDefault | Compression::None | Compression::Snappy | Compression::Gzip => None,
    }
}
