//! All sessions: opening, finding and ending them, and the connections that their statements borrow.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{
    Described, Execution, Executions, OptionFault, OptionValue, Outcome, Procedures, Session, Statement,
    contention::Contention,
    describe,
    group::Groups,
    parts::{self, SmallTables},
    statement,
    ticket::Tickets,
};
use crate::{
    context::Principal,
    engine::{Connection, Engine, Lease},
    error::{Context, Error, ErrorKind, Result},
    ids::{ConnectionId, ExecutionId, SessionToken, SnapshotId, TransactionId},
    lake::pins::Pins,
};

/// How often the idle ones are looked for.
const REAP_INTERVAL: Duration = Duration::from_secs(5);
/// How often a statement that waits for a connection makes one result make way …
const MAKE_WAY_INTERVAL: Duration = Duration::from_millis(20);
/// … of those that nobody began to fetch for this long: a client that means to fetch does it at once.
const MAKE_WAY_AGE: Duration = Duration::from_secs(5);
/// Where there are too many sessions, the one that was idle for longest ends for a new one, if it was for this long.
const MAKE_ROOM_AGE: Duration = Duration::from_mins(1);

/// What sessions may do and for how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a result that nobody fetches is kept.
    pub result_ttl: Duration,
    /// How long a statement may take, from its call to the last row fetched; `None` is no limit.
    pub query_timeout: Option<Duration>,
    /// A session that nobody used for this long ends; so does a transaction.
    pub idle_timeout: Duration,
    /// A session ends after this long even when it is in use.
    pub max_age: Duration,
    /// The most sessions.
    pub max_sessions: usize,
    /// The most sessions of one user.
    pub max_sessions_per_user: usize,
}

/// All sessions, and the results that wait.
#[derive(Debug)]
pub struct Sessions {
    pub(super) engine: Engine,
    pub(super) settings: Settings,
    by_token: Mutex<HashMap<SessionToken, Arc<Session>>>,
    /// Those of principals who have none of their own.
    shared: Mutex<HashMap<Principal, Arc<Session>>>,
    pub(super) executions: Arc<Executions>,
    tickets: Tickets,
    pub(super) pins: Arc<Pins>,
    pub(super) procedures: Procedures,
    /// The newest snapshot that a statement saw or made; below zero before the first.
    newest: AtomicI64,
    pub(super) contention: Arc<Contention>,
    pub(super) groups: Arc<Groups>,
    pub(super) small_tables: SmallTables,
    /// How many more sessions may keep a connection.
    pub(super) homes: Arc<Semaphore>,
}

// === impl Sessions ===

impl Sessions {
    /// No session yet; they may call `procedures`.
    pub fn new(engine: Engine, pins: Arc<Pins>, settings: Settings, procedures: Procedures) -> Arc<Self> {
        Arc::new(Self {
            homes: Arc::new(Semaphore::new(engine.max_connections() / 2)),
            newest: AtomicI64::new(-1),
            engine,
            by_token: Mutex::default(),
            shared: Mutex::default(),
            executions: Executions::new(settings.result_ttl),
            tickets: Tickets::new(),
            pins,
            contention: Arc::default(),
            groups: Arc::default(),
            small_tables: SmallTables::default(),
            procedures,
            settings,
        })
    }

    /// Opens a session for `principal`.
    ///
    /// # Errors
    /// `ResourceExhausted` when there are too many and none was idle for a while.
    pub fn open(&self, principal: Principal) -> Result<SessionToken> {
        let token = SessionToken::new();
        let mut by_token = self.by_token.lock();
        let of_user = by_token.values().filter(|session| session.principal == principal).count();
        if of_user >= self.settings.max_sessions_per_user {
            make_room(&mut by_token, "max_sessions_per_user", |session| session.principal == principal)?;
        } else if by_token.len() >= self.settings.max_sessions {
            make_room(&mut by_token, "max_sessions", |_| true)?;
        }
        by_token.insert(token, Session::new(principal, Some(token)));
        Ok(token)
    }

