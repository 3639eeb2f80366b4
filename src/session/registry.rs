//! All sessions: opening, finding and ending them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::state::Session;
use crate::{
    context::Principal,
    error::{Error, ErrorKind, Result},
    ids::{ConnectionId, SessionToken},
};

/// If there are too many sessions, a new one replaces the one that was idle for longest, if it was for this long.
const MAKE_ROOM_AGE: Duration = Duration::from_mins(1);

/// Limits on the number and the age of sessions.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A session that is unused for this long ends; so does a transaction.
    pub idle_timeout: Duration,
    /// A session ends after this long even if it is in use.
    pub max_age: Duration,
    /// The maximum number of sessions.
    pub max_sessions: usize,
    /// The maximum number of sessions of one user.
    pub max_sessions_per_user: usize,
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    limits: Limits,
    by_token: Mutex<HashMap<SessionToken, Arc<Session>>>,
    /// The sessions of principals that do not have their own.
    shared: Mutex<HashMap<Principal, Arc<Session>>>,
}

// === impl Sessions ===

impl Sessions {
    /// Creates the registry without sessions.
    pub fn new(limits: Limits) -> Self {
        Self { limits, by_token: Mutex::default(), shared: Mutex::default() }
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Opens a session for `principal`.
    ///
    /// # Errors
    /// `ResourceExhausted` if there are too many and none was idle for a while.
    pub fn open(&self, principal: Principal) -> Result<SessionToken> {
        let token = SessionToken::new();
        let mut by_token = self.by_token.lock();
        let of_user = by_token.values().filter(|session| *session.principal() == principal).count();
        if of_user >= self.limits.max_sessions_per_user {
            make_room(&mut by_token, "max_sessions_per_user", |session| *session.principal() == principal)?;
        } else if by_token.len() >= self.limits.max_sessions {
            make_room(&mut by_token, "max_sessions", |_| true)?;
        }
        by_token.insert(token, Session::new(principal, Some(token)));
        Ok(token)
    }

    /// The session of `token`.
    ///
    /// # Errors
    /// Unauthenticated if it has ended or never existed.
    pub fn get(&self, token: &[u8]) -> Result<Arc<Session>> {
        let session = SessionToken::from_bytes(token).and_then(|token| self.by_token.lock().get(&token).cloned());
        // A session that is in continuous use outlives the clean-up.
        let session = session.filter(|session| session.age() < self.limits.max_age);
        let session =
            session.ok_or_else(|| Error::new(ErrorKind::Unauthenticated, "the session has ended; log in again"))?;
        session.touch();
        Ok(session)
    }

    /// The session that is shared by all clients that are `principal` and do not have their own.
    pub fn shared(&self, principal: &Principal) -> Arc<Session> {
        let mut shared = self.shared.lock();
        let session = shared.entry(principal.clone()).or_insert_with(|| Session::new(principal.clone(), None));
        session.touch();
        Arc::clone(session)
    }

    /// Ends a client's own session and releases everything that it holds. Returns whether it was ended: shared ones are
    /// not.
    pub fn close_session(&self, session: &Session) -> bool {
        let Some(token) = session.token else { return false };
        let closed = self.by_token.lock().remove(&token);
        if let Some(session) = &closed {
            session.clear();
        }
        closed.is_some()
    }

    /// The number of sessions, without shared ones, and the number of open transactions in all of them.
    pub fn counts(&self) -> (usize, usize) {
        let all = self.list();
        let own = all.iter().filter(|session| session.is_own()).count();
        (own, all.iter().map(|session| session.open_transactions()).sum())
    }

    /// All sessions.
    pub fn list(&self) -> Vec<Arc<Session>> {
        let own = self.by_token.lock().values().cloned().collect::<Vec<_>>();
        own.into_iter().chain(self.shared.lock().values().cloned()).collect()
    }

    /// Ends sessions and transactions that are idle or too old.
    pub fn drop_idle(&self) {
        let Limits { idle_timeout, max_age, .. } = self.limits;
        // A call that uses a session holds it.
        let lives = |session: &Arc<Session>| {
            Arc::strong_count(session) > 1 || session.idle() < idle_timeout && session.age() < max_age
        };
        self.by_token.lock().retain(|_, session| lives(session));
        self.shared.lock().retain(|_, session| Arc::strong_count(session) > 1 || session.idle() < idle_timeout);
        for session in self.list() {
            session.drop_idle_transactions(idle_timeout);
        }
    }

    /// Rolls back and closes what was opened on a closed network connection: its client cannot do it.
    pub fn disconnected(&self, connection: ConnectionId) {
        for session in self.list() {
            session.disconnected(connection);
        }
    }

    /// Ends all sessions.
    pub fn close(&self) {
        for session in self.list() {
            session.clear();
        }
        self.by_token.lock().clear();
        self.shared.lock().clear();
    }
}

/// Ends the session that was idle for longest among those that `counts`.
fn make_room(
    by_token: &mut HashMap<SessionToken, Arc<Session>>,
    setting: &str,
    counts: impl Fn(&Session) -> bool,
) -> Result<()> {
    let idlest = by_token.iter().filter(|(_, session)| counts(session)).max_by_key(|(_, session)| session.idle());
    match idlest.filter(|(_, session)| session.idle() >= MAKE_ROOM_AGE).map(|(token, _)| *token) {
        Some(token) => {
            by_token.remove(&token);
            Ok(())
        }
        None => Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!("there are too many sessions: close some, or raise {setting}"),
        )),
    }
}
