//! The rows of an execution: waiting, or with their reader.

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use super::execution::Running;
use crate::{
    engine::BatchStream,
    error::{Error, Result},
};

/// The rows of an execution.
#[derive(Debug)]
pub enum Rows {
    /// All of them are here.
    Complete(SchemaRef, Vec<RecordBatch>),
    /// They come as they are read.
    Stream(Box<BatchStream>),
}

/// The rows of an execution for their reader. Dropping them ends it.
#[derive(Debug)]
pub struct Reading {
    rows: BatchStream,
    _execution: Option<Running>,
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

    /// Resolves once the first rows are there.
    pub(super) async fn ready(&mut self) {
        if let Self::Stream(stream) = self {
            stream.ready().await;
        }
    }

    /// The failure that came before any row, if [`ready`](Self::ready) saw one.
    pub(super) fn failed_first(&mut self) -> Option<Error> {
        match self {
            Self::Stream(stream) => stream.failed_first(),
            Self::Complete(..) => None,
        }
    }

    /// How many rows there are, where that is known.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Complete(_, batches) => Some(batches.iter().map(RecordBatch::num_rows).sum()),
            Self::Stream(_) => None,
        }
    }
}

// === impl Reading ===

impl Reading {
    /// `rows`, and the execution that ends with them.
    pub(super) fn new(rows: BatchStream, execution: Option<Running>) -> Self {
        Self { rows, _execution: execution }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// The next rows, or `None` at the end.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.rows.next().await
    }
}
