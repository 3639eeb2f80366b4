//! The differences between two snapshots: tables, columns and rows.
//!
//! The difference is the net one: objects that were created and removed in between are not included. It is computed as
//! in a rollback: in a table that both snapshots contain, rows that were neither written nor lost have the same row id
//! and the same snapshot that wrote them, and are not compared. DuckLake's own `table_changes` returns every step, and
//! only forward.
//!
//! The rows themselves are returned by a query that any client can run (`rows.rs`). Columns are those of both sides,
//! matched by DuckLake's ids (`columns.rs`), so that a renamed column is one column. Rows that were not written are not
//! returned, even if an added column gives them a value.

mod columns;
mod rows;
mod side;

use serde::Deserialize;

pub use self::columns::SchemaChange;
use self::side::Side;
use super::{
    pairs::{Pair, pairs},
    snapshots::{self, SnapshotRef},
    state::{self, Relation, TableState},
    table::TableRef,
};
use crate::{
    engine::Connection,
    error::{Context, Error, Result},
    ids::SnapshotId,
    proto::diff_result::table::Change,
};

/// The snapshots to compare.
#[derive(Clone, Debug)]
pub struct Diff {
    /// The only table to compare, by its name at one of them.
    pub table: Option<TableRef>,
    /// The first snapshot; the one before the second if absent.
    pub from: Option<SnapshotRef>,
    /// The second snapshot; the newest if absent.
    pub to: Option<SnapshotRef>,
}

/// The difference of two snapshots.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The first snapshot.
    pub from: SnapshotId,
    /// The second snapshot.
    pub to: SnapshotId,
    /// The tables that differ, ordered by name; a table that was requested by name is always included.
    pub tables: Vec<TableDifference>,
}

/// The difference of a table.
#[derive(Clone, Debug)]
pub struct TableDifference {
    /// Its name at `to`, else at `from`, as `schema.name`.
    pub table: String,
    /// Its name at `from`, if it is another one.
    pub renamed_from: Option<String>,
    /// The change of the table.
    pub change: Change,
    /// The changes of its rows.
    pub rows: RowCounts,
    /// The changes of its columns, keys and comments.
    pub schema_changes: Vec<SchemaChange>,
    /// The query for the rows that differ.
    pub sql: String,
}

/// The numbers of inserted, deleted and updated rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows that only `to` has.
    pub inserted: u64,
    /// Rows that only `from` has.
    pub deleted: u64,
    /// Rows that both have, with other values.
    pub updated: u64,
}

/// Compares two snapshots; `progress` is called with the number of tables compared and their total.
///
/// # Errors
/// `NotFound` for a snapshot that does not exist and for a table that neither snapshot has; `Unsupported` for a view.
pub fn diff(connection: &Connection, request: &Diff, progress: &mut dyn FnMut(usize, usize)) -> Result<Difference> {
    let (from, to) = request.snapshots(connection)?;
    let candidates = candidates(connection, request.table.as_ref(), from, to)?;
    let mut tables = Vec::new();
    for (done, pair) in candidates.iter().enumerate() {
        progress(done, candidates.len());
        let found = compare(connection, pair, from, to).context(|| format!("compare \"{}\"", pair.name()))?;
        tables.extend((request.table.is_some() || found.change != Change::Unchanged).then_some(found));
    }
    progress(candidates.len(), candidates.len());
    Ok(Difference { from, to, tables })
}

/// The query for the rows of the one table that `request` names; `change` contains the change of each.
///
/// # Errors
/// As [`diff`]; `InvalidArgument` without a table; `FailedPrecondition` if several tables had its name.
pub fn rows_query(connection: &Connection, request: &Diff) -> Result<String> {
    let Some(table) = &request.table else {
        return Err(Error::invalid("specify \"table\": the rows of several tables differ in their columns"));
    };
    let (from, to) = request.snapshots(connection)?;
    match candidates(connection, Some(table), from, to)?.as_slice() {
        [pair] => {
            let sides = sides(connection, pair, from, to)?;
            Ok(rows::query(&columns::matched(&sides, pair.is_same()), &sides, pair.is_same()))
        }
        _ => Err(Error::precondition(format!(
            "\"{}.{}\" is not the same table at both snapshots; the result of the action contains a query for each",
            table.schema, table.name
        ))),
    }
}

