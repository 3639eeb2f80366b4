//! Statements that the server runs instead of DuckDB: `CALL` of its procedures.
//!
//! This module knows only the signature of a procedure and how to start it, not what it does.

use std::{fmt, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{
    execution::{Running, Stopped},
    rows::Rows,
    statement::{Outcome, Statement},
};
use crate::{
    context::Principal,
    engine::BatchStream,
    error::{Error, Result},
    ids::SnapshotId,
    session::{Described, Session},
    sql::ParsedStatement,
};

/// The rows of a procedure as they are produced; its failure, if any, is the last item.
pub type ProcedureRows = BoxStream<'static, Result<RecordBatch>>;

/// Finds the procedure that a statement calls.
type Find = dyn Fn(&ParsedStatement) -> Result<Option<Procedure>> + Send + Sync;

/// Starts a procedure for a principal with the bound parameters.
type Start = dyn FnOnce(&Principal, Option<&RecordBatch>) -> Result<ProcedureRows> + Send;

/// Finds the procedure that a statement calls: `None` if it is DuckDB's, an error if the call is invalid.
pub struct Procedures(Box<Find>);

/// A procedure call that has not started.
pub struct Procedure {
    /// The columns of its rows.
    pub columns: SchemaRef,
    /// Its parameters.
    pub parameters: SchemaRef,
    /// Whether it changes anything.
    pub writes: bool,
    /// Starts it. It continues when its rows are not read, unless its arguments specify otherwise.
    pub start: Box<Start>,
}

/// Starts the procedure; a call is a separate execution. `newest` returns the newest snapshot.
pub(super) async fn call(
    newest: impl Future<Output = Result<SnapshotId>>,
    session: &Session,
    execution: Running,
    procedure: Procedure,
    statement: &Statement,
) -> Result<Outcome> {
    if session.transaction(statement.transaction)?.is_some() {
        return Err(Error::precondition(
            "actions run in their own transactions: commit or roll back first, and CALL with autocommit enabled",
        ));
    }
    if session.is_pinned() && procedure.writes {
        return Err(Error::precondition(
            "the session is pinned to a snapshot: reset its option snapshot to call actions that write",
        ));
    }
    // Read first: once the procedure has begun, nothing may fail any more.
    let snapshot_id = execution.execution().unless_stopped(newest).await?;
    let rows = (procedure.start)(session.principal(), statement.parameters.as_ref())?;
    let rows = until_stopped(rows, execution.execution().stopped());
    let rows = Rows::Stream(Box::new(BatchStream::of(procedure.columns, rows)));
    Ok(Outcome { execution, rows, changed: None, snapshot_id })
}

/// The rows until the execution is stopped, which is reported last.
fn until_stopped(rows: ProcedureRows, stopped: Arc<Stopped>) -> ProcedureRows {
    let step = move |rows: Option<ProcedureRows>| {
        let stopped = Arc::clone(&stopped);
        async move {
            let mut rows = rows?;
            match stopped.unless(async { Ok(rows.next().await) }).await {
                Ok(next) => next.map(|batch| (batch, Some(rows))),
                Err(err) => Some((Err(err), None)),
            }
        }
    };
    stream::unfold(Some(rows), step).boxed()
}

// === impl Procedures ===

impl Procedures {
    /// The procedures that `find` returns.
    pub fn new(find: impl Fn(&ParsedStatement) -> Result<Option<Procedure>> + Send + Sync + 'static) -> Self {
        Self(Box::new(find))
    }

    pub(super) fn find(&self, statement: &ParsedStatement) -> Result<Option<Procedure>> {
        (self.0)(statement)
    }
}

impl fmt::Debug for Procedures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Procedures(..)")
    }
}

// === impl Procedure ===

impl Procedure {
    pub(super) fn described(&self) -> Described {
        let columns = Some(SchemaRef::clone(&self.columns));
        Described { is_update: false, columns, parameters: SchemaRef::clone(&self.parameters) }
    }
}

impl fmt::Debug for Procedure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Procedure").field("columns", &self.columns).finish_non_exhaustive()
    }
}
