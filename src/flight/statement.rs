//! Statements that are not prepared: query, update, and the fetching of results.

use arrow::datatypes::SchemaRef;
use arrow_flight::{
    FlightDescriptor, FlightEndpoint, FlightInfo,
    sql::{CommandStatementQuery, CommandStatementUpdate, TicketStatementQuery},
};

use super::{
    authenticate::Caller,
    cancel::timestamp,
    command::{app_metadata, flight_info, statement_ticket},
    metadata::column::describe_all,
    stream::{self, FrameStream},
    transaction,
};
use crate::{
    error::{Error, Result},
    session::{Execution, Outcome, Sessions, Statement},
};

/// Runs the statement; the ticket names this execution.
pub async fn get_flight_info(
    sessions: &Sessions,
    caller: &Caller,
    query: &CommandStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    let statement = statement(caller, &query.query, query.transaction_id.as_deref())?;
    let outcomes = execute(sessions, caller, statement).await?;
    info_of(sessions, caller, outcomes, descriptor)
}

/// Executes a statement for GetFlightInfo: as several where the client reads their results at once.
pub async fn execute(sessions: &Sessions, caller: &Caller, statement: Statement) -> Result<Vec<Outcome>> {
    if caller.client.reads_in_parallel() {
        return sessions.execute_in_parts(&caller.session, statement).await;
    }
    sessions.execute(&caller.session, statement).await.map(|outcome| vec![outcome])
}

/// The columns of the statement, which is not run.
pub async fn get_schema(sessions: &Sessions, caller: &Caller, query: &CommandStatementQuery) -> Result<SchemaRef> {
    let transaction = query.transaction_id.as_deref().map(transaction::id).transpose()?;
    let described = sessions.describe(&caller.session, &query.query, transaction).await?;
    let columns = described.columns.as_deref().map(|columns| describe_all(&caller.client.columns(columns)));
    columns.ok_or_else(|| Error::invalid("the statement's columns are not known before it runs"))
}

/// Runs the statement and gives its rows in the same call.
pub async fn do_get(sessions: &Sessions, caller: &Caller, query: &CommandStatementQuery) -> Result<FrameStream> {
    let statement = statement(caller, &query.query, query.transaction_id.as_deref())?;
    let outcome = sessions.execute(&caller.session, statement).await?;
    Ok(rows_of(caller, outcome))
}

/// The rows of an execution that waits.
pub fn fetch(sessions: &Sessions, caller: &Caller, ticket: &TicketStatementQuery) -> Result<FrameStream> {
    let reader = caller.session.principal();
    let rows = sessions.executions().take(sessions.ticketed(&ticket.statement_handle, reader)?, reader)?;
    Ok(stream::encode(rows, caller, ""))
}

/// Runs the statement and says how many rows it changed.
pub async fn do_put_update(sessions: &Sessions, caller: &Caller, update: &CommandStatementUpdate) -> Result<i64> {
    let statement = statement(caller, &update.query, update.transaction_id.as_deref())?;
    record_count(sessions.execute(&caller.session, statement).await?).await
}

/// A statement that was not prepared, in the transaction that the client names.
pub fn statement(caller: &Caller, sql: &str, transaction: Option<&[u8]>) -> Result<Statement> {
    let transaction = transaction.map(transaction::id).transpose()?;
    Ok(Statement { sql: sql.into(), parameters: None, transaction, connection: caller.connection })
}

/// Keeps the results whose rows make up one result, one behind the other, and tells where they are.
pub fn info_of(
    sessions: &Sessions,
    caller: &Caller,
    outcomes: Vec<Outcome>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    let first = outcomes.first().ok_or_else(|| Error::internal("a statement has no outcome"))?;
    let (schema, snapshot_id) = (caller.client.columns(&first.rows.schema()), first.snapshot_id);
    let count = outcomes.iter().map(|outcome| outcome.rows.count()).sum();
    let endpoints = outcomes.into_iter().map(|outcome| endpoint(sessions, &outcome.execution.keep(outcome.rows)));
    let info = flight_info(descriptor, &describe_all(&schema), endpoints.collect(), count)?;
    Ok(info.with_app_metadata(app_metadata(snapshot_id)))
}

/// Where the result of an execution is fetched; with a time until when it can be fetched again and again.
pub fn endpoint(sessions: &Sessions, execution: &Execution) -> FlightEndpoint {
    let endpoint = FlightEndpoint::new().with_ticket(statement_ticket(sessions.ticket(execution)));
    match execution.expires() {
        Some(expires) => endpoint.with_expiration_time(timestamp(expires)),
        None => endpoint,
    }
}

/// The rows of an execution for the call that started it.
pub fn rows_of(caller: &Caller, outcome: Outcome) -> FrameStream {
    let rows = outcome.execution.read(outcome.rows);
    stream::encode(rows, caller, &app_metadata(outcome.snapshot_id))
}

/// Waits for the end of an update; the count of its reply is −1 where it is not known.
///
/// # Errors
/// What goes wrong on the way.
pub async fn record_count(outcome: Outcome) -> Result<i64> {
    let changed = outcome.finish().await?;
    Ok(changed.and_then(|changed| i64::try_from(changed).ok()).unwrap_or(-1))
}
