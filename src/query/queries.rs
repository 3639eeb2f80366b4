//! All operations of clients on statements.

use std::{
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use futures::Stream;

use super::{
    control, describe, execute,
    execution::{Execution, Executions},
    guard::Guard,
    partitions,
    procedure::Procedures,
    shared::{Settings, Shared},
    small_tables::SmallTables,
    statement::{Outcome, Statement},
    ticket::Tickets,
};
use crate::{
    context::Principal,
    engine::{Connection, Engine, Inflow},
    error::Result,
    ids::{ConnectionId, ExecutionId, TransactionId},
    lake::{Lake, pins::Pins},
    session::{Described, Leases, OptionFault, OptionValue, Prepared, Session, Sessions},
    sql,
    write::{self, FeedOptions, Ingest, Progress, ProgressSender},
};

/// The interval between searches for idle sessions and results.
const REAP_INTERVAL: Duration = Duration::from_secs(5);
/// A result that was not fetched for this long is dropped if a connection is needed: clients that fetch do so
/// immediately.
const MAKE_WAY_AGE: Duration = Duration::from_secs(5);

/// Statements, their executions, and the sessions that they belong to.
#[derive(Debug)]
pub struct Queries {
    sessions: Arc<Sessions>,
    shared: Arc<Shared>,
}

// === impl Queries ===

impl Queries {
    /// The state without running statements; statements may call `procedures`.
    pub fn new(
        lake: Lake,
        pins: Arc<Pins>,
        sessions: Sessions,
        settings: Settings,
        procedures: Procedures,
        guard: Arc<Guard>,
    ) -> Arc<Self> {
        let executions = Executions::new(settings.result_ttl);
        let waiting = Arc::clone(&executions);
        let leases = Leases::new(lake, pins, move || waiting.drop_oldest_stream(MAKE_WAY_AGE));
        let shared = Arc::new(Shared {
            settings,
            leases: Arc::new(leases),
            executions,
            tickets: Tickets::new(),
            procedures,
            guard,
            groups: Arc::default(),
            feeds: Arc::default(),
            small_tables: SmallTables::default(),
            newest: AtomicI64::new(-1),
        });
        Arc::new(Self { sessions: Arc::new(sessions), shared })
    }

    /// The sessions.
    pub fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// The engine that the sessions share.
    pub fn engine(&self) -> &Engine {
        self.shared.leases.lake().engine()
    }

    /// How long a result is kept without being fetched.
    pub fn result_ttl(&self) -> Duration {
        self.shared.settings.result_ttl
    }

    /// The maximum duration of a statement.
    pub fn query_timeout(&self) -> Option<Duration> {
        self.shared.settings.query_timeout
    }

    /// The results that wait to be fetched.
    pub fn executions(&self) -> &Arc<Executions> {
        &self.shared.executions
    }

    /// Executes a statement.
    ///
    /// # Errors
    /// Errors of DuckDB, and the errors of its transaction.
    pub async fn execute(&self, session: &Arc<Session>, statement: Statement) -> Result<Outcome> {
        execute::execute(&self.shared, session, statement).await
    }

    /// Executes a statement as one or several, whose concatenated results are its own; for a client that reads them
    /// concurrently.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn execute_in_partitions(&self, session: &Arc<Session>, statement: Statement) -> Result<Vec<Outcome>> {
        partitions::execute(&self.shared, session, statement).await
    }

    /// Starts a statement, which will have the columns `expected`, and does not wait for it: [`Executions::poll`]
    /// returns its progress.
    pub fn begin(&self, session: &Arc<Session>, statement: Statement, expected: SchemaRef) -> Arc<Execution> {
        execute::begin(&self.shared, session, statement, expected)
    }

    /// Returns the parameters and columns of a statement, without executing it.
    ///
    /// # Errors
    /// `InvalidArgument` and `NotFound` for errors of DuckDB's parser and binder.
    pub async fn describe(
        &self,
        session: &Session,
        sql: &str,
        transaction: Option<TransactionId>,
    ) -> Result<Described> {
        describe::describe(&self.shared, session, &sql::parse(sql)?, transaction).await
    }

    /// Prepares SQL text in the transaction that it will run in; nothing is executed.
    ///
    /// # Errors
    /// As [`describe`](Self::describe).
    pub async fn prepare(
        &self,
        session: &Session,
        sql: &str,
        transaction: Option<TransactionId>,
        opened_on: Option<ConnectionId>,
    ) -> Result<Prepared> {
        let statements = sql::parse(sql)?;
        let described = describe::describe(&self.shared, session, &statements, transaction).await?;
        Ok(Prepared::new(sql.into(), statements.into(), described, transaction, opened_on))
    }

    /// A prepared statement with the parameters that were bound last, called on `connection`.
    ///
    /// # Errors
    /// `FailedPrecondition` if the transaction that it runs in is ambiguous.
    pub fn prepared(
        &self,
        session: &Session,
        prepared: &Prepared,
        connection: Option<ConnectionId>,
    ) -> Result<Statement> {
        Ok(Statement {
            sql: Arc::clone(prepared.sql()),
            parsed: Arc::clone(prepared.statements()),
            parameters: prepared.bound(),
            transaction: prepared.transaction(|| session.opened_on(connection))?,
            connection,
        })
    }

    /// Writes rows that a client streams; returns their number.
    ///
    /// # Errors
    /// As [`write::ingest`].
    pub async fn ingest(&self, session: &Session, ingest: Ingest, rows: Inflow) -> Result<u64> {
        write::ingest(&self.shared.leases, session, ingest, rows).await
    }

    /// Commits the rows of a feed as they arrive, until they end.
    ///
    /// # Errors
    /// As [`write::feed`].
    pub async fn feed(
        &self,
        session: &Session,
        feed: (Ingest, FeedOptions),
        rows: (SchemaRef, impl Stream<Item = Result<RecordBatch>> + Unpin),
        progress: ProgressSender,
    ) -> Result<Progress> {
        write::feed(&self.shared.leases, &self.shared.feeds, session, feed, rows, progress).await
    }

    /// Sets an option of a client's own session; without a value, resets it.
    ///
    /// # Errors
    /// `FailedPrecondition` for a shared session; errors of DuckDB about the value.
    pub async fn set_option(
        &self,
        session: &Session,
        name: &str,
        value: Option<OptionValue>,
    ) -> Result<Result<(), OptionFault>> {
        control::set_option(&self.shared, session, name, value).await
    }

    /// Runs `work`, which only reads, where the session's next statement would run: in its open transaction (the only
    /// one, if the client specifies none), on its pinned connection, or on one set up for it.
    ///
    /// # Errors
    /// As [`Leases::lease_for`]; errors of `work`.
    pub async fn inspect<T: Send + 'static>(
        &self,
        session: &Session,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match Shared::only_worker(session) {
            Some(worker) => worker.run(work).await,
            None => self.shared.leases.lease_for(session).await?.worker().run(work).await,
        }
    }

    /// The ticket of an execution's result.
    pub fn ticket(&self, execution: &Execution) -> Vec<u8> {
        self.shared.tickets.seal(execution.id, &execution.owner)
    }

    /// The execution of a ticket that `reader` presents.
    ///
    /// # Errors
    /// `NotFound` for an unknown ticket, or another user's: the error does not reveal which.
    pub fn ticketed(&self, ticket: &[u8], reader: &Principal) -> Result<ExecutionId> {
        self.shared.tickets.open(ticket, reader)
    }

    /// Ends a client's own session with everything that it holds; streams that are being read continue. Returns whether
    /// it was ended: shared sessions are not.
    pub fn close_session(&self, session: &Session) -> bool {
        let closed = self.sessions.close_session(session);
        if closed {
            self.shared.executions.drop_session(session.id());
        }
        closed
    }

    /// Ends idle sessions and results; runs until it is dropped.
    pub async fn reap(self: Arc<Self>) {
        let mut interval = tokio::time::interval(REAP_INTERVAL);
        loop {
            interval.tick().await;
            self.shared.executions.drop_expired();
            self.sessions.drop_idle();
            self.shared.leases.pins().drop_idle();
            let alive = self.sessions.list().iter().map(|session| session.id()).collect();
            self.shared.executions.keep_sessions(&alive);
        }
    }

    /// Resolves when DuckDB has closed, for the current lake and all pins: after everything that uses it has ended.
    pub fn engines_closed(&self) -> impl Future<Output = ()> + use<> {
        let closed = futures::future::join(self.engine().closed(), self.shared.leases.pins().closed());
        async move { _ = closed.await }
    }

    /// Ends all sessions and feeds and drops results that are not being fetched; streams that are being read continue.
    pub fn close(&self) {
        self.shared.feeds.close();
        self.shared.executions.clear();
        self.sessions.close();
        self.shared.leases.pins().clear();
    }
}
