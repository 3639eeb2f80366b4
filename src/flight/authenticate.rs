//! Who calls: from the `authorization` header to a session, and the handshake that hands out tokens.
//!
//! No credentials are configured, and the server listens on loopback only: every name and password is taken, and the
//! name becomes the author of what the session writes.

use std::sync::Arc;

use arrow_flight::{BasicAuth, HandshakeRequest, HandshakeResponse};
use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use futures::{Stream, StreamExt, stream};
use prost::Message;
use tonic::{Request, Response, Status, metadata::MetadataMap};

use crate::{
    context::Principal,
    error::{Error, ErrorKind, Result},
    ids::ConnectionId,
    session::{Session, Sessions},
};

const AUTHORIZATION: &str = "authorization";
/// Go's driver leaves the padding away, C++ and Python send it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Who makes a call.
#[derive(Debug)]
pub struct Caller {
    /// The session that the call belongs to.
    pub session: Arc<Session>,
    /// The network connection that it came on.
    pub connection: Option<ConnectionId>,
}

// === impl Caller ===

impl Drop for Caller {
    fn drop(&mut self) {
        // A call may take longer than a session may be idle.
        self.session.touch();
    }
}

/// Who makes `request`.
///
/// # Errors
/// Unauthenticated for a token that is none or has ended.
pub fn caller<T>(sessions: &Sessions, request: &Request<T>) -> Result<Caller> {
    let connection = request.extensions().get::<ConnectionId>().copied();
    Ok(Caller { session: session(sessions, request.metadata())?, connection })
}

fn session(sessions: &Sessions, headers: &MetadataMap) -> Result<Arc<Session>> {
    let Some(header) = headers.get(AUTHORIZATION) else { return Ok(sessions.anonymous()) };
    let text = header.to_str().map_err(|_| unauthenticated("the authorization header is not text"))?;
    match split_scheme(text) {
        ("bearer", token) => sessions.get(token.as_bytes()),
        ("basic", _) => Ok(sessions.anonymous()),
        _ => Err(unauthenticated("the authorization header must be Basic or Bearer")),
    }
}

/// Answers a handshake: opens a session and returns its token as header and as payload.
///
/// # Errors
/// Unauthenticated for credentials that cannot be read.
pub async fn handshake(
    sessions: &Sessions,
    headers: &MetadataMap,
    mut requests: impl Stream<Item = Result<HandshakeRequest, Status>> + Unpin,
) -> Result<Response<stream::BoxStream<'static, Result<HandshakeResponse, Status>>>, Status> {
    let payload = match requests.next().await {
        Some(request) => request?.payload,
        None => bytes::Bytes::new(),
    };
    let token = match headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()).map(split_scheme) {
        // A token login (JDBC) shows the token that it has and wants no other.
        Some(("bearer", token)) => {
            sessions.get(token.as_bytes())?;
            token.to_owned()
        }
        Some(("basic", credentials)) => sessions.open(basic(credentials)?).to_string(),
        Some(_) => return Err(unauthenticated("the authorization header must be Basic or Bearer").into()),
        None => sessions.open(from_payload(&payload)?).to_string(),
    };
    let reply = HandshakeResponse { protocol_version: 0, payload: token.clone().into_bytes().into() };
    let mut response = Response::new(stream::iter([Ok(reply)]).boxed());
    let header = format!("Bearer {token}").parse();
    let header = header.map_err(|_| unauthenticated("the token is not text"))?;
    response.metadata_mut().insert(AUTHORIZATION, header);
    Ok(response)
}

/// The scheme of an authorization header in lower case, and what follows it.
fn split_scheme(header: &str) -> (&'static str, &str) {
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    let known = ["bearer", "basic"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known));
    (known.unwrap_or_default(), rest.trim())
}

fn basic(credentials: &str) -> Result<Principal> {
    let bytes = BASE64.decode(credentials).map_err(|_| unauthenticated("the Basic credentials are not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| unauthenticated("the Basic credentials are not text"))?;
    let (user, _password) = text.split_once(':').unwrap_or((&text, ""));
    Ok(principal(user))
}

/// The older form of the handshake: a `BasicAuth` message as payload.
fn from_payload(payload: &[u8]) -> Result<Principal> {
    let auth = BasicAuth::decode(payload).map_err(|_| unauthenticated("the handshake's payload is no BasicAuth"))?;
    Ok(principal(&auth.username))
}

fn principal(user: &str) -> Principal {
    if user.is_empty() { Principal::anonymous() } else { Principal::named(user) }
}

fn unauthenticated(message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message)
}
