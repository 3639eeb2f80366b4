//! CancelFlightInfo, CancelQuery (its older form) and RenewFlightEndpoint.

use std::time::SystemTime;

use arrow_flight::{
    CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightEndpoint, FlightInfo,
    RenewFlightEndpointRequest, Ticket,
    sql::{ActionCancelQueryRequest, ActionCancelQueryResult, Command},
};
use prost::Message;

use super::{authenticate::Caller, command::in_ticket};
use crate::{
    error::{Error, Result},
    query::Queries,
};

/// Stops the execution of a FlightInfo, and drops its rows.
///
/// # Errors
/// `InvalidArgument` for a body that is not a request; `NotFound` if it has ended, or belongs to another user.
pub fn cancel_flight_info(queries: &Queries, caller: &Caller, body: &[u8]) -> Result<CancelFlightInfoResult> {
    let request = CancelFlightInfoRequest::decode(body)
        .map_err(|err| Error::invalid("the body is not a CancelFlightInfoRequest").with_source(err))?;
    let info = request.info.ok_or_else(|| Error::invalid("the request has no FlightInfo"))?;
    let status = cancel(queries, caller, &info)?;
    Ok(CancelFlightInfoResult { status: status.into() })
}

/// The same through the action that CancelFlightInfo replaced.
///
/// # Errors
/// As [`cancel_flight_info`].
pub fn cancel_query(
    queries: &Queries,
    caller: &Caller,
    request: &ActionCancelQueryRequest,
) -> Result<ActionCancelQueryResult> {
    let info = FlightInfo::decode(request.info.as_ref())
        .map_err(|err| Error::invalid("the request's info is not a FlightInfo").with_source(err))?;
    // The numbers of both enumerations are the same.
    Ok(ActionCancelQueryResult { result: cancel(queries, caller, &info)?.into() })
}

fn cancel(queries: &Queries, caller: &Caller, info: &FlightInfo) -> Result<CancelStatus> {
    let endpoints = info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.clone());
    // While a client polls a running statement, there is no endpoint yet: the future ticket is in the descriptor.
    let descriptor = info.flight_descriptor.iter().filter(|_| info.endpoint.is_empty());
    let polled = descriptor.map(|descriptor| Ticket::new(descriptor.cmd.clone()));
    let owner = caller.session.principal();
    let mut outcomes = Vec::new();
    for ticket in endpoints.chain(polled) {
        match in_ticket(&ticket)? {
            Command::TicketStatementQuery(ticket) => {
                let execution = queries.ticketed(&ticket.statement_handle, owner);
                outcomes.push(execution.and_then(|execution| queries.executions().cancel(execution, owner)));
            }
            Command::Unknown(_) => return Err(Error::invalid("a ticket in the FlightInfo is not from this server")),
            // Metadata is produced while it is read; there is nothing to stop.
            _ => {}
        }
    }
    // Some parts of a result may have ended.
    if outcomes.iter().any(Result::is_ok) {
        return Ok(CancelStatus::Cancelled);
    }
    outcomes.pop().unwrap_or(Ok(())).map(|()| CancelStatus::NotCancellable)
}

/// Restarts the time that an endpoint's result is kept.
///
/// # Errors
/// `InvalidArgument` for a body that is not a request; `NotFound` if the result is gone, or belongs to another user.
pub fn renew(queries: &Queries, caller: &Caller, body: &[u8]) -> Result<FlightEndpoint> {
    let request = RenewFlightEndpointRequest::decode(body)
        .map_err(|err| Error::invalid("the body is not a RenewFlightEndpointRequest").with_source(err))?;
    let endpoint = request.endpoint.ok_or_else(|| Error::invalid("the request has no endpoint"))?;
    let ticket = endpoint.ticket.as_ref().ok_or_else(|| Error::invalid("the endpoint has no ticket"))?;
    let Command::TicketStatementQuery(ticket) = in_ticket(ticket)? else { return Ok(endpoint) };
    let owner = caller.session.principal();
    let expires = queries.executions().renew(queries.ticketed(&ticket.statement_handle, owner)?, owner)?;
    Ok(FlightEndpoint { expiration_time: expires.map(timestamp), ..endpoint })
}

/// A time in the protocol's format.
pub fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    time.into()
}
