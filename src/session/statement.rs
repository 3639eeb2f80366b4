//! Executing a statement, exactly once a call.
//!
//! A statement outside a transaction runs in one of its own, so that its snapshot is known and its commit is signed.
//!
//! ```text
//! lease ─▶ BEGIN ─▶ prepare ─▶ read:  snapshot, rows are streamed, COMMIT
//!                            └▶ write: run to the end, sign, COMMIT, the snapshot that it made
//! ```
//!
//! Inside a session's transaction the same happens on the transaction's connection, without BEGIN and COMMIT.

use std::{sync::Arc, time::Duration};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    Session, Sessions, Transaction,
    bulk::{self, Written},
    contention::Contention,
    control::{self, Control},
    execution::{Execution, Known, Running},
    group::{Committed, Failure, Groups, Joined, SmallInsert, Together},
    hazards::{self, Hazards, deletes_from, makes_temp, may_write, reads_nothing},
    message::summary,
    procedure,
    rows::Rows,
};
use crate::{
    engine::{self, BatchSender, Connection, Lease, StatementKind, Worker, is_lost_commit, row_values},
    error::{Error, ErrorKind, Result},
    ids::{ConnectionId, SnapshotId, TransactionId},
    lake::snapshots,
};

/// A statement to execute.
#[derive(Clone, Debug)]
pub struct Statement {
    /// One SQL statement.
    pub sql: Arc<str>,
    /// One row for each execution; a read takes one row.
    pub parameters: Option<RecordBatch>,
    /// The transaction that the client named.
    pub transaction: Option<TransactionId>,
    /// The network connection that it came on, with which a transaction that it opens ends.
    pub connection: Option<ConnectionId>,
}

/// What came of an execution.
#[derive(Debug)]
pub struct Outcome {
    /// The execution, which ends unless its rows are kept or read.
    pub execution: Running,
    /// The rows; for a write that returns none, DuckDB's count of changed rows.
    pub rows: Rows,
    /// How many rows a write changed; `None` for reads.
    pub changed: Option<u64>,
    /// The snapshot that a read saw or a commit made.
    pub snapshot_id: SnapshotId,
}

/// What the worker says before the rows come.
enum Head {
    /// The statement controls the session and has not run.
    Control(Control),
    /// The rows come as they are read.
    Stream { snapshot_id: SnapshotId, schema: SchemaRef },
    /// The statement has run.
    Complete { snapshot_id: SnapshotId, schema: SchemaRef, batches: Vec<RecordBatch>, changed: u64 },
}

/// How long the start of a query waits for its first rows: what fails within this time fails at once, and slower
/// queries are announced by their columns while they work.
const EARLY: Duration = Duration::from_millis(50);

/// Executes `statement`.
///
/// # Errors
/// What DuckDB says, and the errors of its transaction.
pub(super) async fn execute(sessions: &Sessions, session: &Arc<Session>, statement: Statement) -> Result<Outcome> {
    let running = sessions.executions.begin(session.principal(), session.id(), Arc::clone(&statement.sql));
    run(sessions, session, running, statement).await.map_err(|err| session.explain(err))
}

/// Begins to execute `statement` and does not wait for it: who polls the execution finds its result or its failure.
pub(super) fn begin(
    sessions: &Arc<Sessions>,
    session: &Arc<Session>,
    statement: Statement,
    expected: SchemaRef,
) -> Arc<Execution> {
    let running = sessions.executions.begin(session.principal(), session.id(), Arc::clone(&statement.sql));
    let execution = Arc::clone(running.execution());
    execution.expect(expected);
    let (sessions, session) = (Arc::clone(sessions), Arc::clone(session));
    let begun = Arc::clone(&execution);
    tokio::spawn(async move {
        match run(&sessions, &session, running, statement).await {
            Ok(mut outcome) => {
                outcome.rows.ready().await;
                if let Some(err) = outcome.rows.failed_first() {
                    return sessions.executions.fail(&begun, err);
                }
                let (schema, count) = (outcome.rows.schema(), outcome.rows.count());
                begun.know(Known { schema, count, snapshot_id: outcome.snapshot_id });
                outcome.execution.keep(outcome.rows);
            }
            Err(err) => sessions.executions.fail(&begun, session.explain(err)),
        }
    });
    execution
}

