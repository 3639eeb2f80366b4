//! The rows of an execution.

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::{engine::BatchStream, error::Error};

/// The rows of an execution.
#[derive(Debug)]
pub enum Rows {
    /// All of them are available.
    Complete(SchemaRef, Vec<RecordBatch>),
    /// They are produced as they are read.
    Stream(Box<BatchStream>),
}

// === impl Rows ===

impl Rows {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        match self {
            Self::Complete(schema, _) => SchemaRef::clone(schema),
            Self::Stream(stream) => stream.schema(),
        }
    }

    /// Resolves once the first rows are available.
    pub(super) async fn ready(&mut self) {
        if let Self::Stream(stream) = self {
            stream.ready().await;
        }
    }

    /// The failure that preceded all rows, if [`ready`](Self::ready) received one.
    pub(super) fn failed_first(&mut self) -> Option<Error> {
        match self {
            Self::Stream(stream) => stream.failed_first(),
            Self::Complete(..) => None,
        }
    }

    /// The number of rows, if known.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Complete(_, batches) => Some(batches.iter().map(RecordBatch::num_rows).sum()),
            Self::Stream(_) => None,
        }
    }
}
