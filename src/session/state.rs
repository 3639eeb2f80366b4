//! One session.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    options::Options,
    pinned_connection::PinnedConnection,
    prepared::Prepared,
    transaction::{End, Transaction},
};
use crate::{
    context::Principal,
    engine::Worker,
    error::{Error, ErrorKind, Result},
    ids::{ConnectionId, SessionId, SessionToken, SnapshotId, StatementHandle, TransactionId},
    sql::ParsedStatement,
};

/// The maximum number of prepared statements and transactions of one session.
const MAX_HANDLES: usize = 10_000;

/// One session.
#[derive(Debug)]
pub struct Session {
    id: SessionId,
    principal: Principal,
    /// Present if a single client uses it.
    pub(super) token: Option<SessionToken>,
    opened: Instant,
    pub(super) options: Mutex<Options>,
    handles: Arc<Handles>,
    /// The snapshot that its last statement saw, if it is pinned.
    pub(super) pinned_snapshot: Mutex<Option<PinnedSnapshot>>,
    /// The connection with its TEMP objects and variables.
    pinned_connection: Mutex<Option<PinnedConnection>>,
    last_used: Mutex<Instant>,
}

/// The snapshot to which a session is pinned.
#[derive(Clone, Debug)]
pub(super) struct PinnedSnapshot {
    pub name: String,
    /// What the name referred to when it was first used.
    pub snapshot: SnapshotId,
}

/// The objects that clients reference by handles.
#[derive(Debug, Default)]
struct Handles {
    prepared: Mutex<HashMap<StatementHandle, Arc<Prepared>>>,
    transactions: Mutex<HashMap<TransactionId, Arc<Transaction>>>,
    /// The transaction that `BEGIN` in SQL opened.
    textual: Mutex<Option<TransactionId>>,
    /// The statements of `PREPARE` in SQL, by name.
    textual_prepared: Mutex<HashMap<String, ParsedStatement>>,
}

// === impl Session ===

impl Session {
    pub(super) fn new(principal: Principal, token: Option<SessionToken>) -> Arc<Self> {
        Arc::new(Self {
            id: SessionId::new(),
            principal,
            token,
            opened: Instant::now(),
            options: Mutex::default(),
            handles: Arc::default(),
            pinned_snapshot: Mutex::default(),
            pinned_connection: Mutex::default(),
            last_used: Mutex::new(Instant::now()),
        })
    }

    /// Its public id, which grants no access.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whether a single client uses it.
    pub fn is_own(&self) -> bool {
        self.token.is_some()
    }

    /// Its current options.
    pub fn options(&self) -> Options {
        self.options.lock().clone()
    }

    /// Replaces its options and returns the previous ones.
    pub fn replace_options(&self, options: Options) -> Options {
        std::mem::replace(&mut *self.options.lock(), options)
    }

    /// Resolves the name of its snapshot again at the next use.
    pub fn forget_snapshot(&self) {
        self.pinned_snapshot.lock().take();
    }

    /// The number of open transactions.
    pub fn open_transactions(&self) -> usize {
        self.handles.transactions.lock().len()
    }

    /// The time since it was last used.
    pub fn idle(&self) -> Duration {
        self.last_used.lock().elapsed()
    }

    /// The time since it was opened.
    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// The same session with other options, for one call: handles are valid in both.
    pub(super) fn with_options(&self, options: Options) -> Arc<Self> {
        Arc::new(Self {
            id: self.id,
            principal: self.principal.clone(),
            token: None,
            opened: self.opened,
            options: Mutex::new(options),
            handles: Arc::clone(&self.handles),
            pinned_snapshot: Mutex::default(),
            pinned_connection: Mutex::default(),
            last_used: Mutex::new(Instant::now()),
        })
    }

    /// The workers that hold state of the session.
    pub fn workers(&self) -> Vec<Worker> {
        let pinned = self.pinned_worker();
        let open: Vec<_> = self.handles.transactions.lock().values().cloned().collect();
        pinned.into_iter().chain(open.iter().filter_map(|transaction| transaction.worker_if_begun())).collect()
    }

    /// The worker of its pinned connection, if it has one.
    pub fn pinned_worker(&self) -> Option<Worker> {
        self.pinned_connection.lock().as_ref().map(|pinned| pinned.worker().clone())
    }

