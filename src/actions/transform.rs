//! `transform`: runs the medallion's models.

use std::sync::Arc;

use super::{Actions, Events, events};
use crate::{
    context::Principal,
    error::Result,
    lake::commit::Writer,
    medallion::{self, Change, ModelOutcome, Request},
    proto::{TransformRequest, TransformResult, to_any, transform_result},
};

/// Starts the job.
pub fn call(actions: &Actions, principal: &Principal, request: TransformRequest) -> Result<Events> {
    let (lake, models, author) = (actions.lake.clone(), Arc::clone(&actions.models), principal.clone());
    let (key, cancel_on_disconnect) = (request.idempotency_key.clone(), request.cancel_on_disconnect);
    let job = actions.jobs.start("transform", principal, key, move |progress| async move {
        let shown = progress.clone();
        let work = move |writer: Writer<'_>| {
            let run = Request {
                select: &request.select,
                full_refresh: request.full_refresh,
                dry_run: request.dry_run,
                author: author.name(),
            };
            let outcomes = medallion::run(writer, &models, &run, &mut |step| {
                shown.phase(format!("build {}", step.model), "models", Some(step.total as u64));
                shown.advance(step.done as u64);
            })?;
            let models = outcomes.into_iter().map(model).collect();
            Ok(to_any("TransformResult", &TransformResult { models, dry_run: request.dry_run }))
        };
        progress.unless_cancelled(lake.run(work)).await
    })?;
    Ok(events::follow(job, cancel_on_disconnect))
}

fn model(outcome: ModelOutcome) -> transform_result::Model {
    transform_result::Model {
        model: outcome.model,
        change: change(outcome.change).to_owned(),
        rows: outcome.rows,
        rows_inserted: outcome.rows_inserted,
        rows_deleted: outcome.rows_deleted,
        snapshot_id: outcome.snapshot_id.map(|id| id.0),
        checks_passed: outcome.checks_passed,
        checks_failed: outcome.checks_failed,
    }
}

fn change(change: Change) -> &'static str {
    match change {
        Change::Checked => "checked",
        Change::Created => "created",
        Change::Updated => "updated",
        Change::Replaced => "replaced",
        Change::Unchanged => "unchanged",
    }
}
