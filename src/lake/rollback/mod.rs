//! Brings a table, a schema or the whole lake back to the state that it had at an earlier snapshot, as a new commit.
//!
//! DuckLake has no such command, and the obvious way loses everything: in a transaction that has written the table,
//! `AT (VERSION => n)` shows the uncommitted rows, so that deleting all rows and inserting those of snapshot n commits
//! an empty table. Hence, in one transaction:
//!
//! 1. Note the head, and read from DuckLake's own tables what there was at snapshot n and what is left of it.
//! 2. Choose the way of each table. The same table with the same columns is restored in place: it keeps its id, and
//!    unchanged rows keep their row ids. Otherwise it is dropped and made again. One that was made since is dropped.
//! 3. Copy every row that is needed into TEMP tables, before the first write. Those that were deleted or updated are
//!    found by DuckLake's delete files where they can be, so that the cost is about that of the changed rows.
//! 4. Write, in the one order that DuckLake survives:
//!    - drop views and macros, then tables, then schemas; make schemas;
//!    - rename, all tables before anything else is done to one: a rename after any other ALTER makes the whole lake
//!      unreadable;
//!    - in place: delete, insert, and only then keys and comments: an insert after RESET PARTITIONED BY ends the
//!      process;
//!    - again: create with NOT NULL and DEFAULT inside, keys and comments, insert;
//!    - make macros and views, which read all of this.
//! 5. Sign, drop the TEMP tables, commit. They live and die inside the transaction, so that none is left however it
//!    ends; dropping them later would not do, because a COMMIT that the lake refuses still keeps what is in TEMP.
//!
//! DuckLake checks every table that is written for conflicts at commit; on one the whole attempt is repeated. What others
//! commit meanwhile to tables that the rollback need not touch stays.
//!
//! Limits: an expired snapshot cannot be reached; a macro whose parameters have types with parts cannot be made again,
//! as DuckLake does not keep these; options set on a table are not versioned, and a table that is made again starts
//! without any; DuckLake lets ALTER set a default that the column's type cannot hold, and a table with one
//! cannot be made again. The layers stay, and so does the registry of experiments and runs unless it is asked for by
//! name.

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
    outcome::{Change, Kind, Outcome, Restored},
    request::{Rollback, Scope},
};
use super::commit::{Retry, Transaction, Writer};
use crate::error::{Context, Error, Result};

/// Brings back an earlier state, in one commit; a state that is there already makes none. `progress` hears how many of
/// how many tables were read.
///
/// There must be no open transaction on `connection`. After a failure its search path may be another.
///
/// # Errors
/// `NotFound` when the snapshot does not exist or does not hold the table or schema; `Unsupported` for a view by itself;
/// `FailedPrecondition` when something else that would be lost has the table's name, and for views and macros
/// that read what is not there; `Conflict` when other transactions keep changing the tables.
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
        plan.apply(connection)?;
        plan.sign(transaction, request);
    }
    plan.drop_staged(connection)?;
    Ok(outcome)
}
