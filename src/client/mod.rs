//! A client of a running server, for the command line.

mod address;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::{
    Action, Empty, HandshakeRequest, error::FlightError, flight_service_client::FlightServiceClient,
    sql::client::FlightSqlServiceClient,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::{Message, Name};
use prost_types::Any;
use serde_json::Value;
use tonic::{Code, Request, Status, transport::Channel};

pub use self::address::{Address, Tls};
use crate::{
    error::{Error, ErrorKind, Result},
    proto::{self, Event},
};

/// A connection to a server.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    /// The token of the session.
    token: String,
    /// The snapshot that queries read.
    snapshot: Option<String>,
}

/// The credentials of a client. No `Debug`: it contains secrets.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds secrets")]
pub enum Login {
    /// A user and a password.
    Password(String, String),
    /// A bearer token.
    Token(String),
}

/// A result that is read as a stream.
#[expect(missing_debug_implementations, reason = "a stream has nothing to show")]
pub struct Rows {
    /// The columns.
    pub schema: SchemaRef,
    /// The snapshot that it was read at.
    pub snapshot_id: Option<i64>,
    /// The rows.
    pub batches: stream::BoxStream<'static, Result<RecordBatch>>,
}

/// The description of an action from ListActions.
#[derive(Clone, Debug)]
pub struct ActionInfo {
    /// Its name.
    pub name: String,
    /// Its description and parameters.
    pub description: String,
}

// === impl Client ===

impl Client {
    /// Connects to `address` and opens a session with the credentials `login`, whose principal is the author of writes.
    ///
    /// # Errors
    /// `InvalidArgument` for a URL of another form; Unavailable if there is no response; Unauthenticated for a wrong
    /// user or password. A wrong token is rejected with the first call.
    pub async fn connect(address: &Address, login: &Login) -> Result<Self> {
        let channel = address.connect().await?;
        let token = match login {
            Login::Token(token) => token.clone(),
            Login::Password(user, password) => {
                let token = log_in(channel.clone(), user, password).await;
                token.map_err(|status| address.explain(from_status(&status)))?
            }
        };
        Ok(Self { channel, token, snapshot: None })
    }

    /// The same, for queries of the lake at `snapshot`.
    #[must_use]
    pub fn at(self, snapshot: Option<String>) -> Self {
        Self { snapshot, ..self }
    }

    /// Executes a statement; the rows are streamed.
    ///
    /// # Errors
    /// Errors of the server.
    pub async fn execute(&self, sql: &str) -> Result<Rows> {
        let mut client = FlightSqlServiceClient::new_from_inner(self.service());
        client.set_token(self.token.clone());
        if let Some(snapshot) = &self.snapshot {
            client.set_header("merganser-snapshot", snapshot);
        }
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

    /// Calls the action `name` and returns its events as they arrive.
    ///
    /// # Errors
    /// The errors of the server.
    pub async fn call<M: Name>(&self, name: &str, request: &M) -> Result<impl Stream<Item = Result<Event>> + use<M>> {
        let action = Action { r#type: name.to_owned(), body: proto::to_any(request).encode_to_vec().into() };
        let events =
            self.service().do_action(self.request(action)?).await.map_err(|status| from_status(&status))?.into_inner();
        Ok(events.map(|event| {
            let event = event.map_err(|status| from_status(&status))?;
            let event = Any::decode(event.body).and_then(|any| any.to_msg());
            event.map_err(|err| Error::internal("read an event").with_source(err))
        }))
    }

    /// The actions of the server.
    ///
    /// # Errors
    /// Errors of the server.
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
        let header = header.map_err(|_| Error::invalid("a token must be ASCII, without line breaks"))?;
        request.metadata_mut().insert("authorization", header);
        Ok(request)
    }

    fn service(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX)
    }
}

/// Performs the handshake, which returns a token. (arrow-flight's own client does not distinguish a rejection from a
/// broken connection.)
async fn log_in(channel: Channel, user: &str, password: &str) -> Result<String, Status> {
    let mut request = Request::new(stream::iter([HandshakeRequest::default()]));
    let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
    if let Ok(header) = format!("Basic {credentials}").parse() {
        request.metadata_mut().insert("authorization", header);
    }
    let mut replies = FlightServiceClient::new(channel).handshake(request).await?.into_inner();
    let reply = replies.message().await?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&reply.payload).into_owned())
}

fn from_flight(err: FlightError) -> Error {
    match err {
        FlightError::Tonic(status) => from_status(&status),
        other => Error::internal(other.to_string()),
    }
}

/// Converts the server's error; its message is used unchanged.
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
        Code::DataLoss => ErrorKind::DataLoss,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, status.message())
}
