//! A prepared statement: its text, what is known of it before it runs, and the parameters bound to it last.

use std::sync::Arc;

use arrow::array::RecordBatch;
use parking_lot::Mutex;

use super::{
    Described, Session, Sessions, describe,
    statement::{self, Outcome, Statement},
};
use crate::{
    error::Result,
    ids::{ConnectionId, TransactionId},
};

/// A statement that was prepared and may be executed many times.
#[derive(Debug)]
pub struct Prepared {
    sql: Arc<str>,
    belongs: Mutex<Belongs>,
    /// The network connection that it ends with: a client that is gone closes nothing.
    opened_on: Option<ConnectionId>,
    described: Described,
    bound: Mutex<Option<RecordBatch>>,
}

/// The transaction that a statement runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belongs {
    /// This one; none is one of its own.
    To(Option<TransactionId>),
    /// The client has ended the one that it was prepared in. Those who keep a statement over a commit (ADBC's cursors
    /// do) mean the transaction that they have open next, and do not name it again.
    ToNext,
}

// === impl Prepared ===

impl Prepared {
    /// Prepares `sql` in the transaction that it will run in; nothing is executed.
    ///
    /// # Errors
    /// `InvalidArgument` and `NotFound` for what DuckDB's parser and binder refuse.
    pub async fn prepare(
        sessions: &Sessions,
        session: &Session,
        sql: &str,
        transaction: Option<TransactionId>,
        opened_on: Option<ConnectionId>,
    ) -> Result<Self> {
        let described = describe::describe(sessions, session, sql, transaction).await?;
        let belongs = Mutex::new(Belongs::To(transaction));
        Ok(Self { sql: sql.into(), belongs, opened_on, described, bound: Mutex::default() })
    }

    pub(super) fn was_opened_on(&self, connection: ConnectionId) -> bool {
        self.opened_on == Some(connection)
    }

    /// Leaves a transaction that the client has ended.
    pub(super) fn leave(&self, transaction: TransactionId) {
        let mut belongs = self.belongs.lock();
        if *belongs == Belongs::To(Some(transaction)) {
            *belongs = Belongs::ToNext;
        }
    }

    /// What is known of the statement before it runs.
    pub fn described(&self) -> &Described {
        &self.described
    }

    /// Binds parameters for the executions to come.
    pub fn bind(&self, parameters: RecordBatch) {
        *self.bound.lock() = Some(parameters);
    }

    /// Executes it with what was bound last.
    ///
    /// # Errors
    /// What DuckDB says.
    pub async fn execute(
        &self,
        sessions: &Sessions,
        session: &Arc<Session>,
        connection: Option<ConnectionId>,
    ) -> Result<Outcome> {
        statement::execute(sessions, session, self.statement(session, connection)?).await
    }

    /// The statement with what was bound last, called on `connection`.
    ///
    /// # Errors
    /// `FailedPrecondition` when the transaction that it runs in is not clear.
    pub fn statement(&self, session: &Session, connection: Option<ConnectionId>) -> Result<Statement> {
        let parameters = self.bound.lock().clone();
        let transaction = match *self.belongs.lock() {
            Belongs::To(transaction) => transaction,
            Belongs::ToNext => session.opened_on(connection)?,
        };
        Ok(Statement { sql: Arc::clone(&self.sql), parameters, transaction, connection })
    }
}
