//! Authentication of calls: from the `authorization` header to a session, and the handshake that issues tokens.
//!
//! [`auth`](crate::auth) verifies identities; this module reads the credentials that clients send. A handshake takes a
//! name and a password, as header or as payload, and returns a bearer token for a new session. A static token of the
//! configuration needs no handshake, and all its calls share one session.

use std::{sync::Arc, time::Duration};

use arrow_flight::{BasicAuth, HandshakeRequest, HandshakeResponse};
use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use futures::{FutureExt, Stream, StreamExt, future, stream};
use prost::Message;
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
};

use super::{client::Client, cookie};
use crate::{
    auth::Authenticator,
    context::Principal,
    error::{Error, ErrorKind, Result},
    ids::ConnectionId,
    session::{Session, Sessions},
};

const AUTHORIZATION: &str = "authorization";
const AUTH_TOKEN: &str = "auth-token-bin";
/// Pins the session of its call to a snapshot.
const SNAPSHOT: &str = "merganser-snapshot";
/// Go's driver omits the padding, C++ and Python send it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a client authenticates.
#[derive(Clone, Copy, Debug)]
enum Scheme {
    Basic,
    Bearer,
}

/// The caller of a call.
#[derive(Debug)]
pub struct Caller {
    /// The session that the call belongs to.
    pub session: Arc<Session>,
    /// The network connection that it came on.
    pub connection: Option<ConnectionId>,
    /// The driver.
    pub client: Client,
}

// === impl Caller ===

impl Drop for Caller {
    fn drop(&mut self) {
        // A call may take longer than a session may be idle.
        self.session.touch();
    }
}

/// Authenticates `request`.
///
/// # Errors
/// Unauthenticated for an invalid or expired token, and without credentials if they are required.
pub fn caller<T>(door: &Authenticator, sessions: &Sessions, request: &Request<T>) -> Result<Caller> {
    let connection = request.extensions().get::<ConnectionId>().copied();
    let session = session(door, sessions, request.metadata())?;
    let session = if session.is_own() {
        session
    } else {
        cookie::session(sessions, request.metadata(), &session).unwrap_or(session)
    };
    let session = match request.metadata().get(SNAPSHOT) {
        Some(name) => session.pinned_by_header(snapshot(name)?)?,
        None => session,
    };
    Ok(Caller { session, connection, client: Client::of(request.metadata()) })
}

fn snapshot(header: &MetadataValue<Ascii>) -> Result<&str> {
    let text = header.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    text.ok_or_else(|| Error::invalid(format!("the header {SNAPSHOT} must be a version, a tag or a timestamp")))
}

fn session(door: &Authenticator, sessions: &Sessions, headers: &MetadataMap) -> Result<Arc<Session>> {
    match shown(headers)? {
        Some((Scheme::Bearer, token)) => by_token(door, sessions, &token),
        _ if door.is_open() => Ok(sessions.shared(&Principal::anonymous())),
        Some((Scheme::Basic, _)) => {
            Err(unauthenticated("only Handshake accepts a password; send the bearer token that it returns"))
        }
        None => Err(unauthenticated("log in with a user and a password, or send a bearer token")),
    }
}

fn by_token(door: &Authenticator, sessions: &Sessions, token: &str) -> Result<Arc<Session>> {
    match door.holder(token.as_bytes()) {
        Some(principal) => Ok(sessions.shared(&principal)),
        None if door.is_open() => sessions.get(token.as_bytes()),
        None => sessions
            .get(token.as_bytes())
            .map_err(|_| unauthenticated("the token is unknown, or its session has ended: log in again")),
    }
}

/// How long the response to a handshake waits for the message of the client, which clients with credentials in the headers
/// may send or not.
const MESSAGE_WAIT: Duration = Duration::from_secs(2);

type HandshakeStream = stream::BoxStream<'static, Result<HandshakeResponse, Status>>;

/// Responds to a handshake: opens a session and returns its token as header and as payload.
///
/// Credentials are in the headers, or in the first message. Some clients wait for the response's headers before they close
/// their stream (Go), and others treat a stream as broken that ends before they have sent their message. So the headers
/// are sent as soon as the credentials are known, and the reply after the client's message.
///
/// # Errors
/// Unauthenticated for credentials that are wrong or cannot be read.
pub async fn handshake(
    door: &Arc<Authenticator>,
    sessions: &Sessions,
    headers: &MetadataMap,
    mut requests: impl Stream<Item = Result<HandshakeRequest, Status>> + Unpin + Send + 'static,
) -> Result<Response<HandshakeStream>, Status> {
    let outcome = match shown(headers) {
        Ok(Some(credentials)) => by_header(door, sessions, credentials).await,
        Ok(None) => return by_message(door, sessions, requests).await,
        Err(err) => Err(err),
    };
    let message = async move { _ = tokio::time::timeout(MESSAGE_WAIT, requests.next()).await };
    match outcome {
        Ok(token) => response(token, message),
        Err(err) => {
            message.await;
            Err(err.into())
        }
    }
}

