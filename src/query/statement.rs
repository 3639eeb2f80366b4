//! A statement to execute, and its outcome.

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::Schema};

use super::{execution::Running, rows::Rows};
use crate::{
    error::Result,
    ids::{ConnectionId, SnapshotId, TransactionId},
    sql::{self, ParsedStatement},
};

/// SQL text to execute.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The SQL text, as the client sent it.
    pub sql: Arc<str>,
    /// Its parsed statements; usually one.
    pub parsed: Arc<[ParsedStatement]>,
    /// One row for each execution.
    pub parameters: Option<RecordBatch>,
    /// The transaction that the client specified.
    pub transaction: Option<TransactionId>,
    /// The network connection that it was sent on, with which a transaction that it opens ends.
    pub connection: Option<ConnectionId>,
}

/// The outcome of an execution.
#[derive(Debug)]
pub struct Outcome {
    /// The execution, which ends unless its rows are kept or read.
    pub execution: Running,
    /// The rows; for a write that returns none, DuckDB's count of changed rows.
    pub rows: Rows,
    /// The number of rows that a write changed; `None` for reads.
    pub changed: Option<u64>,
    /// The snapshot that a read saw or a commit created.
    pub snapshot_id: SnapshotId,
}

// === impl Statement ===

impl Statement {
    /// Parses SQL text that a client sent.
    ///
    /// # Errors
    /// As [`sql::parse`].
    pub fn parse(
        sql: &str,
        parameters: Option<RecordBatch>,
        transaction: Option<TransactionId>,
        connection: Option<ConnectionId>,
    ) -> Result<Self> {
        let parsed = sql::parse(sql)?.into();
        Ok(Self { sql: sql.into(), parsed, parameters, transaction, connection })
    }

    /// The same call with one of its statements, or a replacement.
    pub(super) fn with(&self, statement: ParsedStatement) -> Self {
        Self { parsed: [statement].into(), ..self.clone() }
    }
}

// === impl Outcome ===

impl Outcome {
    /// The outcome of a statement without rows.
    pub(super) fn nothing(execution: Running, snapshot_id: SnapshotId) -> Self {
        let rows = Rows::Complete(Arc::new(Schema::empty()), Vec::new());
        Self { execution, rows, changed: Some(0), snapshot_id }
    }

    /// Reads and discards the rows to their end, and returns the number of rows that a write changed.
    ///
    /// # Errors
    /// Errors after the first rows.
    pub async fn finish(self) -> Result<Option<u64>> {
        let mut rows = self.execution.read(self.rows);
        while let Some(batch) = rows.next().await {
            batch?;
        }
        Ok(self.changed)
    }
}