    /// Keeps a connection until the end of the session.
    pub fn pin_connection(&self, connection: PinnedConnection) {
        *self.pinned_connection.lock() = Some(connection);
    }

    pub(super) fn clear(&self) {
        self.handles.transactions.lock().clear();
        self.handles.prepared.lock().clear();
        self.handles.textual_prepared.lock().clear();
        self.pinned_connection.lock().take();
    }

    /// Rolls back transactions that were idle for longer than `limit`.
    pub(super) fn drop_idle_transactions(&self, limit: Duration) {
        let mut transactions = self.handles.transactions.lock();
        transactions.retain(|_, open| Arc::strong_count(open) > 1 || !open.is_idle(limit));
    }

    /// Rolls back and closes what was opened on a closed network connection.
    pub(super) fn disconnected(&self, connection: ConnectionId) {
        self.handles.transactions.lock().retain(|_, transaction| !transaction.was_opened_on(connection));
        self.handles.prepared.lock().retain(|_, prepared| !prepared.was_opened_on(connection));
    }

    /// The owner of the session.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Records that it is in use.
    pub fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    /// Opens a transaction. It takes a connection to DuckDB only with its first statement, and ends with the network
    /// connection that it was opened on.
    ///
    /// # Errors
    /// `ResourceExhausted` if the session has too many.
    pub fn begin(&self, opened_on: Option<ConnectionId>) -> Result<TransactionId> {
        let mut transactions = self.handles.transactions.lock();
        check_room(transactions.len(), "transactions")?;
        let id = TransactionId::new();
        transactions.insert(id, Arc::new(Transaction::new(opened_on)));
        Ok(id)
    }

    /// Opens a transaction with `BEGIN` in SQL, which later statements belong to.
    ///
    /// # Errors
    /// `FailedPrecondition` if one is open, and for a shared session; as [`begin`](Self::begin).
    pub fn begin_textual(&self, opened_on: Option<ConnectionId>) -> Result<()> {
        if self.handles.textual.lock().is_some() {
            return Err(Error::precondition(
                "TransactionContext Error: cannot start a transaction within a transaction",
            ));
        }
        if !self.is_own() {
            return Err(Error::precondition(
                "BEGIN needs a session: log in first, or disable the client's autocommit instead",
            ));
        }
        let id = self.begin(opened_on)?;
        *self.handles.textual.lock() = Some(id);
        Ok(())
    }

    /// The transaction that `BEGIN` in SQL opened.
    pub fn textual_transaction(&self) -> Option<TransactionId> {
        *self.handles.textual.lock()
    }

    /// Ends a transaction; returns the snapshot that a commit created, if any.
    ///
    /// # Errors
    /// `NotFound` for one that is not open; Conflict and other errors of the commit. The transaction is over then too.
    pub async fn end(&self, id: TransactionId, end: End) -> Result<Option<SnapshotId>> {
        let transaction = self.handles.transactions.lock().remove(&id);
        let transaction = transaction.ok_or_else(|| unknown_transaction(id))?;
        self.handles.textual.lock().take_if(|textual| *textual == id);
        self.handles.prepared.lock().values().for_each(|prepared| prepared.leave(id));
        self.finish(&transaction, end).await
    }

    /// Commits or rolls back the work of a transaction, which is reset.
    ///
    /// # Errors
    /// As [`end`](Self::end).
    pub async fn finish(&self, transaction: &Transaction, end: End) -> Result<Option<SnapshotId>> {
        let (made, pinned) = match end {
            End::Rollback => (None, transaction.rollback().await?),
            End::Commit => {
                let message = self.options().commit_message().map(ToOwned::to_owned);
                transaction.commit(self.principal(), message).await?
            }
        };
        if let Some(pinned) = pinned {
            self.pin_connection(pinned);
        }
        Ok(made)
    }

