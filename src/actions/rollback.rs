//! `rollback`: brings a table back to an earlier state.

use super::{Actions, Events, events, target};
use crate::{
    context::Principal,
    engine::Connection,
    error::{Error, Result},
    lake::{
        rollback::{Change, Restored, Rollback, rollback},
        snapshots::{self, SnapshotRef},
        table::TableRef,
    },
    proto::{RollbackRequest, RollbackResult, rollback_result, to_any},
};

/// Starts the job.
pub fn call(actions: &Actions, principal: &Principal, request: RollbackRequest) -> Result<Events> {
    let (table, to) = validate(&request).map_err(|err| err.context("call rollback"))?;
    let (engine, author) = (actions.engine.clone(), principal.clone());
    let (key, cancel_on_disconnect) = (request.idempotency_key.clone(), request.cancel_on_disconnect);
    let job = actions.jobs.start("rollback", principal, key, move |progress| async move {
        progress.phase(format!("roll back {table}"), "tables", Some(1));
        let work = move |connection: &Connection| {
            let to = snapshots::resolve(connection, &to)?;
            let restored = rollback(
                connection,
                &Rollback {
                    schema: &table.schema,
                    table: &table.name,
                    to,
                    dry_run: request.dry_run,
                    author: author.name(),
                    message: request.message.as_deref(),
                },
            )?;
            Ok(to_any("RollbackResult", &result(restored, request.dry_run)))
        };
        let result = progress.unless_cancelled(engine.run(work)).await?;
        progress.advance(1);
        Ok(result)
    })?;
    Ok(events::follow(job, cancel_on_disconnect))
}

fn validate(request: &RollbackRequest) -> Result<(TableRef, SnapshotRef)> {
    if request.lake || request.schema.is_some() {
        return Err(Error::unsupported("a schema or the whole lake cannot be rolled back at once; name a \"table\""));
    }
    let table = request.table.as_deref().ok_or_else(|| Error::invalid("say which \"table\", as schema.name"))?;
    let to = target::read("to", request.to.clone())?;
    let to =
        to.ok_or_else(|| Error::invalid("say how far back with \"to\": {\"version\": …}, \"timestamp\" or \"tag\""))?;
    Ok((TableRef::parse(table)?, to))
}

fn result(restored: Restored, dry_run: bool) -> RollbackResult {
    let change = match restored.change {
        Change::Unchanged => "unchanged",
        Change::Restored => "restored",
        Change::Recreated => "recreated",
    };
    RollbackResult {
        snapshot_id: restored.snapshot_id.0,
        restored_from: restored.restored_from.0,
        tables: vec![rollback_result::Table {
            table: restored.table,
            change: change.to_owned(),
            rows_deleted: restored.rows_deleted,
            rows_inserted: restored.rows_inserted,
        }],
        dry_run,
    }
}
