//! DoAction and ListActions: bodies in both forms to requests, and events back in the same form.

use arrow_flight::{Action as FlightAction, ActionType, sql::Any as SqlAny, sql::ProstMessageExt};
use bytes::Bytes;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use prost::Message;
use tonic::Status;

use super::{authenticate::Caller, prepared, transaction};
use crate::{
    actions::{self, Actions, Body, Events},
    error::{Error, Result},
    proto::{self, Event},
    session::Sessions,
};

/// What DoAction answers with.
pub type ResultStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;

/// The actions of Flight SQL itself that are offered, with what ListActions says of them.
const SQL_ACTIONS: &[(&str, &str)] = &[
    ("CreatePreparedStatement", "Prepares a statement. Request: ActionCreatePreparedStatementRequest."),
    ("ClosePreparedStatement", "Forgets a prepared statement. Request: ActionClosePreparedStatementRequest."),
    ("BeginTransaction", "Opens a transaction. Request: ActionBeginTransactionRequest."),
    ("EndTransaction", "Commits a transaction or rolls it back. Request: ActionEndTransactionRequest."),
];

/// All actions with their descriptions.
///
/// # Errors
/// Internal when an action's message is unknown.
pub fn list() -> Result<Vec<ActionType>> {
    let sql = SQL_ACTIONS.iter().map(|(name, text)| Ok(action_type(name, (*text).to_owned())));
    let own = actions::ALL.iter().map(|action| Ok(action_type(action.name, describe(action)?)));
    sql.chain(own).collect()
}

fn action_type(name: &str, description: String) -> ActionType {
    ActionType { r#type: name.to_owned(), description }
}

/// The request's comment and its fields, a line each.
fn describe(action: &actions::Action) -> Result<String> {
    let described = proto::describe(action.request)?;
    let mut text = described.comment;
    for field in described.fields {
        let comment = if field.comment.is_empty() { String::new() } else { format!(" – {}", field.comment) };
        text.push_str(&format!("\n  \"{}\": {}{comment}", field.name, field.kind));
    }
    Ok(text)
}

/// Does an action of Flight SQL or of the server.
pub async fn call(
    sessions: &Sessions,
    actions: &Actions,
    caller: &Caller,
    action: &FlightAction,
) -> Result<ResultStream> {
    match action.r#type.as_str() {
        "CreatePreparedStatement" => {
            let created = prepared::create(sessions, caller, &unpack(&action.body)?).await?;
            let value = created.encode_to_vec().into();
            Ok(one(SqlAny { type_url: prepared::CREATE_RESULT_TYPE.to_owned(), value }.encode_to_vec()))
        }
        "ClosePreparedStatement" => {
            prepared::close(caller, &unpack(&action.body)?)?;
            Ok(stream::empty().boxed())
        }
        "BeginTransaction" => Ok(one(transaction::begin(caller)?.as_any().encode_to_vec())),
        "EndTransaction" => {
            transaction::end(caller, &unpack(&action.body)?).await?;
            Ok(stream::empty().boxed())
        }
        name => {
            let form = Form::of(&action.body);
            let body = match form {
                Form::Json => Body::Json(if action.body.is_empty() { b"{}" } else { &action.body }),
                Form::Protobuf => Body::Protobuf(prost_types::Any::decode(action.body.as_ref()).map_err(|_| {
                    Error::invalid("the body is neither a JSON object nor a protobuf message packed in an Any")
                })?),
            };
            Ok(encode(actions.call(caller.session.principal(), name, &body)?, form))
        }
    }
}

/// The form of a body and of the events that answer it.
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
            // Whatever else it is, the JSON reader says best what is wrong with it.
            Some(_) if std::str::from_utf8(body).is_ok() => Self::Json,
            Some(_) => Self::Protobuf,
        }
    }

    fn encode(self, event: &Event) -> Result<Vec<u8>> {
        match self {
            Self::Protobuf => Ok(proto::to_any("Event", event).encode_to_vec()),
            Self::Json => json_event(event).map(|json| json.to_string().into_bytes()),
        }
    }
}

/// An event as JSON: its result is the plain object.
fn json_event(event: &Event) -> Result<serde_json::Value> {
    let result = event.result.as_ref().map(|result| {
        let name = result.type_url.rsplit('.').next().unwrap_or_default();
        proto::to_json(name, &result.value)
    });
    let mut json = proto::to_json("Event", &Event { result: None, ..event.clone() }.encode_to_vec())?;
    if let (Some(result), Some(fields)) = (result.transpose()?, json.as_object_mut()) {
        fields.insert("result".to_owned(), result);
    }
    Ok(json)
}

fn encode(events: Events, form: Form) -> ResultStream {
    let results = events.and_then(move |event| async move { form.encode(&event) });
    results.map_ok(|body| arrow_flight::Result { body: body.into() }).map_err(Status::from).boxed()
}

fn one(body: Vec<u8>) -> ResultStream {
    stream::iter([Ok(arrow_flight::Result { body: body.into() })]).boxed()
}

/// The message that a Flight SQL action carries in an `Any`.
fn unpack<M: ProstMessageExt>(body: &Bytes) -> Result<M> {
    let any = SqlAny::decode(body.as_ref()).map_err(|_| Error::invalid("the body is no protobuf message in an Any"))?;
    let message = any.unpack().map_err(|err| Error::invalid(format!("read the body: {err}")))?;
    message.ok_or_else(|| Error::invalid(format!("the body is a {}, another message is needed", any.type_url)))
}
