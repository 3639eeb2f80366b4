//! What outlives a request: options, prepared statements, open transactions and results that wait to be fetched.
//!
//! A client that logs in gets a session of its own, which its bearer token names. Everybody else shares one session
//! for each principal: handles are unguessable, so sharing does no harm, but state that has no handle (options, `BEGIN`
//! as SQL text, TEMP objects) needs a session of one's own.
//!
//! Statements borrow connections to DuckDB; only a session that made TEMP objects keeps one, its home.

mod bulk;
mod contention;
mod control;
mod describe;
mod execution;
mod group;
mod hazards;
mod home;
mod ingest;
mod insert;
mod macros;
mod message;
mod options;
mod parts;
mod pin;
mod prepared;
mod procedure;
mod registry;
mod rows;
mod set;
mod statement;
mod ticket;
mod tokens;
mod transaction;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

pub use self::{
    describe::Described,
    execution::{Execution, Executions, Known, Phase},
    ingest::{IfAbsent, IfPresent, Ingest},
    options::{Compression, MESSAGE_BYTES, OptionFault, OptionValue, Options},
    prepared::Prepared,
    procedure::{Procedure, ProcedureRows, Procedures},
    registry::{Sessions, Settings},
    rows::{Reading, Rows},
    statement::{Outcome, Statement},
    transaction::Transaction,
};
use crate::{
    context::Principal,
    engine::Worker,
    error::{Error, ErrorKind, Result},
    ids::{ConnectionId, SessionId, SessionToken, SnapshotId, StatementHandle, TransactionId},
};
use home::Home;
use pin::Pinned;

/// The most prepared statements and transactions of one session.
const MAX_HANDLES: usize = 10_000;

/// One session.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    principal: Principal,
    /// Present when one client alone uses it.
    token: Option<SessionToken>,
    opened: Instant,
    options: Mutex<Options>,
    handles: Arc<Handles>,
    /// The snapshot that its last statement saw, if it is pinned.
    pinned: Mutex<Option<Pinned>>,
    /// The connection with its TEMP objects.
    home: Mutex<Option<Home>>,
    last_used: Mutex<Instant>,
}

/// What clients name by handles.
#[derive(Debug, Default)]
struct Handles {
    prepared: Mutex<HashMap<StatementHandle, Arc<Prepared>>>,
    transactions: Mutex<HashMap<TransactionId, Arc<Transaction>>>,
    /// The transaction that `BEGIN` as text opened.
    textual: Mutex<Option<TransactionId>>,
}

// === impl Session ===

impl Session {
    fn new(principal: Principal, token: Option<SessionToken>) -> Arc<Self> {
        Arc::new(Self {
            id: SessionId::new(),
            principal,
            token,
            opened: Instant::now(),
            options: Mutex::default(),
            handles: Arc::default(),
            pinned: Mutex::default(),
            home: Mutex::default(),
            last_used: Mutex::new(Instant::now()),
        })
    }

    /// Its name for people; it gives no access.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whether one client alone uses it.
    pub fn is_own(&self) -> bool {
        self.token.is_some()
    }

    /// Its options as they are now.
    pub fn options(&self) -> Options {
        self.options.lock().clone()
    }

    /// How many transactions are open.
    pub fn open_transactions(&self) -> usize {
        self.handles.transactions.lock().len()
    }

    /// How long nobody has used it.
    pub fn idle(&self) -> Duration {
        self.last_used.lock().elapsed()
    }

    /// How long ago it was opened.
    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// The workers that hold something of the session.
    fn workers(&self) -> Vec<Worker> {
        let home = self.home_worker();
        let open: Vec<_> = self.handles.transactions.lock().values().cloned().collect();
        home.into_iter().chain(open.iter().filter_map(|transaction| transaction.leased())).collect()
    }

    fn home_worker(&self) -> Option<Worker> {
        self.home.lock().as_ref().map(|home| home.worker().clone())
    }

    fn clear(&self) {
        self.handles.transactions.lock().clear();
        self.handles.prepared.lock().clear();
        self.home.lock().take();
    }

    /// Whose session it is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Notes that it is in use.
    pub fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    /// Opens a transaction; it takes a connection to DuckDB only with its first statement, and ends with the network
    /// connection that it was opened on.
    ///
    /// # Errors
    /// `ResourceExhausted` when the session has too many.
    pub fn begin(&self, opened_on: Option<ConnectionId>) -> Result<TransactionId> {
        let mut transactions = self.handles.transactions.lock();
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
        let transaction = self.handles.transactions.lock().remove(&id);
        let transaction = transaction.ok_or_else(|| unknown_transaction(id))?;
        self.handles.textual.lock().take_if(|textual| *textual == id);
        self.handles.prepared.lock().values().for_each(|prepared| prepared.leave(id));
        self.finish(&transaction, commit).await
    }

    /// Commits or rolls back what was done in a transaction, which is as new then.
    async fn finish(&self, transaction: &Transaction, commit: bool) -> Result<Option<SnapshotId>> {
        if !commit {
            return transaction.rollback().await.map(|()| None);
        }
        let message = self.options().commit_message().map(ToOwned::to_owned);
        let (made, home) = transaction.commit(self.principal(), message).await?;
        if let Some(home) = home {
            *self.home.lock() = Some(home);
        }
        Ok(made)
    }

    /// The transaction that a statement belongs to: the named one, else the one that `BEGIN` as text opened.
    fn transaction(&self, id: Option<TransactionId>) -> Result<Option<Arc<Transaction>>> {
        let Some(id) = id.or_else(|| *self.handles.textual.lock()) else { return Ok(None) };
        let transaction = self.handles.transactions.lock().get(&id).cloned();
        if transaction.is_none() {
            // It ended with its connection, or idle: said once, then the session goes on without it.
            self.handles.textual.lock().take_if(|textual| *textual == id);
        }
        transaction.map(Some).ok_or_else(|| unknown_transaction(id))
    }

    /// The only transaction that was opened on this network connection, for clients that do not name it.
    ///
    /// # Errors
    /// `FailedPrecondition` when there are several.
    fn opened_on(&self, connection: Option<ConnectionId>) -> Result<Option<TransactionId>> {
        let Some(connection) = connection else { return Ok(None) };
        let transactions = self.handles.transactions.lock();
        let mut here = transactions.iter().filter(|(_, transaction)| transaction.was_opened_on(connection));
        match (here.next(), here.next()) {
            (only, None) => Ok(only.map(|(id, _)| *id)),
            (_, Some(_)) => Err(Error::precondition(
                "several transactions are open on this connection: name the one that is meant, or end others",
            )),
        }
    }

    /// Keeps a prepared statement.
    ///
    /// # Errors
    /// `ResourceExhausted` when the session has too many.
    pub fn keep(&self, prepared: Prepared) -> Result<(StatementHandle, Arc<Prepared>)> {
        let mut all = self.handles.prepared.lock();
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
        let found =
            StatementHandle::from_bytes(handle).and_then(|handle| self.handles.prepared.lock().get(&handle).cloned());
        found.ok_or_else(|| Error::not_found("the prepared statement was closed or never existed"))
    }

    /// Forgets a prepared statement.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn close_prepared(&self, handle: &[u8]) -> Result<()> {
        let closed =
            StatementHandle::from_bytes(handle).and_then(|handle| self.handles.prepared.lock().remove(&handle));
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
