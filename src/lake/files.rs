//! The data files of a table.

use serde::Deserialize;

use super::METADATA;
use crate::{
    engine::{Connection, Value},
    error::Result,
    ids::SnapshotId,
};

/// Virtual columns that DuckLake adds to every table unless it has columns of these names: the index of a row's file,
/// counted from 0 in the order in which files are read, …
pub const FILE_INDEX: &str = "file_index";
/// … and the row's position in the file.
pub const FILE_ROW_NUMBER: &str = "file_row_number";

/// The files of a table at a snapshot.
#[derive(Debug, Deserialize)]
pub struct Files {
    /// The newest snapshot.
    pub snapshot: SnapshotId,
    /// The number of rows in each file, including deleted ones; older files first.
    pub rows: Vec<u64>,
}

/// The files that a table has now. Without a schema, the default schema is used. Empty if there is no such table, or if
/// a column of the table hides [`FILE_INDEX`] or [`FILE_ROW_NUMBER`].
///
/// # Errors
/// Errors of DuckDB.
pub fn of(connection: &Connection, schema: Option<&str>, table: &str) -> Result<Files> {
    let sql = format!(
        "WITH t AS (
           FROM {METADATA}.ducklake_table JOIN {METADATA}.ducklake_schema s USING (schema_id)
           SELECT table_id
           WHERE ducklake_table.end_snapshot IS NULL AND s.end_snapshot IS NULL
             AND system.main.lower(table_name) = system.main.lower(?) AND system.main.lower(schema_name) = system.main.lower(coalesce(system.main.nullif(?, ''), system.main.current_schema()))
             AND NOT EXISTS (FROM {METADATA}.ducklake_column c
                             WHERE c.table_id = ducklake_table.table_id AND system.main.lower(c.column_name) IN (?, ?)))
         SELECT (SELECT system.main.max(snapshot_id) FROM {METADATA}.ducklake_snapshot) AS snapshot,
                (SELECT coalesce(system.main.list(record_count ORDER BY data_file_id), [])
                 FROM {METADATA}.ducklake_data_file JOIN t USING (table_id) WHERE end_snapshot IS NULL) AS rows"
    );
    let schema = Value::varchar(schema.unwrap_or_default());
    connection
        .record(&sql, &[Value::varchar(table), schema, Value::varchar(FILE_INDEX), Value::varchar(FILE_ROW_NUMBER)])
}
