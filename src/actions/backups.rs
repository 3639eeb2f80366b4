//! `backups`: lists the backups of the catalog.

use super::{
    action::{Action, Call, JobContext},
    events::Events,
};
use crate::{
    backup::{BackupState, Entry},
    error::Result,
    proto::{
        BackupsRequest, BackupsResult,
        backups_result::{self, backup::State},
    },
};

/// The action.
#[derive(Debug)]
pub struct Backups {
    verify: bool,
}

// === impl Backups ===

impl Action for Backups {
    const NAME: &'static str = "backups";
    const WRITES: bool = false;
    type Request = BackupsRequest;
    type Response = BackupsResult;

    fn validate(request: BackupsRequest) -> Result<Self> {
        Ok(Self { verify: request.verify })
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.list(job))
    }
}

impl Backups {
    async fn list(self, job: JobContext) -> Result<BackupsResult> {
        let (entries, latest) = job.services.backups.list(self.verify, &job.progress).await?;
        let backups = entries.into_iter().map(|entry| describe(entry, latest.as_deref())).collect();
        Ok(BackupsResult { backups })
    }
}

fn describe(entry: Entry, latest: Option<&str>) -> backups_result::Backup {
    let (state, fault) = match entry.state {
        BackupState::Complete => (State::Complete, None),
        BackupState::Incomplete => (State::Incomplete, None),
        BackupState::Damaged(fault) => (State::Damaged, Some(fault)),
        BackupState::Foreign => (State::AnotherLake, None),
    };
    let record = entry.record.as_ref();
    backups_result::Backup {
        latest: latest == Some(&entry.name),
        path: entry.uri,
        state: state.into(),
        fault,
        snapshot_id: record.map(|record| record.contents.snapshot_id.0),
        snapshots: record.map(|record| record.contents.snapshots),
        bytes: record.map(|record| record.bytes),
        author: record.map(|record| record.author.clone()),
        catalog: record.map(|record| record.catalog.clone()),
        backup: entry.name,
    }
}
