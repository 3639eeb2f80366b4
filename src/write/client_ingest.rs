//! Bulk writes: the rows that a client streams become a table, or part of one, by one statement.
//!
//! 1. The target is looked up and the statement prepared, before any row is taken: what cannot be is said at once.
//! 2. One INSERT or CREATE TABLE AS reads the rows as they come, so that memory stays flat, and one file and one
//!    snapshot come of it.
//! 3. Outside a transaction it has its own, which is signed and committed; a client that goes away, or sends what
//!    cannot be read, leaves nothing.
//!
//! ADBC never names a transaction with its rows. So rows without one join the transaction that `BEGIN` as text opened,
//! else the only one that the client opened on the same network connection: it has switched autocommit off there.

use std::sync::Arc;

use crate::{
    engine::{Connection, Inflow, Scan},
    error::{Context, Error, ErrorKind, Result},
    ids::{ConnectionId, TransactionId},
    lake::commit::OpenTransaction,
    quote::{identifier, literal},
    session::{Leases, Session, Transaction},
    sql::{self, ParsedStatement},
};

/// The catalog that ingests write to.
const CATALOG: &str = "lake";
/// DuckLake names a folder after the table.
const MAX_NAME_BYTES: usize = 255;

/// Where rows go, and what must be there before.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// The table's name.
    pub table: String,
    /// Its schema; `None` is the connection's own.
    pub schema: Option<String>,
    /// Its catalog; `None` is the lake.
    pub catalog: Option<String>,
    /// Whether the table ends with the transaction; schema and catalog play no part then.
    pub temporary: bool,
    /// What happens when the table does not exist.
    pub if_absent: IfAbsent,
    /// What happens when it does.
    pub if_present: IfPresent,
    /// The transaction that the client named.
    pub transaction: Option<TransactionId>,
    /// The network connection that the rows come on.
    pub connection: Option<ConnectionId>,
}

/// Rows whose statement is ready.
struct PreparedIngest<'c> {
    scan: Scan<'c>,
    statement: ParsedStatement,
    /// What the commit says.
    message: String,
}

/// What happens when the table does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfAbsent {
    /// It is made, with the columns of the rows.
    Create,
    /// The rows are refused.
    Fail,
}

/// What happens when the table exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfPresent {
    /// The rows are refused.
    Fail,
    /// They are added, by column name (case aside); other columns get their defaults.
    Append,
    /// A new table takes its place.
    Replace,
}

/// Writes `rows`; says how many.
///
/// # Errors
/// `NotFound` and `AlreadyExists` for the target, `InvalidArgument` for columns that do not fit it,
/// `FailedPrecondition` for a temporary table in a shared session, and what the sender of the rows failed with.
/// Nothing is written then; inside a transaction, that transaction can only be rolled back.
pub async fn ingest(leases: &Leases, session: &Session, ingest: Ingest, rows: Inflow) -> Result<u64> {
    let written = match joined(session, ingest.transaction, ingest.connection)? {
        Some(transaction) => join(leases, session, &transaction, ingest, rows).await,
        None => alone(leases, session, ingest, rows).await,
    };
    written.map_err(|err| session.explain(err))
}

/// Writes rows in a transaction of the session.
async fn join(
    leases: &Leases,
    session: &Session,
    transaction: &Transaction,
    ingest: Ingest,
    rows: Inflow,
) -> Result<u64> {
    let worker = leases.begun(session, transaction).await?;
    if ingest.temporary && session.is_own() && session.pinned_worker().is_none() {
        transaction.keep_connection(leases.permit(session)?).await;
    }
    let (open, committer) = (transaction.open(), Arc::clone(leases.lake().committer()));
    let work = move |connection: &Connection| {
        let prepared = ingest.prepare(connection, rows)?;
        {
            let mut open = open.lock();
            let open = open.as_mut().ok_or_else(|| Error::internal("the transaction has not begun"))?;
            open.transaction.will_run(&committer, connection, &prepared.statement)?;
            open.transaction.add_message(prepared.message.clone());
            if prepared.statement.defines() {
                open.definitions.push(prepared.statement.clone());
            }
        }
        prepared.write(connection)
    };
    let written = worker.run(work).await;
    transaction.touch();
    written
}

