//! Rows of text on their way into DuckDB.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use tokio::runtime::Handle;

use crate::{
    engine::InflowSender,
    error::{Error, Result},
    jobs::Progress,
};

/// A batch is sent when it has this many rows or bytes.
const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 4 << 20;

/// Collects rows into batches, and sends them.
#[derive(Debug)]
pub(super) struct Feed {
    schema: SchemaRef,
    sender: InflowSender,
    runtime: Handle,
    progress: Progress,
    /// The number of rows that may still be sent.
    left: u64,
    files: StringBuilder,
    lines: Int64Builder,
    texts: Vec<StringBuilder>,
    rows: usize,
    bytes: usize,
}

/// The columns of staged rows: the file, the line, and the texts "0", "1", ….
pub(super) fn schema(width: usize) -> SchemaRef {
    let place = [Field::new("file", DataType::Utf8, false), Field::new("line", DataType::Int64, false)];
    let texts = (0..width).map(|index| Field::new(index.to_string(), DataType::Utf8, true));
    Schema::new(place.into_iter().chain(texts).collect::<Vec<_>>()).into()
}

// === impl Feed ===

impl Feed {
    /// Sends at most `max_rows` rows of `schema` through `sender`.
    pub fn new(
        schema: SchemaRef,
        sender: InflowSender,
        runtime: Handle,
        progress: Progress,
        max_rows: Option<u64>,
    ) -> Self {
        let texts = (2..schema.fields().len()).map(|_| StringBuilder::new()).collect();
        let left = max_rows.unwrap_or(u64::MAX);
        let (files, lines) = (StringBuilder::new(), Int64Builder::new());
        Self { schema, sender, runtime, progress, left, files, lines, texts, rows: 0, bytes: 0 }
    }

    /// Adds a row; returns whether another one may follow.
    ///
    /// # Errors
    /// Cancelled.
    pub fn push(&mut self, file: &str, line: u64, texts: &[Option<&str>]) -> Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        self.files.append_value(file);
        self.lines.append_value(i64::try_from(line).unwrap_or(i64::MAX));
        for (builder, text) in self.texts.iter_mut().zip(texts) {
            builder.append_option(*text);
            self.bytes += text.map_or(0, str::len);
        }
        self.rows += 1;
        if self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.send()?;
        }
        Ok(true)
    }

    /// Sends the last rows, or the failure of what has read them.
    pub fn finish(mut self, outcome: Result<()>) {
        match outcome.and_then(|()| self.send()) {
            Ok(()) => self.sender.finish(),
            Err(err) => self.sender.fail(err),
        }
    }

    fn send(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.progress.check()?;
        let place: [ArrayRef; 2] = [Arc::new(self.files.finish()), Arc::new(self.lines.finish())];
        let texts = self.texts.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), place.into_iter().chain(texts).collect());
        let batch = batch.map_err(|err| Error::internal("make a batch of rows").with_source(err))?;
        self.progress.advance(self.rows as u64);
        (self.rows, self.bytes) = (0, 0);
        self.runtime.block_on(self.sender.send(batch))
    }
}
