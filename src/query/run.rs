//! Runs one statement on a connection, exactly once.
//!
//! A statement outside a transaction runs in its own, so that its snapshot is known and its commit is signed.
//!
//! ```text
//! bind ─▶ BEGIN ─▶ prepare ─▶ read:  snapshot, rows are streamed, COMMIT
//!                            └▶ write: run to the end, commit (lake::commit), the snapshot that it made
//! ```
//!
//! Inside a session's transaction the same happens on the transaction's connection, without BEGIN and COMMIT.

use std::{sync::Arc, time::Duration};

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    binding::{Binding, bind},
    execution::Running,
    guard,
    rows::Rows,
    shared::Shared,
    statement::{Outcome, Statement},
};
use crate::{
    engine::{self, BatchSender, Batches, Connection, Executions, Parameters, StatementKind},
    error::{Error, ErrorKind, Result},
    ids::SnapshotId,
    lake::{
        commit::{Committer, OpenTransaction, Retry},
        errors::is_lost_commit,
        snapshots,
    },
    session::{self, Session},
    sql::{Kind, ParsedStatement},
    write::{Committed, Failure, Groups, Joined, Signature, SmallInsert, Together, Written, bulk},
};

/// How long the start of a query waits for its first rows: failures within this time are reported immediately, and
/// slower queries return their columns while they run.
const EARLY: Duration = Duration::from_millis(50);

/// The transaction that a statement runs in.
enum Scope {
    /// The statement's own transaction.
    Own(Own),
    /// The session's transaction.
    Session(Arc<Mutex<Option<session::Open>>>),
}

/// The data of a statement's own transaction.
struct Own {
    /// The author of its commit, and the commit message if the session sets it.
    signature: Signature,
    /// Present if the statement may be combined with others.
    insert: Option<SmallInsert>,
    /// The snapshot to report if the statement reads none, so that DuckLake need not be queried.
    newest: Option<SnapshotId>,
}

/// What the worker reports before the rows.
enum Head {
    /// The rows are produced as they are read.
    Stream { snapshot_id: SnapshotId, schema: SchemaRef },
    /// The statement has run.
    Complete { snapshot_id: SnapshotId, schema: SchemaRef, batches: Vec<RecordBatch>, changed: u64 },
}

/// Whether a connection is in the same state as before the statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// It may serve another session.
    Clean,
    /// It may have objects of the statement, such as a TEMP object.
    Used,
}

/// Runs the single statement of `statement`, and first waits until the properties of its result are known.
///
/// # Errors
/// Errors of DuckDB, and the errors of its transaction.
pub(super) async fn run(
    shared: &Shared,
    session: &Arc<Session>,
    running: Running,
    statement: &Statement,
    parsed: &ParsedStatement,
) -> Result<Outcome> {
    shared.guard.check(parsed)?;
    let binding = running.execution().unless_stopped(bind(shared, session, statement, parsed)).await?;
    start(shared, session, running, binding, statement, parsed).await
}

async fn start(
    shared: &Shared,
    session: &Arc<Session>,
    running: Running,
    binding: Binding,
    statement: &Statement,
    parsed: &ParsedStatement,
) -> Result<Outcome> {
    let (worker, transaction) = match &binding {
        Binding::Borrowed(lease) => (lease.worker().clone(), None),
        Binding::Pinned(worker) => (worker.clone(), None),
        Binding::Transaction(worker, transaction) => (worker.clone(), Some(Arc::clone(transaction))),
    };
    let is_borrowed = matches!(binding, Binding::Borrowed(_));
    let (reply, head) = oneshot::channel();
    let limits = session.options().batch_limits();
    let (rows, receiver) = engine::channel(&worker, shared.leases.lake().engine().staging().to_path_buf(), limits);
    let run = Run {
        scope: match &transaction {
            Some(transaction) => Scope::Session(transaction.open()),
            None => Scope::Own(Own::new(shared, session, statement, parsed, is_borrowed)),
        },
        statement: parsed.clone(),
        parameters: statement.parameters.clone(),
        committer: Arc::clone(shared.leases.lake().committer()),
        groups: Arc::clone(&shared.groups),
        polled: running.execution().is_polled(),
        reply: Some(reply),
        rows,
    };
    let user = session.principal().clone();
    let guard = worker.spawn(move |connection| {
        let left = connection.as_user(user.name(), || run.on(connection));
        if let (Binding::Borrowed(mut lease), Left::Used) = (binding, left) {
            lease.retire();
        }
    });
    if let Some(task) = guard.handle() {
        running.execution().begun(task);
    }
    let head = head.await.unwrap_or_else(|_| Err(Error::internal("a task of the engine panicked")));
    if let Some(transaction) = transaction {
        transaction.touch();
    }
    let head = head.map_err(|err| guard.handle().map_or_else(Error::cancelled, |task| task.explain(err)))?;
    match head {
        Head::Stream { snapshot_id, schema } => {
            shared.saw_snapshot(snapshot_id);
            let mut stream = receiver.into_stream(schema, guard, is_borrowed);
            // An immediate failure is reported here, where clients expect it.
            let _ = tokio::time::timeout(EARLY, stream.ready()).await;
            if let Some(err) = stream.failed_first() {
                return Err(err);
            }
            Ok(Outcome { execution: running, rows: Rows::Stream(Box::new(stream)), changed: None, snapshot_id })
        }
        Head::Complete { snapshot_id, schema, batches, changed } => {
            shared.saw_snapshot(snapshot_id);
            let rows = Rows::Complete(schema, batches);
            Ok(Outcome { execution: running, rows, changed: Some(changed), snapshot_id })
        }
    }
}

