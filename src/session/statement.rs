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

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Session, Sessions, execution::Rows, hazards::Hazards};
use crate::{
    context::Principal,
    engine::{self, BatchSender, Connection, Lease, StatementKind, row_values},
    error::{Error, Result},
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
    /// The rows; for a write that returns none, DuckDB's count of changed rows.
    pub rows: Rows,
    /// How many rows a write changed; `None` for reads.
    pub changed: Option<u64>,
    /// The snapshot that a read saw or a commit made.
    pub snapshot_id: SnapshotId,
}

/// What is known of a statement before it runs.
#[derive(Clone, Debug)]
pub struct Described {
    /// Whether it changes something and returns no rows.
    pub is_update: bool,
    /// Its columns; `None` where it returns none, or they follow only from the parameters.
    pub columns: Option<SchemaRef>,
    /// Its parameters.
    pub parameters: SchemaRef,
}

/// What the worker says before the rows come.
struct Head {
    snapshot_id: SnapshotId,
    body: Body,
}

enum Body {
    Stream(SchemaRef),
    Complete { schema: SchemaRef, batches: Vec<RecordBatch>, changed: u64 },
}

/// Says what a statement takes and gives, without executing it.
///
/// # Errors
/// `InvalidArgument` and `NotFound` for what DuckDB's parser and binder refuse.
pub(super) async fn describe(
    sessions: &Sessions,
    session: &Session,
    sql: &str,
    transaction: Option<TransactionId>,
) -> Result<Described> {
    let sql = sql.to_owned();
    let work = move |connection: &Connection| {
        let statement = connection.prepare(&sql)?;
        let parameters = statement.parameter_schema()?;
        let kind = statement.kind();
        let columns = statement.result_schema()?;
        let columns = columns.filter(|columns| kind == StatementKind::Read || !is_count(columns));
        let is_update = kind != StatementKind::Read && columns.is_none();
        Ok(Described { is_update, columns, parameters })
    };
    match session.transaction(transaction)? {
        Some(transaction) => transaction.worker(sessions).await?.run(work).await,
        None => sessions.lease().await?.worker().run(work).await,
    }
}

/// Executes `statement`.
///
/// # Errors
/// What DuckDB says, and the errors of its transaction.
pub(super) async fn execute(sessions: &Sessions, session: &Session, statement: Statement) -> Result<Outcome> {
    let sql = Arc::clone(&statement.sql);
    let (named, connection) = (statement.transaction.is_some(), statement.connection);
    let started = if let Some(transaction) = session.transaction(statement.transaction)? {
        let worker = transaction.worker(sessions).await?;
        let place = Place::Inside(transaction.hazards());
        let started = start(sessions, &worker, place, statement, session.principal()).await;
        transaction.touch();
        started?
    } else {
        let lease = sessions.lease().await?;
        let worker = lease.worker().clone();
        start(sessions, &worker, Place::Alone(lease), statement, session.principal()).await?
    };
    match started {
        Some(outcome) => Ok(outcome),
        None if named => Err(Error::precondition("end the transaction with the client's own commit or rollback")),
        None => control(sessions, session, &sql, connection).await,
    }
}

/// Where a statement runs.
enum Place {
    /// In a transaction of its own; the lease ends with the last row.
    Alone(Lease),
    /// In a transaction of the session, which knows what must not happen any more.
    Inside(Arc<Mutex<Hazards>>),
}

