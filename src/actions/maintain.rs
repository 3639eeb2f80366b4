//! `maintain`: merges and rewrites files, expires snapshots, and removes unused files.

use std::sync::Arc;

use super::{
    action::{Action, Call, JobContext},
    events::Events,
};
use crate::{
    engine::Connection,
    error::{Error, Result},
    lake::{
        commit::Writer,
        maintain::{self, Done, Maintenance},
        snapshots,
        table::TableRef,
    },
    proto::{MaintainRequest, MaintainResult, maintain_request::Step, maintain_result},
};

/// The order in which steps run.
const ORDER: [Step; 5] = [Step::Rewrite, Step::Merge, Step::Expire, Step::Cleanup, Step::Orphans];

const DEFAULT_REWRITE_SHARE: f64 = 0.3;
const DEFAULT_GRACE_HOURS: f64 = 24.0;

/// The number of files that are removed, and deleted from the schedule, at a time.
const BATCH: usize = 500;

/// The action.
#[derive(Debug)]
pub struct Maintain {
    steps: Vec<Step>,
    maintenance: Arc<Maintenance>,
}

// === impl Maintain ===

impl Action for Maintain {
    const NAME: &'static str = "maintain";
    const WRITES: bool = true;
    type Request = MaintainRequest;
    type Response = MaintainResult;

    fn validate(request: MaintainRequest) -> Result<Self> {
        Ok(Self { steps: steps(&request)?, maintenance: Arc::new(maintenance(&request)?) })
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.maintain(job))
    }
}

impl Maintain {
    async fn maintain(self, job: JobContext) -> Result<MaintainResult> {
        let mut done = Vec::new();
        for step in &self.steps {
            done.extend(self.step(*step, &job).await?);
        }
        if !self.maintenance.dry_run {
            // Pinned snapshots reference the files that existed before.
            job.services.pins.clear();
        }
        let snapshot_id = job.services.lake.engine().run(snapshots::current).await?;
        let done = done.into_iter().map(result).collect();
        Ok(MaintainResult { done, snapshot_id: snapshot_id.0, dry_run: self.maintenance.dry_run })
    }

    async fn step(&self, step: Step, job: &JobContext) -> Result<Vec<Done>> {
        match step {
            Step::Rewrite | Step::Merge => self.compact(step, job).await,
            Step::Expire => Ok(vec![self.expire(job).await?]),
            Step::Cleanup | Step::Orphans => Ok(vec![self.remove_files(step, job).await?]),
        }
    }

    async fn compact(&self, step: Step, JobContext { services, author, progress }: &JobContext) -> Result<Vec<Done>> {
        let planned = Arc::clone(&self.maintenance);
        let tables = services.lake.engine().run(move |connection| planned.tables(connection, step)).await?;
        progress.phase(step.as_str_name(), "tables", Some(tables.len() as u64));
        let mut done = Vec::new();
        for (table, files) in tables {
            let (maintenance, author) = (Arc::clone(&self.maintenance), author.clone());
            let work = move |writer: Writer<'_>| maintenance.compact(writer, author.name(), step, &table, files);
            done.push(progress.unless_cancelled(services.lake.run(work)).await?);
            progress.advance(1);
        }
        // Omits tables that had nothing to merge after all.
        done.retain(|done| done.files > 0);
        Ok(done)
    }

    async fn expire(&self, JobContext { services, author, progress }: &JobContext) -> Result<Done> {
        progress.phase(Step::Expire.as_str_name(), "steps", Some(1));
        let (maintenance, author) = (Arc::clone(&self.maintenance), author.clone());
        let work = move |writer: Writer<'_>| maintenance.expire(writer, author.name());
        let done = progress.unless_cancelled(services.lake.run(work)).await?;
        progress.advance(1);
        Ok(done)
    }

