//! PollFlightInfo: polls a statement while it runs, instead of waiting for it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::{
    FlightDescriptor, FlightInfo, PollInfo,
    sql::{CommandPreparedStatementQuery, CommandStatementQuery, TicketStatementQuery},
};

use super::{
    authenticate::Caller,
    cancel::timestamp,
    command::{app_metadata, flight_info, statement_ticket},
    metadata::column::describe_all,
    statement,
};
use crate::{
    error::Result,
    query::{Execution, Queries},
    session::Described,
};

/// A response waits this long for the end of the statement, so that short statements need one call and clients do not
/// poll continuously.
const PATIENCE: Duration = Duration::from_millis(500);

/// Starts a statement that was not prepared.
pub async fn query(
    queries: &Arc<Queries>,
    caller: &Caller,
    query: &CommandStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<PollInfo> {
    let statement = statement::statement(caller, &query.query, query.transaction_id.as_deref())?;
    let described = queries.describe(&caller.session, &statement.sql, statement.transaction).await?;
    let execution = queries.begin(&caller.session, statement, columns(&described));
    answer(queries, caller, &execution, descriptor).await
}

/// Starts a prepared statement with the parameters that were bound last.
pub async fn prepared(
    queries: &Arc<Queries>,
    caller: &Caller,
    query: &CommandPreparedStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<PollInfo> {
    let prepared = caller.session.prepared(&query.prepared_statement_handle)?;
    let expected = columns(prepared.described());
    let statement = queries.prepared(&caller.session, &prepared, caller.connection)?;
    let execution = queries.begin(&caller.session, statement, expected);
    answer(queries, caller, &execution, descriptor).await
}

/// The progress of an execution started by an earlier call: its descriptor contains the future ticket.
pub async fn again(
    queries: &Queries,
    caller: &Caller,
    ticket: &TicketStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<PollInfo> {
    let owner = caller.session.principal();
    let execution = queries.executions().poll(queries.ticketed(&ticket.statement_handle, owner)?, owner)?;
    answer(queries, caller, &execution, descriptor).await
}

/// The response for a result that is available.
pub fn complete(info: FlightInfo) -> PollInfo {
    PollInfo { info: Some(info), flight_descriptor: None, progress: Some(1.0), expiration_time: None }
}

async fn answer(
    queries: &Queries,
    caller: &Caller,
    execution: &Arc<Execution>,
    descriptor: FlightDescriptor,
) -> Result<PollInfo> {
    execution.settled(PATIENCE).await;
    let execution = queries.executions().poll(execution.id, caller.session.principal())?;
    if let Some(known) = execution.known() {
        let endpoint = statement::endpoint(queries, &execution);
        let info =
            flight_info(descriptor, &describe_all(&caller.client.columns(&known.schema)), vec![endpoint], known.count)?;
        return Ok(complete(info.with_app_metadata(app_metadata(known.snapshot_id))));
    }
    // The descriptor for the next poll, by which CancelFlightInfo also finds the statement.
    let ticket = statement_ticket(queries.ticket(&execution));
    let again = FlightDescriptor::new_cmd(ticket.ticket);
    let nothing = Arc::new(Schema::empty());
    let expected = execution.expected().unwrap_or(&nothing);
    Ok(PollInfo {
        info: Some(flight_info(again.clone(), &describe_all(&caller.client.columns(expected)), Vec::new(), None)?),
        flight_descriptor: Some(again),
        progress: execution.progress(),
        expiration_time: Some(timestamp(SystemTime::now() + queries.result_ttl())),
    })
}

/// The columns of the result, as far as they are known.
fn columns(described: &Described) -> SchemaRef {
    let count = || Arc::new(Schema::new(vec![Field::new("Count", DataType::Int64, true)]));
    described.columns.clone().unwrap_or_else(count)
}