/// Runs the statement on `worker`. `None` says that the
/// statement is one that controls transactions, and has not run.
async fn start(
    sessions: &Sessions,
    worker: &engine::Worker,
    place: Place,
    statement: Statement,
    principal: &Principal,
) -> Result<Option<Outcome>> {
    let (reply, head) = oneshot::channel();
    let (rows, receiver) = engine::channel(worker, sessions.engine().staging().to_path_buf());
    let (lease, hazards) = match place {
        Place::Alone(lease) => (Some(lease), None),
        Place::Inside(hazards) => (None, Some(hazards)),
    };
    let alone = lease.is_some();
    let author = alone.then(|| principal.name().to_owned());
    let run = Run { statement, author, hazards, reply: Some(reply), rows };
    let guard = worker.spawn(move |connection| {
        let kind = run.on(connection);
        if let (Some(mut lease), Some(StatementKind::Define)) = (lease, kind) {
            // What it defined may be a TEMP object, which must not meet another session.
            lease.retire();
        }
    });
    let head = head.await.unwrap_or_else(|_| Err(Error::internal("a task of the engine panicked")))?;
    Ok(head.map(|Head { snapshot_id, body }| match body {
        Body::Stream(schema) => Outcome {
            rows: Rows::Stream(Box::new(receiver.into_stream(schema, guard, alone))),
            changed: None,
            snapshot_id,
        },
        Body::Complete { schema, batches, changed } => {
            Outcome { rows: Rows::Complete(schema, batches), changed: Some(changed), snapshot_id }
        }
    }))
}

/// One execution on its worker.
struct Run {
    statement: Statement,
    /// Present when the statement has a transaction of its own, which this author commits.
    author: Option<String>,
    hazards: Option<Arc<Mutex<Hazards>>>,
    /// Where the worker says how it began; it says it once.
    reply: Option<oneshot::Sender<Result<Option<Head>>>>,
    rows: BatchSender,
}

// === impl Run ===

