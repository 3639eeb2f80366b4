//! Statements that are not prepared: query, update, and fetching of results.

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
    query::{Execution, Outcome, Queries, Statement},
};

/// Runs the statement; the ticket identifies this execution.
pub async fn get_flight_info(
    queries: &Queries,
    caller: &Caller,
    query: &CommandStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    let statement = statement(caller, &query.query, query.transaction_id.as_deref())?;
    let outcomes = execute(queries, caller, statement).await?;
    info_of(queries, caller, outcomes, descriptor)
}

/// Executes a statement for GetFlightInfo, in several partitions if the client reads their results concurrently.
pub async fn execute(queries: &Queries, caller: &Caller, statement: Statement) -> Result<Vec<Outcome>> {
    if caller.client.reads_in_parallel() {
        return queries.execute_in_partitions(&caller.session, statement).await;
    }
    queries.execute(&caller.session, statement).await.map(|outcome| vec![outcome])
}

/// The columns of the statement, which is not run.
pub async fn get_schema(queries: &Queries, caller: &Caller, query: &CommandStatementQuery) -> Result<SchemaRef> {
    let transaction = query.transaction_id.as_deref().map(transaction::id).transpose()?;
    let described = queries.describe(&caller.session, &query.query, transaction).await?;
    let columns = described.columns.as_deref().map(|columns| describe_all(&caller.client.columns(columns)));
    columns.ok_or_else(|| Error::invalid("the statement's columns are not known before it runs"))
}

/// Runs the statement and returns its rows in the same call.
pub async fn do_get(queries: &Queries, caller: &Caller, query: &CommandStatementQuery) -> Result<FrameStream> {
    let statement = statement(caller, &query.query, query.transaction_id.as_deref())?;
    let outcome = queries.execute(&caller.session, statement).await?;
    Ok(rows_of(caller, outcome))
}

/// The rows of a waiting execution.
pub fn fetch(queries: &Queries, caller: &Caller, ticket: &TicketStatementQuery) -> Result<FrameStream> {
    let reader = caller.session.principal();
    let rows = queries.executions().take(queries.ticketed(&ticket.statement_handle, reader)?, reader)?;
    Ok(stream::encode(rows, caller, ""))
}

/// Runs the statement and returns the number of changed rows.
pub async fn do_put_update(queries: &Queries, caller: &Caller, update: &CommandStatementUpdate) -> Result<i64> {
    let statement = statement(caller, &update.query, update.transaction_id.as_deref())?;
    record_count(queries.execute(&caller.session, statement).await?).await
}

/// A statement that was not prepared, in the transaction that the client specified.
pub fn statement(caller: &Caller, sql: &str, transaction: Option<&[u8]>) -> Result<Statement> {
    let transaction = transaction.map(transaction::id).transpose()?;
    Statement::parse(sql, None, transaction, caller.connection)
}

/// Keeps the results whose rows are concatenated to one result, and returns their locations.
pub fn info_of(
    queries: &Queries,
    caller: &Caller,
    outcomes: Vec<Outcome>,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    let first = outcomes.first().ok_or_else(|| Error::internal("a statement has no outcome"))?;
    let (schema, snapshot_id) = (caller.client.columns(&first.rows.schema()), first.snapshot_id);
    let count = outcomes.iter().map(|outcome| outcome.rows.count()).sum();
    let endpoints = outcomes.into_iter().map(|outcome| endpoint(queries, &outcome.execution.keep(outcome.rows)));
    let info = flight_info(descriptor, &describe_all(&schema), endpoints.collect(), count)?;
    Ok(info.with_app_metadata(app_metadata(snapshot_id)))
}

/// The endpoint for fetching the result of an execution, with an expiry time if it can be fetched repeatedly.
pub fn endpoint(queries: &Queries, execution: &Execution) -> FlightEndpoint {
    let endpoint = FlightEndpoint::new().with_ticket(statement_ticket(queries.ticket(execution)));
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

/// Waits for the end of an update; the count in its response is −1 if it is unknown.
///
/// # Errors
/// Errors of the execution.
pub async fn record_count(outcome: Outcome) -> Result<i64> {
    let changed = outcome.finish().await?;
    Ok(changed.and_then(|changed| i64::try_from(changed).ok()).unwrap_or(-1))
}
