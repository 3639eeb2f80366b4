//! `restore`: brings a backup of the catalog back, to another place or into that of the lake.

use std::sync::Arc;

use super::{Actions, Events, events};
use crate::{
    backup::{Candidate, Selector, parse_timestamp},
    context::Principal,
    error::{Error, Result},
    lake::{catalog::Catalog, destination},
    proto::{RestoreRequest, RestoreResult, to_any},
};

/// How many of the missing files are named.
const NAMED: usize = 20;

/// Where a backup goes.
#[derive(Clone, Debug)]
enum To {
    /// Nowhere.
    Nothing,
    /// Into the place of the lake that is served.
    Lake,
    /// To a new catalog.
    Place(Catalog),
}

/// Starts the job.
pub fn call(actions: &Actions, principal: &Principal, request: RestoreRequest) -> Result<Events> {
    let (which, to) = validate(&request).map_err(|err| err.context("call restore"))?;
    let (backups, pins) = (Arc::clone(&actions.backups), Arc::clone(&actions.pins));
    let (key, cancel_on_disconnect) = (request.idempotency_key, request.cancel_on_disconnect);
    let job = actions.jobs.start("restore", principal, key, move |progress| async move {
        let candidate = backups.candidate(&which, &progress).await?;
        if !request.force && !request.dry_run {
            candidate.check_files()?;
        }
        let result = result(&candidate, &to);
        match to {
            To::Nothing => {}
            To::Place(catalog) => {
                progress.phase("write the catalog", "steps", None);
                let (settings, lake) = pins.origin();
                let destination = destination::Destination { catalog, data_path: lake.storage.lake_path() };
                // Not dropped when the job is cancelled: what was begun must be finished or undone.
                progress.check()?;
                destination::install(settings, &destination, &candidate.file()).await?;
            }
            To::Lake => {
                progress.check()?;
                backups.request_swap(candidate)?;
            }
        }
        Ok(to_any("RestoreResult", &result))
    })?;
    Ok(events::follow(job, cancel_on_disconnect))
}

fn validate(request: &RestoreRequest) -> Result<(Selector, To)> {
    let which = match (&request.backup, &request.at) {
        (None, None) => Selector::Latest,
        (Some(name), None) => Selector::Name(name.clone()),
        (None, Some(moment)) => Selector::At(parse_timestamp(moment).map_err(|err| err.context("\"at\""))?),
        (Some(_), Some(_)) => return Err(Error::invalid("\"backup\" and \"at\" exclude each other")),
    };
    let to = match &request.to {
        Some(to) => To::Place(Catalog::parse(to).map_err(|err| err.context("\"to\""))?),
        None if request.force => To::Lake,
        None if request.dry_run => To::Nothing,
        None => {
            return Err(Error::precondition(
                "the lake is being served: name another place with \"to\", or set \"force\", with which all sessions end \
                 and the backup takes the place of the lake; \"dry_run\" only verifies it",
            ));
        }
    };
    Ok((which, if request.dry_run { To::Nothing } else { to }))
}

fn result(candidate: &Candidate, to: &To) -> RestoreResult {
    let contents = &candidate.record.contents;
    RestoreResult {
        backup: candidate.record.name.clone(),
        path: candidate.uri.clone(),
        snapshot_id: contents.snapshot_id.0,
        snapshots: contents.snapshots,
        to: match to {
            To::Place(catalog) => Some(catalog.name()),
            To::Nothing | To::Lake => None,
        },
        missing_files: candidate.missing.len() as u64,
        missing: candidate.missing.iter().take(NAMED).map(|file| file.path.clone()).collect(),
        dry_run: matches!(to, To::Nothing),
        reopens: matches!(to, To::Lake),
    }
}
