//! `maintain`: merges and rewrites files, expires snapshots, removes files that nobody needs.

use std::sync::Arc;

use super::{Actions, Events, events};
use crate::{
    backup::Backups,
    context::Principal,
    engine::Connection,
    error::{Error, Result},
    jobs::Progress,
    lake::{
        Lake,
        commit::Writer,
        maintain::{self, Done, Maintenance, Step},
        pins::Pins,
        snapshots,
        table::TableRef,
    },
    proto::{MaintainRequest, MaintainResult, maintain_request, maintain_result, to_any},
};

const DEFAULT_REWRITE_SHARE: f64 = 0.3;
const DEFAULT_GRACE_HOURS: f64 = 24.0;

/// So many files are removed, and forgotten, at a time.
const BATCH: usize = 500;

/// What maintenance works with.
struct Context {
    lake: Lake,
    backups: Arc<Backups>,
    pins: Arc<Pins>,
}

/// Starts the job.
pub fn call(actions: &Actions, principal: &Principal, request: MaintainRequest) -> Result<Events> {
    let steps = steps(&request).map_err(|err| err.context("call maintain"))?;
    let maintenance = Arc::new(maintenance(&request, principal).map_err(|err| err.context("call maintain"))?);
    let context =
        Context { lake: actions.lake.clone(), backups: Arc::clone(&actions.backups), pins: Arc::clone(&actions.pins) };
    let (key, cancel_on_disconnect) = (request.idempotency_key, request.cancel_on_disconnect);
    let job = actions.jobs.start("maintain", principal, key, move |progress| async move {
        let mut done = Vec::new();
        for step in steps {
            done.extend(context.take(&maintenance, step, &progress).await?);
        }
        if !maintenance.dry_run {
            // They know the files as they were.
            context.pins.clear();
        }
        let snapshot_id = context.lake.engine().run(snapshots::current).await?;
        let done = done.into_iter().map(told).collect();
        let result = MaintainResult { done, snapshot_id: snapshot_id.0, dry_run: maintenance.dry_run };
        Ok(to_any("MaintainResult", &result))
    })?;
    Ok(events::follow(job, cancel_on_disconnect))
}

// === impl Context ===

impl Context {
    async fn take(&self, maintenance: &Arc<Maintenance>, step: Step, progress: &Progress) -> Result<Vec<Done>> {
        match step {
            Step::Rewrite | Step::Merge => self.compact(maintenance, step, progress).await,
            Step::Expire => {
                progress.phase(step.name(), "steps", Some(1));
                let maintenance = Arc::clone(maintenance);
                let work = move |writer: Writer<'_>| maintenance.expire(writer);
                let done = progress.unless_cancelled(self.lake.run(work)).await?;
                progress.advance(1);
                Ok(vec![done])
            }
            Step::Cleanup | Step::Orphans => Ok(vec![self.sweep(maintenance, step, progress).await?]),
        }
    }

    async fn compact(&self, maintenance: &Arc<Maintenance>, step: Step, progress: &Progress) -> Result<Vec<Done>> {
        let planned = Arc::clone(maintenance);
        let tables = self.lake.engine().run(move |connection| planned.tables(connection, step)).await?;
        progress.phase(step.name(), "tables", Some(tables.len() as u64));
        let mut done = Vec::new();
        for (table, files) in tables {
            let maintenance = Arc::clone(maintenance);
            let work = move |writer: Writer<'_>| maintenance.compact(writer, step, &table, files);
            done.push(progress.unless_cancelled(self.lake.run(work)).await?);
            progress.advance(1);
        }
        // A table that had nothing to merge after all is not worth a line.
        done.retain(|done| done.files > 0);
        Ok(done)
    }