// === impl Own ===

impl Own {
    fn new(
        shared: &Shared,
        session: &Session,
        statement: &Statement,
        parsed: &ParsedStatement,
        is_borrowed: bool,
    ) -> Self {
        let options = session.options();
        let signature = Signature {
            author: session.principal().name().to_owned(),
            message: options.commit_message().map(ToOwned::to_owned),
        };
        // A pinned session has its own engine, in which writes are rejected.
        let knows_newest = !session.is_pinned();
        let insert = (is_borrowed && knows_newest && *parsed.kind() == Kind::Insert)
            .then(|| SmallInsert::of(parsed, statement.parameters.as_ref(), &signature, options.script()));
        let newest = shared.newest_seen().filter(|_| knows_newest && parsed.reads_nothing());
        Self { signature, insert: insert.flatten(), newest }
    }
}

/// One statement on its worker.
struct Run {
    statement: ParsedStatement,
    parameters: Option<RecordBatch>,
    scope: Scope,
    committer: Arc<Committer>,
    groups: Arc<Groups>,
    /// Whether its progress is polled: DuckDB tracks it only if enabled, because it costs a twentieth of the time.
    polled: bool,
    /// Where the worker reports the start, once.
    reply: Option<oneshot::Sender<Result<Head>>>,
    rows: BatchSender,
}

// === impl Run ===

impl Run {
    /// Runs the statement; failures have been reported to the caller.
    fn on(self, connection: &Connection) -> Left {
        connection.track_progress(self.polled);
        self.run(connection)
    }

    fn run(mut self, connection: &Connection) -> Left {
        let groups = Arc::clone(&self.groups);
        let mut _lead = None;
        if let Some((insert, signature)) = self.small_insert() {
            match groups.join(&insert, connection, |all| self.commit_together(connection, &signature, all)) {
                Joined::Done(outcome) => return self.report_together(&insert, outcome),
                Joined::Alone(lead) => _lead = lead,
            }
        }
        let committer = Arc::clone(&self.committer);
        let mut outcome = committer.retry(connection, self.retry_policy(), || self.attempt(connection));
        if outcome.as_ref().is_err_and(|err| self.can_repeat(err)) {
            connection.rollback();
            outcome = self.attempt(connection);
        }
        match outcome {
            Ok(left) => left,
            Err(err) => {
                if matches!(self.scope, Scope::Own(_)) {
                    connection.rollback();
                }
                self.report(Err(err));
                // Whatever it had done before it failed.
                if is_plain(self.statement.kind()) { Left::Clean } else { Left::Used }
            }
        }
    }

    fn small_insert(&mut self) -> Option<(SmallInsert, Signature)> {
        match &mut self.scope {
            Scope::Own(own) => own.insert.take().map(|insert| (insert, own.signature.clone())),
            Scope::Session(_) => None,
        }
    }

    /// Runs INSERTs of several sessions as one statement.
    fn commit_together(
        &self,
        connection: &Connection,
        signature: &Signature,
        all: &Together,
    ) -> Result<Committed, Failure> {
        let outcome = self.committer.retry(connection, Retry::OnConflict, || {
            let mut transaction = OpenTransaction::begin(&self.committer, connection)?;
            transaction.will_write(&self.committer, connection)?;
            let written = Written::read(&mut connection.prepare(&all.sql)?.execute(&all.parameters)?)?;
            transaction.add_message(signature.message.clone().unwrap_or_else(|| all.summary()));
            let made = transaction.commit(&self.committer, connection, &signature.author)?;
            let snapshot_id = made.unwrap_or_else(|| snapshots::newest(connection));
            Ok(Committed { schema: written.schema, snapshot_id })
        });
        outcome.map_err(|err| {
            connection.rollback();
            // It is uncertain whether these were committed: no member may run again.
            let may_have_committed = is_lost_commit(&err) || err.kind() == ErrorKind::Internal;
            if may_have_committed { Failure::OfAll(err) } else { Failure::OfOne }
        })
    }