    /// The session that `token` names.
    ///
    /// # Errors
    /// Unauthenticated when it has ended or never was.
    pub fn get(&self, token: &[u8]) -> Result<Arc<Session>> {
        let session = SessionToken::from_bytes(token).and_then(|token| self.by_token.lock().get(&token).cloned());
        // One that is in use all the time outlives the clean-up.
        let session = session.filter(|session| session.opened.elapsed() < self.settings.max_age);
        let session =
            session.ok_or_else(|| Error::new(ErrorKind::Unauthenticated, "the session has ended; log in again"))?;
        session.touch();
        Ok(session)
    }

    /// The session that all share who are `principal` and have none of their own.
    pub fn shared(&self, principal: &Principal) -> Arc<Session> {
        let mut shared = self.shared.lock();
        let session = shared.entry(principal.clone()).or_insert_with(|| Session::new(principal.clone(), None));
        session.touch();
        Arc::clone(session)
    }

    /// Ends a session of its own with everything that it holds; streams that are being read go on. Says whether it
    /// did: shared ones stay.
    pub fn close_session(&self, session: &Session) -> bool {
        let Some(token) = session.token else { return false };
        let closed = self.by_token.lock().remove(&token);
        if let Some(session) = &closed {
            self.executions.drop_session(session.id);
            session.clear();
        }
        closed.is_some()
    }

    /// Executes a statement that was not prepared.
    ///
    /// # Errors
    /// What DuckDB says, and the errors of its transaction.
    pub async fn execute(&self, session: &Arc<Session>, statement: Statement) -> Result<Outcome> {
        statement::execute(self, session, statement).await
    }

