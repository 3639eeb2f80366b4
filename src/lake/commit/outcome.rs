//! Determines the outcome of a commit whose response was lost.
//!
//! Each commit has a mark in `commit_extra_info`, by which it is found once the catalog's database is available again;
//! a lock on the table of snapshots waits for commits that are still in progress.

use std::{thread, time::Duration};

use serde::Deserialize;

use crate::{
    engine::{Connection, Value},
    error::{Error, ErrorKind, Result},
    ids::SnapshotId,
    lake::METADATA,
};

/// How often the catalog's database is queried for the outcome of a commit, …
const ATTEMPTS: u32 = 6;
/// … and the wait before the first query; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
struct Found {
    id: Option<SnapshotId>,
    /// The number of files that it added.
    files: u64,
}

/// The outcome of the commit with the mark `mark`; `None` if the database does not become available within some
/// seconds.
///
/// # Errors
/// Unavailable if nothing was committed; Internal if it was committed and its files could not be kept: DuckLake has
/// treated the commit as failed and removed them.
pub(super) fn of_commit(
    connection: &Connection,
    mark: &str,
    files_are_back: bool,
) -> Option<Result<Option<SnapshotId>>> {
    let mut wait = FIRST_WAIT;
    for _ in 0..ATTEMPTS {
        thread::sleep(wait);
        wait *= 2;
        match find(connection, mark) {
            Ok(Found { id: None, .. }) => {
                let text = "the catalog's database was lost before the commit: nothing is committed, try again";
                return Some(Err(Error::new(ErrorKind::Unavailable, text)));
            }
            Ok(Found { id: Some(id), files }) if files == 0 || files_are_back => return Some(Ok(Some(id))),
            Ok(Found { id: Some(id), .. }) => {
                let (version, before) = (id, id.0 - 1);
                return Some(Err(Error::internal(format!(
                    "the catalog's database was lost during the commit: snapshot {version} exists, but its files are \
                     lost; restore the tables that it changed with CREATE OR REPLACE TABLE t AS FROM t AT \
                     (VERSION => {before})"
                ))));
            }
            Err(_) => {}
        }
    }
    None
}

/// The snapshot of the commit with the mark `mark`, once PostgreSQL has ended all that are in progress.
fn find(connection: &Connection, mark: &str) -> Result<Found> {
    connection.begin()?;
    let lock = "SET LOCAL lock_timeout = ''5s''; LOCK TABLE ducklake_snapshot_changes IN SHARE MODE";
    let sql = format!(
        "WITH made AS (
             FROM {METADATA}.ducklake_snapshot_changes SELECT system.main.max(snapshot_id) AS id
             WHERE commit_extra_info = ?
         )
         SELECT id,
                (SELECT system.main.count(*) FROM {METADATA}.ducklake_data_file WHERE begin_snapshot = id)
                + (SELECT system.main.count(*) FROM {METADATA}.ducklake_delete_file WHERE begin_snapshot = id) AS files
         FROM made"
    );
    let found = connection
        .execute(&format!("CALL postgres_execute('{METADATA}', '{lock}')"), &[])
        .and_then(|_| connection.record(&sql, &[Value::varchar(mark)]));
    connection.rollback();
    found
}
