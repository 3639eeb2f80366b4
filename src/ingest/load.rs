//! Loading rows into a table, inside the transaction of the ingest.
//!
//! `append` adds the rows, by column name. `replace` replaces the existing rows, and keeps the table if its columns are
//! unchanged. `merge` adds the rows whose key does not exist, and updates the others or leaves them as they are.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    engine::Connection,
    error::{Error, Result},
    ids::SnapshotId,
    lake::{
        commit::{Committer, Retry, Transaction, Writer},
        snapshots,
        stored_types::stored,
        table::TableRef,
    },
    quote::{identifier, literal},
};

/// What happens to the existing rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are kept.
    Append,
    /// They are removed.
    Replace,
    /// They are kept, and only rows that are not among them are added: each as often as the source has it more often.
    Difference,
    /// Rows are added whose key is not among theirs.
    Merge {
        /// The columns of the key.
        key: Vec<String>,
        /// What happens to the others.
        #[serde(default)]
        when_matched: WhenMatched,
    },
}

/// What happens to an existing row that has the key of a row of the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenMatched {
    /// It is updated.
    #[default]
    Update,
    /// It stays as it is.
    DoNothing,
}

/// The changes of a table.
#[derive(Clone, Debug)]
pub struct TableOutcome {
    /// `schema.name`.
    pub table: String,
    /// The number of rows of the source.
    pub rows_read: u64,
    /// The number of rows added.
    pub rows_added: u64,
}

/// The name of the landing in the details of a commit.
pub(super) const LANDING: &str = "landing";
/// The names of the tables there.
pub(super) const TABLES: &str = "tables";
/// The table of staged rows.
const STAGE: &str = "temp.main.merganser_merge";
/// The column for the split of a row.
pub(super) const SPLIT: &str = "split";
/// The column for the name of the landing.
const LANDING_COLUMN: &str = "landing";

/// The result of a load.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The newest snapshot after the load.
    pub snapshot_id: SnapshotId,
    /// Whether the load created it.
    pub committed: bool,
    /// The changed tables.
    pub tables: Vec<TableOutcome>,
}

/// A column of a table or query.
#[derive(Debug, Deserialize)]
pub(super) struct Column {
    pub column_name: String,
    /// As DuckDB writes it.
    pub column_type: String,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

/// How the commit of a load is signed.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The name of the data set.
    pub dataset: String,
    /// The user.
    pub author: String,
    /// What identifies the landing.
    pub landing: String,
    /// The tables that earlier ingests of the same source have filled; empty if there are none.
    pub earlier: Vec<String>,
}

/// Commits what `load` writes as one snapshot, and repeats it after a conflict.
///
/// # Errors
/// `FailedPrecondition` if the rows belong into other tables than those of earlier ingests; errors of `load` and of the
/// commit.
pub fn commit<'c>(
    connection: &'c Connection,
    committer: &'c Arc<Committer>,
    signature: &Signature,
    mut load: impl FnMut(&mut Transaction<'c>) -> Result<Vec<TableOutcome>>,
) -> Result<Loaded> {
    let Signature { dataset, author, landing, earlier } = signature;
    let written = Writer::new(committer, connection).write(author, Retry::OnConflict, |transaction| {
        let tables = load(transaction)?;
        let names: Vec<_> = tables.iter().map(|outcome| outcome.table.as_str()).collect();
        check_same(earlier, &names)?;
        transaction.sign(format!("ingest {dataset}"), Some(json!({ LANDING: landing, TABLES: names })));
        Ok(tables)
    })?;
    let snapshot_id = written.snapshot_id.unwrap_or_else(|| snapshots::newest(connection));
    Ok(Loaded { snapshot_id, committed: written.snapshot_id.is_some(), tables: written.value })
}

/// The rows of one source are not spread over the tables of several formats.
fn check_same(earlier: &[String], now: &[&str]) -> Result<()> {
    if earlier.is_empty() || (earlier.len() == now.len() && earlier.iter().all(|table| now.contains(&table.as_str()))) {
        return Ok(());
    }
    Err(Error::precondition(format!(
        "the columns of the source have changed: its rows are in {}, and would be in {} now; drop those tables, or ingest \
         into another \"table\"",
        earlier.join(", "),
        now.join(", ")
    )))
}

/// What else is known about rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    /// The name of the landing that brings them, for a column of it.
    pub landing: Option<&'a str>,
    /// The columns of media, which are equal if their hashes are.
    pub media: &'a [String],
}

// === impl Extra ===

impl<'a> Extra<'a> {
    /// Of a landing.
    pub fn landing(landing: &'a str) -> Self {
        Self { landing: Some(landing), media: &[] }
    }

