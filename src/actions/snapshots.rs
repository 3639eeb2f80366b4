//! `snapshots`: lists snapshots and their changes.

use super::{
    action::{self, Action, Call, JobContext},
    events::Events,
};
use crate::{
    engine::Connection,
    error::{Error, Result},
    lake::{
        history::{self, Entry, Filter},
        table::TableRef,
    },
    proto::{SnapshotsRequest, SnapshotsResult, snapshots_result},
};

/// The number of snapshots that are listed by default.
const LIMIT: u64 = 50;

/// The action.
#[derive(Debug)]
pub struct Snapshots(Filter);

// === impl Snapshots ===

impl Action for Snapshots {
    const NAME: &'static str = "snapshots";
    const WRITES: bool = false;
    type Request = SnapshotsRequest;
    type Response = SnapshotsResult;

    fn validate(request: SnapshotsRequest) -> Result<Self> {
        if request.limit == Some(0) {
            return Err(Error::invalid("\"limit\" is at least 1"));
        }
        Ok(Self(Filter {
            table: request.table.as_deref().map(TableRef::parse).transpose()?,
            before: action::snapshot("before", request.before)?,
            after: action::snapshot("after", request.after)?,
            limit: request.limit.unwrap_or(LIMIT),
        }))
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.list(job))
    }
}

impl Snapshots {
    async fn list(self, job: JobContext) -> Result<SnapshotsResult> {
        let work = move |connection: &Connection| {
            let snapshots = history::list(connection, &self.0)?.into_iter().map(snapshot).collect();
            Ok(SnapshotsResult { snapshots })
        };
        job.progress.unless_cancelled(job.services.lake.engine().run(work)).await
    }
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
