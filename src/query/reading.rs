//! The rows of an execution while they are read.

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use super::{
    execution::{Executions, Running},
    rows::Rows,
};
use crate::{
    context::Principal,
    engine::{BatchStream, Reads},
    error::Result,
    ids::ExecutionId,
};

/// The rows of an execution for their reader. Dropping them ends it.
#[derive(Debug)]
pub struct Reading {
    rows: BatchStream,
    _execution: Option<Running>,
}

// === impl Reading ===

impl Reading {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// What the statement's functions read; complete after the last rows. `None` if the rows are not computed any more.
    pub fn reads(&self) -> Option<Arc<Reads>> {
        self.rows.reads()
    }

    /// The next rows, or `None` at the end.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.rows.next().await
    }
}

// === impl Running ===

impl Running {
    /// Passes `rows` to their reader immediately.
    pub fn read(self, rows: Rows) -> Reading {
        self.is_being_read();
        match rows {
            Rows::Stream(rows) => Reading { rows: *rows, _execution: Some(self) },
            Rows::Complete(schema, batches) => {
                Reading { rows: BatchStream::complete(schema, &batches), _execution: None }
            }
        }
    }
}

// === impl Executions ===

impl Executions {
    /// The rows that wait under `id`.
    ///
    /// # Errors
    /// `NotFound` if they were read already, waited too long, or belong to another user.
    pub fn take(self: &Arc<Self>, id: ExecutionId, reader: &Principal) -> Result<Reading> {
        let (rows, execution) = self.take_rows(id, reader)?;
        Ok(Reading { rows, _execution: execution })
    }
}