    /// The transaction that a statement belongs to: the specified one, or else the one that `BEGIN` in SQL opened.
    ///
    /// # Errors
    /// `NotFound` if the specified one is not open.
    pub fn transaction(&self, id: Option<TransactionId>) -> Result<Option<Arc<Transaction>>> {
        let Some(id) = id.or_else(|| *self.handles.textual.lock()) else { return Ok(None) };
        let transaction = self.handles.transactions.lock().get(&id).cloned();
        if transaction.is_none() {
            // It ended with its connection, or when idle: this is reported once, then the session continues without it.
            self.handles.textual.lock().take_if(|textual| *textual == id);
        }
        transaction.map(Some).ok_or_else(|| unknown_transaction(id))
    }

    /// The only transaction that was opened on this network connection, for clients that do not specify it.
    ///
    /// # Errors
    /// `FailedPrecondition` if there are several.
    pub fn opened_on(&self, connection: Option<ConnectionId>) -> Result<Option<TransactionId>> {
        let Some(connection) = connection else { return Ok(None) };
        let transactions = self.handles.transactions.lock();
        let mut here = transactions.iter().filter(|(_, transaction)| transaction.was_opened_on(connection));
        match (here.next(), here.next()) {
            (only, None) => Ok(only.map(|(id, _)| *id)),
            (_, Some(_)) => Err(Error::precondition(
                "several transactions are open on this connection: specify one of them, or end the others",
            )),
        }
    }

    /// Keeps the statement of a `PREPARE` in SQL, replacing an earlier one of that name.
    ///
    /// # Errors
    /// `FailedPrecondition` for a shared session; `ResourceExhausted` if the session has too many.
    pub fn keep_textual(&self, name: String, statement: ParsedStatement) -> Result<()> {
        if !self.is_own() {
            return Err(Error::precondition(
                "PREPARE needs a session: log in first, or use the client's prepared statements",
            ));
        }
        let mut all = self.handles.textual_prepared.lock();
        check_room(all.len(), "prepared statements")?;
        all.insert(name, statement);
        Ok(())
    }

    /// The statement that `PREPARE` in SQL prepared under a name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn textual_prepared(&self, name: &str) -> Result<ParsedStatement> {
        let found = self.handles.textual_prepared.lock().get(name).cloned();
        found.ok_or_else(|| no_textual(name))
    }

    /// Removes the statement that `PREPARE` in SQL prepared under a name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn forget_textual(&self, name: &str) -> Result<()> {
        let forgotten = self.handles.textual_prepared.lock().remove(name);
        forgotten.map(|_| ()).ok_or_else(|| no_textual(name))
    }

    /// Keeps a prepared statement.
    ///
    /// # Errors
    /// `ResourceExhausted` if the session has too many.
    pub fn keep(&self, prepared: Prepared) -> Result<(StatementHandle, Arc<Prepared>)> {
        let mut all = self.handles.prepared.lock();
        check_room(all.len(), "prepared statements")?;
        let handle = StatementHandle::new();
        let prepared = Arc::new(prepared);
        all.insert(handle, Arc::clone(&prepared));
        Ok((handle, prepared))
    }

    /// The prepared statement of a client's handle.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn prepared(&self, handle: &[u8]) -> Result<Arc<Prepared>> {
        let found =
            StatementHandle::from_bytes(handle).and_then(|handle| self.handles.prepared.lock().get(&handle).cloned());
        found.ok_or_else(|| {
            Error::not_found("the prepared statement does not exist: it was closed, or belongs to another session")
        })
    }

    /// Removes a prepared statement.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn close_prepared(&self, handle: &[u8]) -> Result<()> {
        let closed =
            StatementHandle::from_bytes(handle).and_then(|handle| self.handles.prepared.lock().remove(&handle));
        closed.map(|_| ()).ok_or_else(|| {
            Error::not_found("the prepared statement does not exist: it was closed, or belongs to another session")
        })
    }
}

fn no_textual(name: &str) -> Error {
    Error::not_found(format!("prepared statement \"{name}\" does not exist in this session"))
}

/// The error for a transaction that is over.
fn unknown_transaction(id: TransactionId) -> Error {
    Error::not_found(format!("transaction {id} does not exist: it was committed, rolled back, or idle for too long"))
}

fn check_room(used: usize, what: &str) -> Result<()> {
    if used < MAX_HANDLES {
        return Ok(());
    }
    let text = format!("the session has {MAX_HANDLES} open {what}; close some of them");
    Err(Error::new(ErrorKind::ResourceExhausted, text))
}
