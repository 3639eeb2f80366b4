//! The Flight service: all calls of the protocol, and their handlers.

use std::sync::Arc;

use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
    flight_service_server::FlightService,
    sql::{Command, CommandStatementQuery, DoPutPreparedStatementResult, DoPutUpdateResult},
};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{
    action,
    authenticate::{self, Caller},
    command::{self, Asked, flight_info, in_ticket, schema_result, unsupported},
    feed, ingest, metadata, poll, prepared, statement,
    stream::{FrameStream, encode_one},
};
use crate::{
    actions::Actions,
    auth::Authenticator,
    error::{Error, Result},
    query::Queries,
};

/// The results of DoPut.
type PutResults = BoxStream<'static, Result<PutResult, Status>>;

/// The server's side of the protocol.
#[derive(Clone, Debug)]
pub struct Service {
    door: Arc<Authenticator>,
    queries: Arc<Queries>,
    actions: Arc<Actions>,
}

// === impl Service ===

impl Service {
    /// A service with these queries and actions, for clients that `door` admits.
    pub fn new(door: Arc<Authenticator>, queries: Arc<Queries>, actions: Arc<Actions>) -> Self {
        Self { door, queries, actions }
    }

    fn caller<T>(&self, request: &Request<T>) -> Result<Caller> {
        authenticate::caller(&self.door, self.queries.sessions(), request)
    }

    /// The command in a descriptor; the rows of an action are those of a query.
    async fn command(&self, descriptor: &FlightDescriptor) -> Result<Command> {
        match command::in_descriptor(descriptor)? {
            Asked::Command(command) => Ok(command),
            Asked::RowsOf { action, body } => {
                let query = self.actions.rows(action, &body).await?;
                Ok(Command::CommandStatementQuery(CommandStatementQuery { query, transaction_id: None }))
            }
        }
    }

    async fn flight_info(&self, caller: &Caller, descriptor: FlightDescriptor) -> Result<FlightInfo> {
        let command = self.command(&descriptor).await?;
        match &command {
            Command::CommandStatementQuery(query) => {
                statement::get_flight_info(&self.queries, caller, query, descriptor).await
            }
            Command::CommandPreparedStatementQuery(query) => {
                prepared::get_flight_info(&self.queries, caller, query, descriptor).await
            }
            _ => {
                let schema = metadata::schema(&command)?.ok_or_else(|| unsupported(&command))?;
                // The command itself is the ticket: reading metadata twice is harmless.
                let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(descriptor.cmd.clone()));
                flight_info(descriptor, &schema, vec![endpoint], None)
            }
        }
    }

    async fn poll(&self, caller: &Caller, descriptor: FlightDescriptor) -> Result<PollInfo> {
        match self.command(&descriptor).await? {
            Command::CommandStatementQuery(query) => poll::query(&self.queries, caller, &query, descriptor).await,
            Command::CommandPreparedStatementQuery(query) => {
                poll::prepared(&self.queries, caller, &query, descriptor).await
            }
            Command::TicketStatementQuery(ticket) => poll::again(&self.queries, caller, &ticket, descriptor).await,
            // Metadata is available immediately.
            _ => Ok(poll::complete(self.flight_info(caller, descriptor).await?)),
        }
    }

    async fn schema(&self, caller: &Caller, descriptor: &FlightDescriptor) -> Result<SchemaResult> {
        let command = self.command(descriptor).await?;
        let schema = match &command {
            Command::CommandStatementQuery(query) => statement::get_schema(&self.queries, caller, query).await?,
            Command::CommandPreparedStatementQuery(query) => prepared::get_schema(caller, query)?,
            _ => metadata::schema(&command)?.ok_or_else(|| unsupported(&command))?,
        };
        schema_result(&schema)
    }

    async fn data(&self, caller: &Caller, ticket: &Ticket) -> Result<FrameStream> {
        match in_ticket(ticket)? {
            Command::TicketStatementQuery(ticket) => statement::fetch(&self.queries, caller, &ticket),
            // A whole query in one call, for clients that skip GetFlightInfo: the call is the execution.
            Command::CommandStatementQuery(query) => statement::do_get(&self.queries, caller, &query).await,
            Command::CommandPreparedStatementQuery(query) => prepared::do_get(&self.queries, caller, &query).await,
            command => {
                let refusal = unsupported(&command);
                metadata::rows(&self.queries, caller, command).await?.map(encode_one).ok_or(refusal)
            }
        }
    }

    /// DoGet, in frames: see [`Endpoint`](super::Endpoint).
    pub(super) async fn get(&self, request: &Request<Ticket>) -> Result<FrameStream> {
        let caller = self.caller(request)?;
        self.data(&caller, request.get_ref()).await
    }

    async fn put(&self, caller: &Caller, mut data: Streaming<FlightData>) -> Result<PutResults, Status> {
        let first = data.message().await?.ok_or_else(|| Error::invalid("nothing was sent"))?;
        let descriptor = first.flight_descriptor.as_ref();
        let command =
            command::of_put(descriptor.ok_or_else(|| Error::invalid("the first message has no descriptor"))?)?;
        let data = stream::iter([Ok(first)]).chain(data);
        let app_metadata = match &command {
            Command::CommandStatementUpdate(update) => {
                update_result(statement::do_put_update(&self.queries, caller, update).await?)
            }
            Command::CommandStatementIngest(command) => {
                if let Some(options) = feed::options(command)? {
                    return Ok(feed::do_put(&self.queries, caller, command, options, data).await?);
                }
                update_result(ingest::do_put(&self.queries, caller, command, data).await?)
            }
            Command::CommandPreparedStatementUpdate(update) => {
                update_result(prepared::do_put_update(&self.queries, caller, update, data).await?)
            }
            Command::CommandPreparedStatementQuery(query) => {
                prepared::bind(caller, query, data).await?;
                let handle = query.prepared_statement_handle.clone();
                DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) }.encode_to_vec()
            }
            command => return Err(unsupported(command).into()),
        };
        Ok(stream::iter([Ok(PutResult { app_metadata: app_metadata.into() })]).boxed())
    }
}

fn update_result(record_count: i64) -> Vec<u8> {
    DoPutUpdateResult { record_count }.encode_to_vec()
}

#[tonic::async_trait]
impl FlightService for Service {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoPutStream = PutResults;
    type DoActionStream = action::ResultStream;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let (headers, _, requests) = request.into_parts();
        authenticate::handshake(&self.door, self.queries.sessions(), &headers, requests).await
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Error::unsupported("flights are not listed; list tables with GetTables").into())
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let caller = self.caller(&request)?;
        Ok(Response::new(self.flight_info(&caller, request.into_inner()).await?))
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        let caller = self.caller(&request)?;
        Ok(Response::new(self.poll(&caller, request.into_inner()).await?))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = self.caller(&request)?;
        Ok(Response::new(self.schema(&caller, request.get_ref()).await?))
    }

    async fn do_get(&self, _: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        Err(Error::internal("DoGet is handled by the endpoint, before the codec").into())
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = self.caller(&request)?;
        Ok(Response::new(self.put(&caller, request.into_inner()).await?))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Error::unsupported("DoExchange is not offered").into())
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = self.caller(&request)?;
        Ok(action::call(&self.queries, &self.actions, &caller, request.get_ref()).await?)
    }

    async fn list_actions(&self, request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        self.caller(&request)?;
        Ok(Response::new(stream::iter(action::list()?.into_iter().map(Ok)).boxed()))
    }
}
