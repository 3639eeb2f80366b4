//! Bulk writes: the rows that a client streams are written to a new or an existing table by one statement.
//!
//! 1. The target is looked up and the statement prepared before any row is read: errors are reported immediately.
//! 2. One INSERT or CREATE TABLE AS reads the rows as they arrive, so that memory stays flat, and produces one file and
//!    one snapshot.
//! 3. Outside a transaction it has its own, which is signed and committed; a client that disconnects, or sends invalid
//!    data, leaves nothing.
//!
//! ADBC never specifies a transaction with its rows. So rows without one join the transaction that `BEGIN` in SQL
//! opened, or else the only one that the client opened on the same network connection: it has disabled autocommit
//! there.

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

/// The target of rows, and the required state of it.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// The table's name.
    pub table: String,
    /// Its schema; `None` for the connection's default schema.
    pub schema: Option<String>,
    /// Its catalog; `None` for the lake.
    pub catalog: Option<String>,
    /// Whether the table ends with the transaction; schema and catalog are ignored then.
    pub temporary: bool,
    /// The action if the table does not exist.
    pub if_absent: IfAbsent,
    /// The action if it exists.
    pub if_present: IfPresent,
    /// The transaction that the client specified.
    pub transaction: Option<TransactionId>,
    /// The network connection that the rows are sent on.
    pub connection: Option<ConnectionId>,
}

/// Rows whose statement is prepared.
struct PreparedIngest<'c> {
    scan: Scan<'c>,
    statement: ParsedStatement,
    /// The commit message.
    message: String,
}

/// The action if the table does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfAbsent {
    /// Create it with the columns of the rows.
    Create,
    /// Reject the rows.
    Fail,
}

/// The action if the table exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfPresent {
    /// Reject the rows.
    Fail,
    /// Append them by column name, ignoring case; other columns get their defaults.
    Append,
    /// Replace it by a new table.
    Replace,
}

/// Writes `rows`; returns their number.
///
/// # Errors
/// `NotFound` and `AlreadyExists` for the target, also if it has other columns than the rows, `InvalidArgument` for rows
/// that cannot be a table, `FailedPrecondition` for a temporary table in a shared session, and errors of the sender of the rows. Nothing is
/// written then; inside a transaction, that transaction can only be rolled back.
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

/// Writes rows in their own transaction.
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

/// The transaction of rows that are sent on `connection`: the specified one, or else the one that `BEGIN` in SQL
/// opened, or else the only one that was opened on that connection.
pub(super) fn joined(
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
    /// Writes rows in the transaction that is open on `connection`; returns their number.
    ///
    /// # Errors
    /// As [`ingest`].
    pub(super) fn write(&self, connection: &Connection, rows: Inflow) -> Result<u64> {
        self.prepare(connection, rows)?.write(connection)
    }

    /// The name of the table's schema.
    pub(super) fn schema(&self, connection: &Connection) -> Result<String> {
        match &self.schema {
            Some(schema) => Ok(schema.clone()),
            None => own_schema(connection),
        }
    }

    /// Looks up the target and prepares the statement that reads the rows.
    fn prepare<'c>(&self, connection: &'c Connection, rows: Inflow) -> Result<PreparedIngest<'c>> {
        let target = self.target(connection)?;
        let present = exists(connection, &target).context(|| format!("ingest into {target}"))?;
        let scan = connection.scan(rows)?;
        let statement = sql::parse_one(&self.sql(&target, present, &scan)?)?;
        if present && self.if_present == IfPresent::Append {
            check_columns(connection, &scan, &statement, &target)?;
        }
        Ok(PreparedIngest { scan, statement, message: format!("ingest into {target}") })
    }

    /// The table's qualified name in SQL.
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
                "catalog \"{other}\" does not exist for tables; omit it, or specify \"lake\""
            )));
        }
        let schema = self.schema(connection)?;
        let sql = "SELECT system.main.count(*) AS count FROM system.main.duckdb_schemas() WHERE database_name = 'lake' AND system.main.lower(schema_name) = ";
        let found: Count = connection.record(&format!("{sql}lower({})", literal(&schema)), &[])?;
        if found.count == 0 {
            return Err(Error::not_found(format!("schema \"{schema}\" does not exist")));
        }
        Ok(format!("{CATALOG}.{}.{table}", identifier(&schema)))
    }

    fn sql(&self, target: &str, present: bool, scan: &Scan<'_>) -> Result<String> {
        let rows = scan.sql();
        let temp = if self.temporary { "TEMP " } else { "" };
        let make = |create: &str| Ok(format!("{create} {temp}TABLE {target} AS SELECT * FROM {rows}"));
        match (present, self.if_absent, self.if_present) {
            (false, IfAbsent::Create, _) => make("CREATE"),
            (false, IfAbsent::Fail, _) => Err(Error::not_found(format!("table {target} does not exist"))),
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

/// Checks that rows can be appended to `target`.
///
/// # Errors
/// `AlreadyExists` if it has other columns: clients distinguish this from rows that are wrong.
fn check_columns(connection: &Connection, scan: &Scan<'_>, append: &ParsedStatement, target: &str) -> Result<()> {
    let prepared = scan.settle(connection.prepare(append.text()).map(|_| ()));
    prepared.map_err(|err| match err.kind() {
        ErrorKind::InvalidArgument => Error::new(
            ErrorKind::AlreadyExists,
            format!("table {target} already exists, and the rows do not fit it: {}", err.message()),
        ),
        _ => err,
    })
}

#[derive(serde::Deserialize)]
struct Count {
    count: u64,
}

#[derive(serde::Deserialize)]
struct Schema {
    name: String,
}

/// The default schema of `connection`.
fn own_schema(connection: &Connection) -> Result<String> {
    connection.record::<Schema>("SELECT system.main.current_schema() AS name", &[]).map(|schema| schema.name)
}

/// Whether `target` exists, as a table or a view.
fn exists(connection: &Connection, target: &str) -> Result<bool> {
    match connection.prepare(&format!("FROM {target}")) {
        Ok(_) => Ok(true),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err),
    }
}