async fn run(sessions: &Sessions, session: &Arc<Session>, running: Running, statement: Statement) -> Result<Outcome> {
    let execution = Arc::clone(running.execution());
    if let Some(timeout) = session.options().timeout().or(sessions.settings.query_timeout) {
        execution.limit(timeout);
    }
    if let Some(procedure) = sessions.procedures.find(&statement.sql)? {
        return procedure::call(sessions, session, running, procedure, &statement).await;
    }
    let seated = execution.unless_stopped(seat(sessions, session, &statement)).await?;
    match start(sessions, session, running, seated, &statement).await? {
        Started::Ran(outcome) => Ok(*outcome),
        Started::Not(Control::Set, running) => control::set(sessions, session, running, &statement.sql).await,
        Started::Not(Control::Transaction, running) => match statement.transaction {
            Some(id) => control::named_transaction(sessions, session, running, id, &statement.sql).await,
            None => control::transaction(sessions, session, running, &statement).await,
        },
    }
}

/// Where a statement runs.
enum Seated {
    /// In a transaction of its own; the lease ends with the last row.
    Alone(Lease),
    /// In a transaction of its own, on the connection that the session keeps.
    Home(Worker),
    /// In a transaction of the session, which knows what must not happen any more.
    Inside(Worker, Arc<Transaction>),
}

/// Finds a worker for the statement.
async fn seat(sessions: &Sessions, session: &Session, statement: &Statement) -> Result<Seated> {
    let home = session.home_worker();
    let needs_home = home.is_none() && makes_temp(&statement.sql);
    if let Some(transaction) = session.transaction(statement.transaction)? {
        let worker = transaction.worker(sessions, session).await?;
        if needs_home && session.is_own() {
            transaction.hazards().lock().keep_place(sessions.place_for(session)?);
        }
        return Ok(Seated::Inside(worker, transaction));
    }
    if let Some(home) = home {
        return Ok(Seated::Home(home));
    }
    if needs_home {
        return sessions.move_in(session).await.map(Seated::Home);
    }
    sessions.lease_for(session).await.map(Seated::Alone)
}

/// What became of a statement that was started.
enum Started {
    Ran(Box<Outcome>),
    /// It does not run in DuckDB: it controls the session.
    Not(Control, Running),
}

