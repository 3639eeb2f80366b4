//! A prepared statement: its text, what is known of it before it runs, and the parameters bound to it last.

use std::sync::Arc;

use arrow::array::RecordBatch;
use parking_lot::Mutex;

use super::{
    Session, Sessions,
    statement::{self, Described, Outcome, Statement},
};
use crate::{
    error::Result,
    ids::{ConnectionId, TransactionId},
};

/// A statement that was prepared and may be executed many times.
#[derive(Debug)]
pub struct Prepared {
    sql: Arc<str>,
    transaction: Option<TransactionId>,
    /// The network connection that it ends with: a client that is gone closes nothing.
    opened_on: Option<ConnectionId>,
    described: Described,
    bound: Mutex<Option<RecordBatch>>,
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
        let described = statement::describe(sessions, session, sql, transaction).await?;
        Ok(Self { sql: sql.into(), transaction, opened_on, described, bound: Mutex::default() })
    }

    pub(super) fn was_opened_on(&self, connection: ConnectionId) -> bool {
        self.opened_on == Some(connection)
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
        statement::execute(sessions, session, self.statement(connection)).await
    }

    /// The statement with what was bound last, called on `connection`.
    pub fn statement(&self, connection: Option<ConnectionId>) -> Statement {
        let parameters = self.bound.lock().clone();
        Statement { sql: Arc::clone(&self.sql), parameters, transaction: self.transaction, connection }
    }
}
