//! Which rows of a table were deleted or updated since a snapshot, by its delete files.
//!
//! Row ids tell that of any history, but to compare them every row is read twice. As long as no file of the snapshot was
//! given up, what went since is what the delete files of the head list and those of the snapshot do not: the places of
//! rows in their files, by which DuckLake reads little else.

use serde::Deserialize;

use crate::{
    engine::Connection,
    error::Result,
    ids::SnapshotId,
    lake::{
        CATALOG, METADATA,
        state::{Relation, TableId, TableState, visible},
    },
    quote::literal,
};

/// The most files that are looked into one by one.
const MAX_FILES: usize = 500;

/// The rows that were deleted since.
#[derive(Debug)]
pub(super) struct Deleted {
    /// Reads them as they were; `None` when there are none.
    pub(super) query: Option<String>,
    /// How many there are.
    pub(super) count: u64,
}

#[derive(Deserialize)]
struct Facts {
    /// Whether the delete files tell all.
    is_told: bool,
    count: i64,
}

#[derive(Deserialize)]
struct File {
    data_file: String,
    delete_file: String,
}

/// What was deleted since snapshot `to`, of a table that was `then` and is `now`; `None` when only a comparison of all
/// rows can say.
///
/// # Errors
/// What DuckDB says.
pub(super) fn since(
    connection: &Connection,
    then: &TableState,
    now: &Relation,
    to: SnapshotId,
) -> Result<Option<Deleted>> {
    if then.has_column("filename") || then.has_column("file_row_number") {
        return Ok(None);
    }
    let facts = facts(connection, now.id, to)?;
    let Some(count) = u64::try_from(facts.count).ok().filter(|_| facts.is_told) else { return Ok(None) };
    if count == 0 {
        return Ok(Some(Deleted { query: None, count }));
    }
    let files = files(connection, &then.relation, now, to)?;
    let few = (1..=MAX_FILES).contains(&files.len());
    Ok(few.then(|| Deleted { query: Some(query(&files, &then.relation, to)), count }))
}

fn query(files: &[File], then: &Relation, to: SnapshotId) -> String {
    let names = |name: fn(&File) -> &str| files.iter().map(|file| literal(name(file))).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT t.* FROM {} t AT (VERSION => {to}) JOIN read_parquet([{}]) d \
         ON t.filename = d.file_path AND t.file_row_number = d.pos WHERE t.filename IN ({})",
        then.path(),
        names(|file| &file.delete_file),
        names(|file| &file.data_file),
    )
}

/// Counts the deleted rows, and whether they are all in delete files of the plain kind, of data files that are still
/// in use: merged files hold rows of several snapshots.
fn facts(connection: &Connection, table: TableId, to: SnapshotId) -> Result<Facts> {
    let (id, then) = (table.0, visible("f", to));
    let deletes = format!(
        "FROM {METADATA}.ducklake_delete_file f JOIN {METADATA}.ducklake_data_file d \
         ON d.data_file_id = f.data_file_id WHERE f.table_id = {id} AND d.begin_snapshot <= {to}"
    );
    let sql = format!(
        "SELECT (SELECT count(*) FROM {METADATA}.ducklake_data_file f WHERE table_id = {id} \
                 AND (partial_max IS NOT NULL OR {then} AND end_snapshot IS NOT NULL)) \
              + (SELECT count(*) FROM {METADATA}.ducklake_delete_file WHERE table_id = {id} \
                 AND (partial_max IS NOT NULL OR format <> 'parquet' OR encryption_key IS NOT NULL)) \
              + (SELECT count(*) FROM {METADATA}.ducklake_inlined_data_tables WHERE table_id = {id}) = 0 AS is_told, \
                (SELECT coalesce(sum(f.delete_count), 0) {deletes} AND f.end_snapshot IS NULL) \
              - (SELECT coalesce(sum(f.delete_count), 0) {deletes} AND {then}) AS count"
    );
    connection.record(&sql, &[])
}

/// The data files of snapshot `to` from which rows were deleted since, with what lists them.
fn files(connection: &Connection, then: &Relation, now: &Relation, to: SnapshotId) -> Result<Vec<File>> {
    let list = |relation: &Relation| {
        let (schema, name) = (literal(&relation.schema), literal(&relation.name));
        format!("ducklake_list_files('{CATALOG}', {name}, schema => {schema}")
    };
    let sql = format!(
        "SELECT h.data_file, h.delete_file FROM {}, snapshot_version => {to}) n JOIN {}) h ON n.data_file = h.data_file \
         WHERE h.delete_file IS NOT NULL AND h.delete_file IS DISTINCT FROM n.delete_file",
        list(then),
        list(now),
    );
    connection.records(&sql, &[])
}