    /// Executes a statement as one or several, whose results one behind the other are its own; for a client that reads
    /// them at the same time.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn execute_in_parts(&self, session: &Arc<Session>, statement: Statement) -> Result<Vec<Outcome>> {
        parts::execute(self, session, statement).await
    }

    /// Begins to execute a statement, which will have the columns `expected`, and does not wait for it:
    /// [`Executions::poll`] tells how far it is.
    pub fn begin(
        self: &Arc<Self>,
        session: &Arc<Session>,
        statement: Statement,
        expected: SchemaRef,
    ) -> Arc<Execution> {
        statement::begin(self, session, statement, expected)
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
        describe::describe(self, session, sql, transaction).await
    }

    /// The engine that the sessions share.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The newest snapshot that a statement of this server saw or made.
    pub(super) fn newest_snapshot(&self) -> Option<SnapshotId> {
        let newest = self.newest.load(Ordering::Relaxed);
        (newest >= 0).then_some(SnapshotId(newest))
    }

    pub(super) fn saw_snapshot(&self, id: SnapshotId) {
        self.newest.fetch_max(id.0, Ordering::Relaxed);
    }

    /// What sessions may do and for how long.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How long a result that nobody fetches is kept.
    pub fn result_ttl(&self) -> Duration {
        self.settings.result_ttl
    }

    /// The results that wait to be fetched.
    pub fn executions(&self) -> &Arc<Executions> {
        &self.executions
    }

    /// The ticket of an execution's result.
    pub fn ticket(&self, execution: &Execution) -> Vec<u8> {
        self.tickets.seal(execution.id, &execution.owner)
    }

    /// The execution that a ticket names, which `reader` shows.
    ///
    /// # Errors
    /// `NotFound` for a ticket that is none of this server, or another user's: nobody learns which.
    pub fn ticketed(&self, ticket: &[u8], reader: &Principal) -> Result<ExecutionId> {
        self.tickets.open(ticket, reader)
    }

    /// How many sessions there are, shared ones left out, and how many transactions are open in all.
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

    /// Ends what is idle, for ever; runs until it is dropped.
    pub async fn reap(self: Arc<Self>) {
        let mut interval = tokio::time::interval(REAP_INTERVAL);
        loop {
            interval.tick().await;
            self.executions.drop_expired();
            let Settings { idle_timeout, max_age, .. } = self.settings;
            // Whoever works with one holds it.
            let lives = |session: &Arc<Session>| {
                Arc::strong_count(session) > 1 || session.idle() < idle_timeout && session.opened.elapsed() < max_age
            };
            self.by_token.lock().retain(|_, session| lives(session));
            self.shared.lock().retain(|_, session| Arc::strong_count(session) > 1 || session.idle() < idle_timeout);
            let sessions = self.list();
            for session in &sessions {
                let mut transactions = session.handles.transactions.lock();
                transactions.retain(|_, open| Arc::strong_count(open) > 1 || !open.is_idle(idle_timeout));
            }
            self.pins.drop_idle();
            self.executions.keep_sessions(&sessions.iter().map(|session| session.id).collect());
        }
    }

    /// Rolls back and closes what was opened on a network connection that is no more: its client cannot do it.
    pub fn disconnected(&self, connection: ConnectionId) {
        for session in self.list() {
            session.handles.transactions.lock().retain(|_, transaction| !transaction.was_opened_on(connection));
            session.handles.prepared.lock().retain(|_, prepared| !prepared.was_opened_on(connection));
        }
    }

    /// Sets an option of a session that is its client's own; no value sets it back.
    ///
    /// # Errors
    /// `FailedPrecondition` for a shared session; what DuckDB says of the value.
    pub async fn set_option(
        &self,
        session: &Session,
        name: &str,
        value: Option<OptionValue>,
    ) -> Result<Result<(), OptionFault>> {
        let mut options = session.options.lock().clone();
        if let Err(fault) = options.set(name, value) {
            return Ok(Err(fault));
        }
        if !session.is_own() {
            return Err(Error::precondition("options need a session: log in first (any user name will do)"));
        }
        if options.snapshot() != session.options.lock().snapshot() {
            session.check_free()?;
            session.pinned.lock().take();
        }
        let (change, tries) = (options.change(name), options.script().is_some() || options.snapshot().is_some());
        let before = std::mem::replace(&mut *session.options.lock(), options);
        if tries && let Err(err) = self.lease_for(session).await {
            *session.options.lock() = before;
            // DuckDB says "not implemented" of a time zone that there is not.
            return Err(if err.kind() == ErrorKind::Unsupported { Error::invalid(err.message()) } else { err });
        }
        for worker in session.workers() {
            let change = change.clone();
            worker.run(move |connection| connection.run_script(&change)).await?;
        }
        Ok(Ok(()))
    }

    /// Does `work`, which only reads, where the session's next statement would run: in the transaction that it has open
    /// (the only one, where the client names none), at its home, or on a connection set up for it.
    ///
    /// # Errors
    /// As [`lease_for`](Self::lease_for); what `work` says.
    pub async fn inspect<T: Send + 'static>(
        &self,
        session: &Session,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match session.workers().as_slice() {
            [worker] => worker.run(work).await,
            _ => self.lease_for(session).await?.worker().run(work).await,
        }
    }

    /// Borrows a connection that is set up as `session` wants it.
    ///
    /// # Errors
    /// As [`lease`](Self::lease); what DuckDB says of a schema that was dropped meanwhile.
    pub(crate) async fn lease_for(&self, session: &Session) -> Result<Lease> {
        let mut lease = self.lease(session).await?;
        let script = session.options.lock().script();
        if let Some(script) = script {
            // The next session wants other settings.
            lease.retire();
            let set_up = lease.worker().run(move |connection| connection.run_script(&script)).await;
            set_up.context(|| "set up the session's options")?;
        }
        Ok(lease)
    }

    /// Borrows a connection for the user of `session`. Where all are taken, results that nobody fetched for a while
    /// make way, the oldest first.
    ///
    /// # Errors
    /// `ResourceExhausted` when none came free in time.
    pub(crate) async fn lease(&self, session: &Session) -> Result<Lease> {
        let engine = self.engine_of(session).await?;
        let mut waiting = Box::pin(engine.lease_for(&session.principal));
        loop {
            tokio::select! {
                biased;
                lease = &mut waiting => return lease,
                () = tokio::time::sleep(MAKE_WAY_INTERVAL) => self.executions.drop_oldest_stream(MAKE_WAY_AGE),
            }
        }
    }

    /// Resolves when DuckDB has closed, for the lake as it is and as it was: after the end of all that uses it.
    pub fn engines_closed(&self) -> impl Future<Output = ()> + use<> {
        let closed = futures::future::join(self.engine.closed(), self.pins.closed());
        async move { _ = closed.await }
    }

    /// Ends all sessions and gives up results that nobody fetches; streams that are being read go on.
    pub fn close(&self) {
        self.executions.clear();
        for session in self.list() {
            session.clear();
        }
        self.by_token.lock().clear();
        self.shared.lock().clear();
        self.pins.clear();
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
