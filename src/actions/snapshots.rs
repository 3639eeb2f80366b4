//! `snapshots`: lists snapshots with what each changed.

use super::{Actions, Events, events, target};
use crate::{
    context::Principal,
    engine::Connection,
    error::{Error, Result},
    lake::{
        history::{self, Entry, Filter},
        table::TableRef,
    },
    proto::{SnapshotsRequest, SnapshotsResult, snapshots_result, to_any},
};

/// How many are listed when the request does not say.
const LIMIT: u64 = 50;

/// Starts the job.
pub fn call(actions: &Actions, principal: &Principal, request: SnapshotsRequest) -> Result<Events> {
    let filter = validate(request).map_err(|err| err.context("call snapshots"))?;
    let engine = actions.lake.engine().clone();
    let job = actions.jobs.start("snapshots", principal, None, move |progress| async move {
        let work = move |connection: &Connection| {
            let snapshots = history::list(connection, &filter)?.into_iter().map(snapshot).collect();
            Ok(to_any("SnapshotsResult", &SnapshotsResult { snapshots }))
        };
        progress.unless_cancelled(engine.run(work)).await
    })?;
    Ok(events::follow(job, false))
}

fn validate(request: SnapshotsRequest) -> Result<Filter> {
    if request.limit == Some(0) {
        return Err(Error::invalid("\"limit\" is at least 1"));
    }
    Ok(Filter {
        table: request.table.as_deref().map(TableRef::parse).transpose()?,
        before: target::read("before", request.before)?,
        after: target::read("after", request.after)?,
        limit: request.limit.unwrap_or(LIMIT),
    })
}

fn snapshot(entry: Entry) -> snapshots_result::Snapshot {
    let change = |change: history::Change| snapshots_result::Change {
        change: change.change,
        name: change.name,
        renamed_from: change.renamed_from,
    };
    snapshots_result::Snapshot {
        snapshot_id: entry.id.0,
        time: entry.time,
        author: entry.author,
        message: entry.message,
        tags: entry.tags,
        schema_version: entry.schema_version,
        changes: entry.changes.into_iter().map(change).collect(),
    }
}
