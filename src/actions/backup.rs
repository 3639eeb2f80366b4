//! `backup`: backs up the catalog.

use chrono::TimeDelta;

use super::{
    action::{Action, Call, JobContext},
    events::Events,
};
use crate::{
    backup::{Retention, Taken},
    error::{Error, Result},
    proto::{BackupRequest, BackupResult},
};

const SECONDS_A_DAY: f64 = 86_400.0;

/// The action.
#[derive(Debug)]
pub struct Backup {
    /// The retention of older backups, if the request specifies it.
    retention: Option<Retention>,
}

// === impl Backup ===

impl Action for Backup {
    const NAME: &'static str = "backup";
    const WRITES: bool = true;
    type Request = BackupRequest;
    type Response = BackupResult;

    fn validate(request: BackupRequest) -> Result<Self> {
        Ok(Self { retention: retention(&request)? })
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.take(job))
    }
}

impl Backup {
    async fn take(self, job: JobContext) -> Result<BackupResult> {
        job.services.backups.take(&job.author, self.retention, &job.progress).await.map(result)
    }
}

fn retention(request: &BackupRequest) -> Result<Option<Retention>> {
    if request.keep.is_none() && request.older_than_days.is_none() {
        return Ok(None);
    }
    let age = |days: f64| {
        if !(0.0..=100_000.0).contains(&days) {
            return Err(Error::invalid(format!("\"older_than_days\" must be between 0 and 100000, it is {days}")));
        }
        #[expect(clippy::cast_possible_truncation, reason = "of at most 8.64e9 seconds")]
        Ok(TimeDelta::seconds((days * SECONDS_A_DAY) as i64))
    };
    if request.keep == Some(0) {
        return Err(Error::invalid("\"keep\" is at least 1: the latest backup stays in any case"));
    }
    Ok(Some(Retention { keep: request.keep, older_than: request.older_than_days.map(age).transpose()? }))
}

fn result(taken: Taken) -> BackupResult {
    BackupResult {
        backup: taken.record.name,
        path: taken.uri,
        snapshot_id: taken.record.contents.snapshot_id.0,
        snapshots: taken.record.contents.snapshots,
        bytes: taken.record.bytes,
        sha256: taken.record.sha256,
        removed: taken.removed,
    }
}
