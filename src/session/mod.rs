//! What outlives a request: prepared statements, open transactions and results that wait to be fetched.
//!
//! A client that logs in gets a session of its own, which its bearer token names. Everybody else shares one anonymous
//! session: handles are unguessable, so sharing does no harm, but state that has no handle (`BEGIN` as SQL text) needs
//! a session of one's own.

mod execution;
mod hazards;
mod prepared;
mod statement;
mod transaction;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

pub use self::{
    execution::{Executions, Rows},
    prepared::Prepared,
    statement::{Described, Outcome, Statement},
    transaction::Transaction,
};
use crate::{
    context::Principal,
    engine::{Engine, Lease},
    error::{Error, ErrorKind, Result},
    ids::{ConnectionId, SessionToken, SnapshotId, StatementHandle, TransactionId},
};

/// A session that nobody used for this long ends; so does a transaction.
const IDLE_TIMEOUT: Duration = Duration::from_hours(1);
/// How often the idle ones are looked for.
const REAP_INTERVAL: Duration = Duration::from_secs(5);
/// How often a statement that waits for a connection makes one result make way …
const MAKE_WAY_INTERVAL: Duration = Duration::from_millis(20);
/// … of those that nobody began to fetch for this long: a client that means to fetch does it at once.
const MAKE_WAY_AGE: Duration = Duration::from_secs(5);
/// The most sessions; the one that was idle for longest ends for a new one.
const MAX_SESSIONS: usize = 10_000;
/// The most prepared statements and transactions of one session.
const MAX_HANDLES: usize = 10_000;

/// All sessions, and the results that wait.
#[derive(Debug)]
pub struct Sessions {
    engine: Engine,
    anonymous: Arc<Session>,
    by_token: Mutex<HashMap<SessionToken, Arc<Session>>>,
    executions: Executions,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    principal: Principal,
    /// Whether one client alone uses it.
    own: bool,
    prepared: Mutex<HashMap<StatementHandle, Arc<Prepared>>>,
    transactions: Mutex<HashMap<TransactionId, Arc<Transaction>>>,
    /// The transaction that `BEGIN` as text opened.
    textual: Mutex<Option<TransactionId>>,
    last_used: Mutex<Instant>,
}

// === impl Sessions ===

impl Sessions {
    /// No session yet; results wait for `result_ttl`.
    pub fn new(engine: Engine, result_ttl: Duration) -> Arc<Self> {
        Arc::new(Self {
            engine,
            anonymous: Session::new(Principal::anonymous(), false),
            by_token: Mutex::default(),
            executions: Executions::new(result_ttl),
        })
    }

    /// Opens a session for `principal`.
    pub fn open(&self, principal: Principal) -> SessionToken {
        let token = SessionToken::new();
        let mut by_token = self.by_token.lock();
        if by_token.len() >= MAX_SESSIONS {
            let idle = by_token.iter().min_by_key(|(_, session)| *session.last_used.lock()).map(|(token, _)| *token);
            idle.and_then(|token| by_token.remove(&token));
        }
        by_token.insert(token, Session::new(principal, true));
        token
    }

    /// The session that `token` names.
    ///
    /// # Errors
    /// Unauthenticated when it has ended or never was.
    pub fn get(&self, token: &[u8]) -> Result<Arc<Session>> {
        let session = SessionToken::from_bytes(token).and_then(|token| self.by_token.lock().get(&token).cloned());
        let session =
            session.ok_or_else(|| Error::new(ErrorKind::Unauthenticated, "the session has ended; log in again"))?;
        session.touch();
        Ok(session)
    }

    /// The session of those who did not log in.
    pub fn anonymous(&self) -> Arc<Session> {
        Arc::clone(&self.anonymous)
    }

    /// Executes a statement that was not prepared.
    ///
    /// # Errors
    /// What DuckDB says, and the errors of its transaction.
    pub async fn execute(&self, session: &Session, statement: Statement) -> Result<Outcome> {
        statement::execute(self, session, statement).await
    }

    /// Says what a statement takes and gives, without executing it.
    ///
    /// # Errors
    /// `InvalidArgument` and `NotFound` for what DuckDB's parser and binder refuse.
    pub async fn describe(
        &self,
        session: &Session,
        sql: &str,
        transaction: Option<TransactionId>,
    ) -> Result<Described> {
        statement::describe(self, session, sql, transaction).await
    }

    /// The engine that the sessions share.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The results that wait to be fetched.
    pub fn executions(&self) -> &Executions {
        &self.executions
    }

    /// Ends what is idle, for ever; runs until it is dropped.
    pub async fn reap(self: Arc<Self>) {
        let mut interval = tokio::time::interval(REAP_INTERVAL);
        loop {
            interval.tick().await;
            self.executions.drop_expired();
            // Whoever works with one holds it.
            self.by_token.lock().retain(|_, session| Arc::strong_count(session) > 1 || !session.is_idle());
            for session in self.all() {
                let mut transactions = session.transactions.lock();
                transactions.retain(|_, open| Arc::strong_count(open) > 1 || !open.is_idle(IDLE_TIMEOUT));
            }
        }
    }