/// The token of the session that the credentials in the headers open; `None` for a client that has its token already
/// (JDBC): it reads no other, and it shows headers in errors.
async fn by_header(
    door: &Arc<Authenticator>,
    sessions: &Sessions,
    (scheme, credentials): (Scheme, String),
) -> Result<Option<String>> {
    if let Scheme::Bearer = scheme {
        return by_token(door, sessions, &credentials).map(|_| None);
    }
    let (name, password) = basic(&credentials)?;
    open_session(door, sessions, &name, &password).await.map(Some)
}

async fn by_message(
    door: &Arc<Authenticator>,
    sessions: &Sessions,
    mut requests: impl Stream<Item = Result<HandshakeRequest, Status>> + Unpin,
) -> Result<Response<HandshakeStream>, Status> {
    let payload = match requests.next().await {
        Some(request) => request?.payload,
        None => bytes::Bytes::new(),
    };
    let (name, password) = from_payload(&payload)?;
    let token = open_session(door, sessions, &name, &password).await?;
    response(Some(token), future::ready(()))
}

async fn open_session(door: &Arc<Authenticator>, sessions: &Sessions, name: &str, password: &str) -> Result<String> {
    Ok(sessions.open(door.log_in(name, password.as_bytes()).await?)?.to_string())
}

/// The response with a token, whose message is sent after `ready`.
fn response(
    token: Option<String>,
    ready: impl Future<Output = ()> + Send + 'static,
) -> Result<Response<HandshakeStream>, Status> {
    let header = token.as_ref().map(|token| format!("Bearer {token}").parse()).transpose();
    let header = header.map_err(|_| unauthenticated("the token is not text"))?;
    let payload = token.unwrap_or_default().into_bytes().into();
    let reply = ready.map(|()| Ok(HandshakeResponse { protocol_version: 0, payload }));
    let mut response = Response::new(stream::once(reply).boxed());
    if let Some(header) = header {
        response.metadata_mut().insert(AUTHORIZATION, header);
    }
    Ok(response)
}

/// The authorization header, if there is one.
fn shown(headers: &MetadataMap) -> Result<Option<(Scheme, String)>> {
    let Some(header) = headers.get(AUTHORIZATION) else { return shown_by_handler(headers) };
    let text = header.to_str().map_err(|_| unauthenticated("the authorization header is not text"))?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    let known = [("bearer", Scheme::Bearer), ("basic", Scheme::Basic)];
    let known = known.into_iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name));
    let known = known.ok_or_else(|| unauthenticated("the authorization header must be Basic or Bearer"))?;
    Ok(Some((known.1, rest.trim().to_owned())))
}

/// The token as clients with an "auth handler" send it (C++, pyarrow): the one that the handshake returned.
fn shown_by_handler(headers: &MetadataMap) -> Result<Option<(Scheme, String)>> {
    let Some(header) = headers.get_bin(AUTH_TOKEN) else { return Ok(None) };
    let token = header.to_bytes().ok().and_then(|token| String::from_utf8(token.to_vec()).ok());
    token
        .map(|token| Some((Scheme::Bearer, token)))
        .ok_or_else(|| unauthenticated("the auth-token-bin header is not a token"))
}

/// The name and the password in Basic credentials; without a colon, all of it is the name.
fn basic(credentials: &str) -> Result<(String, String)> {
    let bytes = BASE64.decode(credentials).map_err(|_| unauthenticated("the Basic credentials are not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| unauthenticated("the Basic credentials are not text"))?;
    let (user, password) = text.split_once(':').unwrap_or((&text, ""));
    Ok((user.to_owned(), password.to_owned()))
}

/// The older form of the handshake: a `BasicAuth` message as payload.
fn from_payload(payload: &[u8]) -> Result<(String, String)> {
    let auth = BasicAuth::decode(payload).map_err(|_| unauthenticated("the handshake's payload is not a BasicAuth"))?;
    Ok((auth.username, auth.password))
}

fn unauthenticated(message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message)
}
