//! Updates a model's table to the result of its SELECT, inside the open transaction.
//!
//! 1. The new rows are staged in a TEMP table, in the types in which they will be stored: the lake is read before it is
//!    written.
//! 2. If there is no table, it is created from the stage.
//! 3. If the columns differ, or for a full refresh, the table is replaced, which loses its comments, partitioning and
//!    history.
//! 4. Otherwise both sets of rows are added up, new ones as +1 and old ones as -1: the rows that do not cancel out are
//!    the difference. Duplicate rows are counted individually.
//! 5. Rows to delete are found by row id, of duplicates as many as are in excess; then new rows are inserted. Without a
//!    difference, nothing is written, and the commit creates no snapshot.
//! 6. The TEMP tables are dropped. A rollback drops them as well, because they were created in the transaction.

use serde::Deserialize;
use uuid::Uuid;

use super::model::Model;
use crate::{
    engine::Connection,
    error::{Error, ErrorKind, Result},
    lake::{commit::Transaction, stored_types::stored},
    proto::transform_result::model::Change,
    quote::identifier,
};

/// How often a row must be inserted (if positive) or deleted (if negative); no model may have a column of that name.
const SURPLUS: &str = "merganser_surplus";
/// Reserved column names.
const RESERVED: [&str; 2] = ["rowid", SURPLUS];

/// The change of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refreshed {
    pub(super) change: Change,
    pub(super) rows: u64,
    pub(super) rows_inserted: u64,
    pub(super) rows_deleted: u64,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Column {
    column_name: String,
    column_type: String,
}

/// The TEMP tables of one refresh, with unique names that cannot hide other tables.
struct Scratch<'c> {
    connection: &'c Connection,
    stage: String,
    difference: String,
    gone: String,
}

/// Updates the table of `model` to the result of `query`, its SELECT.
///
/// # Errors
/// Errors of DuckDB; `InvalidArgument` for a reserved column name.
pub(super) fn refresh(transaction: &mut Transaction<'_>, model: &Model, query: &str, full: bool) -> Result<Refreshed> {
    let connection = transaction.connection();
    let scratch = Scratch::new(connection);
    let (stage, table) = (&scratch.stage, model.sql_name());
    connection.execute(&format!("CREATE TEMP TABLE {stage} AS {query}"), &[])?;
    if let Some(stored) = stored(connection, &format!("FROM {stage}"))? {
        connection.execute(&format!("CREATE OR REPLACE TEMP TABLE {stage} AS {stored}"), &[])?;
    }
    let staged = scratch.stage_columns()?;
    let rows = count(connection, stage)?;
    let refreshed = match columns(connection, &table)? {
        None => {
            transaction.will_define()?;
            connection.execute(&format!("CREATE TABLE {table} AS FROM {stage}"), &[])?;
            Refreshed { change: Change::Created, rows, rows_inserted: rows, rows_deleted: 0 }
        }
        Some(standing) if full || standing != staged => {
            transaction.will_define()?;
            let rows_deleted = count(connection, &table)?;
            connection.execute(&format!("CREATE OR REPLACE TABLE {table} AS FROM {stage}"), &[])?;
            Refreshed { change: Change::Replaced, rows, rows_inserted: rows, rows_deleted }
        }
        Some(_) => {
            transaction.reads_and_writes(&table)?;
            let (rows_inserted, rows_deleted) = scratch.apply_difference(&table, &staged)?;
            let unchanged = rows_inserted == 0 && rows_deleted == 0;
            let change = if unchanged { Change::Unchanged } else { Change::Updated };
            Refreshed { change, rows, rows_inserted, rows_deleted }
        }
    };
    scratch.drop_tables()?;
    Ok(refreshed)
}

/// The number of rows in the table of a source; `None` if it does not exist.
pub(super) fn count_if_exists(connection: &Connection, table: &str) -> Result<Option<u64>> {
    match columns(connection, table)? {
        Some(_) => count(connection, table).map(Some),
        None => Ok(None),
    }
}

