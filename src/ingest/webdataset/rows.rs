//! Samples as rows.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BinaryBuilder, Int64Builder, NullBufferBuilder, RecordBatch, StringBuilder, StructArray},
    datatypes::SchemaRef,
    error::ArrowError,
};

use super::field::{Kind, media_columns};
use crate::error::{Error, Result};

/// A batch is sent when it has this many rows or bytes.
const BATCH_ROWS: usize = 64;
const BATCH_BYTES: u64 = 32 << 20;

/// A sample that is being read.
pub(super) struct Sample {
    pub key: String,
    /// By the index of the field.
    pub values: Vec<Option<Value>>,
    pub bytes: u64,
}

/// The contents of a member, and its name.
pub(super) struct Value {
    pub path: String,
    pub bytes: Vec<u8>,
}

/// Collects samples into batches, and sends them.
pub(super) struct Rows<'a> {
    schema: SchemaRef,
    keys: StringBuilder,
    urls: StringBuilder,
    columns: Vec<Column>,
    rows: usize,
    bytes: u64,
    each: &'a mut dyn FnMut(RecordBatch) -> Result<()>,
}

enum Column {
    Media { bytes: BinaryBuilder, paths: StringBuilder, valid: NullBufferBuilder },
    Text(StringBuilder),
    Integer(Int64Builder),
    Binary(BinaryBuilder),
}

// === impl Sample ===

impl Sample {
    pub fn new(key: &str, fields: usize) -> Self {
        Self { key: key.to_owned(), values: std::iter::repeat_with(|| None).take(fields).collect(), bytes: 0 }
    }
}

// === impl Rows ===

impl<'a> Rows<'a> {
    /// Sends rows of `schema`, with fields of `kinds`, to `each`.
    pub fn new(
        schema: &SchemaRef,
        kinds: impl Iterator<Item = Kind>,
        each: &'a mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Self {
        let (keys, urls) = (StringBuilder::new(), StringBuilder::new());
        Self {
            schema: Arc::clone(schema),
            keys,
            urls,
            columns: kinds.map(Column::new).collect(),
            rows: 0,
            bytes: 0,
            each,
        }
    }

    /// Adds a sample of the shard `url`.
    ///
    /// # Errors
    /// `InvalidArgument` for text that is not UTF-8; errors of the receiver.
    pub fn push(&mut self, url: &str, sample: Sample) -> Result<()> {
        if self.bytes + sample.bytes > BATCH_BYTES {
            self.send()?;
        }
        self.keys.append_value(&sample.key);
        self.urls.append_value(url);
        for (column, value) in self.columns.iter_mut().zip(sample.values) {
            column.append(value)?;
        }
        self.rows += 1;
        self.bytes += sample.bytes;
        if self.rows == BATCH_ROWS { self.send() } else { Ok(()) }
    }

    /// Sends the rows, if there are any.
    ///
    /// # Errors
    /// Those of the receiver.
    pub fn send(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        (self.rows, self.bytes) = (0, 0);
        let batch = self.batch().map_err(|err| Error::internal("make a batch of samples").with_source(err))?;
        (self.each)(batch)
    }

    fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()), Arc::new(self.urls.finish())];
        for column in &mut self.columns {
            columns.push(column.finish()?);
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

// === impl Column ===

impl Column {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Media => {
                let (bytes, paths) = (BinaryBuilder::new(), StringBuilder::new());
                Self::Media { bytes, paths, valid: NullBufferBuilder::new(BATCH_ROWS) }
            }
            Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Binary => Self::Binary(BinaryBuilder::new()),
        }
    }

    fn append(&mut self, value: Option<Value>) -> Result<()> {
        match self {
            Self::Media { bytes, paths, valid } => {
                valid.append(value.is_some());
                paths.append_option(value.as_ref().map(|value| &value.path));
                bytes.append_option(value.map(|value| value.bytes));
            }
            Self::Text(texts) => texts.append_option(value.as_ref().map(Value::text).transpose()?),
            Self::Integer(integers) => integers.append_option(value.as_ref().map(Value::integer).transpose()?),
            Self::Binary(blobs) => blobs.append_option(value.map(|value| value.bytes)),
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Media { bytes, paths, valid } => {
                let columns: Vec<ArrayRef> = vec![Arc::new(bytes.finish()), Arc::new(paths.finish())];
                Arc::new(StructArray::try_new(media_columns(), columns, valid.finish())?)
            }
            Self::Text(texts) => Arc::new(texts.finish()),
            Self::Integer(integers) => Arc::new(integers.finish()),
            Self::Binary(blobs) => Arc::new(blobs.finish()),
        })
    }
}

// === impl Value ===

impl Value {
    fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.bytes)
            .map_err(|err| Error::invalid(format!("\"{}\" is not UTF-8: {err}; convert it", self.path)))
    }

    fn integer(&self) -> Result<i64> {
        let changed = |_| Error::invalid(format!("\"{}\" has changed while it was read; ingest it again", self.path));
        self.text()?.trim().parse().map_err(changed)
    }
}
