//! Prepared statements: create, bind, execute, update, close.

use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::{
    FlightData, FlightDescriptor, FlightInfo, IpcMessage, SchemaAsIpc,
    sql::{
        ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, CommandPreparedStatementQuery,
        CommandPreparedStatementUpdate,
    },
};
use bytes::Bytes;
use futures::Stream;
use prost::Message;
use tonic::Status;

use super::{
    authenticate::Caller,
    metadata::column::describe_all,
    statement::{self, info_of, record_count, rows_of},
    stream::{self, FrameStream},
    transaction,
};
use crate::{
    error::{Error, Result},
    query::Queries,
};

/// The protocol's `ActionCreatePreparedStatementResult` with its field 4, which arrow-flight 58 lacks: JDBC uses it to
/// distinguish queries from updates.
#[derive(Clone, PartialEq, Message)]
pub struct CreateResult {
    /// Identifies the statement from now on.
    #[prost(bytes = "bytes", tag = "1")]
    pub prepared_statement_handle: Bytes,
    /// The result's columns as an IPC message; empty for updates.
    #[prost(bytes = "bytes", tag = "2")]
    pub dataset_schema: Bytes,
    /// The parameters as an IPC message.
    #[prost(bytes = "bytes", tag = "3")]
    pub parameter_schema: Bytes,
    /// Whether the statement is an update.
    #[prost(bool, optional, tag = "4")]
    pub is_update: Option<bool>,
}

/// The name under which [`CreateResult`] travels in an `Any`.
pub const CREATE_RESULT_TYPE: &str =
    "type.googleapis.com/arrow.flight.protocol.sql.ActionCreatePreparedStatementResult";

/// Prepares a statement; nothing is executed.
pub async fn create(
    queries: &Queries,
    caller: &Caller,
    request: &ActionCreatePreparedStatementRequest,
) -> Result<CreateResult> {
    let transaction = request.transaction_id.as_deref().map(transaction::id).transpose()?;
    let prepared = queries.prepare(&caller.session, &request.query, transaction, caller.connection).await?;
    let described = prepared.described();
    // JDBC treats an update with columns as a query.
    let columns = described.columns.as_deref().filter(|_| !described.is_update);
    let dataset_schema =
        columns.map(|columns| ipc(&describe_all(&caller.client.columns(columns)))).transpose()?.unwrap_or_default();
    let parameter_schema = ipc(&caller.client.parameters(&described.parameters))?;
    let is_update = Some(described.is_update);
    let (handle, _) = caller.session.keep(prepared)?;
    Ok(CreateResult { prepared_statement_handle: handle.to_bytes(), dataset_schema, parameter_schema, is_update })
}

/// Closes a statement.
pub fn close(caller: &Caller, request: &ActionClosePreparedStatementRequest) -> Result<()> {
    caller.session.close_prepared(&request.prepared_statement_handle)
}

/// Binds the rows that the client sent, for later executions.
pub async fn bind(
    caller: &Caller,
    command: &CommandPreparedStatementQuery,
    data: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> Result<()> {
    let prepared = caller.session.prepared(&command.prepared_statement_handle)?;
    prepared.bind(stream::decode_all(data).await?);
    Ok(())
}

/// Executes with the parameters that were bound last; each call is a separate execution.
pub async fn get_flight_info(
    queries: &Queries,
    caller: &Caller,
    command: &CommandPreparedStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo> {
    let prepared = caller.session.prepared(&command.prepared_statement_handle)?;
    let statement = queries.prepared(&caller.session, &prepared, caller.connection)?;
    let outcomes = statement::execute(queries, caller, statement).await?;
    info_of(queries, caller, outcomes, descriptor)
}

/// Executes with the parameters that were bound last, and returns the rows in the same call.
pub async fn do_get(
    queries: &Queries,
    caller: &Caller,
    command: &CommandPreparedStatementQuery,
) -> Result<FrameStream> {
    let prepared = caller.session.prepared(&command.prepared_statement_handle)?;
    let statement = queries.prepared(&caller.session, &prepared, caller.connection)?;
    Ok(rows_of(caller, queries.execute(&caller.session, statement).await?))
}

/// The columns of the statement.
pub fn get_schema(caller: &Caller, command: &CommandPreparedStatementQuery) -> Result<SchemaRef> {
    let prepared = caller.session.prepared(&command.prepared_statement_handle)?;
    let columns = prepared.described().columns.as_deref().map(|columns| describe_all(&caller.client.columns(columns)));
    columns.ok_or_else(|| Error::invalid("the statement's columns are not known before it runs"))
}

/// Executes once per row of the parameters that the client sent (once without parameters), and returns the number of
/// changed rows.
pub async fn do_put_update(
    queries: &Queries,
    caller: &Caller,
    command: &CommandPreparedStatementUpdate,
    data: impl Stream<Item = Result<FlightData, Status>> + Send + 'static,
) -> Result<i64> {
    let prepared = caller.session.prepared(&command.prepared_statement_handle)?;
    if !prepared.described().parameters.fields().is_empty() {
        prepared.bind(stream::decode_all(data).await?);
    }
    let statement = queries.prepared(&caller.session, &prepared, caller.connection)?;
    record_count(queries.execute(&caller.session, statement).await?).await
}

/// A schema as an encapsulated IPC message.
pub fn ipc(schema: &Schema) -> Result<Bytes> {
    let options = IpcWriteOptions::default();
    let message: IpcMessage = SchemaAsIpc::new(schema, &options)
        .try_into()
        .map_err(|err| Error::internal("encode columns").with_source(err))?;
    Ok(message.0)
}