    /// Rolls back and closes what was opened on a network connection that is no more: its client cannot do it.
    pub fn disconnected(&self, connection: ConnectionId) {
        for session in self.all() {
            session.transactions.lock().retain(|_, transaction| !transaction.was_opened_on(connection));
            session.prepared.lock().retain(|_, prepared| !prepared.was_opened_on(connection));
        }
    }

    fn all(&self) -> Vec<Arc<Session>> {
        self.by_token.lock().values().cloned().chain([self.anonymous()]).collect()
    }

    /// Borrows a connection. Where all are taken, results that nobody fetched for a while make way, the oldest first.
    ///
    /// # Errors
    /// `ResourceExhausted` when none came free in time.
    pub(crate) async fn lease(&self) -> Result<Lease> {
        let mut waiting = Box::pin(self.engine.lease());
        loop {
            tokio::select! {
                biased;
                lease = &mut waiting => return lease,
                () = tokio::time::sleep(MAKE_WAY_INTERVAL) => self.executions.drop_oldest_stream(MAKE_WAY_AGE),
            }
        }
    }

    /// Ends all sessions and gives up results that nobody fetches; streams that are being read go on.
    pub fn close(&self) {
        self.executions.clear();
        self.by_token.lock().clear();
        self.anonymous.transactions.lock().clear();
        self.anonymous.prepared.lock().clear();
    }
}

// === impl Session ===

impl Session {
    fn new(principal: Principal, own: bool) -> Arc<Self> {
        Arc::new(Self {
            principal,
            own,
            prepared: Mutex::default(),
            transactions: Mutex::default(),
            textual: Mutex::default(),
            last_used: Mutex::new(Instant::now()),
        })
    }

    /// Whose session it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Notes that it is in use.
    pub fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    fn is_idle(&self) -> bool {
        self.last_used.lock().elapsed() > IDLE_TIMEOUT
    }

    /// Opens a transaction; it takes a connection to DuckDB only with its first statement, and ends with the network
    /// connection that it was opened on.
    ///
    /// # Errors
    /// `ResourceExhausted` when the session has too many.
    pub fn begin(&self, opened_on: Option<ConnectionId>) -> Result<TransactionId> {
        let mut transactions = self.transactions.lock();
        check_room(transactions.len(), "transactions")?;
        let id = TransactionId::new();
        transactions.insert(id, Arc::new(Transaction::new(opened_on)));
        Ok(id)
    }

    /// Ends a transaction; says which snapshot a commit made, if it made one.
    ///
    /// # Errors
    /// `NotFound` for one that is not open; Conflict and what else the commit says. The transaction is over then too.
    pub async fn end(&self, id: TransactionId, commit: bool) -> Result<Option<SnapshotId>> {
        let transaction = self.transactions.lock().remove(&id);
        let transaction = transaction.ok_or_else(|| unknown_transaction(id))?;
        self.textual.lock().take_if(|textual| *textual == id);
        if commit { transaction.commit(self.principal()).await } else { transaction.rollback().await.map(|()| None) }
    }

    /// The transaction that a statement belongs to: the named one, else the one that `BEGIN` as text opened.
    fn transaction(&self, id: Option<TransactionId>) -> Result<Option<Arc<Transaction>>> {
        let Some(id) = id.or_else(|| *self.textual.lock()) else { return Ok(None) };
        let transaction = self.transactions.lock().get(&id).cloned();
        if transaction.is_none() {
            // It ended with its connection, or idle: said once, then the session goes on without it.
            self.textual.lock().take_if(|textual| *textual == id);
        }
        transaction.map(Some).ok_or_else(|| unknown_transaction(id))
    }

    /// Keeps a prepared statement.
    ///
    /// # Errors
    /// `ResourceExhausted` when the session has too many.
    pub fn keep(&self, prepared: Prepared) -> Result<(StatementHandle, Arc<Prepared>)> {
        let mut all = self.prepared.lock();
        check_room(all.len(), "prepared statements")?;
        let handle = StatementHandle::new();
        let prepared = Arc::new(prepared);
        all.insert(handle, Arc::clone(&prepared));
        Ok((handle, prepared))
    }

    /// The prepared statement that a client's handle names.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn prepared(&self, handle: &[u8]) -> Result<Arc<Prepared>> {
        let found = StatementHandle::from_bytes(handle).and_then(|handle| self.prepared.lock().get(&handle).cloned());
        found.ok_or_else(|| Error::not_found("the prepared statement was closed or never existed"))
    }

    /// Forgets a prepared statement.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn close_prepared(&self, handle: &[u8]) -> Result<()> {
        let closed = StatementHandle::from_bytes(handle).and_then(|handle| self.prepared.lock().remove(&handle));
        closed.map(|_| ()).ok_or_else(|| Error::not_found("the prepared statement was closed or never existed"))
    }
}

fn unknown_transaction(id: TransactionId) -> Error {
    Error::not_found(format!("transaction {id} is not open: it was committed, rolled back, or idle for too long"))
}

fn check_room(used: usize, what: &str) -> Result<()> {
    if used < MAX_HANDLES {
        return Ok(());
    }
    let text = format!("the session has {MAX_HANDLES} open {what}; close some of them");
    Err(Error::new(ErrorKind::ResourceExhausted, text))
}
