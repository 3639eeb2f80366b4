//! The session cookie: for clients that keep cookies and did not get a session by logging in.
//!
//! A bearer token that a login gave names its session by itself. Who shares a session (no login, or a static token)
//! gets one of their own with the first option that they set, and its name in this cookie.

use std::sync::Arc;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::{
    error::{Error, Result},
    ids::SessionToken,
    session::{Session, Sessions},
};

/// The name that Flight's documentation suggests.
const NAME: &str = "arrow_flight_session_id";

/// The session that the client's cookie names, if it is the session of the same principal as `shared`.
pub fn session(sessions: &Sessions, headers: &MetadataMap, shared: &Session) -> Option<Arc<Session>> {
    let cookies = headers.get_all("cookie").iter().filter_map(|header| header.to_str().ok());
    let mut pairs = cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, token) = pairs.find(|(name, _)| *name == NAME)?;
    let session = sessions.get(token.as_bytes()).ok()?;
    (session.principal() == shared.principal()).then_some(session)
}

/// The header that gives the cookie to the client.
///
/// # Errors
/// Internal when the token is no text, which cannot be.
pub fn header(token: SessionToken) -> Result<MetadataValue<Ascii>> {
    let header = format!("{NAME}={token}; HttpOnly; SameSite=Strict; Path=/").parse();
    header.map_err(|err| Error::internal("make the session's cookie").with_source(err))
}
