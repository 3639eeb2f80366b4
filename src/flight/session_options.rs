//! SetSessionOptions, GetSessionOptions and CloseSession. arrow-flight 58 has no messages for them (apache/arrow#49498),
//! so they are defined here, after Flight.proto.

use std::{collections::HashMap, sync::Arc};

use prost::Message;

use super::authenticate::Caller;
use crate::{
    error::{Error, ErrorKind, Result},
    ids::SessionToken,
    query::Queries,
    session::{OptionFault, OptionValue, Session},
};

/// The value of an option; `None` resets it.
#[derive(Clone, PartialEq, Message)]
pub struct SessionOptionValue {
    /// In one of its types.
    #[prost(oneof = "Form", tags = "1, 2, 3, 4, 5")]
    pub form: Option<Form>,
}

/// The types of a value.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Form {
    /// A string.
    #[prost(string, tag = "1")]
    Text(String),
    /// A Boolean.
    #[prost(bool, tag = "2")]
    Flag(bool),
    /// An integer.
    #[prost(sfixed64, tag = "3")]
    Whole(i64),
    /// A floating-point number.
    #[prost(double, tag = "4")]
    Number(f64),
    /// A list of strings.
    #[prost(message, tag = "5")]
    List(StringListValue),
}

/// A list of strings.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StringListValue {
    /// The strings.
    #[prost(string, repeated, tag = "1")]
    pub values: Vec<String>,
}

/// The request of SetSessionOptions.
#[derive(Clone, PartialEq, Message)]
pub struct SetSessionOptionsRequest {
    /// The options to set.
    #[prost(map = "string, message", tag = "1")]
    pub session_options: HashMap<String, SessionOptionValue>,
}

/// The response to SetSessionOptions: the options that were not set.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SetSessionOptionsResult {
    /// The errors by name.
    #[prost(map = "string, message", tag = "1")]
    pub errors: HashMap<String, OptionError>,
}

/// Why an option was not set.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct OptionError {
    /// The reason.
    #[prost(enumeration = "Reason", tag = "1")]
    pub value: i32,
}

/// The reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Reason {
    /// Not specified.
    Unspecified = 0,
    /// There is no such option.
    InvalidName = 1,
    /// The option cannot have this value.
    InvalidValue = 2,
    /// It failed.
    Error = 3,
}

/// The response to GetSessionOptions.
#[derive(Clone, PartialEq, Message)]
pub struct GetSessionOptionsResult {
    /// All options that have a value.
    #[prost(map = "string, message", tag = "1")]
    pub session_options: HashMap<String, SessionOptionValue>,
}

/// The response to CloseSession.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct CloseSessionResult {
    /// The status of the session.
    #[prost(enumeration = "CloseStatus", tag = "1")]
    pub status: i32,
}

/// The status of a session after closing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum CloseStatus {
    /// Not specified.
    Unspecified = 0,
    /// It is closed.
    Closed = 1,
    /// It is being closed.
    Closing = 2,
    /// It is shared with other clients.
    NotCloseable = 3,
}

/// Sets options. A client that shares a session gets its own for this, whose token is returned.
///
/// # Errors
/// `InvalidArgument` for a body that is not a request; `ResourceExhausted` for too many sessions.
pub async fn set(
    queries: &Queries,
    caller: &Caller,
    body: &[u8],
) -> Result<(SetSessionOptionsResult, Option<SessionToken>)> {
    let request = SetSessionOptionsRequest::decode(body)
        .map_err(|err| Error::invalid("the body is not a SetSessionOptionsRequest").with_source(err))?;
    let (session, token) = own_session(queries, caller)?;
    let mut errors = HashMap::new();
    for (name, value) in request.session_options {
        let reason = match queries.set_option(&session, &name, value.form.map(OptionValue::from)).await {
            Ok(Ok(())) => continue,
            Ok(Err(OptionFault::Name)) => Reason::InvalidName,
            Ok(Err(OptionFault::Value)) => Reason::InvalidValue,
            Err(err) if matches!(err.kind(), ErrorKind::InvalidArgument | ErrorKind::NotFound) => Reason::InvalidValue,
            Err(_) => Reason::Error,
        };
        errors.insert(name, OptionError { value: reason.into() });
    }
    Ok((SetSessionOptionsResult { errors }, token))
}

fn own_session(queries: &Queries, caller: &Caller) -> Result<(Arc<Session>, Option<SessionToken>)> {
    if caller.session.is_own() {
        return Ok((Arc::clone(&caller.session), None));
    }
    let token = queries.sessions().open(caller.session.principal().clone())?;
    Ok((queries.sessions().get(token.to_string().as_bytes())?, Some(token)))
}

/// The options of the caller's session.
pub fn get(caller: &Caller) -> GetSessionOptionsResult {
    let options = caller.session.options().all().into_iter();
    let session_options =
        options.map(|(name, value)| (name, SessionOptionValue { form: Some(value.into()) })).collect();
    GetSessionOptionsResult { session_options }
}

/// Closes the caller's session and releases everything that it holds.
pub fn close(queries: &Queries, caller: &Caller) -> CloseSessionResult {
    let closed = queries.close_session(&caller.session);
    CloseSessionResult { status: if closed { CloseStatus::Closed } else { CloseStatus::NotCloseable }.into() }
}

impl From<Form> for OptionValue {
    fn from(form: Form) -> Self {
        match form {
            Form::Text(text) => Self::Text(text),
            Form::Flag(flag) => Self::Flag(flag),
            Form::Whole(number) => Self::Whole(number),
            Form::Number(number) => Self::Number(number),
            Form::List(list) => Self::List(list.values),
        }
    }
}

impl From<OptionValue> for Form {
    fn from(value: OptionValue) -> Self {
        match value {
            OptionValue::Text(text) => Self::Text(text),
            OptionValue::Flag(flag) => Self::Flag(flag),
            OptionValue::Whole(number) => Self::Whole(number),
            OptionValue::Number(number) => Self::Number(number),
            OptionValue::List(values) => Self::List(StringListValue { values }),
        }
    }
}