    /// The value by which rows are compared in this column; `None` if they are not. `of` makes SQL of a column's name.
    fn compared(&self, column: &str, of: impl Fn(&str) -> String) -> Option<String> {
        if self.landing.is_some() && column == LANDING_COLUMN {
            return None;
        }
        // The same medium may have been stored under another name.
        let is_medium = self.media.iter().any(|medium| medium == column);
        let hash = is_medium.then(|| of(&format!("{column}_sha256")));
        Some(hash.map_or_else(|| of(column), |hash| format!("coalesce({hash}, {})", of(column))))
    }
}

/// Loads the rows of `query` into `table`, creating it if it does not exist.
///
/// # Errors
/// `InvalidArgument` if the columns do not match the table's, or the key is missing, NULL or not unique.
pub fn load(
    transaction: &mut Transaction<'_>,
    table: &TableRef,
    query: &str,
    mode: &Mode,
    extra: Extra<'_>,
) -> Result<TableOutcome> {
    let connection = transaction.connection();
    let query = match extra.landing {
        Some(landing) => format!("SELECT *, {} AS {LANDING_COLUMN} FROM ({query})", literal(landing)),
        None => query.to_owned(),
    };
    let query = stored(connection, &query)?.unwrap_or(query);
    let existing = columns_of(connection, table)?;
    if existing.is_none() || matches!(mode, Mode::Replace) {
        transaction.will_define()?;
    }
    if !matches!(mode, Mode::Append) {
        transaction.reads_and_writes(&table.sql())?;
    }
    let (rows_read, rows_added) = match (existing, mode) {
        (None, Mode::Append | Mode::Difference | Mode::Replace) => both(create(connection, table, &query)?),
        (None, Mode::Merge { key, when_matched }) => {
            // An empty table first: the merge below checks the key.
            create(connection, table, &format!("{query} LIMIT 0"))?;
            merge(connection, table, &query, key, *when_matched)?
        }
        (Some(_), Mode::Append) => both(insert(connection, table, &query)?),
        (Some(existing), Mode::Difference) => add_missing(connection, table, &query, &existing, extra)?,
        (Some(existing), Mode::Replace) => both(replace(connection, table, &query, &existing)?),
        (Some(_), Mode::Merge { key, when_matched }) => merge(connection, table, &query, key, *when_matched)?,
    };
    Ok(TableOutcome { table: table.to_string(), rows_read, rows_added })
}

/// Every row that was read was added.
fn both(rows: u64) -> (u64, u64) {
    (rows, rows)
}

fn create(connection: &Connection, table: &TableRef, query: &str) -> Result<u64> {
    connection.execute(&format!("CREATE TABLE {} AS {query}", table.sql()), &[])
}

fn insert(connection: &Connection, table: &TableRef, query: &str) -> Result<u64> {
    connection.execute(&format!("INSERT INTO {} BY NAME {query}", table.sql()), &[])
}

fn replace(connection: &Connection, table: &TableRef, query: &str, existing: &[Column]) -> Result<u64> {
    let new = describe(connection, query)?;
    let same = new.len() == existing.len()
        && new.iter().zip(existing).all(|(a, b)| a.column_name == b.column_name && a.column_type == b.column_type);
    if same {
        connection.execute(&format!("DELETE FROM {}", table.sql()), &[])?;
        insert(connection, table, query)
    } else {
        connection.execute(&format!("CREATE OR REPLACE TABLE {} AS {query}", table.sql()), &[])
    }
}

/// Adds the rows that the table does not have as often. Returns the number of rows read and of rows added.
fn add_missing(
    connection: &Connection,
    table: &TableRef,
    query: &str,
    existing: &[Column],
    extra: Extra<'_>,
) -> Result<(u64, u64)> {
    connection.execute(&format!("CREATE OR REPLACE TEMP TABLE merganser_merge AS {query}"), &[])?;
    let read = count(connection, STAGE)?;
    let (mut ours, mut theirs, mut same) = (Vec::new(), Vec::new(), Vec::new());
    let known = |name: &str| existing.iter().find(|known| known.column_name.eq_ignore_ascii_case(name));
    for Column { column_name, .. } in describe(connection, &format!("FROM {STAGE}"))? {
        if known(&column_name).is_none() {
            // Says which column the table lacks.
            return insert(connection, table, &format!("FROM {STAGE}")).map(both);
        }
        let cast = |name: &str| {
            let data_type = known(name).map_or("VARCHAR", |known| known.column_type.as_str());
            format!("{}::{data_type}", identifier(name))
        };
        let values = (
            extra.compared(&column_name, cast),
            extra.compared(&column_name, identifier),
            extra.compared(&column_name, |name| format!("source.{}", cast(name))),
            extra.compared(&column_name, |name| format!("target.{}", identifier(name))),
        );
        if let (Some(our), Some(their), Some(source), Some(target)) = values {
            ours.push(our);
            theirs.push(their);
            same.push(format!("{source} IS NOT DISTINCT FROM {target}"));
        }
    }
    let numbered = |rows: &str, by: &[String]| {
        format!("(SELECT *, row_number() OVER (PARTITION BY {}) AS merganser_number FROM {rows})", by.join(", "))
    };
    let missing = format!(
        "SELECT source.* EXCLUDE (merganser_number) FROM {} source ANTI JOIN {} target ON {} \
         AND source.merganser_number = target.merganser_number",
        numbered(STAGE, &ours),
        numbered(&table.sql(), &theirs),
        same.join(" AND ")
    );
    let added = insert(connection, table, &missing)?;
    connection.execute(&format!("DROP TABLE {STAGE}"), &[])?;
    Ok((read, added))
}

