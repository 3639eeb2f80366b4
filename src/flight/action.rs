//! DoAction and ListActions: parses bodies in both forms to requests, and returns events in the same form.

use arrow_flight::{Action as FlightAction, ActionType, sql::Any as SqlAny, sql::ProstMessageExt};
use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use prost::Message;
use tonic::{Response, Status};

use super::{authenticate::Caller, cancel, cookie, prepared, session_options, transaction};
use crate::{
    actions::{self, Actions, Body, Events},
    error::{Error, Result},
    proto::{self, Event},
    query::Queries,
};

/// The result of DoAction.
pub type ResultStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;

/// The supported actions of Flight SQL itself, with their descriptions in ListActions.
const SQL_ACTIONS: &[(&str, &str)] = &[
    ("CreatePreparedStatement", "Prepares a statement. Request: ActionCreatePreparedStatementRequest."),
    ("ClosePreparedStatement", "Closes a prepared statement. Request: ActionClosePreparedStatementRequest."),
    ("BeginTransaction", "Opens a transaction. Request: ActionBeginTransactionRequest."),
    ("EndTransaction", "Commits a transaction or rolls it back. Request: ActionEndTransactionRequest."),
    ("CancelFlightInfo", "Stops a statement and drops its rows. Request: CancelFlightInfoRequest."),
    ("CancelQuery", "The older form of CancelFlightInfo. Request: ActionCancelQueryRequest."),
    ("RenewFlightEndpoint", "Restarts the time that a result is kept. Request: RenewFlightEndpointRequest."),
    ("SetSessionOptions", "Sets options of the session. Request: SetSessionOptionsRequest."),
    ("GetSessionOptions", "Returns the options of the session. Request: GetSessionOptionsRequest."),
    ("CloseSession", "Ends the session and releases what it holds. Request: CloseSessionRequest."),
];

/// All actions with their descriptions.
///
/// # Errors
/// Internal if an action's message is unknown.
pub fn list() -> Result<Vec<ActionType>> {
    let sql = SQL_ACTIONS.iter().map(|(name, text)| Ok(action_type(name, (*text).to_owned())));
    let own = actions::ALL.iter().map(|action| Ok(action_type(action.name, describe(action)?)));
    sql.chain(own).collect()
}

fn action_type(name: &str, description: String) -> ActionType {
    ActionType { r#type: name.to_owned(), description }
}

/// The request's comment and its fields, one per line.
fn describe(action: &actions::Entry) -> Result<String> {
    let described = proto::describe(action.request)?;
    let mut text = described.comment;
    for field in described.fields {
        let comment = if field.comment.is_empty() { String::new() } else { format!(" – {}", field.comment) };
        text.push_str(&format!("\n  \"{}\": {}{comment}", field.name, field.kind));
    }
    Ok(text)
}

/// Runs an action of Flight SQL or of the server.
pub async fn call(
    queries: &Queries,
    actions: &Actions,
    caller: &Caller,
    action: &FlightAction,
) -> Result<Response<ResultStream>> {
    let mut cookie = None;
    let results = match action.r#type.as_str() {
        "CreatePreparedStatement" => {
            let created = prepared::create(queries, caller, &unpack(&action.body)?).await?;
            let value = created.encode_to_vec().into();
            one(SqlAny { type_url: prepared::CREATE_RESULT_TYPE.to_owned(), value }.encode_to_vec())
        }
        "ClosePreparedStatement" => {
            prepared::close(caller, &unpack(&action.body)?)?;
            stream::empty().boxed()
        }
        "BeginTransaction" => one(transaction::begin(caller)?.as_any().encode_to_vec()),
        "EndTransaction" => {
            transaction::end(caller, &unpack(&action.body)?).await?;
            stream::empty().boxed()
        }
        name @ ("BeginSavepoint" | "EndSavepoint") => {
            return Err(Error::unsupported(format!("{name} is not offered: DuckDB has no savepoints")));
        }
        "CreatePreparedSubstraitPlan" => {
            return Err(Error::unsupported("CreatePreparedSubstraitPlan is not offered: send SQL, not Substrait"));
        }
        "CancelFlightInfo" => one(cancel::cancel_flight_info(queries, caller, &action.body)?.encode_to_vec()),
        "CancelQuery" => one(cancel::cancel_query(queries, caller, &unpack(&action.body)?)?.as_any().encode_to_vec()),
        "RenewFlightEndpoint" => one(cancel::renew(queries, caller, &action.body)?.encode_to_vec()),
        "SetSessionOptions" => {
            let (result, token) = session_options::set(queries, caller, &action.body).await?;
            cookie = token.map(cookie::header).transpose()?;
            one(result.encode_to_vec())
        }
        "GetSessionOptions" => one(session_options::get(caller).encode_to_vec()),
        "CloseSession" => one(session_options::close(queries, caller).encode_to_vec()),
        name => {
            let form = Form::of(&action.body);
            let body = match form {
                Form::Json => Body::Json(if action.body.is_empty() { b"{}" } else { &action.body }),
                Form::Protobuf => Body::Protobuf(prost_types::Any::decode(action.body.as_ref()).map_err(|_| {
                    Error::invalid("the body is neither a JSON object nor a protobuf message packed in an Any")
                })?),
            };
            encode(actions.call(caller.session.principal(), name, &body)?, form)
        }
    };
    let mut response = Response::new(results);
    if let Some(cookie) = cookie {
        response.metadata_mut().insert("set-cookie", cookie);
    }
    Ok(response)
}

/// The form of a body and of its response events.
#[derive(Clone, Copy)]
enum Form {
    Json,
    Protobuf,
}

// === impl Form ===

impl Form {
    /// An `Any` starts with a tag and the length of its type's name, never with a brace.
    fn of(body: &[u8]) -> Self {
        match body.trim_ascii_start().first() {
            None | Some(b'{') => Self::Json,
            Some(_) if body.first() == Some(&0x0a) && body.get(2) == Some(&b't') => Self::Protobuf,
            // Whatever else it is, the JSON parser reports the most helpful error.
            Some(_) if std::str::from_utf8(body).is_ok() => Self::Json,
            Some(_) => Self::Protobuf,
        }
    }

    fn encode(self, event: &Event) -> Result<Vec<u8>> {
        match self {
            Self::Protobuf => Ok(proto::to_any(event).encode_to_vec()),
            Self::Json => proto::event_to_json(event).map(|json| json.to_string().into_bytes()),
        }
    }
}

fn encode(events: Events, form: Form) -> ResultStream {
    let results = events.and_then(move |event| async move { form.encode(&event) });
    results.map_ok(|body| arrow_flight::Result { body: body.into() }).map_err(Status::from).boxed()
}

fn one(body: Vec<u8>) -> ResultStream {
    stream::iter([Ok(arrow_flight::Result { body: body.into() })]).boxed()
}

/// The message of a Flight SQL action, packed in an `Any`.
fn unpack<M: ProstMessageExt>(body: &Bytes) -> Result<M> {
    let any = SqlAny::decode(body.as_ref()).map_err(|_| Error::invalid("the body is not a message in an Any"))?;
    let message = any.unpack().map_err(|err| Error::invalid(format!("read the body: {err}")))?;
    message.ok_or_else(|| Error::invalid(format!("the body is a {}, expected another message", any.type_url)))
}