/// Starts the statement, and waits for what is known of its result first.
async fn start(
    sessions: &Sessions,
    session: &Arc<Session>,
    running: Running,
    seated: Seated,
    statement: &Statement,
) -> Result<Started> {
    let worker = match &seated {
        Seated::Alone(lease) => lease.worker().clone(),
        Seated::Home(worker) | Seated::Inside(worker, _) => worker.clone(),
    };
    let inside = match &seated {
        Seated::Inside(_, transaction) => Some(Arc::clone(transaction)),
        Seated::Alone(..) | Seated::Home(_) => None,
    };
    let alone = matches!(seated, Seated::Alone(..));
    let knows_newest = inside.is_none() && !session.is_pinned();
    let limits = session.options().batch_limits();
    // A pinned session has an engine of its own, in which it is refused.
    let small_insert = (alone && knows_newest).then(|| {
        let (author, options) = (session.principal().name(), session.options());
        let message = options.commit_message().map(ToOwned::to_owned);
        SmallInsert::of(&statement.sql, statement.parameters.as_ref(), (author, message), options.script())
    });
    let (reply, head) = oneshot::channel();
    let (rows, receiver) = engine::channel(&worker, sessions.engine().staging().to_path_buf(), limits);
    let run = Run {
        statement: statement.clone(),
        author: inside.is_none().then(|| session.principal().name().to_owned()),
        message: session.options().commit_message().map(ToOwned::to_owned),
        contention: Arc::clone(&sessions.contention),
        groups: Arc::clone(&sessions.groups),
        small_insert: small_insert.flatten(),
        hazards: inside.as_ref().map(|transaction| transaction.hazards()),
        snapshot_id: sessions.newest_snapshot().filter(|_| knows_newest && reads_nothing(&statement.sql)),
        polled: running.execution().is_polled(),
        reply: Some(reply),
        rows,
    };
    let guard = worker.spawn(move |connection| {
        let kind = run.on(connection);
        if let (Seated::Alone(mut lease), Some(StatementKind::Define)) = (seated, kind) {
            // What it defined may be a TEMP object, however it was written, which must not meet another session.
            lease.retire();
        }
    });
    if let Some(task) = guard.handle() {
        running.execution().begun(task);
    }
    let head = head.await.unwrap_or_else(|_| Err(Error::internal("a task of the engine panicked")));
    if let Some(transaction) = inside {
        transaction.touch();
    }
    let head = head.map_err(|err| guard.handle().map_or_else(Error::cancelled, |task| task.explain(err)))?;
    Ok(match head {
        Head::Control(control) => Started::Not(control, running),
        Head::Stream { snapshot_id, schema } => {
            sessions.saw_snapshot(snapshot_id);
            let mut stream = receiver.into_stream(schema, guard, alone);
            // A failure that comes at once is told here, where clients look for it first.
            let _ = tokio::time::timeout(EARLY, stream.ready()).await;
            if let Some(err) = stream.failed_first() {
                return Err(err);
            }
            let rows = Rows::Stream(Box::new(stream));
            Started::Ran(Box::new(Outcome { execution: running, rows, changed: None, snapshot_id }))
        }
        Head::Complete { snapshot_id, schema, batches, changed } => {
            sessions.saw_snapshot(snapshot_id);
            let rows = Rows::Complete(schema, batches);
            Started::Ran(Box::new(Outcome { execution: running, rows, changed: Some(changed), snapshot_id }))
        }
    })
}

/// One execution on its worker.
struct Run {
    statement: Statement,
    /// Present when the statement has a transaction of its own, which this author commits.
    author: Option<String>,
    /// What that commit says was done, if the session says it.
    message: Option<String>,
    hazards: Option<Arc<Mutex<Hazards>>>,
    contention: Arc<Contention>,
    groups: Arc<Groups>,
    /// Present when it may go together with others.
    small_insert: Option<SmallInsert>,
    /// The snapshot to tell of where the statement reads none, so that DuckLake need not be asked.
    snapshot_id: Option<SnapshotId>,
    /// Whether somebody asks how far it is: DuckDB counts only when it is told to, as it costs a twentieth of the time.
    polled: bool,
    /// Where the worker says how it began; it says it once.
    reply: Option<oneshot::Sender<Result<Head>>>,
    rows: BatchSender,
}

// === impl Run ===

impl Run {
    /// Executes and says what kind of statement it was; failures have been told to the caller.
    fn on(self, connection: &Connection) -> Option<StatementKind> {
        if self.polled {
            // Nothing depends on it.
            let _ = connection.execute("SET SESSION enable_progress_bar = true", &[]);
        }
        let polled = self.polled;
        let kind = self.told(connection);
        if polled {
            let _ = connection.execute("SET SESSION enable_progress_bar = false", &[]);
        }
        kind
    }

