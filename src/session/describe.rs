//! What a statement takes and gives, before it runs.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use super::{Session, Sessions, hazards::may_write, statement::is_lost};
use crate::{
    engine::{Connection, StatementKind},
    error::Result,
    ids::TransactionId,
};

/// What is known of a statement before it runs.
#[derive(Clone, Debug)]
pub struct Described {
    /// Whether it changes something and returns no rows.
    pub is_update: bool,
    /// Its columns, an update's count among them; `None` where they follow only from the parameters.
    pub columns: Option<SchemaRef>,
    /// Its parameters.
    pub parameters: SchemaRef,
}

/// Says what a statement takes and gives, without executing it.
///
/// # Errors
/// `InvalidArgument` and `NotFound` for what DuckDB's parser and binder refuse.
pub(super) async fn describe(
    sessions: &Sessions,
    session: &Session,
    sql: &str,
    transaction: Option<TransactionId>,
) -> Result<Described> {
    if let Some(procedure) = sessions.procedures.find(sql)? {
        return Ok(procedure.described());
    }
    let (sql, inside) = (sql.to_owned(), session.transaction(transaction)?);
    // Preparing reads the lake, and a transaction that will write takes its turn before it reads.
    let begins_writing = inside.is_some() && may_write(&sql);
    let alone = inside.is_none();
    let work = move |connection: &Connection| {
        if begins_writing {
            connection.begin_writing()?;
        }
        let statement = match connection.prepare(&sql) {
            Err(err) if alone && is_lost(&err) => connection.prepare(&sql)?,
            prepared => prepared?,
        };
        let parameters = statement.parameter_schema()?;
        let kind = statement.kind();
        let columns = match kind {
            // These give nothing, whatever DuckDB says of them.
            StatementKind::Transaction | StatementKind::Other("SET") => Some(Arc::new(Schema::empty())),
            _ => statement.result_schema()?,
        };
        let gives_rows = columns.as_ref().is_some_and(|columns| !columns.fields().is_empty() && !is_count(columns));
        Ok(Described { is_update: kind != StatementKind::Read && !gives_rows, columns, parameters })
    };
    if let Some(transaction) = inside {
        return transaction.worker(sessions, session).await?.run(work).await;
    }
    match session.home_worker() {
        Some(home) => home.run(work).await,
        None => sessions.lease_for(session).await?.worker().run(work).await,
    }
}

/// Whether the columns are DuckDB's count of changed rows.
fn is_count(columns: &SchemaRef) -> bool {
    columns.fields().len() == 1 && columns.field(0).name() == "Count"
}