/// Writes rows in a transaction of their own.
async fn alone(leases: &Leases, session: &Session, ingest: Ingest, rows: Inflow) -> Result<u64> {
    let (author, temporary) = (session.principal().name().to_owned(), ingest.temporary);
    let message = session.options().commit_message().map(ToOwned::to_owned);
    let committer = Arc::clone(leases.lake().committer());
    let work = move |connection: &Connection| {
        let written = OpenTransaction::begin(&committer, connection).and_then(|mut transaction| {
            transaction.will_write(&committer, connection)?;
            let prepared = ingest.prepare(connection, rows)?;
            transaction.will_run(&committer, connection, &prepared.statement)?;
            transaction.add_message(message.unwrap_or_else(|| prepared.message.clone()));
            let written = prepared.write(connection)?;
            transaction.commit(&committer, connection, &author)?;
            Ok(written)
        });
        if written.is_err() {
            connection.rollback();
        }
        written
    };
    match session.pinned_worker() {
        Some(pinned) => pinned.run(work).await,
        None if temporary => leases.pin(session).await?.run(work).await,
        None => leases.lease_for(session).await?.worker().run(work).await,
    }
}

/// The transaction that rows belong to which come on `connection`: the named one, else the one that `BEGIN` as text
/// opened, else the only one that was opened on that connection.
fn joined(
    session: &Session,
    id: Option<TransactionId>,
    connection: Option<ConnectionId>,
) -> Result<Option<Arc<Transaction>>> {
    match session.transaction(id)? {
        Some(transaction) => Ok(Some(transaction)),
        None => session.transaction(session.opened_on(connection)?),
    }
}

// === impl Ingest ===

impl Ingest {
    /// Looks the target up and makes the statement that reads the rows.
    fn prepare<'c>(&self, connection: &'c Connection, rows: Inflow) -> Result<PreparedIngest<'c>> {
        let target = self.target(connection)?;
        let present = exists(connection, &target).context(|| format!("ingest into {target}"))?;
        let scan = connection.scan(rows)?;
        let statement = sql::parse_one(&self.sql(&target, present, &scan)?)?;
        Ok(PreparedIngest { scan, statement, message: format!("ingest into {target}") })
    }

    /// The table's full name as SQL.
    fn target(&self, connection: &Connection) -> Result<String> {
        if self.table.is_empty() || self.table.len() > MAX_NAME_BYTES {
            return Err(Error::invalid(format!("a table's name must have 1 to {MAX_NAME_BYTES} bytes")));
        }
        let table = identifier(&self.table);
        if self.temporary {
            return Ok(format!("temp.main.{table}"));
        }
        if let Some(other) = self.catalog.as_deref().filter(|catalog| !catalog.eq_ignore_ascii_case(CATALOG)) {
            return Err(Error::not_found(format!(
                "no catalog \"{other}\" takes tables; leave it away, or name \"lake\""
            )));
        }
        let schema = match &self.schema {
            Some(schema) => schema.clone(),
            None => own_schema(connection)?,
        };
        let sql = "SELECT system.main.count(*) AS count FROM system.main.duckdb_schemas() WHERE database_name = 'lake' AND system.main.lower(schema_name) = ";
        let found: Count = connection.record(&format!("{sql}lower({})", literal(&schema)), &[])?;
        if found.count == 0 {
            return Err(Error::not_found(format!("no schema \"{schema}\" in the lake")));
        }
        Ok(format!("{CATALOG}.{}.{table}", identifier(&schema)))
    }

    fn sql(&self, target: &str, present: bool, scan: &Scan<'_>) -> Result<String> {
        let rows = scan.sql();
        let temp = if self.temporary { "TEMP " } else { "" };
        let make = |create: &str| Ok(format!("{create} {temp}TABLE {target} AS SELECT * FROM {rows}"));
        match (present, self.if_absent, self.if_present) {
            (false, IfAbsent::Create, _) => make("CREATE"),
            (false, IfAbsent::Fail, _) => Err(Error::not_found(format!("no table {target}"))),
            (true, _, IfPresent::Append) => Ok(format!("INSERT INTO {target} BY NAME SELECT * FROM {rows}")),
            (true, _, IfPresent::Replace) => make("CREATE OR REPLACE"),
            (true, _, IfPresent::Fail) => {
                Err(Error::new(ErrorKind::AlreadyExists, format!("table {target} already exists")))
            }
        }
    }
}

// === impl PreparedIngest ===

impl PreparedIngest<'_> {
    fn write(self, connection: &Connection) -> Result<u64> {
        let written = connection.execute(self.statement.text(), &[]);
        self.scan.settle(written)
    }
}

#[derive(serde::Deserialize)]
struct Count {
    count: u64,
}

#[derive(serde::Deserialize)]
struct Schema {
    name: String,
}

/// The schema that unqualified names mean on `connection`.
fn own_schema(connection: &Connection) -> Result<String> {
    connection.record::<Schema>("SELECT system.main.current_schema() AS name", &[]).map(|schema| schema.name)
}

/// Whether `target` is there, as a table or a view.
fn exists(connection: &Connection, target: &str) -> Result<bool> {
    match connection.prepare(&format!("FROM {target}")) {
        Ok(_) => Ok(true),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err),
    }
}
