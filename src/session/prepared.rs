//! A prepared statement: its SQL text, its parameters and columns, and the parameters that were bound last.

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use parking_lot::Mutex;

use crate::{
    error::Result,
    ids::{ConnectionId, TransactionId},
    sql::ParsedStatement,
};

/// The properties of a statement before it runs.
#[derive(Clone, Debug)]
pub struct Described {
    /// Whether it changes something and returns no rows.
    pub is_update: bool,
    /// Its columns, including the count of an update; `None` if they depend on the parameters.
    pub columns: Option<SchemaRef>,
    /// Its parameters.
    pub parameters: SchemaRef,
}

/// A statement that was prepared and may be executed many times.
#[derive(Debug)]
pub struct Prepared {
    sql: Arc<str>,
    statements: Arc<[ParsedStatement]>,
    belongs: Mutex<Belongs>,
    /// The network connection that it ends with: a disconnected client closes nothing.
    opened_on: Option<ConnectionId>,
    described: Described,
    bound: Mutex<Option<RecordBatch>>,
}

/// The transaction that a statement runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belongs {
    /// This one; `None` for the statement's own.
    To(Option<TransactionId>),
    /// The client has ended the one that it was prepared in. Clients that keep a statement across a commit (such as
    /// ADBC's cursors) mean their next open transaction, and do not specify it again.
    ToNext,
}

// === impl Prepared ===

impl Prepared {
    /// A statement that was described in the transaction that it will run in.
    pub fn new(
        sql: Arc<str>,
        statements: Arc<[ParsedStatement]>,
        described: Described,
        transaction: Option<TransactionId>,
        opened_on: Option<ConnectionId>,
    ) -> Self {
        let belongs = Mutex::new(Belongs::To(transaction));
        Self { sql, statements, belongs, opened_on, described, bound: Mutex::default() }
    }

    /// Its SQL text, as the client sent it.
    pub fn sql(&self) -> &Arc<str> {
        &self.sql
    }

    /// Its parsed statements.
    pub fn statements(&self) -> &Arc<[ParsedStatement]> {
        &self.statements
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

    /// The properties of the statement before it runs.
    pub fn described(&self) -> &Described {
        &self.described
    }

    /// Binds parameters for later executions.
    pub fn bind(&self, parameters: RecordBatch) {
        *self.bound.lock() = Some(parameters);
    }

    /// The parameters that were bound last.
    pub fn bound(&self) -> Option<RecordBatch> {
        self.bound.lock().clone()
    }

    /// The transaction that it runs in; `next` returns the client's currently open one.
    ///
    /// # Errors
    /// Errors of `next`.
    pub fn transaction(&self, next: impl FnOnce() -> Result<Option<TransactionId>>) -> Result<Option<TransactionId>> {
        match *self.belongs.lock() {
            Belongs::To(transaction) => Ok(transaction),
            Belongs::ToNext => next(),
        }
    }
}
