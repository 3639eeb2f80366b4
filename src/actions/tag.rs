//! `tag`: names a snapshot, removes such a name, or lists all of them.

use super::{Actions, Events, events};
use crate::{
    context::Principal,
    error::{Error, Result},
    ids::SnapshotId,
    lake::{
        commit::Writer,
        snapshots::{self, SnapshotRef},
        tags,
    },
    proto::{TagRequest, TagResult, tag_result, to_any},
};

/// Starts the job.
pub fn call(actions: &Actions, principal: &Principal, request: TagRequest) -> Result<Events> {
    if request.delete && request.version.is_some() {
        return Err(Error::invalid("call tag: \"delete\" and \"version\" exclude each other"));
    }
    if request.delete && request.replace {
        return Err(Error::invalid("call tag: \"delete\" and \"replace\" exclude each other"));
    }
    let (lake, author) = (actions.lake.clone(), principal.clone());
    let job = actions.jobs.start("tag", principal, None, move |progress| async move {
        let work = move |writer: Writer<'_>| apply(writer, &request, author.name());
        progress.unless_cancelled(lake.run(work)).await
    })?;
    Ok(events::follow(job, false))
}

fn apply(writer: Writer<'_>, request: &TagRequest, author: &str) -> Result<prost_types::Any> {
    let connection = writer.connection();
    match &request.name {
        Some(name) if request.delete => {
            tags::delete(writer, name, author)?;
        }
        Some(name) => {
            let snapshot_id = match request.version {
                Some(version) => snapshots::resolve(connection, &SnapshotRef::Version(SnapshotId(version)))?,
                None => snapshots::current(connection)?,
            };
            tags::set(writer, name, snapshot_id, author, request.replace)?;
        }
        None if request.delete => return Err(Error::invalid("call tag: say which tag to delete with \"name\"")),
        None => {}
    }
    let tags = tags::list(connection)?.into_iter().map(|tag| tag_result::Tag {
        name: tag.name,
        version: tag.snapshot_id.0,
        author: tag.author,
        created: tag.created,
    });
    Ok(to_any("TagResult", &TagResult { tags: tags.collect() }))
}