/// Stages the rows, checks the key, and merges. Returns the number of rows read and of rows added.
fn merge(
    connection: &Connection,
    table: &TableRef,
    query: &str,
    key: &[String],
    when_matched: WhenMatched,
) -> Result<(u64, u64)> {
    connection.execute(&format!("CREATE OR REPLACE TEMP TABLE merganser_merge AS {query}"), &[])?;
    let columns = describe(connection, &format!("FROM {STAGE}"))?;
    check_key(connection, STAGE, key, &columns)?;
    let read = count(connection, STAGE)?;
    let before = count(connection, &table.sql())?;
    let on: Vec<_> = key.iter().map(|key| identifier(key)).map(|key| format!("target.{key} = source.{key}")).collect();
    let names: Vec<_> = columns.iter().map(|column| identifier(&column.column_name)).collect();
    let matched = match when_matched {
        WhenMatched::DoNothing => String::new(),
        WhenMatched::Update => update_changed(&names),
    };
    let values: Vec<_> = names.iter().map(|name| format!("source.{name}")).collect();
    connection.execute(
        &format!(
            "MERGE INTO {} AS target USING {STAGE} AS source ON ({}) \
             {matched}WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
            table.sql(),
            on.join(" AND "),
            names.join(", "),
            values.join(", ")
        ),
        &[],
    )?;
    let added = count(connection, &table.sql())?.saturating_sub(before);
    connection.execute(&format!("DROP TABLE {STAGE}"), &[])?;
    Ok((read, added))
}

/// The part of MERGE that updates rows of which a value is another one.
fn update_changed(names: &[String]) -> String {
    let set: Vec<_> = names.iter().map(|name| format!("{name} = source.{name}")).collect();
    let differs: Vec<_> = names.iter().map(|name| format!("target.{name} IS DISTINCT FROM source.{name}")).collect();
    format!("WHEN MATCHED AND ({}) THEN UPDATE SET {} ", differs.join(" OR "), set.join(", "))
}

fn check_key(connection: &Connection, stage: &str, key: &[String], columns: &[Column]) -> Result<()> {
    if key.is_empty() {
        return Err(Error::invalid("mode merge needs \"key\": the columns that identify a row"));
    }
    if let Some(missing) = key.iter().find(|key| !columns.iter().any(|column| column.column_name == **key)) {
        return Err(Error::invalid(format!("the source has no column \"{missing}\" for the key")));
    }
    let names: Vec<_> = key.iter().map(|key| identifier(key)).collect();
    let names = names.join(", ");
    let nulls: Vec<_> = key.iter().map(|key| format!("{} IS NULL", identifier(key))).collect();
    let sql = format!(
        "SELECT system.main.count(*) AS count FROM (SELECT 1 FROM {stage} GROUP BY {names} HAVING system.main.count(*) > 1 OR {})",
        nulls.join(" OR ")
    );
    let faulty = connection.record::<Count>(&sql, &[])?;
    if faulty.count > 0 {
        let faulty = faulty.count;
        return Err(Error::invalid(format!("the key ({names}) is NULL or not unique in the source: {faulty} values")));
    }
    Ok(())
}

fn count(connection: &Connection, table: &str) -> Result<u64> {
    connection.record::<Count>(&format!("SELECT system.main.count(*) AS count FROM {table}"), &[]).map(|row| row.count)
}

/// The columns of a query.
pub(super) fn describe(connection: &Connection, query: &str) -> Result<Vec<Column>> {
    connection.records(&format!("SELECT column_name, column_type FROM (DESCRIBE {query})"), &[])
}

/// The columns of a table; `None` if there is no such table.
pub(super) fn columns_of(connection: &Connection, table: &TableRef) -> Result<Option<Vec<Column>>> {
    let sql = format!(
        "SELECT column_name, data_type AS column_type FROM system.main.duckdb_columns() WHERE database_name = 'lake' \
         AND schema_name = {} AND table_name = {} ORDER BY column_index",
        literal(&table.schema),
        literal(&table.name)
    );
    let columns: Vec<Column> = connection.records(&sql, &[])?;
    Ok((!columns.is_empty()).then_some(columns))
}
