//! `backup` and `backups`: takes a backup of the catalog, and lists those there are.

use std::sync::Arc;

use chrono::TimeDelta;

use super::{Actions, Events, events};
use crate::{
    backup::{BackupState, Entry, Retention, Taken},
    context::Principal,
    error::{Error, Result},
    proto::{BackupRequest, BackupResult, BackupsRequest, BackupsResult, backups_result, to_any},
};

const SECONDS_A_DAY: f64 = 86_400.0;

/// Starts the job that takes one.
pub fn take(actions: &Actions, principal: &Principal, request: BackupRequest) -> Result<Events> {
    let retention = retention(&request).map_err(|err| err.context("call backup"))?;
    let (backups, author) = (Arc::clone(&actions.backups), principal.clone());
    let (key, cancel_on_disconnect) = (request.idempotency_key, request.cancel_on_disconnect);
    let job = actions.jobs.start("backup", principal, key, move |progress| async move {
        let taken = backups.take(&author, retention, &progress).await?;
        Ok(to_any("BackupResult", &result(taken)))
    })?;
    Ok(events::follow(job, cancel_on_disconnect))
}

/// Starts the job that lists them.
pub fn list(actions: &Actions, principal: &Principal, request: BackupsRequest) -> Result<Events> {
    let backups = Arc::clone(&actions.backups);
    let job = actions.jobs.start("backups", principal, None, move |progress| async move {
        let (entries, latest) = backups.list(request.verify, &progress).await?;
        let backups = entries.into_iter().map(|entry| describe(entry, latest.as_deref())).collect();
        Ok(to_any("BackupsResult", &BackupsResult { backups }))
    })?;
    Ok(events::follow(job, false))
}

/// What the request says of older backups, if it says anything.
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

fn describe(entry: Entry, latest: Option<&str>) -> backups_result::Backup {
    let (state, fault) = match entry.state {
        BackupState::Complete => ("complete", None),
        BackupState::Incomplete => ("incomplete", None),
        BackupState::Damaged(fault) => ("damaged", Some(fault)),
        BackupState::Foreign => ("another_lake", None),
    };
    let record = entry.record.as_ref();
    backups_result::Backup {
        latest: latest == Some(&entry.name),
        path: entry.uri,
        state: state.to_owned(),
        fault,
        snapshot_id: record.map(|record| record.contents.snapshot_id.0),
        snapshots: record.map(|record| record.contents.snapshots),
        bytes: record.map(|record| record.bytes),
        author: record.map(|record| record.author.clone()),
        catalog: record.map(|record| record.catalog.clone()),
        backup: entry.name,
    }
}