    fn told(mut self, connection: &Connection) -> Option<StatementKind> {
        let groups = Arc::clone(&self.groups);
        let mut _lead = None;
        if let Some(insert) = self.small_insert.take() {
            match groups.join(&insert, connection, |all| self.commit_together(connection, all)) {
                Joined::Done(outcome) => return self.tell_together(&insert, outcome),
                Joined::Alone(lead) => _lead = lead,
            }
        }
        let contention = Arc::clone(&self.contention);
        let mut outcome = match self.author {
            // The rows of EXPLAIN ANALYZE are out before it commits.
            Some(_) if control::first_word(&self.statement.sql) != "EXPLAIN" => {
                contention.settle(connection, || self.attempt(connection))
            }
            _ => self.attempt(connection),
        };
        if outcome.as_ref().is_err_and(|err| self.can_repeat(err)) {
            connection.rollback();
            outcome = self.attempt(connection);
        }
        match outcome {
            Ok(kind) => Some(kind),
            Err(err) => {
                if self.author.is_some() {
                    connection.rollback();
                }
                self.say(Err(err));
                None
            }
        }
    }

    /// Runs INSERTs of several sessions as one.
    fn commit_together(&self, connection: &Connection, all: &Together) -> Result<Committed, Failure> {
        let author = self.author.as_deref().unwrap_or_default();
        let outcome = self.contention.settle(connection, || {
            connection.begin_writing()?;
            connection.execute("BEGIN TRANSACTION", &[])?;
            let prepared = connection.prepare(&all.sql)?;
            let written = Written::read(&mut prepared.execute(&all.parameters)?)?;
            let made = snapshots::commit(connection, author, &self.message.clone().unwrap_or_else(|| all.summary()))?;
            let snapshot_id = made.unwrap_or_else(|| snapshots::newest(connection));
            Ok(Committed { schema: written.schema, snapshot_id })
        });
        outcome.map_err(|err| {
            connection.rollback();
            let may_have_committed = is_lost_commit(&err) || err.kind() == ErrorKind::Internal;
            if may_have_committed { Failure::OfAll(err) } else { Failure::OfOne }
        })
    }

    fn tell_together(mut self, insert: &SmallInsert, outcome: Result<Committed>) -> Option<StatementKind> {
        let head = outcome.and_then(|Committed { schema, snapshot_id }| {
            let Written { schema, batches, changed } = insert.written(schema)?;
            Ok(Head::Complete { snapshot_id, schema, batches, changed })
        });
        let kind = head.is_ok().then_some(StatementKind::Write);
        self.say(head);
        kind
    }

    /// Whether the statement can run again as if nothing had been: it read, alone in its transaction, when the catalog's
    /// database was lost, and the caller knows nothing of it yet.
    fn can_repeat(&self, err: &Error) -> bool {
        self.author.is_some() && self.reply.is_some() && is_lost(err) && !may_write(&self.statement.sql)
    }

    fn attempt(&mut self, connection: &Connection) -> Result<StatementKind> {
        if may_write(&self.statement.sql) {
            connection.begin_writing()?;
        }
        // Where the snapshot is known already, nothing is read that must be of one state.
        if self.author.is_some() && self.snapshot_id.is_none() {
            connection.execute("BEGIN TRANSACTION", &[])?;
        }
        if let Some(table) = deletes_from(&self.statement.sql) {
            connection.will_delete_from(&table);
        }
        let prepared = connection.prepare(&self.statement.sql)?;
        let kind = prepared.kind();
        hazards::check(kind, &self.statement.sql)?;
        if let Some(hazards) = &self.hazards {
            let mut hazards = hazards.lock();
            hazards.note(kind, &self.statement.sql)?;
            if matches!(kind, StatementKind::Write | StatementKind::Define | StatementKind::Alter) {
                hazards.say(summary(&self.statement.sql));
            }
        }
        match kind {
            StatementKind::Read => self.read(connection, &prepared)?,
            StatementKind::Write | StatementKind::Define | StatementKind::Alter => self.write(connection, &prepared)?,
            StatementKind::Transaction => self.leave_to_session(connection, prepared, Control::Transaction),
            StatementKind::Other("SET") => self.leave_to_session(connection, prepared, Control::Set),
            StatementKind::Other(name) => return Err(control::refuse(name)),
        }
        Ok(kind)
    }

