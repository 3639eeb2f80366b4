//! Restores a table, a schema or the whole lake to the state of an earlier snapshot, as a new commit.
//!
//! DuckLake has no such command, and the obvious way loses everything: in a transaction that has written the table,
//! `AT (VERSION => n)` shows the uncommitted rows, so that deleting all rows and inserting those of snapshot n commits
//! an empty table. Hence, in one transaction:
//!
//! 1. Note the head, and read from DuckLake's own tables which objects existed at snapshot n and what remains of them.
//! 2. Choose a method for each table. A table with the same id and columns is restored in place: it keeps its id, and
//!    unchanged rows keep their row ids. Otherwise it is dropped and created again. A table that was created since is
//!    dropped.
//! 3. Copy every row that is needed into TEMP tables, before the first write. Rows that were deleted or updated are
//!    found with DuckLake's delete files where possible, so that the cost is roughly that of the changed rows.
//! 4. Write, in the only order that works with DuckLake:
//!    - drop views and macros, then tables, then schemas; create schemas;
//!    - rename, all tables before any other change to one: a rename after any other ALTER makes the whole lake
//!      unreadable;
//!    - in place: delete, insert, and only then keys and comments: an insert after RESET PARTITIONED BY crashes the
//!      process;
//!    - otherwise: create with NOT NULL and DEFAULT inside, keys and comments, insert;
//!    - create macros and views, which read all of this.
//! 5. Sign, drop the TEMP tables, commit. They are created and dropped within the transaction, so that none remains
//!    however it ends; dropping them later would not suffice, because a COMMIT that the lake rejects still keeps the
//!    TEMP tables.
//!
//! DuckLake checks every table that is written for conflicts at commit; on a conflict, the whole attempt is repeated.
//! Concurrent commits to tables that the rollback does not need to touch are kept.
//!
//! Limits: an expired snapshot cannot be restored; a macro whose parameters have nested types cannot be created again,
//! because DuckLake does not store these; options set on a table are not versioned, and a table that is created again
//! starts without any; DuckLake lets ALTER set a default that the column's type cannot hold, and a table with such a
//! default cannot be created again. The layers are kept, and so is the registry of experiments and runs unless it is
//! requested by name.

mod ddl;
mod deleted;
mod find;
mod macros;
mod outcome;
mod plan;
mod remake;
mod request;
mod rows;
mod table;
#[cfg(test)]
mod tests;
mod views;

use self::plan::Plan;
pub use self::{
    outcome::{Outcome, Restored},
    request::{Rollback, Scope},
};
use super::commit::{Retry, Transaction, Writer};
use crate::error::{Context, Error, Result};

/// Restores an earlier state, in one commit; none is made if nothing differs. `progress` is called with the number of
/// tables read and their total.
///
/// There must be no open transaction on `connection`. A failure can leave a different search path.
///
/// # Errors
/// `NotFound` if the snapshot does not exist or does not contain the table or schema; `Unsupported` for a single view;
/// `FailedPrecondition` if another object that would be lost has the table's name, and for views and macros that read
/// objects that do not exist; `Conflict` if other transactions keep changing the tables.
pub fn rollback(writer: Writer<'_>, request: &Rollback<'_>, progress: &mut dyn FnMut(usize, usize)) -> Result<Outcome> {
    let doing = || format!("roll back {} to snapshot {}", request.scope, request.to);
    let work = |transaction: &mut Transaction<'_>| attempt(transaction, request, progress);
    let written = writer.write(request.author, Retry::OnConflict, work).context(doing)?;
    let mut outcome = written.value;
    if outcome.is_change() && !request.dry_run {
        let made = written.snapshot_id.ok_or_else(|| Error::internal("the rollback made no snapshot"))?;
        outcome.snapshot_id = made;
    }
    Ok(outcome)
}

fn attempt(
    transaction: &mut Transaction<'_>,
    request: &Rollback<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Outcome> {
    let connection = transaction.connection();
    let plan = Plan::make(connection, request, progress)?;
    let outcome = plan.report(request.scope);
    if outcome.is_change() && !request.dry_run {
        plan.prepare(transaction)?;
        let feeds = plan.set_feeds_back(transaction)?;
        plan.apply(connection)?;
        plan.sign(transaction, request, &feeds);
    }
    plan.drop_staged(connection)?;
    Ok(outcome)
}