/// The tables that may differ, or those that were requested.
fn candidates(
    connection: &Connection,
    table: Option<&TableRef>,
    from: SnapshotId,
    to: SnapshotId,
) -> Result<Vec<Pair<Relation>>> {
    let (then, now) = (state::relations(connection, from)?, state::relations(connection, to)?);
    let is_view = |relation: &Relation| relation.is_view;
    let (views_then, then): (Vec<_>, Vec<_>) = then.into_iter().partition(is_view);
    let (views_now, now): (Vec<_>, Vec<_>) = now.into_iter().partition(is_view);
    let all = pairs(then, now);
    let Some(TableRef { schema, name }) = table else {
        let touched = state::touched(connection, from.min(to))?;
        let may_differ =
            |pair: &Pair<Relation>| !pair.is_same() || pair.now().is_some_and(|it| touched.contains(&it.id));
        return Ok(all.into_iter().filter(may_differ).collect());
    };
    let asked: Vec<_> = all.into_iter().filter(|pair| pair.is_called(schema, name)).collect();
    if !asked.is_empty() {
        return Ok(asked);
    }
    if [views_then, views_now].iter().any(|views| state::find(views, schema, name).is_some()) {
        return Err(Error::unsupported(format!("\"{schema}.{name}\" is a view; compare the tables that it reads")));
    }
    Err(Error::not_found(format!("table \"{schema}.{name}\" does not exist in snapshot {from} nor in snapshot {to}")))
}

fn compare(
    connection: &Connection,
    pair: &Pair<Relation>,
    from: SnapshotId,
    to: SnapshotId,
) -> Result<TableDifference> {
    let sides = sides(connection, pair, from, to)?;
    let columns = columns::matched(&sides, pair.is_same());
    let sql = rows::query(&columns, &sides, pair.is_same());
    let rows = count(connection, &sql)?;
    let schema_changes = columns::schema_changes(&columns, &sides);
    let renamed_from = pair.renamed_from();
    let is_equal = rows == RowCounts::default() && schema_changes.is_empty() && renamed_from.is_none();
    let change = match pair {
        Pair::Now(_) => Change::Created,
        Pair::Then(_) => Change::Dropped,
        Pair::Both { .. } if is_equal => Change::Unchanged,
        Pair::Both { .. } if pair.is_same() => Change::Changed,
        Pair::Both { .. } => Change::Replaced,
    };
    Ok(TableDifference { table: pair.name(), renamed_from, change, rows, schema_changes, sql })
}

fn sides(connection: &Connection, pair: &Pair<Relation>, from: SnapshotId, to: SnapshotId) -> Result<Pair<Side>> {
    let side = |relation, at| TableState::read(connection, relation, at).map(|state| Side { state, at });
    Ok(match pair {
        Pair::Then(then) => Pair::Then(side(then, from)?),
        Pair::Now(now) => Pair::Now(side(now, to)?),
        Pair::Both { then, now } => Pair::Both { then: side(then, from)?, now: side(now, to)? },
    })
}

fn count(connection: &Connection, sql: &str) -> Result<RowCounts> {
    #[derive(Deserialize)]
    struct Found {
        change: String,
        rows: u64,
    }
    let found: Vec<Found> = connection
        .records(&format!("SELECT change, system.main.count(*) AS rows FROM ({sql}) GROUP BY change"), &[])?;
    let of = |change: &str| found.iter().find(|it| it.change == change).map_or(0, |it| it.rows);
    Ok(RowCounts { inserted: of("insert"), deleted: of("delete"), updated: of("update_postimage") })
}

// === impl Diff ===

impl Diff {
    /// The two sides: `from` and `to`.
    fn snapshots(&self, connection: &Connection) -> Result<(SnapshotId, SnapshotId)> {
        let to = match &self.to {
            Some(to) => snapshots::resolve(connection, to)?,
            None => snapshots::current(connection)?,
        };
        let from = match &self.from {
            Some(from) => snapshots::resolve(connection, from)?,
            None => snapshots::before(connection, to)?,
        };
        Ok((from, to))
    }
}
