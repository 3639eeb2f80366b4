//! Which rows of a table were deleted or updated since a snapshot, by its files.
//!
//! Row ids determine this for any history, but comparing them reads every row twice. Rows that were removed since are
//! in files that are no longer used, or are listed in the delete files of those that are: row positions, with which
//! DuckLake reads little else.

use serde::Deserialize;

use crate::{
    engine::Connection,
    error::Result,
    ids::SnapshotId,
    lake::{
        CATALOG, METADATA,
        state::{Relation, TableState},
    },
    quote::literal,
};

/// The maximum number of files of a kind in a query.
const MAX_FILES: usize = 500;

/// The rows that were deleted since.
#[derive(Debug)]
pub(super) struct Deleted {
    /// Reads them as they were; `None` if there are none.
    pub(super) query: Option<String>,
    /// How many more rows the table had than it has.
    pub(super) more_then: i64,
}

#[derive(Deserialize)]
struct Facts {
    /// Whether the files are sufficient to determine the deleted rows.
    is_told: bool,
    /// Whether a delete file of the head covers several snapshots, and may be that of `to` as well.
    is_shared: bool,
    more_then: i64,
}

/// A data file, by its name at the snapshot and at the head.
#[derive(Deserialize)]
struct File {
    then: Option<String>,
    now: Option<String>,
    delete_file: Option<String>,
}

/// The rows that were deleted since snapshot `to`, of a table that was `then` and is `now`; `None` if only a comparison
/// of all rows can determine them.
///
/// # Errors
/// Errors of DuckDB.
pub(super) fn since(
    connection: &Connection,
    then: &TableState,
    now: &Relation,
    to: SnapshotId,
) -> Result<Option<Deleted>> {
    if then.has_column("filename") || then.has_column("file_row_number") {
        return Ok(None);
    }
    let Facts { is_told, is_shared, more_then } = facts(connection, &then.relation, now, to)?;
    if !is_told {
        return Ok(None);
    }
    let files = changed_files(connection, &then.relation, now, to, is_shared)?;
    Ok((files.len() <= MAX_FILES).then(|| Deleted { query: query(&files, &then.relation, now, to), more_then }))
}

fn query(files: &[File], then: &Relation, now: &Relation, to: SnapshotId) -> Option<String> {
    let (mut shared, mut deletes, mut given_up, mut new) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for file in files {
        match (&file.then, &file.now) {
            (Some(name), Some(_)) => {
                shared.push(literal(name));
                deletes.extend(file.delete_file.as_deref().map(literal));
            }
            (Some(name), None) => given_up.push(literal(name)),
            (None, name) => new.extend(name.as_deref().map(literal)),
        }
    }
    let (then, now) = (then.path(), now.path());
    let at_listed_places = (!deletes.is_empty()).then(|| {
        format!(
            "SELECT t.* FROM {then} t AT (VERSION => {to}) JOIN ({}) d \
             ON t.filename = d.file_path AND t.file_row_number = d.pos WHERE t.filename IN ({})",
            places(&deletes, to),
            shared.join(", ")
        )
    });
    // Files are also replaced when they are rewritten; their rows are then in new files, with the same ids.
    let not_moved = if new.is_empty() {
        String::new()
    } else {
        let new = new.join(", ");
        format!(" AND rowid NOT IN (SELECT rowid FROM {now} WHERE snapshot_id <= {to} AND filename IN ({new}))")
    };
    let in_given_up = (!given_up.is_empty()).then(|| {
        format!("SELECT * FROM {then} AT (VERSION => {to}) WHERE filename IN ({}){not_moved}", given_up.join(", "))
    });
    let parts: Vec<_> = at_listed_places.into_iter().chain(in_given_up).collect();
    (!parts.is_empty()).then(|| parts.join(" UNION ALL "))
}

/// The positions that were deleted after `to`, from delete files. One that covers several snapshots contains the
/// snapshot of each deletion; others may list positions that were deleted before, which are not rows of that snapshot.
fn places(deletes: &[String], to: SnapshotId) -> String {
    const SNAPSHOT: &str = "_ducklake_internal_snapshot_id";
    format!(
        "SELECT file_path, pos FROM (\
         SELECT NULL::VARCHAR AS file_path, NULL::BIGINT AS pos, NULL::BIGINT AS {SNAPSHOT} WHERE false \
         UNION ALL BY NAME FROM read_parquet([{}], union_by_name => true)) \
         WHERE {SNAPSHOT} IS NULL OR {SNAPSHOT} > {to}",
        deletes.join(", ")
    )
}

/// Compares the numbers of rows, and determines whether the files are sufficient: a merged file contains rows of
/// several snapshots.
fn facts(connection: &Connection, then: &Relation, now: &Relation, to: SnapshotId) -> Result<Facts> {
    let of_table = format!("WHERE table_id = {}", now.id.0);
    let sql = format!(
        "SELECT (SELECT system.main.count(*) FROM {METADATA}.ducklake_data_file {of_table} AND partial_max > {to}) \
              + (SELECT system.main.count(*) FROM {METADATA}.ducklake_delete_file {of_table} \
                 AND (format <> 'parquet' OR encryption_key IS NOT NULL)) \
              + (SELECT system.main.count(*) FROM {METADATA}.ducklake_inlined_data_tables {of_table}) = 0 AS is_told, \
                (SELECT system.main.count(*) FROM {METADATA}.ducklake_delete_file {of_table} AND partial_max > {to}) > 0 AS is_shared, \
                (SELECT system.main.count(*) FROM {} AT (VERSION => {to})) - (SELECT system.main.count(*) FROM {}) AS more_then",
        then.path(),
        now.path()
    );
    connection.record(&sql, &[])
}

/// The data files that are not the same, with the same deleted rows, at snapshot `to` and at the head.
fn changed_files(
    connection: &Connection,
    then: &Relation,
    now: &Relation,
    to: SnapshotId,
    is_shared: bool,
) -> Result<Vec<File>> {
    let list = |relation: &Relation| {
        let (schema, name) = (literal(&relation.schema), literal(&relation.name));
        format!("ducklake_list_files('{CATALOG}', {name}, schema => {schema}")
    };
    let sql = format!(
        "SELECT t.data_file AS then, n.data_file AS now, n.delete_file FROM {}, snapshot_version => {to}) t \
         FULL JOIN {}) n ON t.data_file = n.data_file \
         WHERE t.data_file IS DISTINCT FROM n.data_file OR t.delete_file IS DISTINCT FROM n.delete_file \
            OR {is_shared} AND n.delete_file IS NOT NULL \
         LIMIT {MAX_FILES} + 1",
        list(then),
        list(now),
    );
    connection.records(&sql, &[])
}