impl Run {
    /// Executes and says what kind of statement it was; failures have been told to the caller.
    fn on(mut self, connection: &Connection) -> Option<StatementKind> {
        match self.attempt(connection) {
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

    fn attempt(&mut self, connection: &Connection) -> Result<StatementKind> {
        if self.author.is_some() {
            connection.execute("BEGIN TRANSACTION", &[])?;
        }
        let prepared = connection.prepare(&self.statement.sql)?;
        let kind = prepared.kind();
        if let Some(hazards) = &self.hazards {
            hazards.lock().note(kind, &self.statement.sql)?;
        }
        match kind {
            StatementKind::Read => self.read(connection, &prepared)?,
            StatementKind::Write | StatementKind::Define | StatementKind::Alter => self.write(connection, &prepared)?,
            StatementKind::Transaction => {
                drop(prepared);
                if self.author.is_some() {
                    connection.rollback();
                }
                self.say(Ok(None));
            }
            StatementKind::Other(name) => return Err(refuse(name)),
        }
        Ok(kind)
    }

    fn read(&mut self, connection: &Connection, prepared: &engine::Statement<'_>) -> Result<()> {
        let snapshot_id = snapshots::current(connection)?;
        let mut executions = self.parameters()?;
        let parameters = executions.pop().unwrap_or_default();
        if !executions.is_empty() {
            return Err(Error::invalid("a query takes one row of parameters, several were bound"));
        }
        let mut rows = prepared.execute(&parameters)?;
        self.say(Ok(Some(Head { snapshot_id, body: Body::Stream(rows.schema()) })));
        self.rows.send_all(&mut rows);
        drop(rows);
        if self.author.is_some() {
            // EXPLAIN ANALYZE of a write is a read to the parser.
            connection.execute("COMMIT", &[])?;
        }
        Ok(())
    }

    fn write(&mut self, connection: &Connection, prepared: &engine::Statement<'_>) -> Result<()> {
        let (mut schema, mut batches, mut changed) = (None, Vec::new(), 0);
        for parameters in self.parameters()? {
            let mut rows = prepared.execute(&parameters)?;
            schema = Some(rows.schema());
            while let Some(batch) = rows.next_batch()? {
                changed += engine::count_of(&batch);
                batches.push(batch);
            }
        }
        let schema = schema.ok_or_else(|| Error::invalid("no row of parameters was bound"))?;
        let made = match &self.author {
            Some(author) => {
                snapshots::sign(connection, author, "")?;
                snapshots::commit(connection)?
            }
            None => None,
        };
        let snapshot_id = made.unwrap_or_else(|| snapshots::newest(connection));
        self.say(Ok(Some(Head { snapshot_id, body: Body::Complete { schema, batches, changed } })));
        Ok(())
    }

    /// The values of each execution.
    fn parameters(&self) -> Result<Vec<Vec<engine::Value>>> {
        let Some(batch) = &self.statement.parameters else { return Ok(vec![Vec::new()]) };
        (0..batch.num_rows()).map(|row| row_values(batch, row)).collect()
    }

    fn say(&mut self, head: Result<Option<Head>>) {
        match (self.reply.take(), head) {
            // The caller may be gone.
            (Some(reply), head) => _ = reply.send(head),
            // The rows are on their way: what fails now is told behind them.
            (None, Err(err)) => self.rows.fail(err),
            (None, Ok(_)) => {}
        }
    }
}

/// BEGIN, COMMIT and ROLLBACK as SQL text.
async fn control(
    sessions: &Sessions,
    session: &Session,
    sql: &str,
    connection: Option<ConnectionId>,
) -> Result<Outcome> {
    let textual = *session.textual.lock();
    // Read first: once the transaction has begun or ended, nothing may fail any more.
    let mut snapshot_id = sessions.lease().await?.worker().run(snapshots::current).await?;
    match (first_word(sql).as_str(), textual) {
        ("BEGIN" | "START", Some(_)) => {
            let text = "TransactionContext Error: cannot start a transaction within a transaction";
            return Err(Error::precondition(text));
        }
        ("BEGIN" | "START", None) if session.own => {
            let id = session.begin(connection)?;
            *session.textual.lock() = Some(id);
        }
        ("BEGIN" | "START", None) => {
            return Err(Error::precondition(
                "BEGIN needs a session: log in first, or switch the client's autocommit off instead",
            ));
        }
        (word, None) => {
            let ending = if word == "COMMIT" || word == "END" { "commit" } else { "rollback" };
            let text = format!("TransactionContext Error: cannot {ending} - no transaction is active");
            return Err(Error::precondition(text));
        }
        (word, Some(id)) => {
            let made = session.end(id, word == "COMMIT" || word == "END").await?;
            snapshot_id = made.unwrap_or(snapshot_id);
        }
    }
    Ok(Outcome { rows: Rows::Complete(Arc::new(Schema::empty()), Vec::new()), changed: Some(0), snapshot_id })
}

/// The first word of a statement, in upper case, without the comments before it.
fn first_word(sql: &str) -> String {
    let mut rest = sql.trim_start();
    loop {
        rest = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(comment), _) => comment.split_once('\n').map_or("", |(_, after)| after),
            (_, Some(comment)) => comment.split_once("*/").map_or("", |(_, after)| after),
            (None, None) => break,
        }
        .trim_start();
    }
    rest.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_uppercase()
}

/// Why a statement that neither reads nor writes rows or tables is not run, and what to do instead.
fn refuse(name: &str) -> Error {
    let remedy = match name {
        "COPY" | "EXPORT" => "files come in with the ingest action, and rows go out to the client",
        "VACUUM" | "ANALYZE" => "the server looks after its files",
        "CALL" => "the server's actions are called with DoAction",
        "PREPARE" | "EXECUTE" => "use the client's prepared statements",
        "SET" | "PRAGMA" => "settings belong to the server",
        _ => "the server looks after its own databases and extensions",
    };
    Error::unsupported(format!("{name} is not offered to clients: {remedy}"))
}

/// Whether the columns are DuckDB's count of changed rows.
fn is_count(columns: &SchemaRef) -> bool {
    columns.fields().len() == 1 && columns.field(0).name() == "Count"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_stands_after_comments() {
        assert_eq!(first_word("-- a\n /* b */ commit;"), "COMMIT");
        assert_eq!(first_word("  begin transaction"), "BEGIN");
        assert_eq!(first_word("/* open"), "");
    }
}
