//! `rollback`: restores an earlier state of a table, a schema or the lake.

use std::sync::Arc;

use super::{
    action::{self, Action, Call, JobContext},
    events::Events,
};
use crate::{
    engine::Connection,
    error::{Error, Result},
    lake::{
        commit::Writer,
        rollback::{self, Outcome, Restored, Scope},
        snapshots::{self, SnapshotRef},
        table::TableRef,
    },
    proto::{RollbackRequest, RollbackResult, rollback_result},
};

/// The action.
#[derive(Debug)]
pub struct Rollback {
    target: Target,
    to: SnapshotRef,
    dry_run: bool,
    message: Option<String>,
}

/// The objects that are rolled back.
#[derive(Debug)]
enum Target {
    Table(TableRef),
    Schema(String),
    Lake,
}

// === impl Rollback ===

impl Action for Rollback {
    const NAME: &'static str = "rollback";
    const WRITES: bool = true;
    type Request = RollbackRequest;
    type Response = RollbackResult;

    fn validate(request: RollbackRequest) -> Result<Self> {
        let target = match (request.table, request.schema, request.lake) {
            (Some(table), None, false) => Target::Table(TableRef::parse(&table)?),
            (None, Some(schema), false) => Target::Schema(schema),
            (None, None, true) => Target::Lake,
            _ => {
                return Err(Error::invalid(
                    "say what comes back: one of \"table\", as schema.name, \"schema\", and \"lake\": true",
                ));
            }
        };
        let missing = || Error::invalid("say how far back with \"to\": {\"version\": …}, \"timestamp\" or \"tag\"");
        let to = action::snapshot("to", request.to)?.ok_or_else(missing)?;
        Ok(Self { target, to, dry_run: request.dry_run, message: request.message })
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.roll_back(job))
    }
}

impl Rollback {
    async fn roll_back(self, job: JobContext) -> Result<RollbackResult> {
        let lake = &job.services.lake;
        let (shown, committer) = (job.progress.clone(), Arc::clone(lake.committer()));
        let work = move |connection: &Connection| {
            let scope = self.target.scope();
            shown.phase(format!("roll back {scope}"), "tables", None);
            let request = rollback::Rollback {
                scope,
                to: snapshots::resolve(connection, &self.to)?,
                dry_run: self.dry_run,
                author: job.author.name(),
                message: self.message.as_deref(),
            };
            let mut progress = |done, total| shown.set(done as u64, total as u64);
            let outcome = rollback::rollback(Writer::new(&committer, connection), &request, &mut progress)?;
            Ok(result(outcome, self.dry_run))
        };
        let mut lease = lake.engine().lease().await?;
        // A rollback that fails can leave the connection with another search path.
        lease.retire();
        job.progress.unless_cancelled(lease.worker().run(work)).await
    }
}

fn result(outcome: Outcome, dry_run: bool) -> RollbackResult {
    RollbackResult {
        unchanged: !outcome.is_change(),
        snapshot_id: outcome.snapshot_id.0,
        restored_from: outcome.restored_from.0,
        tables: outcome.objects.into_iter().map(object).collect(),
        dry_run,
    }
}

fn object(restored: Restored) -> rollback_result::Table {
    rollback_result::Table {
        table: restored.name,
        change: restored.change.into(),
        rows_deleted: restored.rows_deleted,
        rows_inserted: restored.rows_inserted,
        renamed_from: restored.renamed_from,
        kind: restored.kind.into(),
    }
}

// === impl Target ===

impl Target {
    fn scope(&self) -> Scope<'_> {
        match self {
            Self::Table(table) => Scope::Table { schema: &table.schema, name: &table.name },
            Self::Schema(schema) => Scope::Schema(schema),
            Self::Lake => Scope::Lake,
        }
    }
}
