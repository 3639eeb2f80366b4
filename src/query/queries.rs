//! All that clients do with statements.

use std::{
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use arrow::datatypes::SchemaRef;

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
    write::{self, Ingest},
};

/// How often idle sessions and results are looked for.
const REAP_INTERVAL: Duration = Duration::from_secs(5);
/// A result that nobody began to fetch for this long makes way where a connection is needed: a client that means to fetch
/// does it at once.
const MAKE_WAY_AGE: Duration = Duration::from_secs(5);

/// Statements, their executions, and the sessions that they belong to.
#[derive(Debug)]
pub struct Queries {
    sessions: Arc<Sessions>,
    shared: Arc<Shared>,
}

// === impl Queries ===

impl Queries {
    /// Nothing runs yet; statements may call `procedures`.
    pub fn new(
        lake: Lake,
        pins: Arc<Pins>,
        sessions: Sessions,
        settings: Settings,
        procedures: Procedures,
        guard: Guard,
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

    /// How long a result that nobody fetches is kept.
    pub fn result_ttl(&self) -> Duration {
        self.shared.settings.result_ttl
    }

    /// How long a statement may take.
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
    /// What DuckDB says, and the errors of its transaction.
    pub async fn execute(&self, session: &Arc<Session>, statement: Statement) -> Result<Outcome> {
        execute::execute(&self.shared, session, statement).await
    }

    /// Executes a statement as one or several, whose results one behind the other are its own; for a client that reads
    /// them at the same time.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn execute_in_partitions(&self, session: &Arc<Session>, statement: Statement) -> Result<Vec<Outcome>> {
        partitions::execute(&self.shared, session, statement).await
    }

    /// Begins to execute a statement, which will have the columns `expected`, and does not wait for it:
    /// [`Executions::poll`] tells how far it is.
    pub fn begin(&self, session: &Arc<Session>, statement: Statement, expected: SchemaRef) -> Arc<Execution> {
        execute::begin(&self.shared, session, statement, expected)
    }

    /// Says what a text takes and gives, without executing it.
    ///
    /// # Errors
    /// `InvalidArgument` and `NotFound` for what DuckDB's parser and binder refuse.
    pub async fn describe(
        &self,
        session: &Session,
        sql: &str,
        transaction: Option<TransactionId>,
    ) -> Result<Described> {
        describe::describe(&self.shared, session, &sql::parse(sql)?, transaction).await
    }

    /// Prepares a text in the transaction that it will run in; nothing is executed.
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

    /// A prepared statement with what was bound last, called on `connection`.
    ///
    /// # Errors
    /// `FailedPrecondition` when the transaction that it runs in is not clear.
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

    /// Writes rows that a client streams; says how many.
    ///
    /// # Errors
    /// As [`write::ingest`].
    pub async fn ingest(&self, session: &Session, ingest: Ingest, rows: Inflow) -> Result<u64> {
        write::ingest(&self.shared.leases, session, ingest, rows).await
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
        control::set_option(&self.shared, session, name, value).await
    }

    /// Does `work`, which only reads, where the session's next statement would run: in the transaction that it has open
    /// (the only one, where the client names none), on its pinned connection, or on one set up for it.
    ///
    /// # Errors
    /// As [`Leases::lease_for`]; what `work` says.
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

    /// The execution that a ticket names, which `reader` shows.
    ///
    /// # Errors
    /// `NotFound` for a ticket that is none of this server, or another user's: nobody learns which.
    pub fn ticketed(&self, ticket: &[u8], reader: &Principal) -> Result<ExecutionId> {
        self.shared.tickets.open(ticket, reader)
    }

    /// Ends a session of its own with everything that it holds; streams that are being read go on. Says whether it
    /// did: shared ones stay.
    pub fn close_session(&self, session: &Session) -> bool {
        let closed = self.sessions.close_session(session);
        if closed {
            self.shared.executions.drop_session(session.id());
        }
        closed
    }

    /// Ends what is idle, for ever; runs until it is dropped.
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

    /// Resolves when DuckDB has closed, for the lake as it is and as it was: after the end of all that uses it.
    pub fn engines_closed(&self) -> impl Future<Output = ()> + use<> {
        let closed = futures::future::join(self.engine().closed(), self.shared.leases.pins().closed());
        async move { _ = closed.await }
    }

    /// Ends all sessions and gives up results that nobody fetches; streams that are being read go on.
    pub fn close(&self) {
        self.shared.executions.clear();
        self.sessions.close();
        self.shared.leases.pins().clear();
    }
}
