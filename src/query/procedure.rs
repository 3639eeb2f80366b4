//! Statements that the server does itself instead of DuckDB: `CALL` of its procedures.
//!
//! A query knows of a procedure what a client must know, and how it is started; what it does, it does not know.

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

/// The rows of a procedure as they come; its failure, if any, is the last.
pub type ProcedureRows = BoxStream<'static, Result<RecordBatch>>;

/// Looks for the procedure that a statement calls.
type Find = dyn Fn(&ParsedStatement) -> Result<Option<Procedure>> + Send + Sync;

/// Starts a procedure for somebody with the parameters that were bound.
type Start = dyn FnOnce(&Principal, Option<&RecordBatch>) -> Result<ProcedureRows> + Send;

/// Finds what a statement calls: nothing when it is DuckDB's, a failure when it calls a procedure in a wrong way.
pub struct Procedures(Box<Find>);

/// A call of a procedure that has not begun.
pub struct Procedure {
    /// The columns of its rows.
    pub columns: SchemaRef,
    /// Its parameters.
    pub parameters: SchemaRef,
    /// Whether it changes something.
    pub writes: bool,
    /// Starts it. It goes on when nobody reads its rows, unless its arguments say otherwise.
    pub start: Box<Start>,
}

/// Starts the procedure; a call is an execution of its own. `newest` gives the newest snapshot.
pub(super) async fn call(
    newest: impl Future<Output = Result<SnapshotId>>,
    session: &Session,
    execution: Running,
    procedure: Procedure,
    statement: &Statement,
) -> Result<Outcome> {
    if session.transaction(statement.transaction)?.is_some() {
        return Err(Error::precondition(
            "actions have transactions of their own: commit or roll back first, and CALL with the client's autocommit on",
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

/// The rows until the execution is stopped, which is the last that is told.
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
    /// Those that `find` knows.
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
