//! The session cookie: for clients that keep cookies and did not log in to get their own session.
//!
//! A bearer token from a login identifies its session by itself. A client that shares a session (no login, or a static
//! token) gets its own with the first option that it sets, identified by this cookie.

use std::sync::Arc;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::{
    error::{Error, Result},
    ids::SessionToken,
    session::{Session, Sessions},
};

/// The name that Flight's documentation suggests.
const NAME: &str = "arrow_flight_session_id";

/// The session in the client's cookie, if it belongs to the same principal as `shared`.
pub fn session(sessions: &Sessions, headers: &MetadataMap, shared: &Session) -> Option<Arc<Session>> {
    let cookies = headers.get_all("cookie").iter().filter_map(|header| header.to_str().ok());
    let mut pairs = cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, token) = pairs.find(|(name, _)| *name == NAME)?;
    let session = sessions.get(token.as_bytes()).ok()?;
    (session.principal() == shared.principal()).then_some(session)
}

/// The header that sets the cookie in the client.
///
/// # Errors
/// Internal if the token is not a string, which cannot happen.
pub fn header(token: SessionToken) -> Result<MetadataValue<Ascii>> {
    let header = format!("{NAME}={token}; HttpOnly; SameSite=Strict; Path=/").parse();
    header.map_err(|err| Error::internal("make the session's cookie").with_source(err))
}