/// The columns of `table`; `None` if it does not exist.
fn columns(connection: &Connection, table: &str) -> Result<Option<Vec<Column>>> {
    let sql = format!("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {table})");
    match connection.records(&sql, &[]) {
        Ok(columns) => Ok(Some(columns)),
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

fn count(connection: &Connection, table: &str) -> Result<u64> {
    #[derive(Deserialize)]
    struct Count {
        rows: u64,
    }
    connection
        .record::<Count>(&format!("SELECT system.main.count(*) AS rows FROM {table}"), &[])
        .map(|count| count.rows)
}

// === impl Scratch ===

impl<'c> Scratch<'c> {
    fn new(connection: &'c Connection) -> Self {
        let unique = Uuid::new_v4().simple();
        let name = |part: &str| format!("temp.main.merganser_{part}_{unique}");
        Self { connection, stage: name("stage"), difference: name("difference"), gone: name("gone") }
    }

    fn stage_columns(&self) -> Result<Vec<Column>> {
        let columns = columns(self.connection, &self.stage)?.unwrap_or_default();
        let is_reserved = |column: &&Column| RESERVED.iter().any(|name| column.column_name.eq_ignore_ascii_case(name));
        match columns.iter().find(is_reserved) {
            Some(column) => {
                let name = &column.column_name;
                Err(Error::invalid(format!("the column name \"{name}\" is reserved: give the column another one")))
            }
            None => Ok(columns),
        }
    }

    /// Deletes and inserts rows until `table` equals the stage; returns the numbers of inserted and deleted rows.
    fn apply_difference(&self, table: &str, columns: &[Column]) -> Result<(u64, u64)> {
        let Self { connection, stage, difference, gone } = self;
        let names: Vec<_> = columns.iter().map(|column| identifier(&column.column_name)).collect();
        let list = names.join(", ");
        connection.execute(
            &format!(
                "CREATE TEMP TABLE {difference} AS \
                 SELECT {list}, system.main.sum(side)::BIGINT AS {SURPLUS} \
                 FROM (SELECT {list}, 1 AS side FROM {stage} UNION ALL SELECT {list}, -1 AS side FROM {table}) \
                 GROUP BY {list} HAVING system.main.sum(side) <> 0",
            ),
            &[],
        )?;
        let expected = self.expected()?;
        if expected.deleted > 0 {
            let same: Vec<_> = names.iter().map(|name| format!("old.{name} IS NOT DISTINCT FROM d.{name}")).collect();
            let same = same.join(" AND ");
            connection.execute(
                &format!(
                    "CREATE TEMP TABLE {gone} AS SELECT id FROM ( \
                     SELECT old.rowid AS id, d.{SURPLUS} AS surplus, \
                            system.main.row_number() OVER (PARTITION BY d.rowid ORDER BY old.rowid) AS nth \
                     FROM {table} old JOIN {difference} d ON {same} WHERE d.{SURPLUS} < 0) WHERE nth <= -surplus",
                ),
                &[],
            )?;
            let sql = format!("DELETE FROM {table} WHERE rowid IN (SELECT id FROM {gone})");
            expect_rows("delete", connection.execute(&sql, &[])?, expected.deleted)?;
        }
        if expected.inserted > 0 {
            let sql = format!(
                "INSERT INTO {table} SELECT {list} FROM {difference}, system.main.range({SURPLUS}) WHERE {SURPLUS} > 0 \
                 ORDER BY {list}",
            );
            expect_rows("insert", connection.execute(&sql, &[])?, expected.inserted)?;
        }
        Ok((expected.inserted, expected.deleted))
    }

    fn expected(&self) -> Result<Expected> {
        let sql = format!(
            "SELECT coalesce(system.main.sum({SURPLUS}) FILTER ({SURPLUS} > 0), 0)::BIGINT AS inserted, \
             coalesce(-system.main.sum({SURPLUS}) FILTER ({SURPLUS} < 0), 0)::BIGINT AS deleted FROM {}",
            self.difference,
        );
        self.connection.record(&sql, &[])
    }

    fn drop_tables(&self) -> Result<()> {
        for table in [&self.stage, &self.difference, &self.gone] {
            self.connection.execute(&format!("DROP TABLE IF EXISTS {table}"), &[])?;
        }
        Ok(())
    }
}

/// The size of a difference.
#[derive(Deserialize)]
struct Expected {
    inserted: u64,
    deleted: u64,
}

/// A table that differs from the stage afterwards must not be committed.
fn expect_rows(verb: &str, got: u64, expected: u64) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::internal(format!("{verb} the difference: {got} rows instead of {expected}")))
}
