//! `rollback`: brings a table, a schema or the lake back to an earlier state.

use std::sync::Arc;

use super::{Actions, Events, events, target};
use crate::{
    context::Principal,
    engine::Connection,
    error::{Error, Result},
    lake::{
        commit::Writer,
        rollback::{Change, Kind, Outcome, Restored, Rollback, Scope, rollback},
        snapshots::{self, SnapshotRef},
        table::TableRef,
    },
    proto::{RollbackRequest, RollbackResult, rollback_result, to_any},
};

/// What comes back, by the request's own texts.
enum What {
    Table(TableRef),
    Schema(String),
    Lake,
}

/// Starts the job.
pub fn call(actions: &Actions, principal: &Principal, request: RollbackRequest) -> Result<Events> {
    let (what, to) = validate(&request).map_err(|err| err.context("call rollback"))?;
    let (lake, author) = (actions.lake.clone(), principal.clone());
    let (key, cancel_on_disconnect) = (request.idempotency_key.clone(), request.cancel_on_disconnect);
    let job = actions.jobs.start("rollback", principal, key, move |progress| async move {
        let (shown, committer) = (progress.clone(), Arc::clone(lake.committer()));
        let work = move |connection: &Connection| {
            let scope = what.scope();
            shown.phase(format!("roll back {scope}"), "tables", None);
            let rollback_request = Rollback {
                scope,
                to: snapshots::resolve(connection, &to)?,
                dry_run: request.dry_run,
                author: author.name(),
                message: request.message.as_deref(),
            };
            let outcome = rollback(Writer::new(&committer, connection), &rollback_request, &mut |done, total| {
                shown.set(done as u64, total as u64);
            })?;
            Ok(to_any("RollbackResult", &result(outcome, request.dry_run)))
        };
        let mut lease = lake.engine().lease().await?;
        // A rollback that fails can leave the connection with another search path.
        lease.retire();
        progress.unless_cancelled(lease.worker().run(work)).await
    })?;
    Ok(events::follow(job, cancel_on_disconnect))
}

fn validate(request: &RollbackRequest) -> Result<(What, SnapshotRef)> {
    let what = match (&request.table, &request.schema, request.lake) {
        (Some(table), None, false) => What::Table(TableRef::parse(table)?),
        (None, Some(schema), false) => What::Schema(schema.clone()),
        (None, None, true) => What::Lake,
        _ => {
            return Err(Error::invalid(
                "say what comes back: one of \"table\", as schema.name, \"schema\", and \"lake\": true",
            ));
        }
    };
    let to = target::read("to", request.to.clone())?;
    let missing = || Error::invalid("say how far back with \"to\": {\"version\": …}, \"timestamp\" or \"tag\"");
    Ok((what, to.ok_or_else(missing)?))
}

fn result(outcome: Outcome, dry_run: bool) -> RollbackResult {
    RollbackResult {
        unchanged: !outcome.is_change(),
        snapshot_id: outcome.snapshot_id.0,
        restored_from: outcome.restored_from.0,
        tables: outcome.objects.into_iter().map(table).collect(),
        dry_run,
    }
}

fn table(restored: Restored) -> rollback_result::Table {
    let change = match restored.change {
        Change::Unchanged => "unchanged",
        Change::Restored => "restored",
        Change::Recreated => "recreated",
        Change::Dropped => "dropped",
    };
    let kind = match restored.kind {
        Kind::Table => "table",
        Kind::View => "view",
        Kind::Macro => "macro",
        Kind::Schema => "schema",
    };
    rollback_result::Table {
        table: restored.name,
        change: change.to_owned(),
        rows_deleted: restored.rows_deleted,
        rows_inserted: restored.rows_inserted,
        renamed_from: restored.renamed_from,
        kind: kind.to_owned(),
    }
}

// === impl What ===

impl What {
    fn scope(&self) -> Scope<'_> {
        match self {
            Self::Table(table) => Scope::Table { schema: &table.schema, name: &table.name },
            Self::Schema(schema) => Scope::Schema(schema),
            Self::Lake => Scope::Lake,
        }
    }
}
