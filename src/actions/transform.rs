//! `transform`: runs the models of the medallion.

use std::sync::Arc;

use super::{
    action::{Action, Call, JobContext},
    events::Events,
};
use crate::{
    error::Result,
    lake::commit::Writer,
    medallion::{self, ModelOutcome, Request},
    proto::{TransformRequest, TransformResult, transform_result},
};

/// The action.
#[derive(Debug)]
pub struct Transform {
    select: Vec<String>,
    full_refresh: bool,
    dry_run: bool,
}

// === impl Transform ===

impl Action for Transform {
    const NAME: &'static str = "transform";
    const WRITES: bool = true;
    type Request = TransformRequest;
    type Response = TransformResult;

    fn validate(request: TransformRequest) -> Result<Self> {
        Ok(Self { select: request.select, full_refresh: request.full_refresh, dry_run: request.dry_run })
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.transform(job))
    }
}

impl Transform {
    async fn transform(self, job: JobContext) -> Result<TransformResult> {
        let (services, shown) = (Arc::clone(&job.services), job.progress.clone());
        let work = move |writer: Writer<'_>| {
            let request = Request {
                select: &self.select,
                full_refresh: self.full_refresh,
                dry_run: self.dry_run,
                author: job.author.name(),
            };
            let outcomes = medallion::run(writer, &services.models, &request, &mut |step| {
                shown.phase(format!("build {}", step.model), "models", Some(step.total as u64));
                shown.advance(step.done as u64);
            })?;
            Ok(TransformResult { models: outcomes.into_iter().map(model).collect(), dry_run: self.dry_run })
        };
        job.progress.unless_cancelled(job.services.lake.run(work)).await
    }
}

fn model(outcome: ModelOutcome) -> transform_result::Model {
    transform_result::Model {
        model: outcome.model,
        change: outcome.change.into(),
        rows: outcome.rows,
        rows_inserted: outcome.rows_inserted,
        rows_deleted: outcome.rows_deleted,
        snapshot_id: outcome.snapshot_id.map(|id| id.0),
        checks_passed: outcome.checks_passed,
        checks_failed: outcome.checks_failed,
    }
}