    fn leave_to_session(&mut self, connection: &Connection, prepared: engine::Statement<'_>, control: Control) {
        drop(prepared);
        if self.author.is_some() {
            connection.rollback();
        }
        self.say(Ok(Head::Control(control)));
    }

    fn read(&mut self, connection: &Connection, prepared: &engine::Statement<'_>) -> Result<()> {
        let snapshot_id = match self.snapshot_id {
            Some(newest) => newest,
            None => snapshots::current(connection)?,
        };
        let mut executions = self.parameters()?;
        let parameters = executions.pop().unwrap_or_default();
        if !executions.is_empty() {
            return Err(Error::invalid("a query takes one row of parameters, several were bound"));
        }
        // Values of parameters can change the columns' types.
        let known = if parameters.is_empty() { prepared.result_schema()? } else { None };
        let early = known.is_some();
        if let Some(schema) = known {
            self.say(Ok(Head::Stream { snapshot_id, schema }));
        }
        let mut rows = prepared.execute(&parameters)?;
        if !early {
            self.say(Ok(Head::Stream { snapshot_id, schema: rows.schema() }));
        }
        self.rows.send_all(&mut rows);
        drop(rows);
        if self.author.is_some() && connection.is_open() {
            if may_write(&self.statement.sql) {
                // EXPLAIN ANALYZE of a write is a read to the parser.
                connection.commit()?;
            } else if connection.execute("COMMIT", &[]).is_err() {
                // There is nothing that could be lost.
                connection.rollback();
            }
        }
        Ok(())
    }

    fn write(&mut self, connection: &Connection, prepared: &engine::Statement<'_>) -> Result<()> {
        let parameters = self.statement.parameters.as_ref();
        let at_once = parameters.map(|rows| bulk::insert(connection, &self.statement.sql, rows)).transpose()?.flatten();
        let Written { schema, batches, changed } = match at_once {
            Some(written) => written,
            None => self.write_row_by_row(prepared)?,
        };
        let made = match &self.author {
            Some(author) => {
                let message = self.message.clone().unwrap_or_else(|| summary(&self.statement.sql));
                snapshots::commit(connection, author, &message)?
            }
            None => None,
        };
        let snapshot_id = made.unwrap_or_else(|| snapshots::newest(connection));
        self.say(Ok(Head::Complete { snapshot_id, schema, batches, changed }));
        Ok(())
    }

    fn write_row_by_row(&self, prepared: &engine::Statement<'_>) -> Result<Written> {
        let mut written: Option<Written> = None;
        for parameters in self.parameters()? {
            let more = Written::read(&mut prepared.execute(&parameters)?)?;
            written = Some(match written {
                Some(written) => written.and(more),
                None => more,
            });
        }
        written.ok_or_else(|| Error::invalid("no row of parameters was bound"))
    }

    /// The values of each execution.
    fn parameters(&self) -> Result<Vec<Vec<engine::Value>>> {
        let Some(batch) = &self.statement.parameters else { return Ok(vec![Vec::new()]) };
        (0..batch.num_rows()).map(|row| row_values(batch, row)).collect()
    }

    fn say(&mut self, head: Result<Head>) {
        match (self.reply.take(), head) {
            // The caller may be gone.
            (Some(reply), head) => _ = reply.send(head),
            // The rows are on their way: what fails now is told behind them.
            (None, Err(err)) => self.rows.fail(err),
            (None, Ok(_)) => {}
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Reads the rows to their end, for who does not want them, and says how many a write changed.
    ///
    /// # Errors
    /// What goes wrong behind the first rows.
    pub async fn finish(self) -> Result<Option<u64>> {
        let mut rows = self.execution.read(self.rows);
        while let Some(batch) = rows.next().await {
            batch?;
        }
        Ok(self.changed)
    }
}

/// Whether the catalog's database was lost, perhaps to be there again at once.
pub(super) fn is_lost(err: &Error) -> bool {
    err.kind() == ErrorKind::Unavailable || is_lost_commit(err)
}