    fn report_together(mut self, insert: &SmallInsert, outcome: Result<Committed>) -> Left {
        let head = outcome.and_then(|Committed { schema, snapshot_id }| {
            let Written { schema, batches, changed } = insert.written(schema)?;
            Ok(Head::Complete { snapshot_id, schema, batches, changed })
        });
        self.report(head);
        Left::Clean
    }

    /// Whether it is retried after a conflict.
    fn retry_policy(&self) -> Retry {
        match (&self.scope, self.statement.kind()) {
            // The rows of EXPLAIN ANALYZE are returned before it commits.
            (Scope::Session(_), _) | (_, Kind::Explain { .. }) => Retry::Never,
            (Scope::Own(_), _) => Retry::OnConflict,
        }
    }

    /// Whether the statement can be repeated without side effects: it only read, alone in its transaction, when the
    /// catalog's database was lost, and nothing was returned to the caller yet.
    fn can_repeat(&self, err: &Error) -> bool {
        matches!(self.scope, Scope::Own(_)) && self.reply.is_some() && is_lost(err) && !self.statement.writes()
    }

    fn attempt(&mut self, connection: &Connection) -> Result<Left> {
        let own = self.begin(connection)?;
        // A query after the preparation of the statement would have it prepared once more.
        let seen = if self.statement.kind().writes() { None } else { Some(self.snapshot(connection)?) };
        let mut steps = connection.steps(self.statement.text())?;
        let several = steps.count() > 1;
        let prepared = prepare_last(&mut steps)?;
        guard::check_verdict(&self.statement, prepared.kind())?;
        match self.statement.kind() {
            Kind::Set => self.set_variable(connection, &prepared)?,
            kind if kind.writes() && prepared.kind() != StatementKind::Read => {
                self.write(connection, &prepared, own)?;
            }
            _ => self.read(connection, &prepared, seen, own)?,
        }
        let clean = is_plain(self.statement.kind()) && !several;
        Ok(if clean { Left::Clean } else { Left::Used })
    }

    /// Begins the statement's own transaction, or registers the statement in the session's.
    fn begin(&mut self, connection: &Connection) -> Result<Option<OpenTransaction>> {
        match &self.scope {
            Scope::Own(_) if self.statement.writes() => {
                let mut open = OpenTransaction::begin(&self.committer, connection)?;
                open.will_run(&self.committer, connection, &self.statement)?;
                Ok(Some(open))
            }
            // If the snapshot is known already, no reads need a consistent state.
            Scope::Own(Own { newest: Some(_), .. }) => Ok(None),
            Scope::Own(_) => connection.begin().map(|()| None),
            Scope::Session(open) => {
                let mut open = open.lock();
                let open = open.as_mut().ok_or_else(|| Error::internal("the transaction has not begun"))?;
                guard::check_sequence(&open.definitions, &self.statement)?;
                open.transaction.will_run(&self.committer, connection, &self.statement)?;
                Ok(None)
            }
        }
    }

    /// The snapshot that the statement sees.
    fn snapshot(&self, connection: &Connection) -> Result<SnapshotId> {
        match &self.scope {
            Scope::Own(Own { newest: Some(newest), .. }) => Ok(*newest),
            _ => snapshots::current(connection),
        }
    }

