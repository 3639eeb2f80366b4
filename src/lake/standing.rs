//! Whether what a commit wrote into tables is still theirs: for programs that write the same data once.
//!
//! A commit is recognised by a value in its details ([`Transaction::sign`](super::commit::Transaction::sign)). Tables are
//! recognised by the UUID that DuckLake gives them, which a table of the same name that is created later does not have.

use serde::Deserialize;
use serde_json::Value as Json;

use super::{METADATA, snapshots, table::TableRef};
use crate::{
    engine::{Connection, Value},
    error::Result,
    ids::SnapshotId,
    quote::literal,
};

/// A commit and the tables that it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit<'a> {
    /// The snapshot that it created.
    pub snapshot_id: SnapshotId,
    /// What is in its details: name and value; `None` if it changed nothing, and the snapshot was there before.
    pub mark: Option<(&'a str, &'a str)>,
    /// The tables and their UUIDs.
    pub tables: &'a [(TableRef, String)],
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A table is gone.
    Gone,
    /// A table was rolled back to before it or made anew, or the lake was restored to before it.
    Reverted,
    /// The tables were written since.
    Touched,
    /// They were not.
    Untouched,
}

#[derive(Deserialize)]
struct Changes {
    id: SnapshotId,
    changes: String,
    details: Option<String>,
}

#[derive(Deserialize)]
struct Table {
    id: i64,
    uuid: String,
}

/// What became of `commit`. Of snapshots that have expired nothing is known: a rollback among them is not seen.
///
/// # Errors
/// Errors of DuckDB.
pub fn of(connection: &Connection, commit: &Commit<'_>) -> Result<Standing> {
    let mut ids = Vec::new();
    for (name, uuid) in commit.tables {
        match find(connection, name)? {
            Some(table) if table.uuid == *uuid => ids.push(table.id),
            Some(_) => return Ok(Standing::Reverted),
            None => return Ok(Standing::Gone),
        }
    }
    let mut standing = Standing::Untouched;
    for later in changes_from(connection, commit.snapshot_id)? {
        let details: Json =
            later.details.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        if later.id == commit.snapshot_id {
            if commit.mark.is_some_and(|(name, value)| details[name].as_str() != Some(value)) {
                return Ok(Standing::Reverted);
            }
        } else if undoes(&details, commit) {
            return Ok(Standing::Reverted);
        } else if ids.iter().any(|id| writes(&later.changes, *id)) {
            standing = Standing::Touched;
        }
    }
    Ok(if snapshots::newest(connection) < commit.snapshot_id { Standing::Reverted } else { standing })
}

/// The UUID of a table; `None` if there is no such table.
///
/// # Errors
/// Errors of DuckDB.
pub fn uuid(connection: &Connection, table: &TableRef) -> Result<Option<String>> {
    Ok(find(connection, table)?.map(|table| table.uuid))
}

/// The snapshot, after `since`, whose details have `value` under `name`, with the details.
///
/// # Errors
/// Errors of DuckDB.
pub fn committed(
    connection: &Connection,
    since: SnapshotId,
    (name, value): (&str, &str),
) -> Result<Option<(SnapshotId, Json)>> {
    let mut newest_first = changes_from(connection, since)?.into_iter().rev().filter_map(|changes| {
        let details: Json = serde_json::from_str(changes.details.as_deref()?).ok()?;
        (details[name].as_str() == Some(value)).then_some((changes.id, details))
    });
    Ok(newest_first.next())
}

/// The changes of the snapshots from `first` on.
fn changes_from(connection: &Connection, first: SnapshotId) -> Result<Vec<Changes>> {
    let sql = format!(
        "SELECT snapshot_id AS id, coalesce(changes_made, '') AS changes, commit_extra_info AS details \
         FROM {METADATA}.ducklake_snapshot_changes WHERE snapshot_id >= ? ORDER BY 1"
    );
    connection.records(&sql, &[Value::bigint(first.0)])
}

fn find(connection: &Connection, table: &TableRef) -> Result<Option<Table>> {
    let sql = format!(
        "SELECT t.table_id AS id, t.table_uuid::VARCHAR AS uuid FROM {METADATA}.ducklake_table t \
         JOIN {METADATA}.ducklake_schema s ON s.schema_id = t.schema_id \
         WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL \
         AND system.main.lower(s.schema_name) = system.main.lower({}) \
         AND system.main.lower(t.table_name) = system.main.lower({})",
        literal(&table.schema),
        literal(&table.name)
    );
    Ok(connection.records(&sql, &[])?.into_iter().next())
}

/// Whether a commit with these details restored one of the tables to before `commit`.
fn undoes(details: &Json, commit: &Commit<'_>) -> bool {
    let Some(to) = details["rollback_to"].as_i64() else { return false };
    let covers = |table: &TableRef| {
        details["lake"] == Json::Bool(true)
            || details["schema"].as_str().is_some_and(|schema| schema.eq_ignore_ascii_case(&table.schema))
            || details["table"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&table.to_string()))
    };
    to < commit.snapshot_id.0 && commit.tables.iter().any(|(table, _)| covers(table))
}

/// Whether a list such as `inserted_into_table:3,compacted_table:4` contains a change of the table's rows or columns.
fn writes(changes: &str, table: i64) -> bool {
    const KINDS: [&str; 6] = [
        "inserted_into_table",
        "deleted_from_table",
        "inlined_insert",
        "inlined_delete",
        "altered_table",
        "dropped_table",
    ];
    let mut changes = changes.split(',').filter_map(|change| change.split_once(':'));
    changes.any(|(kind, id)| KINDS.contains(&kind) && id.parse() == Ok(table))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compactions_write_nothing() {
        let changes = "inserted_into_table:3,compacted_table:4,deleted_from_table:15,created_table:\"main\".\"a:5,b\"";
        for (table, written) in [(3, true), (4, false), (15, true), (5, false)] {
            assert_eq!(writes(changes, table), written, "{table}");
        }
    }
}