    /// Removes unused files, except those that a backup references.
    async fn remove_files(&self, step: Step, job: &JobContext) -> Result<Done> {
        let JobContext { services, author, progress } = job;
        let unused = self.unused_files(step, job).await?;
        if unused.is_empty() {
            return Ok(Done::nothing(step));
        }
        // Read after the files were listed, so that a backup that is taken in the meantime counts.
        let referenced = services.backups.referenced_files(progress).await?;
        let (kept, unreferenced): (Vec<_>, Vec<_>) =
            unused.into_iter().partition(|path| referenced.referenced_by(path).is_some());
        progress.phase(step.as_str_name(), "files", Some(unreferenced.len() as u64));
        // Not cancelled within a batch: files that were removed must leave the schedule.
        for batch in unreferenced.chunks(BATCH).filter(|_| !self.maintenance.dry_run) {
            progress.check()?;
            services.pins.origin().1.storage.delete_lake_files(batch).await?;
            if step == Step::Cleanup {
                let (batch, author) = (batch.to_vec(), author.clone());
                services.lake.run(move |writer| maintain::forget(writer, author.name(), &batch)).await?;
            }
            progress.advance(batch.len() as u64);
        }
        let kept_for = kept.iter().filter_map(|path| referenced.referenced_by(path)).min().map(ToOwned::to_owned);
        Ok(Done { files: unreferenced.len() as u64, files_kept: kept.len() as u64, kept_for, ..Done::nothing(step) })
    }

    async fn unused_files(
        &self,
        step: Step,
        JobContext { services, progress, .. }: &JobContext,
    ) -> Result<Vec<String>> {
        progress.phase(format!("{}: list files", step.as_str_name()), "steps", None);
        let maintenance = Arc::clone(&self.maintenance);
        let data_path = services.pins.origin().1.storage.lake_path();
        let committer = Arc::clone(services.lake.committer());
        let work = move |connection: &Connection| {
            // A file whose commit is in progress looks like an unused one.
            let _permit = committer.writer_permit(connection)?;
            maintenance.unneeded(connection, step, &data_path)
        };
        progress.unless_cancelled(services.lake.engine().run(work)).await
    }
}

fn steps(request: &MaintainRequest) -> Result<Vec<Step>> {
    let mut steps: Vec<_> = request.steps().collect();
    if steps.is_empty() {
        steps = vec![Step::Merge, Step::Rewrite, Step::Cleanup];
        steps.extend(request.expire_days.map(|_| Step::Expire));
    }
    if steps.contains(&Step::Expire) && request.expire_days.is_none() {
        return Err(Error::invalid("say with \"expire_days\" how old a snapshot must be to expire"));
    }
    Ok(ORDER.into_iter().filter(|step| steps.contains(step)).collect())
}

fn maintenance(request: &MaintainRequest) -> Result<Maintenance> {
    let share = request.rewrite_share.unwrap_or(DEFAULT_REWRITE_SHARE);
    if !(share > 0.0 && share <= 1.0) {
        return Err(Error::invalid(format!("\"rewrite_share\" must be above 0 and at most 1, it is {share}")));
    }
    Ok(Maintenance {
        table: request.table.as_deref().map(TableRef::parse).transpose()?,
        rewrite_share: share,
        expire_days: request.expire_days.map(|days| interval("expire_days", days)).transpose()?,
        keep: request.keep.unwrap_or(1),
        grace_hours: interval("grace_hours", request.grace_hours.unwrap_or(DEFAULT_GRACE_HOURS))?,
        dry_run: request.dry_run,
    })
}

/// An interval that DuckDB can subtract from the current time.
fn interval(name: &str, length: f64) -> Result<f64> {
    if (0.0..=100_000.0).contains(&length) {
        return Ok(length);
    }
    Err(Error::invalid(format!("\"{name}\" must be between 0 and 100000, it is {length}")))
}

fn result(done: Done) -> maintain_result::Done {
    maintain_result::Done {
        step: done.step.into(),
        table: done.table.map(|table| table.to_string()),
        files: done.files,
        files_made: done.files_made,
        snapshots: done.snapshots.into_iter().map(|id| id.0).collect(),
        files_kept: done.files_kept,
        kept_for: done.kept_for,
    }
}
