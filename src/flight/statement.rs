//! CommandStatementQuery and CommandStatementUpdate.

use arrow::datatypes::SchemaRef;
use arrow_flight::{
    FlightDescriptor, FlightInfo,
    sql::{CommandStatementQuery, CommandStatementUpdate, TicketStatementQuery},
};

use super::{
    authenticate::Caller,
    command::{execution_ticket, flight_info},
    stream::{self, FlightDataStream},
    transaction,
};
use crate::{
    error::{Error, Result},
    session::{Outcome, Sessions, Statement},
};

/// Runs the statement; the ticket names this execution.
pub async fn get_flight_info(
    sessions: &Sessions,
    caller: &Caller,
    query: &CommandStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    let statement = statement(caller, &query.query, query.transaction_id.as_deref())?;
    let outcome = sessions.execute(&caller.session, statement).await?;
    info_of(sessions, caller, outcome, descriptor)
}

/// The columns of the statement, which is not run.
pub async fn get_schema(sessions: &Sessions, caller: &Caller, query: &CommandStatementQuery) -> Result<SchemaRef> {
    let transaction = query.transaction_id.as_deref().map(transaction::id).transpose()?;
    let described = sessions.describe(&caller.session, &query.query, transaction).await?;
    described.columns.ok_or_else(|| Error::invalid("the statement's columns are not known before it runs"))
}

/// The rows of an execution.
pub fn do_get(sessions: &Sessions, caller: &Caller, ticket: &TicketStatementQuery) -> Result<FlightDataStream> {
    sessions.executions().take(&ticket.statement_handle, caller.session.principal()).map(stream::encode)
}

/// Runs the statement and says how many rows it changed.
pub async fn do_put_update(sessions: &Sessions, caller: &Caller, update: &CommandStatementUpdate) -> Result<i64> {
    let statement = statement(caller, &update.query, update.transaction_id.as_deref())?;
    Ok(record_count(&sessions.execute(&caller.session, statement).await?))
}

fn statement(caller: &Caller, sql: &str, transaction: Option<&[u8]>) -> Result<Statement> {
    let transaction = transaction.map(transaction::id).transpose()?;
    Ok(Statement { sql: sql.into(), parameters: None, transaction, connection: caller.connection })
}

/// Keeps the result of an execution and tells where it is.
pub fn info_of(
    sessions: &Sessions,
    caller: &Caller,
    outcome: Outcome,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    let (schema, count) = (outcome.rows.schema(), outcome.rows.count());
    let id = sessions.executions().put(caller.session.principal().clone(), outcome.rows);
    flight_info(descriptor, &schema, execution_ticket(id), count, Some(outcome.snapshot_id))
}

/// The count of an update's reply; −1 where it is not known.
pub fn record_count(outcome: &Outcome) -> i64 {
    outcome.changed.and_then(|changed| i64::try_from(changed).ok()).unwrap_or(-1)
}