    fn read(
        &mut self,
        connection: &Connection,
        prepared: &engine::Statement<'_>,
        seen: Option<SnapshotId>,
        own: Option<OpenTransaction>,
    ) -> Result<()> {
        let snapshot_id = seen.map_or_else(|| self.snapshot(connection), Ok)?;
        if let Some(parameters) = self.parameters()?.filter(|parameters| parameters.count() > 0) {
            let mut rows = Executions::start(prepared, &parameters, self.rows.limits())?;
            // Values of parameters can change the columns' types.
            self.report(Ok(Head::Stream { snapshot_id, schema: rows.schema() }));
            self.rows.send_all(&mut rows);
        } else {
            let known = prepared.result_schema()?;
            let early = known.is_some();
            if let Some(schema) = known {
                self.report(Ok(Head::Stream { snapshot_id, schema }));
            }
            let mut rows = prepared.execute_in_batches(&[], self.rows.limits())?;
            if !early {
                self.report(Ok(Head::Stream { snapshot_id, schema: rows.schema() }));
            }
            self.rows.send_all(&mut rows);
        }
        if let Scope::Session(_) = self.scope {
            return Ok(());
        }
        match own {
            // EXPLAIN ANALYZE of a write is a read to the parser.
            Some(open) if connection.is_open() => self.commit(connection, open).map(|_| ()),
            None if connection.is_open() && connection.commit().is_err() => {
                // There is nothing that could be lost.
                connection.rollback();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn write(
        &mut self,
        connection: &Connection,
        prepared: &engine::Statement<'_>,
        own: Option<OpenTransaction>,
    ) -> Result<()> {
        let at_once = match &self.parameters {
            Some(rows) => bulk::insert(connection, &self.statement, rows)?,
            None => None,
        };
        let Written { schema, batches, changed } = match at_once {
            Some(written) => written,
            None => self.write_row_by_row(prepared)?,
        };
        let made = if let Some(open) = own {
            self.commit(connection, open)?
        } else {
            self.note_written();
            None
        };
        let snapshot_id = made.unwrap_or_else(|| snapshots::newest(connection));
        self.report(Ok(Head::Complete { snapshot_id, schema, batches, changed }));
        Ok(())
    }

    /// Commits the statement's own transaction.
    fn commit(&self, connection: &Connection, mut open: OpenTransaction) -> Result<Option<SnapshotId>> {
        let Scope::Own(own) = &self.scope else { return Err(Error::internal("commit the session's transaction")) };
        let message = own.signature.message.clone().unwrap_or_else(|| self.statement.summary());
        open.add_message(message);
        open.commit(&self.committer, connection, &own.signature.author)
    }

    /// Registers what was done in the session's transaction.
    fn note_written(&self) {
        let Scope::Session(open) = &self.scope else { return };
        if let Some(open) = open.lock().as_mut() {
            open.transaction.add_message(self.statement.summary());
            if self.statement.defines() {
                open.definitions.push(self.statement.clone());
            }
        }
    }

    /// SET VARIABLE, which DuckDB keeps on the connection.
    fn set_variable(&mut self, connection: &Connection, prepared: &engine::Statement<'_>) -> Result<()> {
        prepared.execute(&self.last_values()?)?.drain()?;
        let snapshot_id = snapshots::newest(connection);
        if matches!(self.scope, Scope::Own(_)) {
            connection.commit()?;
        }
        let schema = Arc::new(Schema::empty());
        self.report(Ok(Head::Complete { snapshot_id, schema, batches: Vec::new(), changed: 0 }));
        Ok(())
    }

    fn write_row_by_row(&self, prepared: &engine::Statement<'_>) -> Result<Written> {
        let mut written: Option<Written> = None;
        let parameters = self.parameters()?;
        for row in 0..parameters.as_ref().map_or(1, Parameters::count) {
            let values = parameters.as_ref().map_or_else(|| Ok(Vec::new()), |parameters| parameters.values(row))?;
            let more = Written::read(&mut prepared.execute(&values)?)?;
            written = Some(match written {
                Some(written) => written.and(more),
                None => more,
            });
        }
        written.ok_or_else(|| Error::invalid("no row of parameters was bound"))
    }

    /// The values of an execution that only the last row of parameters matters to.
    fn last_values(&self) -> Result<Vec<engine::Value>> {
        match self.parameters()? {
            Some(parameters) if parameters.count() > 0 => parameters.values(parameters.count() - 1),
            _ => Ok(Vec::new()),
        }
    }

    fn parameters(&self) -> Result<Option<Parameters>> {
        self.parameters.as_ref().map(Parameters::new).transpose()
    }

    fn report(&mut self, head: Result<Head>) {
        match (self.reply.take(), head) {
            // The caller may be gone.
            (Some(reply), head) => _ = reply.send(head),
            // The rows are in transit: a failure now is reported after them.
            (None, Err(err)) => self.rows.fail(err),
            (None, Ok(_)) => {}
        }
    }
}

/// Whether a statement leaves nothing on its connection.
fn is_plain(kind: &Kind) -> bool {
    matches!(kind, Kind::Read | Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge)
}

/// Runs all steps of a statement except the one that returns its result, which is prepared. DuckDB wraps the steps of a
/// writing statement in a transaction; here one is open already.
fn prepare_last<'c>(steps: &mut engine::Steps<'c>) -> Result<engine::Statement<'c>> {
    let mut prepared = steps.prepare(0)?;
    // DuckDB 1.5.5 reports the BEGIN that it inserts as a SET.
    let begins = matches!(prepared.kind(), StatementKind::Transaction | StatementKind::Other("SET"));
    let is_wrapped = steps.count() > 2 && begins;
    let last = steps.count() - if is_wrapped { 2 } else { 1 };
    for index in 1..=last {
        if !(is_wrapped && index == 1) {
            prepared.execute(&[])?.drain()?;
        }
        prepared = steps.prepare(index)?;
    }
    Ok(prepared)
}

/// Whether the catalog's database was lost, possibly only briefly.
pub(super) fn is_lost(err: &Error) -> bool {
    err.kind() == ErrorKind::Unavailable || is_lost_commit(err)
}
