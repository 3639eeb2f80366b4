//! A client of a running server, for the command line.

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::{
    Action, Empty, error::FlightError, flight_service_client::FlightServiceClient, sql::client::FlightSqlServiceClient,
};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};

use crate::error::{Error, ErrorKind, Result};

/// A connection to a server.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    /// Names the session.
    token: String,
}

/// A result as it comes.
#[expect(missing_debug_implementations, reason = "a stream has nothing to show")]
pub struct Rows {
    /// The columns.
    pub schema: SchemaRef,
    /// The snapshot that it was read at.
    pub snapshot_id: Option<i64>,
    /// The rows.
    pub batches: stream::BoxStream<'static, Result<RecordBatch>>,
}

/// What ListActions says of an action.
#[derive(Clone, Debug)]
pub struct ActionInfo {
    /// Its name.
    pub name: String,
    /// What it does and takes.
    pub description: String,
}

// === impl Client ===

impl Client {
    /// Connects to `url` (`grpc://HOST:PORT`) and opens a session for `user`, the author of what it writes.
    ///
    /// # Errors
    /// `InvalidArgument` for a URL of another form; Unavailable when nobody answers.
    pub async fn connect(url: &str, user: &str) -> Result<Self> {
        let address = url.strip_prefix("grpc://").or_else(|| url.strip_prefix("grpc+tcp://"));
        let address =
            address.ok_or_else(|| Error::invalid(format!("\"{url}\" is no server: write grpc://HOST:PORT")))?;
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let endpoint = endpoint.map_err(|err| Error::invalid(format!("\"{url}\" is no server: {err}")))?;
        let channel = endpoint.tcp_nodelay(true).connect().await.map_err(|err| {
            let text = format!("no server answers at {url}; start one with \"merganser serve\", or name it with --url");
            Error::new(ErrorKind::Unavailable, text).with_source(err)
        })?;
        let token = FlightSqlServiceClient::new(channel.clone()).handshake(user, "").await.map_err(from_flight)?;
        let token = String::from_utf8(token.into()).map_err(|_| Error::internal("the session's token is no text"))?;
        Ok(Self { channel, token })
    }

    /// Executes a statement; the rows come as they are read.
    ///
    /// # Errors
    /// What the server says.
    pub async fn execute(&self, sql: &str) -> Result<Rows> {
        let mut client = FlightSqlServiceClient::new_from_inner(self.service());
        client.set_token(self.token.clone());
        let info = client.execute(sql.to_owned(), None).await.map_err(from_flight)?;
        let schema = info.clone().try_decode_schema().map_err(|err| Error::internal(err.to_string()))?;
        let metadata: Value = serde_json::from_slice(&info.app_metadata).unwrap_or_default();
        let mut batches = Vec::new();
        for ticket in info.endpoint.into_iter().filter_map(|endpoint| endpoint.ticket) {
            batches.push(client.do_get(ticket).await.map_err(from_flight)?);
        }
        let batches = stream::iter(batches).flatten().map_err(from_flight).boxed();
        Ok(Rows { schema: schema.into(), snapshot_id: metadata["snapshot_id"].as_i64(), batches })
    }

    /// Calls an action with a JSON body; the events come as they happen.
    ///
    /// # Errors
    /// What the server says.
    pub async fn action(&self, name: &str, body: &Value) -> Result<impl Stream<Item = Result<Value>> + use<>> {
        let action = Action { r#type: name.to_owned(), body: body.to_string().into_bytes().into() };
        let events =
            self.service().do_action(self.request(action)?).await.map_err(|status| from_status(&status))?.into_inner();
        Ok(events.map(|event| {
            let event = event.map_err(|status| from_status(&status))?;
            serde_json::from_slice(&event.body).map_err(|err| Error::internal(err.to_string()))
        }))
    }

    /// The actions of the server.
    ///
    /// # Errors
    /// What the server says.
    pub async fn actions(&self) -> Result<Vec<ActionInfo>> {
        let actions =
            self.service().list_actions(self.request(Empty {})?).await.map_err(|status| from_status(&status))?;
        let actions =
            actions.into_inner().map_ok(|action| ActionInfo { name: action.r#type, description: action.description });
        actions.try_collect().await.map_err(|status| from_status(&status))
    }

    /// A call that belongs to the session.
    fn request<T>(&self, message: T) -> Result<Request<T>> {
        let mut request = Request::new(message);
        let header = format!("Bearer {}", self.token).parse();
        let header = header.map_err(|_| Error::internal("the session's token is no header"))?;
        request.metadata_mut().insert("authorization", header);
        Ok(request)
    }

    fn service(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }
}

fn from_flight(err: FlightError) -> Error {
    match err {
        FlightError::Tonic(status) => from_status(&status),
        other => Error::internal(other.to_string()),
    }
}

/// The server's error as ours; its text is for people as it stands.
fn from_status(status: &Status) -> Error {
    let kind = match status.code() {
        Code::InvalidArgument => ErrorKind::InvalidArgument,
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::AlreadyExists,
        Code::Aborted => ErrorKind::Conflict,
        Code::FailedPrecondition => ErrorKind::FailedPrecondition,
        Code::PermissionDenied => ErrorKind::PermissionDenied,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::ResourceExhausted => ErrorKind::ResourceExhausted,
        Code::Cancelled => ErrorKind::Cancelled,
        Code::Unavailable => ErrorKind::Unavailable,
        Code::Unimplemented => ErrorKind::Unsupported,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, status.message())
}