    /// Removes the files that nobody needs, but for those that a backup names.
    async fn sweep(&self, maintenance: &Arc<Maintenance>, step: Step, progress: &Progress) -> Result<Done> {
        let storage = &self.pins.origin().1.storage;
        progress.phase(format!("{}: look for files", step.name()), "steps", None);
        let (listing, data_path) = (Arc::clone(maintenance), storage.lake_path());
        let committer = Arc::clone(self.lake.committer());
        let work = move |connection: &Connection| {
            // A file that somebody is about to commit looks like one that nobody needs.
            let _permit = committer.writer_permit(connection)?;
            listing.unneeded(connection, step, &data_path)
        };
        let found = progress.unless_cancelled(self.lake.engine().run(work)).await?;
        if found.is_empty() {
            return Ok(Done::nothing(step));
        }
        // Asked afterwards, so that one that is taken meanwhile is asked too.
        let referenced = self.backups.referenced_files(progress).await?;
        let (kept, unneeded): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|path| referenced.referenced_by(path).is_some());
        progress.phase(step.name(), "files", Some(unneeded.len() as u64));
        // What was removed must be forgotten, so a batch is not dropped half way.
        for batch in unneeded.chunks(BATCH).filter(|_| !maintenance.dry_run) {
            progress.check()?;
            storage.delete_lake_files(batch).await?;
            if step == Step::Cleanup {
                let batch = batch.to_vec();
                let author = maintenance.author.clone();
                self.lake.run(move |writer| maintain::forget(writer, &author, &batch)).await?;
            }
            progress.advance(batch.len() as u64);
        }
        let kept_for = kept.iter().filter_map(|path| referenced.referenced_by(path)).min().map(ToOwned::to_owned);
        Ok(Done { files: unneeded.len() as u64, files_kept: kept.len() as u64, kept_for, ..Done::nothing(step) })
    }
}

fn steps(request: &MaintainRequest) -> Result<Vec<Step>> {
    let mut steps: Vec<_> = request.steps().map(step).collect();
    if steps.is_empty() {
        steps = vec![Step::Merge, Step::Rewrite, Step::Cleanup];
        steps.extend(request.expire_days.map(|_| Step::Expire));
    }
    if steps.contains(&Step::Expire) && request.expire_days.is_none() {
        return Err(Error::invalid("say with \"expire_days\" how old a snapshot must be to expire"));
    }
    steps.sort_unstable();
    steps.dedup();
    Ok(steps)
}

fn maintenance(request: &MaintainRequest, principal: &Principal) -> Result<Maintenance> {
    let share = request.rewrite_share.unwrap_or(DEFAULT_REWRITE_SHARE);
    if !(share > 0.0 && share <= 1.0) {
        return Err(Error::invalid(format!("\"rewrite_share\" must be above 0 and at most 1, it is {share}")));
    }
    Ok(Maintenance {
        table: request.table.as_deref().map(TableRef::parse).transpose()?,
        rewrite_share: share,
        expire_days: request.expire_days.map(|days| span("expire_days", days)).transpose()?,
        keep: request.keep.unwrap_or(1),
        grace_hours: span("grace_hours", request.grace_hours.unwrap_or(DEFAULT_GRACE_HOURS))?,
        dry_run: request.dry_run,
        author: principal.name().to_owned(),
    })
}

/// A span of time that DuckDB can subtract from now.
fn span(name: &str, span: f64) -> Result<f64> {
    if (0.0..=100_000.0).contains(&span) {
        return Ok(span);
    }
    Err(Error::invalid(format!("\"{name}\" must be between 0 and 100000, it is {span}")))
}

fn step(step: maintain_request::Step) -> Step {
    match step {
        maintain_request::Step::Merge => Step::Merge,
        maintain_request::Step::Rewrite => Step::Rewrite,
        maintain_request::Step::Expire => Step::Expire,
        maintain_request::Step::Cleanup => Step::Cleanup,
        maintain_request::Step::Orphans => Step::Orphans,
    }
}

fn told(done: Done) -> maintain_result::Done {
    let step = match done.step {
        Step::Merge => maintain_request::Step::Merge,
        Step::Rewrite => maintain_request::Step::Rewrite,
        Step::Expire => maintain_request::Step::Expire,
        Step::Cleanup => maintain_request::Step::Cleanup,
        Step::Orphans => maintain_request::Step::Orphans,
    };
    maintain_result::Done {
        step: step.into(),
        table: done.table.map(|table| table.to_string()),
        files: done.files,
        files_made: done.files_made,
        snapshots: done.snapshots.into_iter().map(|id| id.0).collect(),
        files_kept: done.files_kept,
        kept_for: done.kept_for,
    }
}
