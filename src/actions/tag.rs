//! `tag`: tags a snapshot, deletes a tag, or lists all tags.

use super::{
    action::{Action, Call, JobContext},
    events::Events,
};
use crate::{
    error::{Error, Result},
    ids::SnapshotId,
    lake::{
        commit::Writer,
        snapshots::{self, SnapshotRef},
        tags,
    },
    proto::{TagRequest, TagResult, tag_result},
};

/// The action.
#[derive(Debug)]
pub enum Tag {
    /// Lists all tags.
    List,
    /// Tags a snapshot, by default the newest.
    Set {
        /// The tag.
        name: String,
        /// The snapshot.
        version: Option<SnapshotId>,
        /// Whether an existing tag is moved.
        replace: bool,
    },
    /// Deletes a tag.
    Delete {
        /// The tag.
        name: String,
    },
}

// === impl Tag ===

impl Action for Tag {
    const NAME: &'static str = "tag";
    const WRITES: bool = true;
    type Request = TagRequest;
    type Response = TagResult;

    fn validate(request: TagRequest) -> Result<Self> {
        let TagRequest { name, version, delete, replace } = request;
        if delete && version.is_some() {
            return Err(Error::invalid("\"delete\" and \"version\" exclude each other"));
        }
        if delete && replace {
            return Err(Error::invalid("\"delete\" and \"replace\" exclude each other"));
        }
        match name {
            Some(name) if delete => Ok(Self::Delete { name }),
            Some(name) => Ok(Self::Set { name, version: version.map(SnapshotId), replace }),
            None if delete => Err(Error::invalid("say which tag to delete with \"name\"")),
            None => Ok(Self::List),
        }
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.tag(job))
    }
}

impl Tag {
    async fn tag(self, job: JobContext) -> Result<TagResult> {
        let work = move |writer: Writer<'_>| {
            self.apply(writer, job.author.name())?;
            let tags = tags::list(writer.connection())?.into_iter().map(tag).collect();
            Ok(TagResult { tags })
        };
        job.progress.unless_cancelled(job.services.lake.run(work)).await
    }

    fn apply(&self, writer: Writer<'_>, author: &str) -> Result<()> {
        match self {
            Self::List => Ok(()),
            Self::Delete { name } => tags::delete(writer, name, author).map(|_| ()),
            Self::Set { name, version, replace } => {
                let connection = writer.connection();
                let snapshot_id = match version {
                    Some(version) => snapshots::resolve(connection, &SnapshotRef::Version(*version))?,
                    None => snapshots::current(connection)?,
                };
                tags::set(writer, name, snapshot_id, author, *replace)
            }
        }
    }
}

fn tag(tag: tags::Tag) -> tag_result::Tag {
    tag_result::Tag { name: tag.name, version: tag.snapshot_id.0, author: tag.author, created: tag.created }
}
