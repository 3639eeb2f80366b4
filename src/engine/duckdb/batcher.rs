//! Makes batches of chunks.

use std::{collections::VecDeque, sync::Arc};

use arrow::{array::RecordBatch, compute::concat_batches};
use duckdb::ffi;
use merganser_planner::Vector;

use super::{batch::BatchBuilder, layout::Layout};
use crate::error::{Error, Result};

/// The size of the batches of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// A batch is complete once it is this large …
    pub bytes: usize,
    /// … or has this many rows.
    pub rows: usize,
}

/// Appends rows to a batch, until it is complete, and then to the next.
pub(super) struct Batcher {
    layout: Arc<Layout>,
    limits: BatchLimits,
    rows: Rows,
    complete: VecDeque<RecordBatch>,
}

/// The rows of the batch under construction.
enum Rows {
    Built(BatchBuilder),
    /// By DuckDB's own conversion.
    Converted {
        parts: Vec<RecordBatch>,
        rows: usize,
        bytes: usize,
    },
}

/// A chunk, as it is and by its columns.
pub(super) struct Chunk<'a> {
    pub(super) raw: ffi::duckdb_data_chunk,
    pub(super) columns: &'a [Vector],
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { bytes: 1 << 20, rows: 1 << 16 }
    }
}

// === impl Batcher ===

impl Batcher {
    pub(super) fn new(layout: &Arc<Layout>, limits: BatchLimits) -> Self {
        let rows = match &layout.forms {
            Some(forms) => Rows::Built(BatchBuilder::new(&layout.schema, forms)),
            None => Rows::Converted { parts: Vec::new(), rows: 0, bytes: 0 },
        };
        Self { layout: Arc::clone(layout), limits, rows, complete: VecDeque::new() }
    }

    /// Appends the rows of a chunk from row `from` on, until a batch is complete: of wide rows, a chunk has many batches.
    /// Returns the first row that is left, or the number of rows.
    ///
    /// # Errors
    /// Unsupported for a value that no batch can hold; errors of DuckDB's conversion.
    ///
    /// # Safety
    /// The chunk is alive, and has the columns of the layout.
    pub(super) unsafe fn append(&mut self, chunk: &Chunk<'_>, from: usize) -> Result<usize> {
        let room = self.limits.rows.saturating_sub(self.count()).max(1);
        // SAFETY: by the caller.
        unsafe {
            let rows = usize::try_from(ffi::duckdb_data_chunk_get_size(chunk.raw)).unwrap_or(0);
            let Rows::Built(builder) = &mut self.rows else {
                let batch = self.layout.convert(chunk.raw)?;
                return self.push(&batch).map(|()| rows);
            };
            let mut next = from..rows.min(from + room);
            while builder.measure(chunk.columns, &next) > self.limits.bytes && next.len() > 1 {
                next.end = next.start + next.len() / 2;
            }
            builder.append(chunk.columns, &next)?;
            self.complete_if_full()?;
            Ok(next.end)
        }
    }

    /// Appends converted rows.
    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            let room = self.limits.rows.saturating_sub(self.count()).max(1);
            let Rows::Converted { parts, rows, bytes } = &mut self.rows else { return Ok(()) };
            let part = batch.slice(start, room.min(batch.num_rows() - start));
            start += part.num_rows();
            *rows += part.num_rows();
            *bytes += batch.get_array_memory_size() * part.num_rows() / batch.num_rows();
            parts.push(part);
            self.complete_if_full()?;
        }
        Ok(())
    }

    fn count(&self) -> usize {
        match &self.rows {
            Rows::Built(builder) => builder.rows(),
            Rows::Converted { rows, .. } => *rows,
        }
    }

    fn complete_if_full(&mut self) -> Result<()> {
        let bytes = match &self.rows {
            Rows::Built(builder) => builder.bytes(),
            Rows::Converted { bytes, .. } => *bytes,
        };
        if self.count() >= self.limits.rows || bytes >= self.limits.bytes { self.flush() } else { Ok(()) }
    }

    /// Completes the batch with the rows that it has.
    ///
    /// # Errors
    /// Internal if the rows do not match the schema.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.count() == 0 {
            return Ok(());
        }
        let batch = match &mut self.rows {
            Rows::Built(builder) => builder.finish()?,
            Rows::Converted { parts, rows, bytes } => {
                (*rows, *bytes) = (0, 0);
                match std::mem::take(parts).as_slice() {
                    [only] => only.clone(),
                    parts => concat_batches(&self.layout.schema, parts)
                        .map_err(|err| Error::internal("put batches together").with_source(err))?,
                }
            }
        };
        self.complete.push_back(batch);
        Ok(())
    }

    /// The next complete batch.
    pub(super) fn pop(&mut self) -> Option<RecordBatch> {
        self.complete.pop_front()
    }
}
