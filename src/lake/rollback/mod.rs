//! Brings one table back to the state that it had at an earlier snapshot, as a new commit.
//!
//! DuckLake has no such command, and the obvious way loses everything: in a transaction that has written the table,
//! `AT (VERSION => n)` shows the uncommitted rows, so that deleting all rows and inserting those of snapshot n commits
//! an empty table. Hence, in one transaction:
//!
//! 1. Note the head, and read from DuckLake's own tables what the name meant at snapshot n and what is left of it.
//! 2. Choose the way. The same table with the same columns is restored in place: it keeps its id, and unchanged rows
//!    keep their row ids. Otherwise it is dropped and made again.
//! 3. Copy every row that is needed into TEMP tables, before the first write.
//! 4. Write, in the one order that DuckLake survives:
//!    - in place: rename, delete, insert, and only then keys and comments (a rename after any other ALTER makes the
//!      whole lake unreadable; an insert after RESET PARTITIONED BY ends the process);
//!    - again: drop, create with NOT NULL and DEFAULT inside, keys and comments, insert.
//! 5. Sign, drop the TEMP tables, commit. They live and die inside the transaction, so that none is left however it
//!    ends; dropping them later would not do, because a COMMIT that the lake refuses still keeps what is in TEMP.
//!
//! DuckLake checks the table itself for conflicts at commit; on one the whole attempt is repeated.
//!
//! Limits: an expired snapshot cannot be reached; options set on a table are not versioned, and a table that is made
//! again starts without any; DuckLake lets ALTER set a default that the column's type cannot hold, and a table with
//! one cannot be made again.

mod ddl;
mod plan;
mod rows;
#[cfg(test)]
mod tests;

use serde::Serialize;

use self::plan::Plan;
use super::snapshots;
use crate::{
    engine::Connection,
    error::{Context, Error, ErrorKind, Result},
    ids::SnapshotId,
};

/// How often a rollback is tried when other transactions change its table meanwhile.
const ATTEMPTS_MAX: usize = 5;

/// What to bring back, and to which state.
#[derive(Clone, Copy, Debug)]
pub struct Rollback<'a> {
    /// The schema of the table.
    pub schema: &'a str,
    /// The name that the table had at that snapshot; it has it again afterwards.
    pub table: &'a str,
    /// The snapshot whose state comes back.
    pub to: SnapshotId,
    /// Whether to say only what would change.
    pub dry_run: bool,
    /// Who the commit is signed by.
    pub author: &'a str,
    /// What the commit says; by default, what was rolled back.
    pub message: Option<&'a str>,
}

/// How a table came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was in that state already; there is no new snapshot.
    Unchanged,
    /// Rows, name, keys and comments changed in place: it is the same table, and unchanged rows keep their row ids.
    Restored,
    /// It was dropped since, or its columns differ, so it was made again.
    Recreated,
}

/// What a rollback did or, as a dry run, would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The snapshot that the commit made; the newest one when nothing was committed.
    pub snapshot_id: SnapshotId,
    /// The snapshot whose state came back.
    pub restored_from: SnapshotId,
    /// The table, as `schema.table`.
    pub table: String,
    /// The name that it had before, as `schema.table`, when that was another one.
    pub renamed_from: Option<String>,
    /// How it came back.
    pub change: Change,
    /// Rows that went, old versions of changed rows among them.
    pub rows_deleted: u64,
    /// Rows that came, restored versions of changed rows among them.
    pub rows_inserted: u64,
}

/// Brings a table back to an earlier state, in one commit; a state that it has already makes none.
///
/// There must be no open transaction on `connection`.
///
/// # Errors
/// `NotFound` when the snapshot does not exist or does not hold the table; `Unsupported` for a view;
/// `FailedPrecondition` when something else that would be lost has the table's name; `Conflict` when other
/// transactions keep changing the table.
pub fn rollback(connection: &Connection, request: &Rollback<'_>) -> Result<Restored> {
    let doing = || format!("roll back \"{}.{}\" to snapshot {}", request.schema, request.table, request.to);
    for _ in 1..ATTEMPTS_MAX {
        match attempt(connection, request) {
            Err(err) if err.kind() == ErrorKind::Conflict => {}
            outcome => return outcome.context(doing),
        }
    }
    attempt(connection, request).context(doing)
}

fn attempt(connection: &Connection, request: &Rollback<'_>) -> Result<Restored> {
    let mut restored = connection.transaction(|connection| {
        let plan = Plan::make(connection, request)?;
        let rows = plan.rows(connection, request.dry_run)?;
        let restored = plan.report(&rows);
        if restored.change != Change::Unchanged && !request.dry_run {
            plan.apply(connection, &rows)?;
            plan.sign(connection, request)?;
        }
        rows.drop(connection)?;
        Ok(restored)
    })?;
    if restored.change != Change::Unchanged && !request.dry_run {
        let made = snapshots::last_committed(connection)?;
        restored.snapshot_id = made.ok_or_else(|| Error::internal("the rollback made no snapshot"))?;
    }
    Ok(restored)
}
