//! From descriptors and tickets to commands. The closed set of commands is arrow-flight's `Command`.

use arrow::{datatypes::Schema, ipc::writer::IpcWriteOptions};
use arrow_flight::{
    FlightDescriptor, FlightEndpoint, FlightInfo, SchemaAsIpc, SchemaResult, Ticket,
    flight_descriptor::DescriptorType,
    sql::{Any, Command, ProstMessageExt, TicketStatementQuery},
};
use prost::Message;

use crate::{
    actions::{self, Body},
    engine::Reads,
    error::{Error, Result},
    ids::SnapshotId,
};

/// The request in a descriptor.
#[derive(Debug)]
pub enum Asked<'a> {
    /// A command of Flight SQL.
    Command(Command),
    /// The rows of an action's result.
    RowsOf {
        /// The action's name.
        action: &'a str,
        /// The action's request.
        body: Body<'a>,
    },
}

/// The request in a descriptor: a Flight SQL command; or an action, as a path of its name and its request as JSON, or
/// as its request packed in an `Any`.
///
/// # Errors
/// `InvalidArgument` for any other path, and for bytes that are not such a command.
pub fn in_descriptor(descriptor: &FlightDescriptor) -> Result<Asked<'_>> {
    if descriptor.r#type() == DescriptorType::Path {
        return match descriptor.path.as_slice() {
            [action, body] if actions::ALL.iter().any(|it| it.name == action) => {
                Ok(Asked::RowsOf { action, body: Body::Json(body.as_bytes()) })
            }
            _ => Err(Error::invalid(
                "a path is the name of an action and its request as JSON, such as diff and {\"table\": …}; send a Flight \
                 SQL command for anything else",
            )),
        };
    }
    let command = decode(&descriptor.cmd)?;
    if let Command::Unknown(any) = &command
        && let Some(action) =
            actions::ALL.iter().find(|action| any.type_url.rsplit('/').next() == Some(action.message().as_str()))
    {
        let any = prost_types::Any { type_url: any.type_url.clone(), value: any.value.to_vec() };
        return Ok(Asked::RowsOf { action: action.name, body: Body::Protobuf(any) });
    }
    Ok(Asked::Command(command))
}

/// The command in the descriptor of data that a client sends.
///
/// # Errors
/// As [`in_descriptor`]; `InvalidArgument` for an action.
pub fn of_put(descriptor: &FlightDescriptor) -> Result<Command> {
    match in_descriptor(descriptor)? {
        Asked::Command(command) => Ok(command),
        Asked::RowsOf { action, .. } => Err(Error::invalid(format!("call {action} with DoAction"))),
    }
}

/// The command in a ticket.
///
/// # Errors
/// `InvalidArgument` for bytes that are not a ticket of this server.
pub fn in_ticket(ticket: &Ticket) -> Result<Command> {
    decode(&ticket.ticket).map_err(|err| Error::invalid("the ticket is not from this server").with_source(err))
}

fn decode(bytes: &[u8]) -> Result<Command> {
    let any = Any::decode(bytes)
        .map_err(|err| Error::invalid("the command is not a Flight SQL message in a protobuf Any").with_source(err))?;
    let name = any.type_url.rsplit('/').next().unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(Error::invalid("the command is empty; send a Flight SQL message in a protobuf Any"));
    }
    Command::try_from(any).map_err(|err| Error::invalid(format!("read the command {name}: {err}")))
}

/// The error for a command that is known and not supported.
pub fn unsupported(command: &Command) -> Error {
    Error::unsupported(format!("{} is not offered by this server", command.type_url().rsplit('.').next().unwrap_or("")))
}

/// The ticket of an execution's result, with the sealed form `handle`.
pub fn statement_ticket(handle: Vec<u8>) -> Ticket {
    let handle = TicketStatementQuery { statement_handle: handle.into() };
    Ticket::new(handle.as_any().encode_to_vec())
}

/// The information for fetching a result: its columns and its location.
///
/// # Errors
/// Internal for columns that cannot be encoded.
pub fn flight_info(
    descriptor: FlightDescriptor,
    schema: &Schema,
    endpoints: Vec<FlightEndpoint>,
    rows: Option<usize>,
) -> Result<FlightInfo> {
    // An empty list of locations means the current server.
    let mut info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(|err| Error::internal("encode result columns").with_source(err))?
        .with_descriptor(descriptor)
        .with_ordered(true)
        .with_total_records(rows.and_then(|rows| i64::try_from(rows).ok()).unwrap_or(-1));
    info.endpoint = endpoints;
    Ok(info)
}

/// The `FlightInfo.app_metadata` of a result: the snapshot that it was read at.
pub fn app_metadata(snapshot_id: SnapshotId) -> String {
    serde_json::json!({ "snapshot_id": snapshot_id }).to_string()
}

/// The `app_metadata` of the last message of a result whose statement read objects.
pub fn reads_metadata(reads: &Reads) -> String {
    serde_json::json!({ "bytes_read": reads.bytes(), "requests": reads.requests() }).to_string()
}

/// The response to GetSchema.
///
/// # Errors
/// Internal for columns that cannot be encoded.
pub fn schema_result(schema: &Schema) -> Result<SchemaResult> {
    let options = IpcWriteOptions::default();
    SchemaAsIpc::new(schema, &options)
        .try_into()
        .map_err(|err| Error::internal("encode result columns").with_source(err))
}
